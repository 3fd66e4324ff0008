"""Generation settings, by the names that LangChain and Hugging Face users know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardrail.errors import SettingsError

DEFAULT_MAX_NEW_TOKENS = 256
"""Length of an answer where nobody sets one; transformers' own default of 20 cuts sentences off."""

_UNSUPPORTED = {
    "num_beams": "beam search",
    "num_return_sequences": "several answers for one request",
    "assistant_model": "assisted decoding",
    "prompt_lookup_num_tokens": "prompt look-up decoding",
    "custom_generate": "a custom decoding method",
    "streamer": "a streamer (use stream())",
    "cache": "a cache of the caller's",
    "past_key_values": "a cache of the caller's",
    "inputs_embeds": "a prompt given as embeddings",
}


@dataclass(frozen=True)
class GenerationSettings:
    """How an answer is decoded. None leaves a setting to the model's own generation config.

    Attributes:
        max_new_tokens: Most tokens to generate, >= 1; where the model's own config sets no length
            either, 256.
        temperature: 0 is greedy decoding, above 0 is sampling.
        top_p: Nucleus, in (0, 1].
        top_k: Candidates, >= 1.
        do_sample: Sampling instead of greedy decoding; follows `temperature` if None.
        stop: Strings that end the answer; they are not part of it.
        seed: Seeds sampling, >= 0; the same request then gives the same answer.
        extra: Any other argument of `generate()`, by its name.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    do_sample: bool | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.max_new_tokens, "max_new_tokens", "an integer of 1 or more", lambda n: n >= 1)
        _check(self.temperature, "temperature", "a number of 0 or more", lambda t: t >= 0)
        _check(self.top_p, "top_p", "a number in (0, 1]", lambda p: 0 < p <= 1)
        _check(self.top_k, "top_k", "an integer of 1 or more", lambda k: k >= 1)
        _check(self.seed, "seed", "an integer from 0 to 2**63 - 1", lambda s: 0 <= s < 2**63)
        if any(not text for text in self.stop):
            raise SettingsError("a stop string is empty, expected at least one character")
        for name, what in _UNSUPPORTED.items():
            value = self.extra.get(name)
            if value is not None and not (name.startswith("num_") and value == 1):
                raise SettingsError(f"{name}={value!r} asks for {what}, which cannot be guided")

    def generate_arguments(self) -> dict[str, Any]:
        """Returns these settings as keyword arguments of `generate()`; stop strings and the seed
        are the decoder's own business.
        """
        arguments: dict[str, Any] = dict(self.extra)
        named = {
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature or None,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "do_sample": self.do_sample,
        }
        if self.do_sample is None and self.temperature is not None:
            named["do_sample"] = self.temperature > 0
        arguments.update({name: value for name, value in named.items() if value is not None})
        if arguments.get("do_sample") is False:
            # Greedy: the model's own sampling settings would only cause warnings.
            arguments.update(temperature=None, top_p=None, top_k=None)
        return arguments


def _check(value: Any, name: str, expected: str, holds: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not holds(value):
        raise SettingsError(f"{name} is {value!r}, expected {expected}")
