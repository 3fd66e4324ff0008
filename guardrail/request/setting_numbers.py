"""What numbers generation settings may be: whole where they count something, and always finite.

It knows the settings by name, and nothing of how an answer is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

from guardrail.errors import SettingsError

_SHOWN_LENGTH = 80


@dataclass(frozen=True)
class _Range:
    """What a setting takes.

    Attributes:
        expected: In words.
        holds: Whether a number is in the range.
        whole: Whether it counts something, so that a fraction has no meaning.
        several: Whether a list of such numbers is taken, too.
    """

    expected: str
    holds: Callable[[Any], bool]
    whole: bool = False
    several: bool = False


def _at_least(least: int, *, several: bool = False) -> _Range:
    expected = f"an integer of {least} or more" + (", or a list of them" if several else "")
    return _Range(expected, lambda n: n >= least, whole=True, several=several)


_ABOVE_0 = _Range("a finite number above 0", lambda x: x > 0)
_UNIT = _Range("a number from 0 to 1", lambda x: 0 <= x <= 1)
_BELOW_1 = _Range("a number of 0 or more and below 1", lambda x: 0 <= x < 1)
_NUCLEUS = _Range("a number in (0, 1]", lambda x: 0 < x <= 1)

RANGES: Mapping[str, _Range] = MappingProxyType(
    {
        "max_new_tokens": _at_least(1),
        "temperature": _Range("a finite number of 0 or more", lambda t: t >= 0),
        "top_p": _NUCLEUS,
        "top_k": _at_least(1),
        "seed": _Range("an integer from 0 to 2**63 - 1", lambda s: 0 <= s < 2**63, whole=True),
        **dict.fromkeys(
            (
                "min_length",
                "min_new_tokens",
                "no_repeat_ngram_size",
                "encoder_no_repeat_ngram_size",
                "pad_token_id",
                "bos_token_id",
                "decoder_start_token_id",
                "forced_bos_token_id",
                "top_logprobs",
                "min_tokens",
            ),
            _at_least(0),
        ),
        **dict.fromkeys(
            (
                "max_length",
                "num_beams",
                "num_beam_groups",
                "num_return_sequences",
                "prompt_lookup_num_tokens",
                "max_matching_ngram_size",
                "num_assistant_tokens",
                "prefill_chunk_size",
            ),
            _at_least(1),
        ),
        **dict.fromkeys(("eos_token_id", "forced_eos_token_id"), _at_least(0, several=True)),
        **dict.fromkeys(("min_p", "top_h"), _UNIT),
        **dict.fromkeys(("epsilon_cutoff", "eta_cutoff"), _BELOW_1),
        "typical_p": _NUCLEUS,
        **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty", "max_time"), _ABOVE_0),
    }
)
"""By their names here and in `generate()`. Any other number has to be finite, and no more."""


def checked_number(name: str, value: Any) -> Any:
    """Returns the value of a setting; a whole number as an int, whatever it was written as.

    Args:
        name: The setting.
        value: Its value, of any type; None, and what no number is documented for, pass unchanged.

    Raises:
        SettingsError: It is a fraction where an integer is documented, not finite, or out of range.
    """
    allowed = RANGES.get(name)
    if value is None:
        return None
    if allowed is None:
        if isinstance(value, Real) and not isinstance(value, bool) and not _is_finite(value):
            raise SettingsError(f"{name} is {value!r}, expected a finite number")
        return value
    if allowed.several and isinstance(value, (list, tuple)):
        return type(value)(_checked(name, each, allowed) for each in value)
    return _checked(name, value, allowed)


def _checked(name: str, value: Any, allowed: _Range) -> Any:
    number = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
    whole = number and (isinstance(value, Integral) or float(value).is_integer())
    if not (whole if allowed.whole else number) or not allowed.holds(value):
        raise SettingsError(f"{name} is {_shown(value)}, expected {allowed.expected}")
    return int(value) if allowed.whole else value


def _shown(value: Any) -> str:
    try:
        shown = repr(value)
    except ValueError:  # Python writes out no integer of more than 4,300 digits
        return "an integer of thousands of digits"
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[:_SHOWN_LENGTH]}…"


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds is finite, but nothing here takes it
        return isinstance(value, Integral)
