"""One branch of decoding: a model, the tokens so far, its cache and its next-token logits.

The seam to transformers. `prepare` lets `generate()` itself resolve the caller's settings and the
model's inputs, and stops where it would begin to decode; `Branch` then does what its loop does,
step by step, with caches that can be forked (for the judge) and stacked (real and noised).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteriaList, StopStringCriteria

from guardrail.backends.transformers.cache import (
    can_forget,
    forget_last,
    grown_apart,
    join_cache_rows,
    select_cache_rows,
)
from guardrail.backends.transformers.generation import (
    Carried,
    Forward,
    after_prompt,
    cache_of,
    carried_outputs,
    prompt_arguments,
    run_model,
    step_arguments,
    without_cache,
)
from guardrail.backends.transformers.rows import join_rows, select_rows
from guardrail.backends.transformers.suitability import OWN_RUN, check_state

SEQUENCE_DIM = {
    "attention_mask": 1,
    "position_ids": -1,
    "token_type_ids": -1,
    "mm_token_type_ids": -1,
    "moe_mm_token_type_ids": -1,
    "cross_attention_mask": 1,
    "image_attention_mask": 1,
    "image_embeds_position_mask": 1,
}
"""Prepared inputs that run along the tokens, and the dimension in which they do."""


@dataclass(frozen=True)
class Prepared:
    """Everything that `generate()` resolved before its first forward pass.

    Attributes:
        model: The model that decodes; for families whose `generate()` hands embeddings to an inner
            language model, that inner model.
        ids: Prompt tokens, (batch, length) int64; (batch, 0) where only embeddings are given.
        logits_processor: The caller's processors (temperature, penalties, …), as transformers
            orders them.
        stopping_criteria: Length, end-of-sequence, stop strings, ….
        config: The resolved generation configuration.
        inputs: Keyword arguments of the forward pass, masks and positions included.
        forward: Runs the model.
    """

    model: Any
    ids: Tensor
    logits_processor: Any
    stopping_criteria: Any
    config: Any
    inputs: dict[str, Any]
    forward: Forward = run_model

    @property
    def embeds_prompt(self) -> bool:
        """Whether the prompt is given as embeddings, so that its text cannot be cut."""
        return self.inputs.get("inputs_embeds") is not None

    @property
    def pad_id(self) -> int:
        """The token in the place of what no longer counts."""
        pad = self.config._pad_token_tensor
        return int(pad) if pad is not None else 0

    @property
    def eos_ids(self) -> Tensor:
        """The tokens that end an answer, (count,) int64; may be none."""
        eos: Tensor | None = self.config._eos_token_tensor
        return eos.reshape(-1) if eos is not None else torch.empty(0, dtype=torch.long)

    @property
    def can_rewind(self) -> bool:
        """Whether a branch of this prompt can go back to an earlier token of it."""
        if "cross_attention_mask" in self.inputs:
            return False
        return can_forget(cache_of(self.inputs), self.ids.shape[1])


@torch.no_grad()
def prepare(model: Any, inputs: Mapping[str, Any], **settings: Any) -> Prepared:
    """Returns what `model.generate(**inputs, **settings)` would start decoding with.

    Args:
        model: A Hugging Face model that can generate.
        inputs: Processor outputs, on the model's device.
        settings: Generation settings by their Hugging Face names.

    Raises:
        ModelError: The model is in a state in which it cannot be guided.
    """
    check_state(model)

    def capture(  # the names are those by which `generate()` calls a decoding method
        model: Any,
        input_ids: Tensor,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        **model_kwargs: Any,
    ) -> Prepared:
        model_kwargs.pop("synced_gpus", None)
        return Prepared(
            model, input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs
        )

    # With a decoding method of one's own, `generate()` loses the tokenizer that stop strings need.
    words, tokenizer = settings.pop("stop_strings", None), settings.pop("tokenizer", None)
    if words:
        criteria = settings.get("stopping_criteria") or ()
        settings["stopping_criteria"] = StoppingCriteriaList(
            [*criteria, StopStringCriteria(tokenizer=tokenizer, stop_strings=words)]
        )
    prepared = model.generate(**inputs, **{**settings, **OWN_RUN}, custom_generate=capture)
    assert isinstance(prepared, Prepared)
    return prepared


@dataclass(frozen=True)
class Branch:
    """Rows that have been decoded together so far. Operations return new branches.

    A branch may be extended once; fork it first to go on from it twice.

    Attributes:
        ids: Tokens so far, (batch, length) int64.
        logits: Next-token logits, (batch, vocabulary) float32.
        inputs: Masks, positions and whatever else goes into every forward pass, but no cache.
        carried: What the last forward pass left for the next one, the cache among it.
        forward: Runs the model.
    """

    model: Any
    ids: Tensor
    logits: Tensor
    inputs: dict[str, Any]
    carried: Carried
    forward: Forward = run_model

    @classmethod
    @torch.no_grad()
    def prefill(cls, prepared: Prepared, *, length: int | None = None) -> Branch:
        """Runs the prompt, or its first `length` tokens.

        Args:
            prepared: From `prepare`; its cache is taken over.
            length: Tokens of the prompt to run, all of them if None. Must cover the pictures.
        """
        ids, inputs = prepared.ids, dict(prepared.inputs)
        if length is not None:
            ids = ids[:, :length]
            inputs = {name: _cut(name, value, length) for name, value in inputs.items()}
        arguments = prompt_arguments(prepared.model, ids, inputs)
        outputs = prepared.forward(prepared.model, arguments)
        return cls._after(prepared.model, ids, after_prompt(inputs), outputs, prepared.forward)

    @property
    def batch(self) -> int:
        """How many rows there are."""
        return len(self.logits)

    @torch.no_grad()
    def extend(self, tokens: Tensor, *, last: Tensor | None = None) -> Branch:
        """Runs further tokens on top of the cache.

        Args:
            tokens: (batch, count) int64, count >= 1; rows may be padded on the right if `last` says
                where they end (what follows the padding is then meaningless).
            last: (batch,) index into `tokens` of each row's last real token; the last one if None.
        """
        inputs = dict(self.inputs)
        ids = torch.cat([self.ids, tokens.to(self.ids.device)], dim=1)
        positions = None
        if last is not None and "logits_to_keep" in inputs:
            positions, last = torch.unique(last, return_inverse=True)
            inputs["logits_to_keep"] = positions
        arguments, inputs = step_arguments(self.model, ids, tokens.shape[1], self.carried, inputs)
        outputs = self.forward(self.model, arguments)
        if positions is not None:
            inputs["logits_to_keep"] = 1
        return self._after(self.model, ids, inputs, outputs, self.forward, last=last)

    def rewound(self, count: int) -> Branch | None:
        """Returns this branch as it was `count` tokens ago, or None where it cannot go back.

        Both may be extended. The new branch's logits are still this one's: extend it to have its
        own.

        Args:
            count: At least 1, and fewer than there are tokens; none of them may show a picture.
        """
        cache = forget_last(self.carried.cache, count)
        if cache is None:
            return None
        length = self.ids.shape[1] - count
        inputs = {name: _cut(name, value, length) for name, value in self.inputs.items()}
        carried = replace(self.carried, cache=cache)
        return replace(self, ids=self.ids[:, :length], inputs=inputs, carried=carried)

    def beside(self) -> Branch:
        """Returns this branch once more, of caches that grow by new tensors: both may be extended.

        Nothing is copied; a cache with other layers than `DynamicLayer`s has to be forked.
        """
        return replace(self, carried=replace(self.carried, cache=grown_apart(self.carried.cache)))

    def fork(self, rows: Sequence[int]) -> Branch:
        """Returns an independent branch of the given rows; a row may be given several times."""
        index = torch.tensor(list(rows), device=self.ids.device)
        carried = replace(
            self.carried,
            cache=select_cache_rows(self.carried.cache, index),
            others=select_rows(self.carried.others, index, batch=self.batch, grouped=True),
        )
        return replace(
            self,
            ids=self.ids[index] if len(self.ids) else self.ids,
            logits=self.logits[index.to(self.logits.device)],
            inputs=select_rows(self.inputs, index, batch=self.batch),
            carried=carried,
        )

    def stack(self, other: Branch) -> Branch:
        """Returns one branch with this one's rows, then `other`'s; the same tokens were run."""
        carried = replace(
            self.carried,
            cache=join_cache_rows(self.carried.cache, other.carried.cache),
            others=join_rows(
                self.carried.others, other.carried.others, batch=self.batch, grouped=True
            ),
        )
        return replace(
            self,
            ids=torch.cat([self.ids, other.ids]),
            logits=torch.cat([self.logits, other.logits]),
            inputs=join_rows(*_aligned(self.inputs, other.inputs), batch=self.batch),
            carried=carried,
        )

    @classmethod
    def _after(
        cls,
        model: Any,
        ids: Tensor,
        inputs: dict[str, Any],
        outputs: Any,
        forward: Forward,
        *,
        last: Tensor | None = None,
    ) -> Branch:
        logits = outputs.logits  # (batch, kept, vocabulary)
        if last is None:
            logits = logits[:, -1]
        else:
            rows = torch.arange(logits.shape[0], device=logits.device)
            logits = logits[rows, last.to(logits.device)]
        carried = carried_outputs(model, outputs, inputs)
        logits = logits.to(device=ids.device, dtype=torch.float32)
        return cls(model, ids, logits, without_cache(inputs), carried, forward)


def _aligned(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cuts what runs along the tokens to its common end.

    Some families keep only the last rows of a mask that is read from its end; how many they keep
    depends on how the prompt was run.
    """
    aligned = dict(first), dict(second)
    for name, dim in SEQUENCE_DIM.items():
        one, two = first.get(name), second.get(name)
        if isinstance(one, Tensor) and isinstance(two, Tensor):
            length = min(one.shape[dim], two.shape[dim])
            for inputs, value in zip(aligned, (one, two), strict=True):
                inputs[name] = value.narrow(dim, value.shape[dim] - length, length)
    return aligned


def _cut(name: str, value: Any, length: int) -> Any:
    dim = SEQUENCE_DIM.get(name)
    if dim is None or not isinstance(value, Tensor):
        return value
    return value.narrow(dim, 0, min(length, value.shape[dim]))
