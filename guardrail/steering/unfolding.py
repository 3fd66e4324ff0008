"""What unfolds an answer from its tokens: text and calls, held back where something is to be seen
first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from guardrail.backends import Backend
from guardrail.judging.draft import Draft
from guardrail.request.call_reader import CallReader
from guardrail.request.settings import GenerationSettings
from guardrail.steering.answer_reader import AnswerReader
from guardrail.steering.listed_tokens import ListedTokens, TokenNames
from guardrail.steering.refusal_gate import RefusalGate
from guardrail.steering.text_stream import TextStream
from guardrail.steering.watched import Watched

HELD_BACK = "the policy decided to refuse: the tool call was held back"
"""Why a call is not passed on, where the policy steers towards a refusal."""


@dataclass(frozen=True)
class Unfolding:
    """Makes what unfolds the answers of one run.

    Attributes:
        backend: Knows what tokens spell.
        settings: Of the run.
    """

    backend: Backend
    settings: GenerationSettings

    def reader(self, draft: Draft) -> AnswerReader:
        """Returns what turns a request's tokens into text and calls."""
        conversation, decoded = draft.conversation, self.backend.decode
        fragments = self.backend.fragments()
        if not conversation.tools:
            text = TextStream(decoded, self.settings.stop, fragments=fragments)
            return AnswerReader(draft, text, listed=self._listed(text))
        written = self.backend.call_format()
        calls = CallReader(
            written,
            [tool["function"]["name"] for tool in conversation.tools],
            parallel=conversation.form.parallel is not False,
            held_back=HELD_BACK if draft.refuses else None,
        )
        keep = frozenset(self.backend.control_tokens(written.written).values())
        text = TextStream(partial(decoded, keep=keep), self.settings.stop, fragments=fragments)
        return AnswerReader(draft, text, calls, self._listed(text))

    def gate(self, draft: Draft) -> RefusalGate | None:
        """Returns what holds an answer back until it refuses, where it has to; None elsewhere."""
        ensured = draft.refuses and (
            draft.policy.modulation.ensure_refusal or draft.halt is not None
        )
        return RefusalGate(draft.policy.phrases) if ensured else None

    def watched(self, draft: Draft, *, may_turn: bool) -> Watched | None:
        """Returns what holds an answer back until it is cleared; None where it is not watched.

        Args:
            draft: Of the request.
            may_turn: As for `Watched`.
        """
        watch, mode = draft.policy.watch, draft.mode
        if watch.is_off or mode == "off":
            return None
        may_turn = may_turn and not draft.conversation.form.constrains  # a form holds no refusal
        return Watched(draft, watch, acts=mode == "enforce", may_turn=may_turn)

    def _listed(self, text: TextStream) -> ListedTokens | None:
        return ListedTokens(text, TokenNames.of(self.backend)) if self.settings.logprobs else None
