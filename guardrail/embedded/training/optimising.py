"""The training loop: resumable, with an averaged copy of the weights that is what ships.

Knows nothing of scenes or wording; it takes batches by step.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

from guardrail.embedded.training.copying import GuidedHeads
from guardrail.embedded.training.packing import IGNORE
from guardrail.embedded.training.things import PLACES, THINGS

logger = logging.getLogger(__name__)

GUIDED = 0.05
"""Weight of the guided heads' loss."""
Tensors = dict[str, torch.Tensor]
Loss = Callable[[Any, nn.Linear, dict[str, Any], torch.dtype], tuple[torch.Tensor, torch.Tensor]]
"""Loss of the answers, and of what the patches show."""


@dataclass(frozen=True)
class Schedule:
    """How a stage is trained.

    Attributes:
        steps: Optimiser steps in all.
        start: Number of the first; the batches of a stage that goes on from another go on, too.
        lr: Peak learning rate of what is new: projector, decoder, probe.
        tower_lr: Peak learning rate of the tower; 0 leaves it as it is.
        thaw_at: Step at which the tower begins to learn.
        thaw_from: First block of the tower that learns; the cheap early ones stay as they are,
            whose gradients at high resolution would cost most of the time.
        warmup: Steps of linear warm-up.
        decay: Share of the steps, at the end, over which the rate falls to zero.
        average: Decay of the averaged weights.
        seeing: Weight of the loss on what the patches show.
        save_every: Steps between checkpoints.
    """

    steps: int
    start: int = 0
    lr: float = 2e-3
    tower_lr: float = 0.0
    thaw_at: int = 100
    thaw_from: int = 6
    warmup: int = 60
    decay: float = 0.6
    average: float = 0.98
    seeing: float = 1.0
    save_every: int = 100

    def factor(self, step: int) -> float:
        """Multiplier of the learning rates at a step."""
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return rise * min(1.0, max(0.0, left))


class BatchSource(Protocol):
    """Batches by step, as `stream.Batches` gives them."""

    def __getitem__(self, step: int) -> dict[str, Any]: ...


def seeing_loss(probe: nn.Linear, features: torch.Tensor, data: Tensors) -> torch.Tensor:
    """How badly a linear probe reads off the projected patches what is there, and where.

    It teaches the projector and the tower to see long before the decoder's own loss would: a
    picture as a whole is asked what it shows (the most telling patch counts), and each patch
    what is in it.

    Args:
        probe: Maps a patch to one logit per thing and place.
        features: Projected patches (pictures, patches, hidden).
        data: Holds `contents`, 0 or 1 (pictures, things and places), and `patches`, 0 or 1 or
            -1 for either (pictures, patches, things).
    """
    logits = probe(features.float())
    weight = torch.tensor(4.0, device=logits.device)
    pooled = logits.logsumexp(1) - math.log(features.shape[1])
    whole = functional.binary_cross_entropy_with_logits(pooled, data["contents"], pos_weight=weight)
    patches = data["patches"]
    each = functional.binary_cross_entropy_with_logits(
        logits[..., : patches.shape[-1]], patches.clamp(min=0).float(),
        pos_weight=weight, reduction="none",
    )  # fmt: skip
    local = (each * (patches >= 0)).sum(-1).mean()  # over things, per patch
    return 4.0 * whole + 0.5 * local


def project(model: Any, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (n, 224, 224, 3), 8 bit, as projected patches (n, patches, hidden)."""
    pixels = (pictures.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    found = model.model.vision_tower(pixels).last_hidden_state
    features: torch.Tensor = model.model.multi_modal_projector(found)
    return features


def decode(
    model: Any, data: Tensors, features: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor:
    """Runs the decoder over a packed batch, patches in place of their placeholders.

    Returns:
        Hidden states (batch, length, hidden).
    """
    embeds = model.get_input_embeddings()(data["ids"]).to(dtype)
    if features is not None:
        where = (data["ids"] == model.config.image_token_index)[..., None]
        embeds = embeds.masked_scatter(where, features.to(dtype))
    mask = torch.zeros(data["visible"].shape, dtype=dtype, device=embeds.device)
    mask = mask.masked_fill(~data["visible"], torch.finfo(dtype).min)  # (batch, 1, len, len)
    hidden: torch.Tensor = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=mask,
        position_ids=data["positions"],
        use_cache=False,
    ).last_hidden_state
    return hidden


def as_tensors(batch: dict[str, Any], device: torch.device) -> Tensors:
    """A batch of `packing` on a device."""
    return {name: torch.as_tensor(value).to(device) for name, value in batch.items()}


def hidden_states(model: Any, batch: dict[str, Any], *, dtype: torch.dtype) -> torch.Tensor:
    """Hidden states of a packed batch with a picture each: (batch, length, hidden)."""
    data = as_tensors(batch, next(model.parameters()).device)
    return decode(model, data, project(model, data["pictures"]), dtype)


def see_loss(
    model: Any, probe: nn.Linear, batch: dict[str, Any], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """No answers, and `seeing_loss`, of pictures alone.

    Args:
        model: A `LlavaForConditionalGeneration`.
        probe: See `seeing_loss`.
        batch: As `packing.collate_pictures` gives it.
        dtype: Autocast type; float32 for none.
    """
    device = next(model.parameters()).device
    data = as_tensors(batch, device)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        features = project(model, data["pictures"])
    return torch.zeros((), device=device), seeing_loss(probe, features, data)


def talk_loss(
    model: Any, probe: nn.Linear, batch: dict[str, Any], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted next-token loss of a packed batch and `GUIDED` of `GuidedHeads`; `seeing_loss`.

    Arguments as for `see_loss`, of a batch by `packing.collate`.
    """
    device = next(model.parameters()).device
    data = as_tensors(batch, device)
    seeing = torch.zeros((), device=device)
    features = None
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        if len(data["pictures"]):
            features = project(model, data["pictures"])
            seeing = seeing_loss(probe, features, data)
        heads = GuidedHeads(model.model.language_model)
        with heads.watching():
            hidden = decode(model, data, features, dtype)
        rows = ~(data["ids"] == model.config.image_token_index).any(1)
        guided = heads.loss(data, rows) if rows.any() else seeing.new_zeros(())
        learned = data["labels"] != IGNORE
        logits = model.lm_head(hidden[learned]).float()
    each = functional.cross_entropy(logits, data["labels"][learned], reduction="none")
    weights = data["weights"][learned]
    return (each * weights).sum() / weights.sum() + GUIDED * guided, seeing


def make_probe(model: Any) -> nn.Linear:
    """The probe of `seeing_loss`, which at first finds nothing anywhere."""
    probe = nn.Linear(model.config.text_config.hidden_size, len(THINGS) + len(PLACES))
    nn.init.zeros_(probe.weight)
    nn.init.constant_(probe.bias, -2.0)
    return probe


def _optimizer(model: Any, probe: nn.Linear, schedule: Schedule) -> torch.optim.AdamW:
    tower = list(model.model.vision_tower.parameters())
    ids = {id(p) for p in tower}
    rest = [p for p in model.parameters() if id(p) not in ids] + list(probe.parameters())
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "peak": schedule.lr},
        {"params": [p for p in rest if p.ndim <= 1], "peak": schedule.lr},
        {"params": tower, "peak": schedule.tower_lr},
    ]
    for group, decay in zip(groups, (0.05, 0.0, 0.0), strict=True):
        group["weight_decay"] = decay
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98))


def _load(path: Path, model: Any, probe: Any, optimizer: Any, average: dict[str, Any]) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    probe.load_state_dict(state["probe"])
    optimizer.load_state_dict(state["optimizer"])
    average.update(state["average"])
    logger.info("resumed at step %d", state["step"])
    return int(state["step"])


def train(
    model: Any, probe: nn.Linear, loss_of: Loss, batches: BatchSource, schedule: Schedule,
    path: Path, *, bf16: bool,
) -> None:  # fmt: skip
    """Trains `model` and `probe` in place, resuming from `path` and writing it as it goes.

    `path` holds the step, the weights, the optimiser's state and the averaged weights.

    Args:
        model: The model.
        probe: See `seeing_loss`.
        loss_of: `see_loss` or `talk_loss`.
        batches: What to learn from.
        schedule: How.
        path: The stage's state.
        bf16: Whether to compute in bfloat16.
    """
    optimizer = _optimizer(model, probe, schedule)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    start = _load(path, model, probe, optimizer, average)
    if start >= schedule.steps:
        return
    loader: Any = torch.utils.data.DataLoader(
        batches,  # type: ignore[arg-type]
        batch_size=None,
        sampler=range(schedule.start + start, schedule.start + schedule.steps),
        num_workers=1,
        prefetch_factor=8,
    )
    model.train()
    tower, dtype = model.model.vision_tower, torch.bfloat16 if bf16 else torch.float32
    tower.requires_grad_(False)
    began, total, seen = time.monotonic(), 0.0, 0.0
    for step, batch in enumerate(loader, start):
        thawed = schedule.tower_lr > 0 and step >= schedule.thaw_at
        for part in (*tower.blocks[schedule.thaw_from :], tower.head):
            part.requires_grad_(thawed)
        tower.position.requires_grad_(schedule.tower_lr > 0)
        factor = schedule.factor(step)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        answers, seeing = loss_of(model, probe, batch, dtype)
        (answers + schedule.seeing * seeing).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen = 0.95 * seen + 0.05 * seeing.item()
        total = 0.95 * total + 0.05 * answers.item()
        if not math.isfinite(total + seen):
            raise RuntimeError(f"loss diverged at step {step}")
        keep = min(schedule.average, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        done = step + 1
        if done % 20 == 0 or done == schedule.steps:
            pace = (time.monotonic() - began) / (done - start)
            share = 1 - 0.95 ** (done - start)
            left = pace * (schedule.steps - done) / 60
            logger.info(
                "step %d answers %.4f seeing %.4f, %.2f s/step, %.0f min left",
                done, total / share, seen / share, pace, left,
            )  # fmt: skip
        if done % schedule.save_every == 0 or done == schedule.steps:
            _save(path, model, probe, optimizer, average, done)


def _save(
    path: Path, model: Any, probe: Any, optimizer: Any, average: dict[str, Any], step: int
) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "probe": probe.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
