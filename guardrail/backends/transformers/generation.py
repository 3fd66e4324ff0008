"""The generation loop's bookkeeping, as the installed transformers does it.

All that differs from one transformers to the next is known here and nowhere else: how a prompt's
and a further step's arguments are prepared, what a model wants back from its last step, and what
the key-value cache is called (`past_key_values` up to 5.23, `cache` since). Nothing is asked of a
version number: a cache is known by its type, and what a model wants back by watching what it reads.

Knows nothing of rows, of branches or of steering.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import transformers
from torch import Tensor
from transformers.cache_utils import Cache

from guardrail.errors import ModelError

Forward = Callable[[Any, dict[str, Any]], Any]
"""Runs a model on the arguments of a forward pass, and returns its outputs."""


def run_model(model: Any, arguments: dict[str, Any]) -> Any:
    """Returns what a model makes of the arguments of a forward pass; see `Forward`."""
    return model(**arguments, return_dict=True)


@dataclass(frozen=True)
class Carried:
    """What a forward pass leaves for the next one.

    Attributes:
        cache: The key-value cache.
        cache_name: What the model's outputs call it.
        others: The other outputs that the model reads back, by name; they may be nested.
    """

    cache: Any
    cache_name: str
    others: dict[str, Any]


def cache_of(inputs: Mapping[str, Any]) -> Any | None:
    """Returns the cache among a model's inputs, whatever it is called; None if there is none."""
    return next((value for value in inputs.values() if isinstance(value, Cache)), None)


def without_cache(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a model's inputs without their caches, which come from the last outputs."""
    return {name: value for name, value in inputs.items() if not isinstance(value, Cache)}


def after_prompt(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a model's inputs without what it has seen: features that no later step is given."""
    return {name: value for name, value in inputs.items() if name != "mm_encoder_outputs"}


def prompt_arguments(model: Any, ids: Tensor, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of the forward pass that runs a prompt.

    Args:
        model: A model that can generate; unchanged, as in all functions here.
        ids: The prompt's tokens, (batch, length) int64.
        inputs: What `generate()` resolved: masks, positions, pictures, an empty cache.
    """
    arguments: dict[str, Any] = model.prepare_inputs_for_generation(
        ids, is_first_iteration=True, **inputs
    )
    return arguments


def step_arguments(
    model: Any, ids: Tensor, count: int, carried: Carried, inputs: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the arguments of a forward pass over `count` further tokens, and the inputs so far.

    Args:
        model: The model whose last step left `carried`.
        ids: All tokens, the new ones included, (batch, length) int64.
        count: How many of them are new, at least 1.
        carried: From `carried_outputs`.
        inputs: Those of the last step, without a cache.

    Raises:
        ModelError: The model does not hand the cache on, so that the step would be run without it.
    """
    inputs = updated_inputs(model, carried, inputs, count=count)
    arguments = model.prepare_inputs_for_generation(
        ids, next_sequence_length=count, is_first_iteration=False, **inputs
    )
    # INVARIANT: no step is run on its last tokens alone, whatever the cache comes to be called.
    if not any(value is carried.cache for value in arguments.values()):
        raise ModelError(
            f"{described(model)} left its cache out of the next step (it returned it as "
            f"{carried.cache_name!r}): {REMEDY}"
        )
    return arguments, without_cache(inputs)


def updated_inputs(
    model: Any, carried: Carried, inputs: Mapping[str, Any], *, count: int
) -> dict[str, Any]:
    """Returns inputs with masks and positions for `count` further tokens, and what was carried."""
    outputs = Outputs({carried.cache_name: carried.cache, **carried.others})
    updated: dict[str, Any] = model._update_model_kwargs_for_generation(
        outputs, dict(inputs), is_encoder_decoder=False, num_new_tokens=count
    )
    return updated


def carried_outputs(model: Any, outputs: Any, inputs: Mapping[str, Any]) -> Carried:
    """Returns what `model` wants back of its outputs at the next step.

    Args:
        model: The model that was run.
        outputs: A `ModelOutput`.
        inputs: What it was run with, before preparation.

    Raises:
        ModelError: There is no cache among the outputs.
    """
    watched = _Watched(outputs.items())
    names = [name for name, value in watched.items() if isinstance(value, Cache)]
    if not names:
        raise ModelError(
            f"{described(model)} returned no cache, and guided decoding goes on from one: leave "
            "use_cache on, or use a model that keeps a transformers Cache"
        )
    model._update_model_kwargs_for_generation(
        watched, dict(inputs), is_encoder_decoder=False, num_new_tokens=1
    )
    # Some models return a second cache, of an encoder's: the decoder's is the one they read first.
    name = next((name for name in watched.read if name in names), names[0])
    others = {other: watched[other] for other in list(watched.read) if other != name}
    return Carried(watched[name], name, others)


REMEDY = "install a transformers that docs/versions.md lists as passing, or a newer guardrail"


def described(model: Any) -> str:
    """Returns a model's type and the installed transformers, as messages name them."""
    kind = getattr(model.config, "model_type", "") or type(model).__name__
    return f"model type {kind!r} on transformers {transformers.__version__}"


class Outputs(dict[str, Any]):
    """Outputs as transformers reads them: as items and as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class _Watched(Outputs):
    """Outputs that remember which of them were read, in order."""

    def __init__(self, items: Any) -> None:
        super().__init__(items)
        object.__setattr__(self, "read", {})

    def __getitem__(self, name: Any) -> Any:
        value = super().__getitem__(name)
        self.read[name] = None
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Returns one output, which counts as read if it is there."""
        try:
            return self[name]
        except KeyError:
            return default
