"""How likely a refusal follows, against every continuation counted by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from guardrail.steering.refusal_mass import OPEN_AT_MOST, RefusalMass
from guardrail.steering.refusals import RefusalIndex

WORDS = ["I", " can", "'t", " help", "Sorry", " see", " am", " sorry", "A", "s", " an", " AI", "."]
VOCABULARY: list[bytes | None] = [word.encode() for word in WORDS]
ID = {word: at for at, word in enumerate(WORDS)}
PHRASES = ["I can't help", "I am sorry", "Sorry", "As an AI"]


class Language:
    """A run of rows that speak a table: from the words so far to what may come next."""

    def __init__(self, *rows: dict[str, dict[str, float]]) -> None:
        self.rows = rows
        self.said: list[list[int]] = [[] for _ in rows]
        self.asked: list[str] = []

    def after(self, row: int, tokens: Sequence[int]) -> Any:
        """Next-token logits of a row after these tokens."""
        text = "".join(WORDS[token] for token in [*self.said[row], *tokens])
        p = np.full(len(WORDS), 1e-12)
        for word, share in self.rows[row].get(text, {".": 1.0}).items():
            p[ID[word]] = share
        return np.log(p / p.sum())

    def logits(self) -> Any:
        return np.stack([self.after(row, ()) for row in range(len(self.rows))])

    def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Any:
        assert len({len(each) for each in tokens}) == 1
        self.asked += ["".join(WORDS[token] for token in each) for each in tokens]
        return np.stack([self.after(row, each) for row, each in zip(rows, tokens, strict=True)])


TABLE = {
    "": {"I": 0.5, "Sorry": 0.1, "A": 0.3, ".": 0.1},
    "I": {" can": 0.6, " am": 0.4},
    "I can": {"'t": 0.5, " see": 0.5},
    "I can't": {" help": 0.5, " see": 0.5},
    "I am": {" sorry": 0.25, " an": 0.75},
    "A": {"s": 0.1, " can": 0.9},
    "As": {" an": 1.0},
    "As an": {" AI": 1.0},
}
BY_HAND = 0.1 + 0.5 * (0.6 * 0.5 * 0.5 + 0.4 * 0.25) + 0.3 * 0.1


@pytest.fixture
def index() -> RefusalIndex:
    return RefusalIndex(PHRASES, VOCABULARY)


def masses(run: Language, index: RefusalIndex) -> list[float]:
    rows = len(run.rows)
    mass = RefusalMass(run, index, rows)  # type: ignore[arg-type]
    [found] = mass.of(run.said, [run.logits()], rows=range(rows))
    return found


def test_a_first_word_counts_as_far_as_a_refusal_follows_it(index: RefusalIndex) -> None:
    run = Language(TABLE)
    [mass] = masses(run, index)
    assert mass + 1e-9 >= BY_HAND
    assert mass == pytest.approx(BY_HAND, abs=OPEN_AT_MOST)
    assert {"I", "A", "I can"} <= set(run.asked)


def test_what_is_certain_is_not_looked_up(index: RefusalIndex) -> None:
    sure = Language({"": {"Sorry": 0.7, ".": 0.3}})
    assert masses(sure, index) == [pytest.approx(0.7)]
    unlikely = Language({"": {"I": 0.01, ".": 0.99}})
    assert masses(unlikely, index) == [pytest.approx(0.01)]  # at most so much too high
    assert sure.asked == unlikely.asked == []


def test_an_ordinary_answer_that_begins_like_a_refusal_holds_no_mass(index: RefusalIndex) -> None:
    run = Language({"": {"I": 1.0}, "I": {" see": 1.0}})
    assert masses(run, index) == [pytest.approx(0.0, abs=1e-9)]


def test_rows_are_told_apart_and_only_those_asked_for_are_looked_at(index: RefusalIndex) -> None:
    run = Language({"": {"I": 1.0}, "I": {" see": 1.0}}, TABLE, {"": {"I": 1.0}})
    mass = RefusalMass(run, index, 3)  # type: ignore[arg-type]
    [[plain, mixed]] = mass.of(run.said, [run.logits()], rows=[0, 1])
    assert plain == pytest.approx(0.0, abs=1e-9)
    assert mixed == pytest.approx(BY_HAND, abs=OPEN_AT_MOST)


def test_steering_changes_the_next_token_alone(index: RefusalIndex) -> None:
    run = Language(TABLE)
    steered = np.log(np.full(len(WORDS), 1e-12))
    steered[ID["I"]] = 0.0
    mass = RefusalMass(run, index, 1)  # type: ignore[arg-type]
    [[before], [after]] = mass.of(run.said, [run.logits(), steered[None]], rows=[0])
    assert before == pytest.approx(BY_HAND, abs=OPEN_AT_MOST)
    assert after == pytest.approx(0.6 * 0.5 * 0.5 + 0.4 * 0.25, abs=OPEN_AT_MOST)


def test_what_was_looked_up_is_kept_for_the_next_token(index: RefusalIndex) -> None:
    run = Language(TABLE)
    mass = RefusalMass(run, index, 1)  # type: ignore[arg-type]
    mass.of(run.said, [run.logits()], rows=[0])
    asked = list(run.asked)
    run.said[0].append(ID["I"])
    mass.took(0, ID["I"])
    [[found]] = mass.of(run.said, [run.logits()], rows=[0])
    assert found == pytest.approx(0.6 * 0.5 * 0.5 + 0.4 * 0.25, abs=OPEN_AT_MOST)
    assert not set(run.asked[len(asked) :]) & {each.removeprefix("I") for each in asked}
    run.said[0].append(ID[" see"])
    mass.took(0, ID[" see"])
    assert mass.of(run.said, [run.logits()], rows=[0]) == [[pytest.approx(0.0)]]


def test_refusals_that_take_long_to_tell_count_as_refusals() -> None:
    words = " ".join("abcdefgh")
    vocabulary: list[bytes | None] = [
        each.encode() for each in ["a", *(f" {c}" for c in "bcdefgh")]
    ]
    index = RefusalIndex([words], vocabulary)

    class Straight:
        def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Any:
            logits = np.full((len(rows), len(vocabulary)), -30.0)
            for at, each in enumerate(tokens):
                logits[at, len(each)] = 0.0
            return logits

    first = np.full((1, len(vocabulary)), -30.0)
    first[0, 0] = 0.0
    mass = RefusalMass(Straight(), index, 1)  # type: ignore[arg-type]
    assert mass.of([[]], [first], rows=[0]) == [[pytest.approx(1.0)]]


def test_open_ends_below_what_is_known_are_weighed_in_every_stage(index: RefusalIndex) -> None:
    table = {
        "": {"I": 1.0},
        "I": {" can": 0.1, " see": 0.9},
        "I can": {"'t": 0.15, " see": 0.85},
        "I can't": {" help": 0.01, " see": 0.99},
    }
    run = Language(table)
    mass = RefusalMass(run, index, 1)  # type: ignore[arg-type]
    mass.of(run.said, [run.logits()], rows=[0])
    run.said[0].append(ID["I"])
    mass.took(0, ID["I"])
    steered = np.log(np.full(len(WORDS), 1e-12))
    steered[ID[" can"]] = 0.0
    [[_], [after]] = mass.of(run.said, [run.logits(), steered[None]], rows=[0])
    assert after == pytest.approx(0.15 * 0.01, abs=OPEN_AT_MOST)


def test_without_memory_what_is_open_counts_as_a_refusal(index: RefusalIndex) -> None:
    class Full(Language):
        def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Any:
            raise MemoryError

    assert masses(Full(TABLE), index) == [pytest.approx(0.9)]


def test_rows_equally_far_ahead_are_looked_up_at_once(index: RefusalIndex) -> None:
    class Counted(Language):
        calls = 0

        def ahead(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> Any:
            self.calls += 1
            return super().ahead(rows, tokens)

    run, alone = Counted(*[TABLE] * 20), Counted(TABLE)
    assert masses(run, index) == masses(alone, index) * 20
    assert run.calls == alone.calls
