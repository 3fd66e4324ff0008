"""Times, spans and anchors as people write them, in the log's own spelling."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from guardrail.errors import AuditError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_DAYS = 365 * 200


def span_of(text: str) -> timedelta:
    """Returns the span that `90d`, `12h`, `30m`, `45s` or `2w` spells.

    Raises:
        AuditError: It spells none.
    """
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip())
    span = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if span is None or span.days > _LONGEST_DAYS:
        raise AuditError(f"{text!r} is no span, expected such as 90d, 12h, 30m, 45s or 2w")
    return span


def moment_of(text: str) -> str:
    """Returns a time as the log spells it, from a date, an ISO time or a span before now.

    Raises:
        AuditError: It is neither.
    """
    if re.fullmatch(r"\d+[smhdw]", text.strip()):
        moment = datetime.now(timezone.utc) - span_of(text)
    else:
        try:
            moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        except ValueError as error:
            raise AuditError(
                f"{text!r} is no time, expected such as 2026-11-23, 2026-11-23T08:00 or 7d"
            ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    spelled = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return spelled.replace("+00:00", "Z")


def anchor_of(text: str) -> tuple[int, str]:
    """Returns the (seq, hash) that an anchor spells.

    Raises:
        AuditError: It spells none.
    """
    match = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())
    if match is None:
        raise AuditError(f"{text!r} is no anchor, expected SEQ:HASH as verify prints it")
    return int(match[1]), match[2]
