"""How the server logs, on standard error: lines for people, or one JSON object a line.

INVARIANT: no word of a request, key or query string is in either. Requests are logged by their
route (`guardrail.serving.visit`); an exception by its kind and place, since its message may quote
anything; and lines of other packages without what they quote.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from uvicorn.logging import DefaultFormatter

from guardrail.errors import GuardrailError

_OURS = ("guardrail", "uvicorn")


class Lines(DefaultFormatter):
    """Formats records for people."""

    def __init__(self) -> None:
        super().__init__("%(levelprefix)s %(message)s", use_colors=sys.stderr.isatty())

    def format(self, record: logging.LogRecord) -> str:
        """Returns a record in one line, and the places of its exception in more."""
        return super().format(_tellable(record))

    def formatException(self, ei: Any) -> str:
        """Returns an exception without its message."""
        raised = _raised(ei)
        return "\n".join([f"  {raised['type']}", *(f"    {place}" for place in raised["at"])])


class JsonLines(logging.Formatter):
    """Formats records for programs: one JSON object each."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns a record as one line of JSON."""
        shown = _tellable(record)
        at = datetime.fromtimestamp(record.created, timezone.utc)
        said: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shown.getMessage().strip(),
            **getattr(record, "request", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said["error"] = _raised(record.exc_info)
        return json.dumps(said)


def begin_log(*, as_json: bool) -> None:
    """Has everything that this process logs written to standard error, in one form.

    Args:
        as_json: One JSON object a line; then also what libraries would write there themselves.
    """
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"lines": {"()": JsonLines if as_json else Lines}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"handlers": ["stderr"], "level": "WARNING"},
            "loggers": {name: {"level": "INFO"} for name in _OURS},
        }
    )
    if not as_json:
        return
    logging.captureWarnings(True)
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.handlers:
            logger.handlers.clear()
            logger.propagate = True


def _tellable(record: logging.LogRecord) -> logging.LogRecord:
    """Returns the record; a copy without quotes where it is none of ours."""
    if record.name.partition(".")[0] in _OURS:
        return record
    shown = logging.makeLogRecord(record.__dict__)
    shown.msg, shown.args = GuardrailError(record.getMessage()).reason, ()
    return shown


def _raised(raised: Any) -> dict[str, Any]:
    """Returns an exception's kind and its places, the innermost last."""
    kind, error, traceback = raised
    at = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        at.append(f"{Path(code.co_filename).name}:{traceback.tb_lineno} in {code.co_name}")
        traceback = traceback.tb_next
    found: dict[str, Any] = {"type": kind.__name__, "at": at}
    if isinstance(error, GuardrailError):
        found["reason"] = error.reason
    return found
