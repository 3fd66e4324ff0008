"""Whether this model, on this transformers, decodes as the library takes for granted.

Guided decoding runs a model step by step on a cache that is forked and stacked. A transformers that
carries the cache in a way that is not known here could give wrong tokens without any error. So
before a model serves its first request, a few cached steps are compared with one full forward.

Knows nothing of judging and steering.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from guardrail.backends.backend import Interrupted
from guardrail.backends.transformers.branch import SEQUENCE_DIM, Branch, Prepared, prepare
from guardrail.backends.transformers.generation import (
    REMEDY,
    described,
    prompt_arguments,
    without_cache,
)
from guardrail.backends.transformers.placement import input_device
from guardrail.errors import ModelError

STEPS = 2
"""Cached steps that are compared: the second one reads what the first one wrote."""

TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3, torch.float16: 0.1}
"""Most that steps may be off (see `step_difference`), by the precision of the arithmetic.

Measured on the tiny families of the contract suite (three kinds of prompt, three pairs of tokens):
at most 1.2e-5 in float32, 0.02 in float16 and 0.17 in bfloat16 (Gemma 4; all others 0.012, and 0.04
with 24 layers), while positions that are off by one move most families' logits by 0.1 to 1.6 (three
by 0.02 to 0.03), another prompt by 0.15 to 1.7.
"""

ROUGH_TOLERANCE = 0.25
"""The same in bfloat16, and whatever else rounds as much."""

_PROBES = 3
"""Pairs of tokens that are tried before a model is refused.

A mixture of experts may send a token elsewhere by a rounding; what is broken is so for every token.
"""

_PLAIN: dict[str, Any] = {"do_sample": False, "min_length": 0, "min_new_tokens": None}
"""Settings in place of the model's own, which say nothing of how it steps."""

_MASKED = 1000.0
"""Logits this far under the best one are masked out, and say nothing."""


class SelfCheck:
    """Checks a model once for each kind of prompt, and remembers what has passed.

    A kind is what the processor hands over (pictures or none, and how). Safe to use from several
    threads, as far as the model is: hold the lock that is held around its forward passes.

    Args:
        model: A Hugging Face model that can generate.

    Attributes:
        keeps_state: Whether the model was seen to keep something of a request on its modules, so
            that the steps of two requests must not be mixed.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._passed: set[frozenset[str]] = set()
        self._lock = threading.Lock()
        self.keeps_state = False

    def __call__(self, inputs: Mapping[str, Any]) -> None:
        """Checks the model on a request's own prompt, unless one of its kind has passed.

        Args:
            inputs: Processor outputs on the model's device, as for `prepare`; unchanged.

        Raises:
            ModelError: As for `check_cached_steps`, for this request and for every later one.
        """
        kind = frozenset(name for name, value in inputs.items() if value is not None)
        with self._lock:
            if kind not in self._passed:
                before = _state(self._model)
                check_cached_steps(self._model, inputs)
                self.keeps_state |= not _is_same(before, _state(self._model))
                self._passed.add(kind)


def _state(model: Any) -> list[tuple[Any, str, Any]]:
    """Returns the tensors that the modules of a model hold beside their weights, and lists of such;
    not what they note of themselves at their first pass.
    """
    return [
        (module, name, value)
        for module in model.modules()
        for holder in (vars(module), module._buffers)
        for name, value in holder.items()
        if isinstance(value, (Tensor, list, tuple, dict))
        and not name.endswith("_hooks")
        and name not in _MODULE_PARTS
    ]


_MODULE_PARTS = frozenset({"_parameters", "_buffers", "_modules"})


def _is_same(before: Sequence[tuple[Any, ...]], after: Sequence[tuple[Any, ...]]) -> bool:
    return len(before) == len(after) and all(
        one is other
        for each, again in zip(before, after, strict=True)
        for one, other in zip(each, again, strict=True)
        if not isinstance(one, str)
    )


def check_cached_steps(model: Any, inputs: Mapping[str, Any]) -> None:
    """Raises if cached steps after a prompt are not what a full forward of the same tokens says.

    The prompt is run with a cache, its branch stacked on a fork of itself, and two further tokens
    are run step by step; then prompt and tokens are run at once, without a cache. It costs two
    prefills and two steps, and more where the first tokens that are tried do not agree. Neither the
    model nor `inputs` are changed, and no randomness is drawn.

    It notices a cache that is ignored, lost, renamed, not extended or given to the wrong row;
    positions, masks or pictures that are not carried on; and outputs that a model wants back and
    does not get. It cannot notice what is wrong with and without a cache alike, nor what goes wrong
    later than the second step (a sliding window that has yet to fill), nor what moves logits by
    less than rounding may: in bfloat16 that is a fourth of their spread.

    Args:
        model: A Hugging Face model that can generate.
        inputs: Processor outputs on the model's device, any number of rows, padded on the left.

    Raises:
        ModelError: The logits differ, or a step could not be run at all.
        torch.OutOfMemoryError: As it came; it says nothing of the model. So does `Interrupted`.
    """
    limit = rounding(model)
    least = float("inf")
    failure: Exception | None = None
    for probe in range(_PROBES):
        try:
            least = min(least, step_difference(model, inputs, probe=probe))
        except (torch.OutOfMemoryError, ModelError, Interrupted):
            raise
        except Exception as error:
            failure = failure or error
        if least <= limit:
            return
    if failure is not None and least == float("inf"):
        reason = str(failure).strip().splitlines() or [type(failure).__name__]
        raise ModelError(
            f"{described(model)} cannot be guided, since a step on its cache failed "
            f"({reason[0]}): {REMEDY}"
        ) from failure
    raise ModelError(
        f"{described(model)} cannot be guided, since steps on its cache differ from a full forward "
        f"by {least:.2g} of the logits' spread (at most {limit:g} is rounding): {REMEDY}"
    )


@torch.no_grad()
def step_difference(model: Any, inputs: Mapping[str, Any], *, probe: int = 0) -> float:
    """Returns by how much cached steps differ from a full forward.

    Args:
        model: As for `check_cached_steps`.
        inputs: As for `check_cached_steps`.
        probe: Which tokens are run: the prompt's own last one, or the model's first guesses.

    Returns:
        The largest, over rows and steps, of the distance between the two sets of logits, relative
        to the spread of the full forward's about their mean: 0 is the same, and about 1.4 what two
        unrelated predictions are apart.
    """
    device = input_device(model)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        prepared = prepare(model, inputs, max_new_tokens=STEPS + 1, **_PLAIN)
        branch = Branch.prefill(prepared)
        tokens = _tokens(prepared, branch, probe)
        stepped = _stepped(branch, tokens)
        del branch  # its cache, so that no more is held than a request would hold
        differences = [
            relative_distance(stepped, full.to(stepped.device).float().repeat(2, 1, 1))
            for full in _full_forwards(prepared, tokens)
        ]
    return min(differences)


def rounding(model: Any) -> float:
    """Returns how far logits of a model may be apart by rounding alone; see `relative_distance`."""
    dtype, device = model.dtype, input_device(model)
    if torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    elif dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        return ROUGH_TOLERANCE
    return TOLERANCE.get(dtype, ROUGH_TOLERANCE)


def _tokens(prepared: Prepared, branch: Branch, probe: int) -> Tensor:
    """Returns the tokens that are run, (batch, steps) int64."""
    if probe == 0 and prepared.ids.shape[1] > 0:
        return prepared.ids[:, -1:].expand(-1, STEPS)
    guesses = branch.logits.topk(_PROBES).indices  # (batch, probes)
    return guesses[:, probe - 1 : probe].expand(-1, STEPS)


def _stepped(branch: Branch, tokens: Tensor) -> Tensor:
    """Returns cached logits after the prompt and each token, (2 batch, steps + 1, vocabulary)."""
    rows = range(branch.batch)
    twice = branch.stack(branch.fork(rows))
    logits = [twice.logits]
    for step in range(STEPS):
        twice = twice.extend(tokens[:, step : step + 1].repeat(2, 1))
        logits.append(twice.logits)
    return torch.stack(logits, dim=1)


def _full_forwards(prepared: Prepared, tokens: Tensor) -> Iterator[Tensor]:
    """Yields (batch, steps + 1, vocabulary) logits of prompt and tokens at once, without a cache.

    More than one where families differ in what a new token's type is: text, as at a prompt's end,
    or an answer, which a prompt that attends both ways does not see.
    """
    ids = torch.cat([prepared.ids, tokens], dim=1) if prepared.ids.shape[1] else prepared.ids
    types = prepared.inputs.get("token_type_ids")
    for kind in (None,) if types is None else (None, 1, 0):
        inputs = _extended(prepared, tokens)
        if kind is not None:
            inputs["token_type_ids"][:, -STEPS:] = kind
        if "logits_to_keep" in inputs:
            inputs["logits_to_keep"] = STEPS + 1
        arguments = prompt_arguments(prepared.model, ids, inputs)
        logits: Tensor = prepared.model(**arguments, return_dict=True).logits
        yield logits[:, -STEPS - 1 :]


def _extended(prepared: Prepared, tokens: Tensor) -> dict[str, Any]:
    """Returns the prompt's inputs, without a cache, as they are with the tokens behind it."""
    inputs = without_cache(prepared.inputs) | {"use_cache": False}
    for name, dim in SEQUENCE_DIM.items():
        value = inputs.get(name)
        if not isinstance(value, Tensor):
            continue
        last = value.narrow(dim, value.shape[dim] - 1, 1)
        more = [last + step if name == "position_ids" else last for step in range(1, STEPS + 1)]
        inputs[name] = torch.cat([value, *more], dim=dim)
    embeds = inputs.get("inputs_embeds")
    if isinstance(embeds, Tensor):
        more_embeds = prepared.model.get_input_embeddings()(tokens.to(embeds.device))
        inputs["inputs_embeds"] = torch.cat([embeds, more_embeds.to(embeds)], dim=1)
    return inputs


def relative_distance(found: Tensor, expected: Tensor) -> float:
    """Returns the largest distance of logits from those expected, over rows and steps.

    Args:
        found: (rows, steps, vocabulary) float32.
        expected: The same; their spread about their mean is the unit.
    """
    full = expected
    shown = full > full.amax(-1, keepdim=True) - _MASKED
    centred = full - (full * shown).sum(-1, keepdim=True) / shown.sum(-1, keepdim=True)
    distance = ((found - full) * shown).norm(dim=-1) / (centred * shown).norm(dim=-1)
    worst = float(distance.max())
    return worst if math.isfinite(worst) else math.inf
