"""How likely a refusal follows, along the phrases, weighing what else a token may begin.

"I" may begin a refusal or anything else. How likely it does is the model's to say: what the phrases
leave open is looked up by running a few tokens ahead of the answer. It steers nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from guardrail.backends import Run
from guardrail.backends.arrays import Array, softmax
from guardrail.steering.refusals import RefusalIndex

OPEN_AT_MOST = 0.02
"""Probability that may stay open within `_FURTHEST` and `_WIDEST`: it counts as refusing."""

_FURTHEST = 4
"""Tokens that are looked ahead; refusals that take longer to tell count as such."""

_WIDEST = 8
"""Tokens of one answer that are followed at each distance."""

_log = logging.getLogger(__name__)


@dataclass
class _Node:
    """A text that a refusal may go on from: what comes next there, and what has been looked up.

    Attributes:
        whole: Probability of the tokens that make the refusal whole.
        open: Of each token after which it is under way, the probability.
        after: The nodes after those that have been looked up.
    """

    whole: float
    open: dict[int, float]
    after: dict[int, _Node] = field(default_factory=dict)

    @property
    def mass(self) -> float:
        """The probability that a refusal follows, in [0, 1]."""
        return self.whole + sum(p * self.r(token) for token, p in self.open.items())

    def r(self, token: int) -> float:
        """The probability that `token` leads to a refusal; 1 if that has not been looked up."""
        known = self.after.get(token)
        return 1.0 if known is None else known.mass


@dataclass(frozen=True)
class _Lead:
    """An open end: a row's tokens ahead, and how likely they are."""

    row: int
    tokens: tuple[int, ...]
    p: float
    parent: _Node


class RefusalMass:
    """Follows the answers of one run; asked once before each of their tokens.

    Args:
        run: Where they are decoded.
        index: What refusals are made of.
        rows: How many answers there are.
        frugal: Whether it goes only where looking ahead costs little, as a record does; what is not
            looked up counts as refusing.
    """

    def __init__(self, run: Run, index: RefusalIndex, rows: int, *, frugal: bool = False) -> None:
        self._run, self._index, self._frugal = run, index, frugal
        self._known: list[_Node | None] = [None] * rows

    def of(
        self, said: Sequence[Sequence[int]], stages: Sequence[Array], *, rows: Sequence[int]
    ) -> list[list[float]]:
        """Returns each stage's probability, in [0, 1], that a refusal follows, for each of `rows`.

        After the next token all stages go on as the real branch would, unsteered: what differs is
        that token's probability. The first stage is the real branch's.

        Args:
            said: Of every row of the run, the tokens so far.
            stages: Next-token logits, (batch, vocabulary) each.
            rows: Which of the run's rows are asked for.
        """
        asked = [softmax(each[list(rows)]) for each in stages]  # (rows, vocabulary) each
        found: list[list[_Node]] = []
        leads: list[_Lead] = []
        for place, row in enumerate(rows):
            text = self._index.spell(said[row])
            nodes = [self._node(text, each[place]) for each in asked]
            known = self._known[row]
            for node in nodes:
                node.after = known.after if known is not None else nodes[0].after
            self._known[row] = nodes[0]
            found.append(nodes)
            leads += [
                _Lead(row, (token,), max(node.open[token] for node in nodes), nodes[0])
                for token in nodes[0].open
                if token not in nodes[0].after
            ] + self._under(row, (), nodes)
        self._look_up(said, leads)
        return [[min(nodes[at].mass, 1.0) for nodes in found] for at in range(len(stages))]

    def took(self, row: int, token: int) -> None:
        """Goes on with a row by the token that it took."""
        known = self._known[row]
        self._known[row] = known.after.get(token) if known is not None else None

    def _node(self, text: bytes, probabilities: Array) -> _Node:
        beginnings = self._index.beginnings(text).within(probabilities.shape[-1])
        still = beginnings.open
        whole = float(probabilities[beginnings.whole].sum()) if len(beginnings.whole) else 0.0
        p = probabilities[still].tolist() if len(still) else []
        return _Node(whole, dict(zip(still.tolist(), p, strict=True)))

    def _under(
        self, row: int, tokens: tuple[int, ...], stages: Sequence[_Node], p: float = 1.0
    ) -> list[_Lead]:
        """Returns the open ends below what has been looked up already.

        Args:
            row: Whose.
            tokens: Those that lead to the node.
            stages: The node in every stage; they differ at the next token alone.
            p: How likely it is to be reached.
        """
        found: list[_Lead] = []
        for token, after in stages[0].after.items():
            reach = p * max(each.open.get(token, 0.0) for each in stages)
            path = (*tokens, token)
            found += [
                _Lead(row, (*path, further), reach * q, after)
                for further, q in after.open.items()
                if further not in after.after
            ] + self._under(row, path, [after], reach)
        return found

    def _look_up(self, said: Sequence[Sequence[int]], leads: list[_Lead]) -> None:
        for _ in range(_FURTHEST):
            chosen = self._affordable(_worth_it(leads))
            if not chosen:
                return
            taken = {id(each) for each in chosen}
            kept = [each for each in leads if id(each) not in taken]
            for part in _together(chosen):
                try:
                    logits = self._run.ahead([e.row for e in part], [e.tokens for e in part])
                except MemoryError:  # a record is not worth an answer: what is open counts in full
                    _log.warning("no memory to look ahead; the refusal mass may be too high")
                    return
                for each, probabilities in zip(part, softmax(logits), strict=True):
                    text = self._index.spell([*said[each.row], *each.tokens])
                    node = self._node(text, probabilities)
                    each.parent.after[each.tokens[-1]] = node
                    kept += [
                        _Lead(each.row, (*each.tokens, token), each.p * p, node)
                        for token, p in node.open.items()
                    ]
            leads = kept

    def _affordable(self, leads: list[_Lead]) -> list[_Lead]:
        if not self._frugal or not leads:
            return leads
        known = self._run.knows([each.row for each in leads], [each.tokens for each in leads])
        return [each for each, free in zip(leads, known, strict=True) if free]


def _together(leads: Sequence[_Lead]) -> Iterator[list[_Lead]]:
    """Yields open ends that can be looked up at once: equally far."""
    for length in sorted({len(each.tokens) for each in leads}):
        yield [each for each in leads if len(each.tokens) == length]


def _worth_it(leads: Sequence[_Lead]) -> list[_Lead]:
    """Returns which open ends must be looked up so that those left hold `OPEN_AT_MOST` a row."""
    chosen: list[_Lead] = []
    for row in {each.row for each in leads}:
        mine = sorted((each for each in leads if each.row == row), key=lambda each: -each.p)
        left = sum(each.p for each in mine)
        for lead in mine[:_WIDEST]:
            if left <= OPEN_AT_MOST:
                break
            left -= lead.p
            if len(lead.tokens) <= _FURTHEST:
                chosen.append(lead)
    return chosen
