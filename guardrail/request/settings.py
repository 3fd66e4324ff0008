"""Generation settings, by the names that LangChain and Hugging Face users know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardrail.errors import SettingsError
from guardrail.request.setting_numbers import checked_number
from guardrail.request.unicode import lone_surrogate_in

DEFAULT_MAX_NEW_TOKENS = 256
"""Length of an answer where nobody sets one; transformers' own default of 20 cuts sentences off."""

_UNSUPPORTED = {
    "num_beams": "beam search",
    "num_return_sequences": "several answers for one request",
    "assistant_model": "assisted decoding",
    "prompt_lookup_num_tokens": "prompt look-up decoding",
    "custom_generate": "a custom decoding method",
    "streamer": "a streamer (use stream())",
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
        for name in ("max_new_tokens", "temperature", "top_p", "top_k", "seed"):
            object.__setattr__(self, name, checked_number(name, getattr(self, name)))
        checked = {name: checked_number(name, value) for name, value in self.extra.items()}
        if any(checked[name] is not value for name, value in self.extra.items()):
            object.__setattr__(self, "extra", checked)
        if any(not text for text in self.stop):
            raise SettingsError("a stop string is empty, expected at least one character")
        if found := lone_surrogate_in(self.stop):
            raise SettingsError(f"a stop string is not valid Unicode: {found}")
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
