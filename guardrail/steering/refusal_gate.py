"""Holds an answer back until it is known to refuse: steering makes refusals likely, not certain.

It knows phrases and text so far; what happens to an answer that does not refuse is its row's
business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from guardrail.policy.refusals import matcher

GateState = Literal["open", "refused", "other"]


class RefusalGate:
    """Tells whether an answer that is to refuse does so, as early as that can be known.

    Args:
        phrases: Beginnings of refusals.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        self._matcher = matcher(tuple(phrases))

    def state(self, text: str, *, ended: bool) -> GateState:
        """Returns `refused` once the answer refuses, `other` once it cannot any more.

        Args:
            text: All that the model has said so far.
            ended: Whether nothing more will come.
        """
        if ended:
            return "refused" if self._matcher(text) else "other"
        if self._matcher.is_settled(text):
            return "refused"
        return "open" if self._matcher(text) or self._matcher.may_become(text) else "other"
