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
from guardrail.request.thinking import OPENINGS, WRITTEN, ThinkingReader
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
        thinking, calls = self._thinking(draft), self._calls(draft)
        written = (WRITTEN if thinking else "") + (calls.written if calls else "")
        keep = frozenset(self.backend.control_tokens(written).values() if written else ())
        decoded = partial(self.backend.decode, keep=keep)
        text = TextStream(decoded, self.settings.stop, fragments=self.backend.fragments())
        return AnswerReader(draft, text, calls, self._listed(text), thinking)

    def _thinking(self, draft: Draft) -> ThinkingReader | None:
        """Returns what leaves out thinking, where the policy withholds it."""
        watch = draft.policy.watch
        if watch.is_off or watch.thinking == "shown" or draft.mode != "enforce":
            return None
        asked = draft.conversation
        begun = draft.halt is None and self.backend.prompt_ends(asked, OPENINGS)
        return ThinkingReader(begun=begun)

    def _calls(self, draft: Draft) -> CallReader | None:
        """Returns what tells tool calls from text, where there are tools."""
        conversation = draft.conversation
        if not conversation.tools:
            return None
        return CallReader(
            self.backend.call_format(),
            [tool["function"]["name"] for tool in conversation.tools],
            parallel=conversation.form.parallel is not False,
            held_back=HELD_BACK if draft.refuses else None,
        )

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
