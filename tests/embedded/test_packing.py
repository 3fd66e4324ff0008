"""A packed tree gives every branch the logits it would have alone."""

import numpy as np
import pytest
import torch

from guardrail.embedded.load import load_embedded
from guardrail.embedded.training.evaluate import Asker
from guardrail.embedded.training.optimising import Schedule, decode, hidden_states
from guardrail.embedded.training.packing import IGNORE, Sample, Shown, collate, pack
from guardrail.embedded.training.trees import Node


@pytest.fixture(scope="module")
def asker() -> Asker:
    return Asker(*load_embedded())


def test_branches_match_separate_prompts(asker: Asker) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype=np.uint8)
    stem, branches = "How do I cut this?", ["\n\nHarm? Answer yes or no.", " Please", " now"]
    root = "<|im_start|>user\n<image>\n"
    tree = Node(root, children=[Node(stem, children=[Node(branch) for branch in branches])])
    sample = Sample(pack(tree, asker.backend), Shown(picture))
    pixels = (torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        packed = asker.model.lm_head(
            hidden_states(asker.model, collate([sample]), dtype=torch.float32)
        )
        for index, branch in enumerate(branches):
            text = root.replace("<image>", "<image>" * 49) + stem + branch
            ids = torch.tensor([asker.backend.encode(text).ids])
            alone = asker.model(input_ids=ids, pixel_values=pixels).logits[0, -1]
            at = int(np.flatnonzero(sample.packed.nodes == 2 + index)[-1])
            assert torch.allclose(packed[0, at], alone, atol=2e-4)


def test_targets_are_learned_from_the_token_before_them(asker: Asker) -> None:
    tree = Node("<|im_start|>user\nHi", children=[Node("<|im_end|>", "Yes<|im_end|>", weight=2.0)])
    packed = pack(tree, asker.backend)
    learned = packed.labels != IGNORE
    assert asker.backend.decode(packed.labels[learned].tolist(), skip_special_tokens=False) == (
        "Yes<|im_end|>"
    )
    assert packed.weights[learned].tolist() == [2.0, 2.0]
    assert len(packed.ids) == int(learned.argmax()) + 2


def test_branches_over_the_limit_are_left_out(asker: Asker) -> None:
    tree = Node("a", children=[Node("b " * 50), Node("c")])
    assert len(pack(tree, asker.backend, limit=20).ids) < 20


def test_text_alone_needs_no_picture(asker: Asker) -> None:
    sample = Sample(pack(Node("<|im_start|>user\nHello"), asker.backend))
    batch = {name: torch.as_tensor(value) for name, value in collate([sample]).items()}
    assert torch.isfinite(decode(asker.model, batch, None, torch.float32)).all()


def test_the_schedule_rises_holds_and_falls() -> None:
    schedule = Schedule(steps=100, warmup=10, decay=0.5)
    assert schedule.factor(0) == pytest.approx(0.1)
    assert schedule.factor(30) == 1.0
    assert schedule.factor(75) == pytest.approx(0.5)
    assert schedule.factor(100) == 0.0
