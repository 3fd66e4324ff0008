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
        """Returns the conditions and their values."""
        conditions, values = ["kind = 'decision'"], list[Any]()
        if self.category == "":
            conditions.append("category IS NULL")
        equal = {"action": self.action, "category": self.category or None, "policy": self.policy}
        for name, value in equal.items():
            if value is not None:
                conditions.append(f"{name} = ?")
                values.append(value)
        for name, compared, value in (("time", ">=", self.since), ("time", "<", self.until)):
            if value is not None:
                conditions.append(f"{name} {compared} ?")
                values.append(value)
        if self.request:
            conditions.append("request >= ? AND request < ?")
            values += [self.request, self.request + "\U0010ffff"]
        return " AND ".join(conditions), values
