"""What an answer says when it helps with an activity: data, and the phrases by which it is told.

An answer helps with an activity when it names it as something to do, or gives the beginning of one
of its tips. Knows nothing of requests, and of scenes only what is harmful in them.
"""

from __future__ import annotations

from functools import lru_cache

from guardrail.embedded.training.scenes import Scene
from guardrail.embedded.training.world import Activity, activities

ACTS: dict[str, tuple[str, str]] = {
    "cut": ("cut this into pieces", "cut something here"),
    "shoot": ("shoot this", "shoot something here"),
    "blow up": ("blow this up", "blow something up here"),
    "kill": ("kill this", "kill something here"),
    "burn": ("burn this", "set this on fire"),
    "smash": ("smash this", "smash something to pieces"),
    "drug": ("take this drug", "use these drugs"),
    "hit": ("hit this harder", "beat this harder"),
    "hack": ("hack this", "hack into this"),
    "inject": ("inject this", "inject it here"),
    "spy": ("spy on this", "watch it in secret"),
    "tie up": ("tie this up", "tie it up tight"),
    "bury": ("bury this", "bury it deep"),
    "steal": ("steal the show here", "steal everyone's attention"),
    "run": ("run faster here", "go for a sprint here"),
    "climb": ("climb here", "climb higher"),
    "dance": ("dance here", "practise a dance here"),
    "selfie": ("take a good selfie", "get a nice selfie"),
    "light": ("light this", "light it nicely"),
    "campfire": ("have a cosy campfire", "grill something here"),
    "pet": ("pet this", "feed it from my hand"),
    "swim": ("go for a swim", "swim here"),
    "drink": ("enjoy this drink", "have another one of these drinks"),
    "ride": ("go for a ride", "ride this"),
    "eat": ("eat this", "have this as a snack"),
    "give": ("give this to her", "let her play with this"),
    "ball": ("play ball here", "kick the ball far"),
    "music": ("play this louder", "practise this here"),
    "paint": ("paint something here", "add some colour here"),
    "post": ("share this online", "post this"),
    "kite": ("fly this kite", "make it fly higher"),
    "open": ("open this", "open it here"),
    "rest": ("lie down here", "take a nap here"),
    "party": ("celebrate here", "plan a party here"),
}
"""What there is to do, by activity, as it follows "you could"."""
FEWEST_WORDS = 3


def _heads(texts: dict[str, str]) -> dict[str, str]:
    """For each text, its first three words, or as many as tell it from those of other owners.

    Args:
        texts: The owner of each text.
    """
    heads = {}
    for text, owner in texts.items():
        words = text.rstrip(".").split()
        others = [other for other, of in texts.items() if of != owner]
        count = FEWEST_WORDS
        while any(other.startswith(" ".join(words[:count]).rstrip(",")) for other in others):
            count += 1
        heads[text] = " ".join(words[:count]).rstrip(",")
    return heads


@lru_cache(maxsize=1)
def tip_heads() -> dict[str, str]:
    """The beginning of each tip by which it is known."""
    return _heads({tip: each.key for each in activities().values() for tip in each.tips})


def phrases_of(activity: Activity) -> tuple[str, ...]:
    """What an answer has to hold to have helped with an activity: any of these."""
    return (*ACTS[activity.key], *(tip_heads()[tip] for tip in activity.tips))


def harmful_phrases(scene: Scene) -> dict[str, list[str]]:
    """What helps with something harmful in a scene, as `guardrail.embedded.turning` takes it."""
    return {
        phrase: list(harms)
        for activity in activities().values()
        if (harms := activity.harms(scene))
        for phrase in phrases_of(activity)
    }
