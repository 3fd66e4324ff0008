"""The training stream: sample i is a pure function of (seed, i).

That makes training resumable without storing any data: a killed run goes on at its step.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from guardrail.embedded.dialogues import scene_tree
from guardrail.embedded.packing import Packed, Sample, collate, pack
from guardrail.embedded.pictures import load_cutouts
from guardrail.embedded.scenes import Cutouts, Scene, compose, random_scene
from guardrail.embedded.things import PLACES, THINGS
from guardrail.embedded.world import Activity, activities, build_scene

TEXT_ONLY, BLANK, HEAVY_NOISE, MILD_NOISE = 0.06, 0.03, 0.04, 0.1
RANDOM_SCENE = 0.2
RECOLOURED = 0.4
MAX_TOKENS = 272

Pixels = npt.NDArray[np.uint8]


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


def contents(scene: Scene | None) -> npt.NDArray[np.float32]:
    """What a picture shows, as 0 and 1: things first, then places."""
    shown = {*scene.things, scene.place} if scene else set()
    return np.array([key in shown for key in (*THINGS, *PLACES)], np.float32)


def sample(index: int, seed: int, cutouts: Cutouts, tokenizer: Any) -> Sample:
    """Sample `index` of the stream: a packed tree and its picture, if any."""
    rng = random.Random(f"sample/{seed}/{index}")

    def packed(seen: Scene | None, *, picture: bool = True) -> Packed:
        tree = scene_tree(seen, activity, rng, picture=picture)
        rng.shuffle(tree.children)
        return pack(tree, tokenizer, limit=MAX_TOKENS)

    scene, activity = draw_scene(rng, heldout=False)
    kind = rng.random()
    if kind < TEXT_ONLY:
        return Sample(packed(None, picture=False))
    if kind < TEXT_ONLY + BLANK:
        return Sample(packed(None), blank(rng), contents(None))
    picture = np.asarray(compose(scene, seed=f"{seed}/{index}", cutouts=cutouts, split="train"))
    if rng.random() < RECOLOURED:
        picture = recolour(picture, rng)
    if kind < TEXT_ONLY + BLANK + HEAVY_NOISE:
        noisy = add_noise(picture, rng.uniform(0.5, 1.5), rng)
        return Sample(packed(None), noisy, contents(None))
    if kind < TEXT_ONLY + BLANK + HEAVY_NOISE + MILD_NOISE:
        picture = add_noise(picture, rng.uniform(0.01, 0.16), rng)
    return Sample(packed(scene), picture, contents(scene))


class Batches:
    """Batches `start`, `start + 1`, … of the stream, for `torch.utils.data.DataLoader`."""

    def __init__(self, work_dir: Path, tokenizer: Any, *, seed: int, batch: int) -> None:
        self.folder, self.tokenizer = work_dir / "cutouts", tokenizer
        self.seed, self.batch = seed, batch
        self.cutouts: Cutouts = {}

    def __getitem__(self, step: int) -> dict[str, Any]:
        """The batch of a step, as `packing.collate` gives it."""
        self.cutouts = self.cutouts or load_cutouts(self.folder)
        first = step * self.batch
        items = [
            sample(i, self.seed, self.cutouts, self.tokenizer)
            for i in range(first, first + self.batch)
        ]
        return collate(items)

    def iterate(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """Batches in order, in this process."""
        for step in range(start, stop):
            yield self[step]
