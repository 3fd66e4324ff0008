"""Which decisions of a log are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Filter:
    """Which decisions are asked for; None asks for all.

    Attributes:
        category: The category that decided; an empty text stands for none.
        since: The earliest time, ISO 8601.
        until: The time before which.
        request: The beginning of a request's id.
    """

    action: str | None = None
    category: str | None = None
    policy: str | None = None
    since: str | None = None
    until: str | None = None
    request: str | None = None

    def sql(self) -> tuple[str, list[Any]]:
        """Returns the conditions for decisions and their values."""
        conditions, values = self.conditions(policy="policy", request="request")
        if self.category == "":
            conditions.append("category IS NULL")
        for name, value in (("action", self.action), ("category", self.category or None)):
            if value is not None:
                conditions.append(f"{name} = ?")
                values.append(value)
        return " AND ".join(["kind = 'decision'", *conditions]), values

    def conditions(self, *, policy: str, request: str) -> tuple[list[str], list[Any]]:
        """Returns what is asked of any record, whatever its kind, and the values.

        Args:
            policy: The SQL expression for the name of the record's policy.
            request: That for the id of its request.
        """
        conditions, values = list[str](), list[Any]()
        for expression, compared, value in (
            ("time", ">=", self.since),
            ("time", "<", self.until),
            (policy, "=", self.policy),
        ):
            if value is not None:
                conditions.append(f"{expression} {compared} ?")
                values.append(value)
        if self.request:
            conditions.append(f"{request} >= ? AND {request} < ?")
            values += [self.request, self.request + "\U0010ffff"]
        return conditions, values


def paged(
    where: str, values: list[Any], *, before: int | None, after: int | None
) -> tuple[str, list[Any]]:
    """Returns conditions and values that also ask for a place in the log; None asks for all.

    Args:
        where: The conditions.
        values: Their values.
        before: Only such as were written before this place, for the next page.
        after: Only such as were written after this place.
    """
    for compared, place in (("<", before), (">", after)):
        if place is not None:
            where, values = f"{where} AND seq {compared} ?", [*values, place]
    return where, values
