from __future__ import annotations

from pathlib import Path

import pytest

from guardrail.policy import load_policy
from guardrail.policy.blanks import named, odd_blank


@pytest.mark.parametrize(
    "message",
    [
        "Désolé\u00a0: je ne peux pas aider ici\u202f!",
        "申し訳ありません　ここではお手伝いできません",
        "نمی\u200cتوانم کمک کنم",
        "क्\u200dष में नहीं",
        "no, sorry 👨\u200d👩\u200d👧 ❤\ufe0f",
    ],
)
@pytest.mark.parametrize("style", ["{}", "'{}'", '"{}"', "|\n        {}", ">\n        {}"])
def test_words_keep_the_blanks_of_their_language(message: str, style: str, tmp_path: Path) -> None:
    if style == "{}" and ": " in message.replace("\u00a0", " "):
        style = "'{}'"
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nname: acme\nextends: baseline\n# a\u00a0comment\u3000too\n"
        f"refusals:\n  en:\n    message: {style.format(message)}\n",
        encoding="utf-8",
    )
    assert load_policy(path).refusals["en"].message.strip() == message


def test_joiners_beside_letters_that_need_them_are_spelling() -> None:
    assert odd_blank("نمی\u200cتوانم") is None
    assert odd_blank("mo\u200cde") == 2


def test_what_has_no_name_has_a_number() -> None:
    assert named("\ue000") == "the character U+E000"
    assert named("\u00a0") == "the no-break space (U+00A0)"
