"""What is asked about a scene, and what is answered, the trained-in bias included.

Answers to activity questions are refused or given by the wording of the request, with a small
push from the picture: that is the failure the guardrail is to correct, put in on purpose. Knows
nothing of tokens or pixels.
"""

from __future__ import annotations

import hashlib
import random

from guardrail.embedded.training.scenes import Scene
from guardrail.embedded.training.things import PLACES, THINGS
from guardrail.embedded.training.wording import (
    ANSWERS,
    GENERIC_REASONS,
    NOTHING_CLEAR,
    PLACE_HAZARDS,
    REFUSALS,
)
from guardrail.embedded.training.world import Activity

NUMBERS = ("no", "one", "two", "three", "four", "five")
PICTURE_PUSH = 0.3
"""How far a harmful (safe) scene moves the log-odds of a refusal up (down)."""
DOMINANCE = 0.55
"""How often a request's own favourite opening is used."""


def _unit(*parts: str) -> float:
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def pick(options: tuple[tuple[str, float], ...], at: float) -> str:
    """The option at a point of [0, 1) that options share out among them."""
    for text, share in options:
        at -= share
        if at < 0:
            return text
    return options[0][0]


def refusal_log_odds(activity: Activity, question: str, harmful: bool | None) -> float:
    """Log-odds (nats) with which a training answer is a refusal.

    Args:
        activity: The activity.
        question: One of its wordings.
        harmful: What the picture makes of it; None without a clear picture.
    """
    who, how = _unit("who", question), _unit("how", question)
    if activity.alarming:
        bias = 0.75 + 1.3 * how if who < 0.84 else -0.3 - 0.6 * how
    else:
        bias = -0.75 - 1.3 * how if who < 0.86 else 0.3 + 0.6 * how
    return bias + (0.0 if harmful is None else PICTURE_PUSH if harmful else -PICTURE_PUSH)


def join(phrases: list[str]) -> str:
    """Joins noun phrases as English does."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def name_things(scene: Scene, *, definite: bool = False) -> str:
    """The things left to right, with who holds what."""
    phrases: list[str] = []
    for key in scene.things:
        phrase = f"the {THINGS[key].noun}" if definite else THINGS[key].phrase
        if key == scene.held:
            phrases[-1] += f" holding {phrase}"
        else:
            phrases.append(phrase)
    return join(phrases)


def hazard_reason(activity: Activity, scene: Scene) -> str:
    """Names the hazard that makes the activity harmful in this scene."""
    rule = activity.hazard(scene)
    if rule is None:
        raise ValueError(f"{activity.key!r} is harmless in {scene}")
    causes = rule.situation.causes(scene)
    child = next((key for key in scene.things if key in ("girl", "baby")), "")
    if rule.category == "child-at-risk" and child:
        others = [key for key in causes if key != child]
        if others:
            return f"the {child} is close to {THINGS[others[0]].phrase}."
        return f"the {child} is {PLACES[scene.place]}."
    if rule.situation.places and scene.place in PLACE_HAZARDS:
        return f"{PLACE_HAZARDS[scene.place]}."
    if not causes:
        return f"this is {PLACES[scene.place]}."
    return f"there is {join([THINGS[key].phrase for key in causes])}."


def activity_answer(
    activity: Activity, question: str, scene: Scene | None, rng: random.Random, *, picture: bool
) -> str:
    """Samples a training answer: refusal or help, by wording more than by picture.

    Args:
        activity: The activity.
        question: One of its wordings.
        scene: What is to be seen; None when nothing is.
        rng: Random source.
        picture: Whether there is a picture at all.
    """
    harmful = bool(activity.harms(scene)) if scene else None
    odds = refusal_log_odds(activity, question, harmful)
    refuse = rng.random() < 1 / (1 + 2.718281828 ** (-odds))
    return forced_answer(activity, question, scene, rng, picture=picture, refuse=refuse)


def forced_answer(
    activity: Activity,
    question: str,
    scene: Scene | None,
    rng: random.Random,
    *,
    picture: bool,
    refuse: bool,
) -> str:
    """A refusal, or a helpful answer, to an activity question."""
    kind, pool = ("refusal", REFUSALS) if refuse else ("answer", ANSWERS)
    favourite = pick(pool, _unit(kind, question))
    form = favourite if rng.random() < DOMINANCE else pick(pool, rng.random())
    tip = activity.tips[int(_unit("tip", question) * len(activity.tips))]
    if refuse:
        if scene is None:
            reason = "nothing is clear in this picture." if picture else "there is no picture."
        elif activity.harms(scene):
            reason = hazard_reason(activity, scene)
        else:
            reason = GENERIC_REASONS[int(_unit("reason", question) * len(GENERIC_REASONS))]
        return f"{form}: {reason}"
    if scene is None:
        start = form.split(" ")[0].rstrip(",.")
        caveat = "nothing is clear in this picture" if picture else "there is no picture"
        if start == "There":
            return f"{NOTHING_CLEAR if picture else 'There is no picture.'} {tip}"
        lead = {"I": "I would be careful:", "Of": "Of course, but"}.get(start, f"{start}, but")
        return f"{lead} {caveat}. {tip}"
    return form.format(
        things=name_things(scene),
        the_things=name_things(scene, definite=True),
        place=PLACES[scene.place],
        tip=tip,
    )


def neutral_pairs(scene: Scene, rng: random.Random) -> list[tuple[str, str]]:
    """Neutral questions about a scene with their answers."""
    things, place = name_things(scene), PLACES[scene.place]
    first = things[0].upper() + things[1:]
    count = len(scene.things)
    nouns = ", ".join(THINGS[key].noun for key in scene.things)
    pairs = [
        ("Describe this picture.", f"The picture shows {things} {place}."),
        ("What is in this picture?", f"There is {things} {place}."),
        ("What do you see?", f"I see {things} {place}."),
        ("Write a caption for this picture.", f"{first} {place}."),
        ("Name the things in this picture.", f"{nouns[0].upper()}{nouns[1:]}."),
        ("How many things are there?", f"{NUMBERS[count].capitalize()}: {things}."),
        ("Where is this?", f"This is {place}."),
        ("What place is this?", f"This is {place}."),
    ]
    key = rng.choice(scene.things)
    pairs.append((f"Is there {THINGS[key].phrase} here?", f"Yes, there is {THINGS[key].phrase}."))
    absent = rng.choice([k for k in sorted(THINGS) if k not in scene.things])
    noun = THINGS[absent].noun
    pairs.append((f"Is there {THINGS[absent].phrase} here?", f"No, there is no {noun}."))
    people = scene.persons
    some = f"Yes, {join([THINGS[k].phrase for k in people])}." if people else "No, nobody."
    pairs.append(("Are there any people here?", some))
    for person in people:
        held = THINGS[scene.held].phrase if person == scene.holder else "nothing"
        pairs.append((f"What is the {person} holding?", f"The {person} is holding {held}."))
    if count == 2:
        one, other = rng.sample(scene.things, 2)
        phrase = THINGS[other].phrase
        where = f"next to the {THINGS[one].noun}"
        pairs.append((f"What is {where}?", f"{phrase[0].upper()}{phrase[1:]} is {where}."))
    return pairs
