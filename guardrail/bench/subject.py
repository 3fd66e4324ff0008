"""What is measured: a guarded model, the policies that pin what it does, and its requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from guardrail.backends.transformers.backend import TransformersBackend
from guardrail.backends.transformers.device import dtype_named
from guardrail.backends.transformers.shape_vocabulary import QUESTION
from guardrail.backends.transformers.shapes import SHAPES, RandomBackend, build_shape
from guardrail.bench.pinned import Policies, pinned, sample_picture
from guardrail.errors import SettingsError
from guardrail.request.conversation import Conversation, question
from guardrail.request.settings import ONE_TOKEN
from guardrail.steering.safecode import SafeCoDe


@dataclass(frozen=True)
class Subject:
    """A model under measurement.

    Attributes:
        engine: Guards it.
        name: The shape's name, or the model's.
        policies: What pins its behaviour.
        picture_side: Pixels of a request's square pictures.
        random: Whether its weights are random.
    """

    engine: SafeCoDe
    name: str
    policies: Policies
    picture_side: int
    random: bool

    @property
    def backend(self) -> TransformersBackend:
        """What runs it."""
        assert isinstance(self.engine.backend, TransformersBackend)
        return self.engine.backend

    @property
    def device(self) -> str:
        """The kind of device that it runs on: `cpu`, `cuda`, …."""
        return str(self.engine.model.device.type)

    def request(self, *, pictures: int, prompt_tokens: int) -> Conversation:
        """Returns a question about so many pictures, of at least so many tokens with one picture.

        Args:
            pictures: How many, 1 or more.
            prompt_tokens: Of a prompt with one picture; every further one adds its own.
        """
        shown = [sample_picture(self.picture_side, at) for at in range(pictures)]
        words = QUESTION.split()
        text = QUESTION
        while (missing := prompt_tokens - self.count_tokens(question(text, shown[:1]))) > 0:
            text += " " + " ".join(words[at % len(words)] for at in range(max(1, missing // 6)))
        return question(text, shown)

    def settled(self, conversation: Conversation) -> Subject:
        """Returns this subject, its policies settled by what it decides on a request."""
        policy = self.policies.skipped
        found = self.engine.answer(conversation, ONE_TOKEN, policy=policy)
        return replace(self, policies=self.policies.settled(found.decision))

    def count_tokens(self, conversation: Conversation) -> int:
        """Returns the tokens of a prompt, pictures included."""
        return int(self.backend.encoder.encode([conversation])["input_ids"].shape[1])


def shaped(shape: str, *, device: str = "cpu", dtype: str | None = None) -> Subject:
    """Returns a model of a named shape: one of `SHAPES`, or `embedded`.

    Raises:
        SettingsError: There is no such shape.
    """
    if shape == "embedded":
        engine = SafeCoDe.embedded()
        engine.model.to(device, dtype_named(dtype))
        return Subject(engine, shape, pinned(), 384, random=False)
    if shape not in SHAPES:
        known = ", ".join((*SHAPES, "embedded"))
        raise SettingsError(f"shape is {shape!r}, expected one of {known}")
    model, processor = build_shape(shape, device=device, dtype=dtype_named(dtype))
    guarded = SafeCoDe(backend=RandomBackend(model, processor))
    return Subject(guarded, shape, pinned(), SHAPES[shape].picture_side, random=True)


def loaded(path_or_id: str | Path, *, device: str = "cpu", dtype: str | None = None) -> Subject:
    """Returns a model from a folder or the hub.

    Raises:
        ModelError: It cannot be loaded or guided.
    """
    arguments: dict[str, Any] = {} if dtype is None else {"dtype": dtype_named(dtype)}
    engine = SafeCoDe.from_pretrained(path_or_id, **arguments)
    engine.model.to(device)
    return Subject(engine, str(path_or_id), pinned(), 384, random=False)
