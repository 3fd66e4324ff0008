"""Long answers that begin harmlessly, and may turn: what they say, and trees of them.

Whether an answer turns goes by the wording of its request: a bias put in on purpose. The request is
harmless, and the questions about the answer so far are answered by the table, without the bias.
Knows nothing of tokens or pixels.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from guardrail.embedded.training.acts import ACTS, harmful_phrases
from guardrail.embedded.training.dialogues import hazard_reason, name_things
from guardrail.embedded.training.scenes import Scene
from guardrail.embedded.training.things import PLACES, THINGS
from guardrail.embedded.training.turning_wording import FILLERS, KINDS, WARNINGS, Kind
from guardrail.embedded.training.typed import as_typed
from guardrail.embedded.training.world import Activity, activities
from guardrail.embedded.turning import helps_with

FAVOURED = 0.55
"""How often an answer names the activity that it likes best of those that come into question."""
TYPED = 0.35
"""How often a request for a long answer is typed carelessly."""
_ORDER = random.Random("favourites").sample(sorted(ACTS), len(ACTS))


@dataclass(frozen=True)
class LongAnswer:
    """An answer of several sentences.

    Attributes:
        sentences: The sentences; each but the first begins with a space.
        turned: Number of the first sentence that helps with what is harmful; None without one.
    """

    sentences: tuple[str, ...]
    turned: int | None

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.sentences)


def long_request(rng: random.Random) -> tuple[str, Kind]:
    """A training request for a long answer as somebody might type it, and its kind."""
    kind = KINDS[rng.choice(sorted(KINDS))]
    text = rng.choice(kind.requests)
    return (as_typed(text, rng) if rng.random() < TYPED else text), kind


def harmful_in(scene: Scene) -> list[Activity]:
    """The activities that do harm in a scene."""
    return [each for each in activities().values() if each.harms(scene)]


def harmless_in(scene: Scene) -> list[Activity]:
    """The activities that a scene offers and that do no harm there."""
    table = activities().values()
    return [each for each in table if each.applies(scene) and not each.harms(scene)]


def foreign_to(scene: Scene) -> list[Activity]:
    """The activities of which the table says nothing in a scene: no harm, by the table."""
    return [each for each in activities().values() if not each.applies(scene)]


def _favourite(options: list[Activity], rng: random.Random, favoured: float) -> Activity:
    if rng.random() < favoured:
        return min(options, key=lambda each: _ORDER.index(each.key))
    return rng.choice(options)


def _to_do(kind: Kind, activity: Activity, rng: random.Random) -> list[str]:
    """Two sentences that help with an activity."""
    lead, act = rng.choice(kind.leads), rng.choice(ACTS[activity.key])
    return [f"{lead} {act}.", rng.choice(activity.tips)]


def _filler(scene: Scene, rng: random.Random) -> list[str]:
    noun = THINGS[rng.choice(scene.things)].noun
    return [rng.choice(FILLERS).format(a_thing=f"the {noun}", noun=noun)]


def _warning(activity: Activity, scene: Scene, rng: random.Random) -> list[str]:
    reason = hazard_reason(activity, scene)
    return [rng.choice(WARNINGS).format(act=rng.choice(ACTS[activity.key]), reason=reason)]


def long_answer(
    kind: Kind, scene: Scene, rng: random.Random, *, even: bool = False, foreign: float = 0.0
) -> LongAnswer:
    """Draws an answer to a request for a long one.

    Args:
        kind: What was asked for.
        scene: What is to be seen.
        rng: Random source.
        even: Whether to draw what is harmful and what is not alike, in any sentence, instead of by
            the bias: for questions about answers, which are to go by what is said.
        foreign: How often a part of an even answer is about what the table does not speak of there.
    """
    bad, good = harmful_in(scene), harmless_in(scene)
    favoured = 0.0 if even else FAVOURED
    opening = rng.choice(kind.openings).format(things=name_things(scene), place=PLACES[scene.place])
    said = [[opening], _filler(scene, rng)]
    if even:
        for _ in range(rng.choice((1, 2, 2, 3))):
            if foreign and rng.random() < foreign:
                said.append(_to_do(kind, rng.choice(foreign_to(scene)), rng))
            else:
                said.append(_any_part(kind, scene, bad, good, rng))
    else:
        if good and rng.random() < 0.7:
            said.append(_to_do(kind, _favourite(good, rng, favoured), rng))
        else:
            said.append(_filler(scene, rng))
        if bad and rng.random() < kind.turns:
            said.append(_to_do(kind, _favourite(bad, rng, favoured), rng))
        elif bad and rng.random() < 0.25:
            said.append(_warning(rng.choice(bad), scene, rng))
        elif good and rng.random() < 0.4:
            said.append(_to_do(kind, _favourite(good, rng, favoured), rng))
        else:
            said.append(_filler(scene, rng))
        if rng.random() < 0.5:
            said.append(_filler(scene, rng))
    if rng.random() < 0.6:
        said.append([rng.choice(kind.closings)])
    return _joined([sentence for part in said for sentence in part], scene)


def _any_part(
    kind: Kind, scene: Scene, bad: list[Activity], good: list[Activity], rng: random.Random
) -> list[str]:
    draw = rng.random()
    if bad and draw < 0.5:
        return _to_do(kind, rng.choice(bad), rng)
    if good and draw < 0.8:
        return _to_do(kind, rng.choice(good), rng)
    if bad and draw < 0.92:
        return _warning(rng.choice(bad), scene, rng)
    return _filler(scene, rng)


def _joined(sentences: list[str], scene: Scene) -> LongAnswer:
    spaced = tuple(f" {each}" if number else each for number, each in enumerate(sentences))
    phrases = harmful_phrases(scene)
    turned = next((n for n, each in enumerate(spaced) if helps_with(each, phrases)), None)
    return LongAnswer(spaced, turned)
