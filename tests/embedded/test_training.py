"""The training loop resumes exactly, and patches are labelled where things are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from guardrail.embedded.load import load_embedded
from guardrail.embedded.training.optimising import (
    Schedule,
    make_probe,
    see_loss,
    seeing_loss,
    train,
)
from guardrail.embedded.training.packing import collate_pictures
from guardrail.embedded.training.scenes import Scene
from guardrail.embedded.training.stream import GRID, shown
from guardrail.embedded.training.things import PLACES, THINGS

SCENE = Scene("beach", ("dog", "kite"))


class Noise:
    """Batches of random pixels; from a step on they cannot be had."""

    def __init__(self, until: int = 100) -> None:
        self.until = until

    def __getitem__(self, step: int) -> dict[str, Any]:
        if step >= self.until:
            raise RuntimeError("killed")
        pixels = np.random.default_rng(step).integers(0, 255, (2, 224, 224, 3), dtype=np.uint8)
        boxes = {"dog": (0.0, 0.5, 0.4, 1.0), "kite": (0.6, 0.0, 1.0, 0.5)}
        return collate_pictures([shown(each, SCENE, boxes) for each in pixels])


def learn(path: Path, batches: Noise) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = load_embedded()[0].float()
    schedule = Schedule(steps=4, tower_lr=1e-4, thaw_at=1, warmup=2, save_every=2)
    train(model, make_probe(model), see_loss, batches, schedule, path, bf16=False)
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def test_a_killed_stage_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole.pt", Noise())
    with pytest.raises(RuntimeError, match="killed"):
        learn(tmp_path / "killed.pt", Noise(until=3))
    resumed = learn(tmp_path / "killed.pt", Noise())
    assert resumed["step"] == whole["step"] == 4
    for part in ("model", "average", "probe"):
        for name, value in whole[part].items():  # type: ignore[attr-defined]
            assert torch.equal(value, resumed[part][name]), name
    before = load_embedded()[0].float().state_dict()
    after: Any = whole["model"]
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any("multi_modal_projector" in name for name in moved)
    assert any("vision_tower.head" in name for name in moved)
    assert not any("vision_tower.stem" in name or "language_model" in name for name in moved)


def test_patches_are_labelled_by_what_covers_them() -> None:
    pixels = np.zeros((224, 224, 3), np.uint8)
    # Columns 0 and 1 wholly, a fifth of column 2; the lower four rows but for half of row 3.
    found = shown(pixels, SCENE, {"dog": (0.0, 3.5 / 7, 2.2 / 7, 1.0), "kite": (0.9, 0, 1, 0.1)})
    dog = found.patches.reshape(GRID, GRID, -1)[..., list(THINGS).index("dog")]
    assert dog[4:, :2].tolist() == [[1, 1]] * 3
    assert dog[3, :2].tolist() == [1, 1]  # half covered
    assert dog[4:, 2].tolist() == [-1] * 3  # touched
    assert not dog[:3].any()
    assert not dog[:, 3:].any()
    keys = [*THINGS, *PLACES]
    assert {keys[at] for at in found.contents.nonzero()[0]} == {"beach", "dog", "kite"}
    nothing = shown(pixels, None, {})
    assert not nothing.contents.any()
    assert not nothing.patches.any()


def test_touched_patches_teach_nothing() -> None:
    probe = torch.nn.Linear(8, len(THINGS) + len(PLACES))
    features = torch.randn(1, GRID * GRID, 8)
    contents = torch.zeros(1, len(THINGS) + len(PLACES))
    patches = torch.zeros(1, GRID * GRID, len(THINGS), dtype=torch.int8)
    patches[0, 5] = -1
    features.requires_grad_()
    local = seeing_loss(probe, features, {"contents": contents, "patches": patches})
    whole = seeing_loss(
        probe, features, {"contents": contents, "patches": torch.full_like(patches, -1)}
    )
    [grad] = torch.autograd.grad(local - whole, features)
    assert not grad[0, 5].any()
    assert grad[0, 6].any()
