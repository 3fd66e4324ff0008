"""Every error this library raises on purpose, drawn once.

```
GuardrailError
├── Withheld           a request that the guard let nobody answer: not one for a fallback
│   ├── PolicyError    a policy file or value is not usable (file, line and column where known)
│   ├── PictureError   a picture cannot be read, or is not allowed
│   ├── MessageError   a message holds something that cannot be passed on
│   ├── SettingsError  a generation setting is out of range or not supported
│   ├── AuditError     the audit log cannot be written or does not verify
│   └── Escalation     the policy wants a human to decide (carries the decision)
├── ModelError         a model or processor cannot be served
├── JudgeError         a judge gave nothing usable (becomes the verdict *unavailable*)
├── StoreError         what several processes share cannot be reached
└── DatasetError       an evaluation data set is missing or malformed
```

Whoever catches an error to ask another model instead (`with_fallbacks`, `with_retry`, an `except`)
goes around the guard if it is `Withheld`; `OPERATIONAL` are those that may be handled that way.

A message is one lowercase sentence that holds the offending value and what is accepted. The command
line prints it on one line and exits with 2. Records take its `reason`, which quotes nothing.
"""

from __future__ import annotations

import re
from typing import Any

_QUOTED = re.compile(
    r"""(?<!\w)[bru]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)""", re.IGNORECASE | re.DOTALL
)


class GuardrailError(Exception):
    """Base of every error raised on purpose by this library.

    INVARIANT: a message holds a request's words only as their `repr`; where it must hold them in
    another way, `reason` is given.

    Args:
        *args: The message, one lowercase sentence.
        reason: The message without any words of a request.
    """

    def __init__(self, *args: object, reason: str | None = None) -> None:
        super().__init__(*args)
        self._reason = reason

    @property
    def reason(self) -> str:
        """What records and logs may say: the message, with `…` for whatever it quotes."""
        return _QUOTED.sub("…", str(self)) if self._reason is None else self._reason


class Withheld(GuardrailError):
    """The guard let nobody answer the request: handing it to another model would go around it.

    Either it was decided, or what was given could not be judged, applied or put on record.
    """


class PolicyError(Withheld):
    """A policy is not usable.

    Args:
        message: One lowercase sentence.
        file: The file it was read from, if any.
        line: One-based line, if known.
        column: One-based column, if known.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.file, self.line, self.column = file, line, column
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)


class PictureError(Withheld):
    """A picture cannot be read, is too large, or comes from a place that is not allowed."""


class MessageError(Withheld):
    """A message holds content that the model cannot take; it is never dropped silently."""


class ModelError(GuardrailError):
    """A model or processor cannot be loaded, or its family cannot be served."""


class ServerError(ModelError):
    """A model's server cannot be reached, turns a request down, or answers what is no answer.

    Args:
        *args: The message.
        status: Of its HTTP answer, if there was one.
        retry_after_s: In how many seconds it wants to be asked again, if it said so.
    """

    def __init__(
        self,
        *args: object,
        status: int | None = None,
        retry_after_s: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(*args, reason=reason)
        self.status, self.retry_after_s = status, retry_after_s


class SettingsError(Withheld):
    """A generation setting is unknown, out of range or not supported by guided decoding."""


class JudgeError(GuardrailError):
    """A judge raised, timed out or gave nothing readable: *unavailable*, never *safe*."""


class AuditError(Withheld):
    """The audit log cannot be written, read or verified."""


class StoreError(GuardrailError):
    """What several processes share cannot be reached, or is not what it should be."""


class DatasetError(GuardrailError):
    """An evaluation data set is missing or malformed."""


class Escalation(Withheld):
    """The policy asks for a human. Nothing was generated.

    Attributes:
        decision: The full record of the decision that led here, a `guardrail.Decision`.
        refusal: The policy's words, for as long as nobody has decided otherwise.
        token: What an approval of this request has to bring back (`Review.token`), plain text.
    """

    def __init__(self, message: str, decision: Any, refusal: str = "", token: str = "") -> None:
        self.decision, self.refusal, self.token = decision, refusal, token
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """What a copy, or another process, makes it of again."""
        return type(self), (str(self), self.decision, self.refusal), self.__dict__


OPERATIONAL: tuple[type[Exception], ...] = (ModelError, TimeoutError, MemoryError, ConnectionError)
"""What fails in running a model, whatever was asked: another model may be tried instead."""
