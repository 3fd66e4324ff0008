"""Answers without a guard, which guarding is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.backends.transformers.branch import Branch, prepare
from guardrail.backends.transformers.noise import noised_inputs
from guardrail.backends.transformers.prompt import to_device
from guardrail.request.conversation import Conversation
from guardrail.request.settings import GenerationSettings


def generated(
    backend: TransformersBackend,
    conversation: Conversation,
    settings: GenerationSettings,
    on_token: Callable[[], None],
) -> int:
    """Answers by the model's own `generate()`.

    Args:
        backend: The model.
        conversation: What is asked.
        settings: How to decode.
        on_token: Called at every new token.

    Returns:
        How many tokens were generated.
    """
    inputs = to_device(backend.encoder.encode([conversation]), backend.model)
    arguments = settings.generate_arguments()
    ids = backend.model.generate(**inputs, **arguments, streamer=_Streamer(on_token))
    made = int(ids.shape[1] - inputs["input_ids"].shape[1])
    # Some families give back the answer alone.
    return made if made > 0 else int(ids.shape[1])


@torch.no_grad()
def answered_as_published(
    backend: TransformersBackend,
    conversation: Conversation,
    *,
    new_tokens: int,
    guided_steps: int,
    alpha: float,
    noise_std: float,
    on_token: Callable[[], None],
) -> int:
    """Answers at the published code's cost: both prompts run in full again at every guided step.

    There is no judge. Arguments and result are as for `generated` and the policy's `contrast`.
    """
    model = backend.model
    inputs = to_device(backend.encoder.encode([conversation]), model)
    noised = noised_inputs(
        inputs,
        noise_std=noise_std,
        image_processor=getattr(backend.processor, "image_processor", None),
    )
    said: list[int] = []
    real = None
    for _ in range(min(guided_steps, new_tokens)):
        real, other = (_run_again(model, each, said) for each in (inputs, noised))
        said.append(int((real.logits + alpha * (real.logits - other.logits)).argmax()))
        on_token()
    while real is not None and len(said) < new_tokens:
        real = real.extend(torch.tensor([said[-1:]]))
        said.append(int(real.logits.argmax()))
        on_token()
    return len(said)


def _run_again(model: Any, inputs: Mapping[str, Any], said: Sequence[int]) -> Branch:
    branch = Branch.prefill(prepare(model, inputs, max_new_tokens=1))
    return branch.extend(torch.tensor([list(said)])) if said else branch


class _Streamer:
    """Calls back at every token that `generate()` streams; first it streams the prompt."""

    def __init__(self, on_token: Callable[[], None]) -> None:
        self._on_token = on_token
        self._prompt_seen = False

    def put(self, value: Any) -> None:
        """Takes the prompt, then the tokens."""
        if self._prompt_seen:
            self._on_token()
        self._prompt_seen = True

    def end(self) -> None:
        """The end of the stream."""
