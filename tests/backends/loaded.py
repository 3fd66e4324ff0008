"""What holds of every way to load a model: answers are `generate()`'s, alone and in a batch."""

from typing import Any

import torch

from guardrail import SafeCoDe
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings
from tests.contract.guarded import LONGER, ask


def generated(
    guarded: SafeCoDe,
    conversation: Conversation,
    settings: GenerationSettings,
    *,
    reference: Any = None,
    **more: Any,
) -> list[int]:
    """What `generate()` of the model itself says (of `reference`, if given), without the prompt."""
    inputs = guarded.backend.encoder.encode([conversation])
    if settings.seed is not None:
        torch.manual_seed(settings.seed)
    model = guarded.model if reference is None else reference
    said = model.generate(**inputs, **settings.generate_arguments(), **more)
    ids = getattr(said, "sequences", said)[0]
    prompt = inputs["input_ids"][0]
    return ids[len(prompt) :].tolist() if torch.equal(ids[: len(prompt)], prompt) else ids.tolist()


def answers_as_generate(
    guarded: SafeCoDe,
    settings: GenerationSettings,
    *,
    family: str = "llava",
    reference: Any = None,
) -> None:
    """Asserts that `off` and `shadow` are `generate()`, and that everything else works too."""
    conversation = ask(family)
    expected = generated(guarded, conversation, settings, reference=reference)
    for mode in ("off", "shadow", "enforce"):
        answer = guarded.answer(conversation, settings, mode=mode)  # type: ignore[arg-type]
        assert answer.decision.errors == []
        if mode != "enforce":
            assert list(answer.token_ids) == expected
        if mode != "off":
            assert set(answer.decision.verdict.categories) == {"injury", "fire"}
            assert [step.step for step in answer.decision.steps] == [0, 1, 2]
    rows = [conversation, ask(family, LONGER, first=3)]
    for batched, row in zip(guarded.batch(rows, settings), rows, strict=True):
        assert batched.token_ids == guarded.answer(row, settings).token_ids
