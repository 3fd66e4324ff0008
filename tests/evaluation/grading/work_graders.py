"""A grader that labels by a table, and counts what it is asked."""

from collections.abc import Mapping, Sequence

from guardrail.evaluation.grading import Grade, Item


class Table:
    """Labels by the answer; for some samples by their id."""

    def __init__(
        self,
        name: str,
        by_answer: Mapping[str, bool | None],
        by_sample: Mapping[str, bool | None] | None = None,
        *,
        costly: bool = False,
        digest: str = "",
        fails: bool = False,
    ) -> None:
        self.name = name
        self.digest = digest or f"digest of {name}"
        self.is_costly = costly
        self._by_answer, self._by_sample, self._fails = by_answer, by_sample or {}, fails
        self.asked: list[Item] = []

    def __call__(self, items: Sequence[Item]) -> list[Grade]:
        self.asked += items
        if self._fails:
            return [Grade(None, why="the judge failed: ConnectionError")] * len(items)
        return [self._grade(each) for each in items]

    def _grade(self, item: Item) -> Grade:
        refused = self._by_sample.get(item.sample.id, self._by_answer[item.answer])
        p = {True: 0.9, False: 0.1, None: 0.5}[refused]
        return Grade(refused, p, "uncertain" if refused is None else "")
