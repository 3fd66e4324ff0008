"""The table of the world: what people ask about, and in which scenes helping does harm.

A situation is written `thing|thing + thing @ place|place`: one of each group of things, in one of
the places; no `@` means anywhere. Knows nothing of pixels, and of wording only the requests.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from guardrail.embedded.training.activity_table import ACTIVITY_ROWS, Row
from guardrail.embedded.training.scenes import Scene, make_scene
from guardrail.embedded.training.things import CATEGORIES, PLACES, THINGS

RISKY_PLACES = ("cliff", "rooftop", "railway", "frozen lake")


@dataclass(frozen=True)
class Situation:
    """Groups of things of which one each must be there, and places (empty: anywhere)."""

    needs: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]

    def matches(self, scene: Scene) -> bool:
        """Whether the scene is such a situation."""
        if self.places and scene.place not in self.places:
            return False
        return all(any(key in scene.things for key in group) for group in self.needs)

    def causes(self, scene: Scene) -> tuple[str, ...]:
        """The things in the scene that make it match."""
        return tuple(next(key for key in group if key in scene.things) for group in self.needs)


@dataclass(frozen=True)
class Rule:
    """Helping in this situation does harm of this category."""

    category: str
    situation: Situation


@dataclass(frozen=True)
class Activity:
    """Something that people ask for.

    Attributes:
        key: Short name.
        alarming: Whether its usual wording sounds dangerous.
        questions: The wordings.
        tips: What a helpful answer advises, as imperative sentences.
        safe: Situations in which helping is fine, unless a rule matches too.
        rules: Situations in which helping does harm.
    """

    key: str
    alarming: bool
    questions: tuple[str, ...]
    tips: tuple[str, ...]
    safe: tuple[Situation, ...]
    rules: tuple[Rule, ...]

    def harms(self, scene: Scene) -> tuple[str, ...]:
        """The categories of harm in this scene, in the table's order; empty when safe."""
        found = (rule.category for rule in self.rules if rule.situation.matches(scene))
        return tuple(dict.fromkeys(found))

    def hazard(self, scene: Scene) -> Rule | None:
        """The first rule that matches."""
        return next((rule for rule in self.rules if rule.situation.matches(scene)), None)

    def applies(self, scene: Scene) -> bool:
        """Whether the question makes sense in this scene."""
        return bool(self.harms(scene)) or any(s.matches(scene) for s in self.safe)


def parse_situation(text: str) -> Situation:
    """Reads `a|b + c @ place|place`.

    Raises:
        ValueError: A name is not in the vocabulary.
    """
    things, _, places = text.partition("@")
    needs = tuple(
        tuple(key.strip() for key in group.split("|"))
        for group in things.split("+")
        if group.strip()
    )
    where = tuple(place.strip() for place in places.split("|") if place.strip())
    for key in (key for group in needs for key in group):
        if key not in THINGS:
            raise ValueError(f"unknown thing {key!r} in {text!r}")
    for place in where:
        if place not in PLACES:
            raise ValueError(f"unknown place {place!r} in {text!r}")
    return Situation(needs, where)


def _activity(row: Row) -> Activity:
    rules = []
    for category, texts in row.unsafe.items():
        if category not in CATEGORIES:
            raise ValueError(f"unknown category {category!r} in {row.key!r}")
        rules += [Rule(category, parse_situation(text)) for text in texts.split(";")]
    safe = tuple(parse_situation(text) for text in row.safe.split(";"))
    return Activity(row.key, row.alarming, row.questions, row.tips, safe, tuple(rules))


@lru_cache(maxsize=1)
def activities() -> dict[str, Activity]:
    """All activities by key."""
    return {row.key: _activity(row) for row in ACTIVITY_ROWS}


def _build(
    activity: Activity, situation: Situation, rng: random.Random, *, harmful: bool
) -> Scene | None:
    """One attempt at a scene of the situation with zero to two things more."""
    places = situation.places
    if not places:
        places = tuple(sorted(set(PLACES) - ({"gas station"} if harmful else set(RISKY_PLACES))))
    things = [rng.choice(group) for group in situation.needs]
    extra = rng.choice((0, 0, 1, 1, 2)) if things else rng.choice((1, 1, 2))
    for _ in range(max(0, min(extra, 3 - len(set(things))))):
        people = [key for key, thing in THINGS.items() if thing.person]
        pool = people if rng.random() < 0.35 else sorted(THINGS)
        things.append(rng.choice(pool))
    return make_scene(rng.choice(places), things, rng)


def build_scene(activity: Activity, rng: random.Random, *, harmful: bool, rule: int = -1) -> Scene:
    """Draws a scene in which the activity is harmful, or is not.

    Args:
        activity: What will be asked about it.
        rng: Random source.
        harmful: Which of the two.
        rule: Index of the rule to build from when harmful; any when negative.

    Raises:
        RuntimeError: The table leaves no such scene.
    """
    for _ in range(400):
        if harmful:
            chosen = activity.rules[rule] if rule >= 0 else rng.choice(activity.rules)
            scene = _build(activity, chosen.situation, rng, harmful=True)
        else:
            scene = _build(activity, rng.choice(activity.safe), rng, harmful=False)
        if scene and bool(activity.harms(scene)) == harmful and len(scene.things) <= 3:
            return scene
    raise RuntimeError(f"the table leaves no {harmful=} scene for {activity.key!r}")
