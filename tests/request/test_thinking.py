"""Thinking is told apart from the answer, however the text is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.request.thinking import MARKS, ThinkingReader

PAIRS = [*MARKS]


def read(text: str, cuts: list[int], *, begun: bool = False) -> tuple[str, int]:
    reader, given_out, at = ThinkingReader(begun=begun), "", 0
    for cut in [*sorted(cut % (len(text) + 1) for cut in cuts), len(text)]:
        given_out += reader.push(text[at:cut])
        at = cut
    return given_out + reader.finish(), reader.hidden


@given(
    st.sampled_from(PAIRS),
    st.text("ab <>/", max_size=12),
    st.text("ab <>/", max_size=12),
    st.lists(st.integers(0, 60), max_size=8),
    st.booleans(),
)
def test_what_stands_between_the_marks_is_left_out(
    pair: tuple[str, str], thought: str, said: str, cuts: list[int], begun: bool
) -> None:
    opening, closing = pair
    text = f"{'' if begun else f' {opening}'}{thought}{closing}\n\n{said}"
    shown, hidden = read(text, cuts, begun=begun)
    assert shown == said.lstrip()
    assert text[hidden:] == shown


@given(st.text("<think>/ ab[", max_size=20), st.lists(st.integers(0, 30), max_size=6))
def test_an_answer_that_does_not_begin_with_a_mark_is_given_out_as_it_is(
    text: str, cuts: list[int]
) -> None:
    if any(text.lstrip().startswith(opening) for opening, _ in MARKS):
        return
    assert read(text, cuts) == (text, 0)


@pytest.mark.parametrize("begun", [True, False])
def test_thinking_without_an_end_is_never_given_out(begun: bool) -> None:
    text = f"{'' if begun else '<think>'}I wonder </thin"
    assert read(text, [3, 9], begun=begun) == ("", len(text))


def test_an_answer_is_given_out_as_it_comes_and_not_at_its_end() -> None:
    reader = ThinkingReader(begun=False)
    assert [reader.push(piece) for piece in ("<thi", "nk>a", "</think>", "\n", "Yes", ", so")] == [
        *("", "", "", "", "Yes", ", so"),
    ]
    plain = ThinkingReader(begun=False)
    assert [plain.push(piece) for piece in (" ", "<", "b> ", "more")] == ["", "", " <b> ", "more"]


def test_another_models_closing_mark_ends_nothing() -> None:
    text = "<think>a[/THINK]b</think>c"
    assert read(text, []) == ("c", len(text) - 1)
