"""Generation settings, by the names that LangChain and Hugging Face users know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from guardrail.errors import SettingsError
from guardrail.request.setting_numbers import checked_number
from guardrail.request.unicode import lone_surrogate_in

DEFAULT_MAX_NEW_TOKENS = 256
"""Length of an answer where nobody sets one; transformers' own default of 20 cuts sentences off."""

_UNGUIDABLE = {
    "num_beams": "beam search",
    "num_return_sequences": "several answers for one request",
    "penalty_alpha": "contrastive search",
    "dola_layers": "decoding by contrasting layers",
    "constraints": "constrained beam search",
    "force_words_ids": "constrained beam search",
    "assistant_model": "assisted decoding",
    "assistant_early_exit": "assisted decoding",
    "use_mtp": "assisted decoding",
    "prompt_lookup_num_tokens": "prompt look-up decoding",
    "guidance_scale": "classifier-free guidance",
    "watermarking_config": "a watermark that keeps state between tokens",
    "token_healing": "other tokens at the end of the prompt",
    "cache_implementation": "a cache of rounded keys and values",
    "custom_generate": "a custom decoding method",
    "streamer": "a streamer (use stream())",
    "cache": "a cache of the caller's",
    "past_key_values": "a cache of the caller's",
    "inputs_embeds": "a prompt given as embeddings",
}
_NEUTRAL = {"num_beams": 1, "num_return_sequences": 1, "guidance_scale": 1, "penalty_alpha": 0}
"""Values beside None and False that ask for nothing."""
_NUMBERS = ("max_new_tokens", "temperature", "top_p", "top_k", "seed", "top_logprobs")


class Unguidable(NamedTuple):
    """A setting that guided decoding cannot follow.

    Attributes:
        name: Its Hugging Face name.
        value: What it is set to.
        what: What that asks for, in words.
        neutral: The value with which it asks for nothing.
    """

    name: str
    value: Any
    what: str
    neutral: Any


def unguidable(settings: Mapping[str, Any]) -> Unguidable | None:
    """Returns the first of `generate()`'s settings that cannot be guided, or None.

    Args:
        settings: By their Hugging Face names: arguments, or a generation config's fields.
    """
    for name, what in _UNGUIDABLE.items():
        value = settings.get(name)
        if _asks(name, value):
            return Unguidable(name, value, what, _NEUTRAL.get(name))
    given = settings.get("generation_config")
    return unguidable(vars(given)) if given is not None else None


def _asks(name: str, value: Any) -> bool:
    if value is None or value is False or (name in _NEUTRAL and value == _NEUTRAL[name]):
        return False
    if name == "cache_implementation":
        return bool(value == "quantized")
    if name == "watermarking_config":
        return "SynthID" in type(value).__name__
    return True


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
        logprobs: Whether the log-probability of each token of the text is told.
        top_logprobs: How many of the likeliest tokens at its place are told beside it, >= 0.
        extra: Any other argument of `generate()`, by its name.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    do_sample: bool | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            object.__setattr__(self, name, checked_number(name, getattr(self, name)))
        checked = {name: checked_number(name, value) for name, value in self.extra.items()}
        if any(checked[name] is not value for name, value in self.extra.items()):
            object.__setattr__(self, "extra", checked)
        if not isinstance(self.logprobs, bool):
            raise SettingsError(
                f"logprobs is {self.logprobs!r}, expected True or False: how many of the likeliest "
                "tokens are told is top_logprobs"
            )
        if self.top_logprobs and not self.logprobs:
            raise SettingsError("top_logprobs is set and logprobs is not: set logprobs=True, too")
        if any(not text for text in self.stop):
            raise SettingsError("a stop string is empty, expected at least one character")
        if found := lone_surrogate_in(self.stop):
            raise SettingsError(f"a stop string is not valid Unicode: {found}")
        asked = unguidable(self.extra)
        if asked is not None:
            raise SettingsError(
                f"{asked.name}={asked.value!r} asks for {asked.what}, which cannot be guided"
            )

    @property
    def likeliest(self) -> int | None:
        """How many of the likeliest tokens are told beside each token's log-probability; None where
        no log-probability is wanted.
        """
        return self.top_logprobs if self.logprobs else None

    def with_stops_of(self, model_config: Any) -> GenerationSettings:
        """Returns these settings with the stop strings that `generate()` would go by.

        Args:
            model_config: The model's own generation config, whose stop strings count where none
                are given here.
        """
        given = self.extra.get("generation_config")
        sources = (
            self.extra.get("stop_strings"),
            *(getattr(each, "stop_strings", None) for each in (given, model_config)),
        )
        words = self.stop or next(filter(None, sources), ())
        extra = {name: value for name, value in self.extra.items() if name != "stop_strings"}
        return replace(self, stop=(words,) if isinstance(words, str) else tuple(words), extra=extra)

    def generate_arguments(self) -> dict[str, Any]:
        """Returns these settings as keyword arguments of `generate()`; stop strings, the seed and
        log-probabilities are the decoder's own business.
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


ONE_TOKEN = GenerationSettings(max_new_tokens=1, temperature=0)
"""For requests that are judged, counted or read, and not answered."""
