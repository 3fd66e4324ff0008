from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from guardrail.errors import SettingsError
from guardrail.request.settings import GenerationSettings

WHOLE = ("max_new_tokens", "top_k", "seed")
WHOLE_EXTRA = ("min_length", "no_repeat_ngram_size", "min_new_tokens", "max_length", "eos_token_id")


def fault(**settings: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        GenerationSettings(**settings)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 300
    return text


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    "value",
    [
        2.5,
        1e-9,
        math.inf,
        math.nan,
        -1,
        True,
        "8",
        np.float64(1.5),
        pytest.param(-(10**5000), id="huge"),
    ],
)
def test_what_counts_is_whole(name: str, value: Any) -> None:
    text = fault(**{name: value})
    assert f"{name} is " in text
    assert "an integer" in text


@pytest.mark.parametrize("name", WHOLE_EXTRA)
@pytest.mark.parametrize("value", [2.5, math.inf, -3, [1, 2.5]])
def test_what_counts_is_whole_among_the_other_arguments(name: str, value: Any) -> None:
    assert f"{name} is " in fault(extra={name: value})


@pytest.mark.parametrize("name", ["temperature", "top_p"])
@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, math.nan, "warm", False, pytest.param(-(10**5000), id="huge")]
)
def test_numbers_are_finite(name: str, value: Any) -> None:
    assert f"{name} is " in fault(**{name: value})


@pytest.mark.parametrize("name", ["repetition_penalty", "min_p", "typical_p", "length_penalty"])
def test_numbers_among_the_other_arguments_are_finite(name: str) -> None:
    for value in (math.inf, math.nan):
        assert f"{name} is " in fault(extra={name: value})


def test_a_whole_float_passes_as_the_integer_that_it_is() -> None:
    given = {"no_repeat_ngram_size": 3.0, "eos_token_id": [2, 5.0], "use_cache": True}
    settings = GenerationSettings(
        max_new_tokens=8.0,  # type: ignore[arg-type]
        top_k=np.int64(50),  # type: ignore[arg-type]
        seed=7.0,  # type: ignore[arg-type]
        extra=given,
    )
    found = (settings.max_new_tokens, settings.top_k, settings.seed)
    assert found == (8, 50, 7)
    assert all(type(value) is int for value in found)
    assert settings.extra == {"no_repeat_ngram_size": 3, "eos_token_id": [2, 5], "use_cache": True}
    assert type(settings.extra["no_repeat_ngram_size"]) is int
    assert type(given["no_repeat_ngram_size"]) is float, "the caller's own map stays as it was"


def test_a_stop_string_is_unicode() -> None:
    assert "U+D83D" in fault(stop=("end", "\ud83d"))
