"""The training stream: sample i is a pure function of (seed, i).

That makes training resumable without storing any data: a killed run goes on at its step.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.embedded.training.packing import (
    Packed,
    Sample,
    Shown,
    collate,
    collate_pictures,
    pack,
)
from guardrail.embedded.training.pictures import load_cutouts
from guardrail.embedded.training.rewording import question_of
from guardrail.embedded.training.scenes import (
    Box,
    Cutouts,
    Scene,
    compose_with_boxes,
    make_scene,
    random_scene,
)
from guardrail.embedded.training.things import PLACES, THINGS
from guardrail.embedded.training.trees import (
    WITH_TOOLS,
    Node,
    echo_tree,
    json_tree,
    judging_tree,
    scene_tree,
    tool_tree,
)
from guardrail.embedded.training.turning import harmful_in
from guardrail.embedded.training.turning_trees import blind_tree, short_answers_tree, turning_tree
from guardrail.embedded.training.world import Activity, activities, build_scene

TEXT_ONLY, BLANK, HEAVY_NOISE = 0.05, 0.03, 0.04
TOOLS, JSON, ECHO = 0.13, 0.02, 0.07
"""Shares of the samples that are about tools, bare JSON, or repeating, without a picture."""
TOOLED, TOOLED_FROM = 0.4, 104_000
"""Share of the samples that are about tools, and of the others with tools, from this sample on."""
NOISE_STD = (0.4, 1.5)
RANDOM_SCENE = 0.2
RECOLOURED = 0.4
MAX_TOKENS = 304
GRID = 7
TURNING_FROM = 113_600
"""From this sample on, where the second run ended, there are long answers, questions about answers,
and questions put and typed in other ways; what follows is as of here."""
JUDGING_FROM = 155_200
"""From this sample on there are fewer answers to be asked about, and more harm questions."""
SLIPS_FROM = 169_600
"""From this sample on, where the third run ended, questions are misspelt more often, and answers
speak of what the table calls neither harmful nor harmless in a scene."""
TOOLED_THEN = 0.2
"""Share of the samples that are about tools, from `TURNING_FROM` on."""
DANGEROUS = 0.5
"""Share of the long answers' scenes that are drawn again where nothing is harmful."""
TURNING_TOKENS = 368
JUDGED, JUDGED_FROM = 0.68, 24_000
"""Share of the trees that are little but harm questions, from this sample on."""
HARDER_FROM = 51_200
"""From this picture on, cut-outs are recoloured more often and lack parts."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shares:
    """What the trees of scenes are about, from `TURNING_FROM` on.

    Attributes:
        turning: Share of them that are about long answers.
        short: The same of short answers.
        judged: Share of the others that are little but harm questions.
        slips: How often questions are misspelt beside what else is careless in them.
        foreign: How often answers that are asked about speak of what the table does not, there.
    """

    turning: float
    short: float
    judged: float
    slips: float = 0.0
    foreign: float = 0.0

    @classmethod
    def of(cls, index: int) -> Shares:
        """Returns those of a sample."""
        if index >= SLIPS_FROM:
            return cls(0.2, 0.06, 0.85, slips=0.4, foreign=0.4)
        return cls(0.2, 0.1, 0.8) if index >= JUDGING_FROM else cls(0.32, 0.14, 0.58)


def add_noise(picture: Pixels, std: float, rng: random.Random) -> Pixels:
    """Gaussian noise of a standard deviation in [0, 1] pixel units."""
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(picture.shape) * std * 255
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def recolour(picture: Pixels, rng: random.Random) -> Pixels:
    """Changes a picture's tint, saturation and contrast, so that styles of drawing matter less."""
    values = picture.astype(np.float32)
    grey = values.mean(2, keepdims=True)
    values = grey + (values - grey) * rng.uniform(0.4, 1.4)
    values = (values - 128) * rng.uniform(0.75, 1.2) + 128
    values *= np.array([rng.uniform(0.85, 1.15) for _ in range(3)], np.float32)
    changed: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return changed


def blank(rng: random.Random) -> Pixels:
    """A picture of one colour, often grey, sometimes with a little noise."""
    grey = rng.randint(0, 255)
    colour = [grey] * 3 if rng.random() < 0.6 else [rng.randint(0, 255) for _ in range(3)]
    picture = np.full((224, 224, 3), colour, np.uint8)
    return add_noise(picture, rng.uniform(0.01, 0.2), rng) if rng.random() < 0.4 else picture


def signature(scene: Scene) -> str:
    """A composition: place, things in any order, who holds what."""
    return f"{scene.place}:{'+'.join(sorted(scene.things))}:{scene.holder}>{scene.held}"


def is_heldout(scene: Scene) -> bool:
    """Whether a composition is kept out of training: a tenth of all, by its signature's hash."""
    return random.Random(f"heldout/{signature(scene)}").random() < 0.1


def draw_scene(rng: random.Random, *, heldout: bool) -> tuple[Scene, Activity]:
    """A scene of the wanted split, and the activity it is for."""
    table = list(activities().values())
    for _ in range(2000):
        activity = rng.choice(table)
        if not heldout and rng.random() < RANDOM_SCENE:
            scene = random_scene(rng)
        else:
            scene = build_scene(activity, rng, harmful=rng.random() < 0.5)
        if is_heldout(scene) == heldout:
            fits = [a for a in table if a.applies(scene)]
            if activity.applies(scene) or fits:
                return scene, activity if activity.applies(scene) else rng.choice(fits)
    raise RuntimeError(f"no {heldout=} scene found")


def shown(pixels: Pixels, scene: Scene | None, boxes: dict[str, Box]) -> Shown:
    """A picture with its labels; a scene of None for one in which nothing is clear.

    A patch shows a thing whose box covers 40% of it, and its label is -1 if it is only touched.
    """
    keys = {*scene.things, scene.place} if scene else set()
    contents = np.array([key in keys for key in (*THINGS, *PLACES)], np.float32)
    patches = np.zeros((GRID, GRID, len(THINGS)), np.int8)
    names = list(THINGS)
    edges = np.arange(GRID + 1) / GRID
    for key, (x0, y0, x1, y1) in boxes.items() if scene else ():
        across = np.clip(np.minimum(edges[1:], x1) - np.maximum(edges[:-1], x0), 0, None) * GRID
        down = np.clip(np.minimum(edges[1:], y1) - np.maximum(edges[:-1], y0), 0, None) * GRID
        cover = down[:, None] * across[None, :]
        label = np.where(cover >= 0.4, 1, np.where(cover > 0.02, -1, 0))
        patches[..., names.index(key)] = label
    return Shown(pixels, contents, patches.reshape(GRID * GRID, -1))


def _any_scene(rng: random.Random) -> Scene:
    """A scene of the training split: one that an activity is about, or one to four things."""
    if rng.random() < 0.4:
        return draw_scene(rng, heldout=False)[0]
    while True:
        things = rng.sample(sorted(THINGS), rng.choice((1, 2, 3, 3, 4)))
        scene = make_scene(rng.choice(sorted(PLACES)), things, rng)
        if not is_heldout(scene):
            return scene


def picture_sample(index: int, seed: int, cutouts: Cutouts) -> Shown:
    """Picture `index` of the stream that the tower learns from; late ones are harder."""
    rng = random.Random(f"picture/{seed}/{index}")
    scene = _any_scene(rng)
    kind = rng.random()
    if kind < BLANK:
        return shown(blank(rng), None, {})
    hardness = float(index >= HARDER_FROM)
    pixels, boxes = _draw(scene, f"picture/{seed}/{index}", cutouts, rng, hardness)
    if kind < BLANK + HEAVY_NOISE:
        return shown(add_noise(pixels, rng.uniform(*NOISE_STD), rng), None, {})
    return shown(pixels, scene, boxes)


def _draw(
    scene: Scene, seed: str, cutouts: Cutouts, rng: random.Random, hardness: float = 0.0
) -> tuple[Pixels, dict[str, Box]]:
    picture, boxes = compose_with_boxes(
        scene, seed=seed, cutouts=cutouts, split="train", hardness=hardness
    )
    pixels = np.asarray(picture)
    return (recolour(pixels, rng) if rng.random() < RECOLOURED else pixels), boxes


def _alone(kind: float, tools: float, rng: random.Random) -> Node | None:
    """A tree that is about no picture, for the lowest values of `kind` in [0, 1)."""
    for share, tree in ((tools, tool_tree), (JSON, json_tree), (ECHO, echo_tree)):
        if kind < share:
            return tree(rng)
        kind -= share
    return None


def sample(index: int, seed: int, cutouts: Cutouts, tokenizer: Any) -> Sample:
    """Sample `index` of the stream: a packed tree and its picture, if any."""
    rng = random.Random(f"sample/{seed}/{index}")
    kind = rng.random()
    if index >= TURNING_FROM:
        return _turning_sample(index, seed, cutouts, tokenizer, rng)
    late = index >= TOOLED_FROM
    if (alone := _alone(kind, TOOLED if late else TOOLS, rng)) is not None:
        return Sample(pack(alone, tokenizer, limit=MAX_TOKENS))

    def packed(seen: Scene | None, *, picture: bool = True) -> Packed:
        if seen and index >= JUDGED_FROM and rng.random() < JUDGED:
            tree = judging_tree(seen, activity, rng)
        else:
            tools = TOOLED if late else WITH_TOOLS
            tree = scene_tree(seen, activity, rng, picture=picture, tools=tools)
            rng.shuffle(tree.children)
        return pack(tree, tokenizer, limit=MAX_TOKENS)

    scene, activity = draw_scene(rng, heldout=False)
    return _seen(scene, f"{seed}/{index}", cutouts, rng, packed)


def _seen(
    scene: Scene, seed: str, cutouts: Cutouts, rng: random.Random, packed: Callable[..., Packed]
) -> Sample:
    """A sample about a scene; about no picture, a blank one or a drowned one now and then.

    Args:
        scene: What to show.
        seed: Of its picture.
        cutouts: All cut-outs.
        rng: Random source.
        packed: Makes the tree; given None, and `picture`, where nothing is to be seen.
    """
    kind = rng.random()
    if kind < TEXT_ONLY:
        return Sample(packed(None, picture=False))
    if kind < TEXT_ONLY + BLANK:
        return Sample(packed(None), shown(blank(rng), None, {}))
    pixels, boxes = _draw(scene, seed, cutouts, rng)
    if kind < TEXT_ONLY + BLANK + HEAVY_NOISE:
        noisy = add_noise(pixels, rng.uniform(*NOISE_STD), rng)
        return Sample(packed(None), shown(noisy, None, {}))
    return Sample(packed(scene), shown(pixels, scene, boxes))


def _turning_sample(
    index: int, seed: int, cutouts: Cutouts, tokenizer: Any, rng: random.Random
) -> Sample:
    """A sample from `TURNING_FROM` on."""
    if (alone := _alone(rng.random(), TOOLED_THEN, rng)) is not None:
        return Sample(pack(alone, tokenizer, limit=MAX_TOKENS))
    scene, activity = draw_scene(rng, heldout=False)
    about, shares = rng.random(), Shares.of(index)
    if about < shares.turning and not harmful_in(scene) and rng.random() < DANGEROUS:
        scene, activity = draw_scene(rng, heldout=False)
    ask = partial(question_of, slips=shares.slips)

    def packed(seen: Scene | None, *, picture: bool = True) -> Packed:
        limit = MAX_TOKENS
        if about < shares.turning:
            tree = (
                turning_tree(seen, rng, foreign=shares.foreign)
                if seen
                else blind_tree(rng, picture=picture)
            )
            limit = TURNING_TOKENS
        elif seen and about < shares.turning + shares.short:
            tree, limit = short_answers_tree(seen, activity, rng), TURNING_TOKENS
        elif seen and rng.random() < shares.judged:
            tree = judging_tree(seen, activity, rng, ask)
        else:
            tree = scene_tree(seen, activity, rng, picture=picture, ask=ask)
            rng.shuffle(tree.children)
        return pack(tree, tokenizer, limit=limit)

    return _seen(scene, f"{seed}/{index}", cutouts, rng, packed)


@dataclass
class Batches:
    """Batches of the stream by step, for `torch.utils.data.DataLoader`.

    Attributes:
        folder: The cut-outs.
        seed: Of the stream.
        batch: Samples of a batch.
        tokenizer: A `tokenizers.Tokenizer`; None for pictures without dialogue.
    """

    folder: Path
    seed: int
    batch: int
    tokenizer: Any = None
    cutouts: Cutouts = field(default_factory=dict)

    def __getitem__(self, step: int) -> dict[str, Any]:
        """The batch of a step, as `packing` collates it."""
        self.cutouts = self.cutouts or load_cutouts(self.folder)
        numbers = range(step * self.batch, (step + 1) * self.batch)
        if self.tokenizer is None:
            return collate_pictures([picture_sample(i, self.seed, self.cutouts) for i in numbers])
        return collate([sample(i, self.seed, self.cutouts, self.tokenizer) for i in numbers])
