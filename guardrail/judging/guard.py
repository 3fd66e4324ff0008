"""A policy with its judges, sessions and records, and no model that answers.

`decide` says what is to be done about a request that somebody else answers: an agent whose model is
remote, or a call to a tool. `decide_answer` says it of the answer. `SafeCoDe` is a guard that
answers as well.
"""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import Self

from guardrail.errors import JudgeError, ModelError, SettingsError
from guardrail.judging.answer_deciding import AnswerDeciding
from guardrail.judging.approvals import APPROVAL_LIFETIME_S, ApprovalLedger, Approvals
from guardrail.judging.chair import Chair, Own
from guardrail.judging.chat_judge import ChatJudge
from guardrail.judging.deciding import Deciding
from guardrail.judging.judge import Judge, Judged
from guardrail.judging.judges import load_judge
from guardrail.judging.patience import Patience
from guardrail.judging.recorder import Recorder
from guardrail.judging.reference import Reference
from guardrail.policy import Policy
from guardrail.policy.context import Metadata
from guardrail.policy.judge import Judge as JudgeSettings
from guardrail.policy.review import Review
from guardrail.policy.sources import PolicySource, policy_source
from guardrail.policy.terms import Mode
from guardrail.policy.verdict import Verdict
from guardrail.record.answer import Judgement
from guardrail.record.observer import Observer
from guardrail.record.telemetry.tracing import Tracing
from guardrail.request.conversation import Conversation, Turn
from guardrail.request.sessions import SessionMemory, SessionStore
from guardrail.request.telling import answer_in_words

_JudgeKey = tuple[str, str | None]


def _judge_key(policy: Policy) -> _JudgeKey:
    """What tells judges apart: a reload of other thresholds or questions asks the same one."""
    return policy.judge.kind, policy.judge.model


class Guard(Recorder):
    """Decides about requests, and answers none.

    Safe to use from several threads.

    Args:
        policy: A pack's name, the path of a policy file (read again when it changes), a `Policy`,
            or a `PolicySource`.
        judge: Judges instead of the policy's own judge: any callable (see
            `guardrail.judging.judge.Judge`), or a LangChain chat model with structured output.
        tracing: Where spans and metrics go; OpenTelemetry's global providers by default.
        observer: Sees every record before its answer is out; by default the audit log, if the
            policy or `GUARDRAIL_AUDIT_LOG` names one.
        sessions: Keeps what policies with a memory remember; in this process by default.
        name: What is guarded, in records and spans.
        approval_key: By which approvals of escalated requests are known again, 16 bytes or more;
            by default that of `GUARDRAIL_APPROVAL_KEY`, else one of this process alone. Processes
            that resume each other's requests, also after a restart, need the same.
        approval_lifetime_s: Seconds that a human has.
        approval_ledger: Knows which approvals are used up; in this process by default.

    Raises:
        PolicyError: The policy is not usable.

    Example:
        >>> guard = Guard(policy="strict", judge=my_judge)
        >>> guard.decide(question("How do I get down there?", [picture])).decision.action
    """

    def __init__(
        self,
        *,
        policy: str | Path | Policy | PolicySource = "baseline",
        judge: Judge | None = None,
        tracing: Tracing | None = None,
        observer: Observer | None = None,
        sessions: SessionStore | None = None,
        name: str = "",
        approval_key: str | bytes | None = None,
        approval_lifetime_s: float = APPROVAL_LIFETIME_S,
        approval_ledger: ApprovalLedger | None = None,
    ) -> None:
        super().__init__(name, tracing=tracing, observer=observer)
        self._source = policy_source(policy)
        self._sources: dict[str, PolicySource] = {}
        self.judge = ChatJudge(judge) if hasattr(judge, "with_structured_output") else judge
        self._judges: dict[_JudgeKey, Judge] = {}
        self._patiences: dict[_JudgeKey | None, Patience[Judged]] = {}
        self._references: dict[Path, Reference] = {}
        self._loading = threading.Lock()  # of its own: weights load for minutes
        self.sessions: SessionStore = SessionMemory() if sessions is None else sessions
        self._lock = threading.Lock()
        self._approvals = Approvals(
            key=approval_key, lifetime_s=approval_lifetime_s, ledger=approval_ledger
        )

    def decide(
        self,
        conversation: Conversation,
        *,
        policy: str | Path | Policy | None = None,
        metadata: Metadata | None = None,
        mode: Mode | None = None,
        review: Review | None = None,
        verdict: Verdict | None = None,
        cancel: threading.Event | None = None,
    ) -> Judgement:
        """Judges a request and decides about it; nothing is generated, and nothing raised for it.

        It is recorded, traced and remembered like every request. An action of `refuse` withholds
        the request as `block` does: nobody else's decoding can be steered.

        Args:
            conversation: What was asked.
            policy: Another policy for this request; one given by path is watched, too.
            metadata: What a policy selection looks at: `tenant`, `route`, `group`, `language`, ….
            mode: `enforce`, `shadow` or `off` for this request, instead of the policy's.
            review: A human's word, if it was escalated before; an approval brings the judgement's
                `token` back.
            verdict: What is believed already; without one the judge is asked.
            cancel: Once set, the answering model judges no further; nothing is decided then, and
                the request is withheld.

        Raises:
            PolicyError: The request's own policy is not usable, or `metadata` cannot be compared.
            AuditError: The record cannot be kept.
        """
        with self.preparing(operation="apply_guardrail") as known:
            known.policy = chosen = self.policy_for(policy, metadata)
            deciding = self.deciding(chosen, mode)
        stop = cancel.is_set if cancel is not None else None
        return deciding.decide(conversation, review=review, verdict=verdict, stop=stop)

    def decide_answer(
        self,
        conversation: Conversation,
        answer: str | Turn,
        *,
        policy: str | Path | Policy | None = None,
        metadata: Metadata | None = None,
        mode: Mode | None = None,
        review: Review | None = None,
        verdict: Verdict | None = None,
        cancel: threading.Event | None = None,
    ) -> Judgement:
        """Judges an answer that somebody else wrote, as the last reading of a watched one is.

        The policy's answer questions are put after it, and the thresholds of `watch` apply, also
        where the policy does not watch (`every: 0`): whoever asks wants to know. What is not
        cleared is withheld whole, `steer` and `end` like `replace`. The decision's `watch` has the
        one reading; its `action` is `plain`, since the request is not judged, and leaves nothing to
        its session. Nothing is raised for what is decided.

        Args:
            conversation: What was asked.
            answer: What was said to it, or the assistant's turn; its tool calls are judged, too.
            policy: As for `decide`, like all that follow.
            metadata: See there.
            mode: See there.
            review: A human's word on this very answer, if it was escalated before.
            verdict: What is believed of the answer already.
            cancel: Once set, the model judges no further, and the answer is withheld.

        Raises:
            MessageError: The answer holds what cannot be judged: a picture, or no valid Unicode.
            PolicyError: As for `decide`.
            AuditError: The record cannot be kept.
        """
        with self.preparing(operation="apply_guardrail") as known:
            known.policy = chosen = self.policy_for(policy, metadata)
            said = answer_in_words(answer)
            deciding = AnswerDeciding(self.deciding(chosen, mode))
        stop = cancel.is_set if cancel is not None else None
        return deciding.decide(conversation, said, review=review, verdict=verdict, stop=stop)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy is the guard itself: its model, log and sessions are there once."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ModelError(
            f"a {type(self).__name__} cannot be pickled: it holds a model, locks and open logs; "
            "build one in the other process"
        )

    @property
    def policy(self) -> Policy:
        """The policy that the next request without metadata will have.

        One given by path is read again when its file has changed; a change that does not check is
        logged and not taken. Requests keep the policy they began with.
        """
        return self._source.current()

    def policy_for(
        self, policy: str | Path | Policy | None = None, metadata: Metadata | None = None
    ) -> Policy:
        """Returns the policy that a request will have.

        Args:
            policy: The request's own; the engine's without one.
            metadata: What a selection of policies chooses by.

        Raises:
            PolicyError: The request's own policy is not usable, or `metadata` cannot be compared.
        """
        if isinstance(policy, Policy):
            return policy
        source = self._source if policy is None else self._watched(policy)
        return source.current(metadata)

    def _watched(self, reference: str | Path) -> PolicySource:
        place = str(Path(reference).absolute())  # the same relative path may come to mean another
        with self._lock:
            if place not in self._sources:
                self._sources[place] = policy_source(reference)
            return self._sources[place]

    def judge_for(self, policy: Policy) -> Judge:
        """Returns the judge given in code, or the one that `policy` asks for; made once.

        Raises:
            GuardrailError: The judge cannot be had.
        """
        if self.judge is not None:
            return self.judge
        key = _judge_key(policy)
        with self._loading:
            if key not in self._judges:
                self._judges[key] = self._make_judge(policy.judge)
            return self._judges[key]

    def reference_for(self, policy: Policy) -> Reference | None:
        """Returns what requests the answering model was tried on; read once.

        The policy's reference comes before the model's own; None where there is neither.

        Raises:
            JudgeError: It cannot be read.
        """
        named = policy.judge.competence.reference
        path = Path(named) if named is not None else self._own_reference()
        if path is None:
            return None
        path = path.expanduser().absolute()  # the same relative path may come to mean another
        with self._lock:
            if path not in self._references:
                self._references[path] = Reference.load(path)
            return self._references[path]

    def deciding(self, policy: Policy, mode: Mode | None) -> Deciding:
        """Returns what decides requests under `policy`.

        Raises:
            SettingsError: The mode is none.
        """
        kind = "callable" if self.judge is not None else policy.judge.kind
        return Deciding(
            policy=policy,
            mode=checked_mode(mode) or policy.mode,
            chair=Chair(
                kind,
                partial(self.judge_for, policy),
                self._patience(policy),
                self._own_runs(),
                partial(self.reference_for, policy),
            ),
            sessions=self.sessions,
            tracing=self.tracing,
            model_name=self.model_name,
            observer=self.observer_for(policy),
            approvals=self._approvals,
        )

    def _patience(self, policy: Policy) -> Patience[Judged]:
        """Returns what is remembered of a judge's time-outs: one for each judge."""
        key = _judge_key(policy) if self.judge is None else None
        with self._lock:
            return self._patiences.setdefault(key, Patience())

    def _own_runs(self) -> Own | None:
        """Returns how runs on the answering model are started; None where none answers."""
        return None

    def _own_reference(self) -> Path | None:
        """Returns the file of the reference that the answering model brings; None without one."""
        return None

    def _make_judge(self, settings: JudgeSettings) -> Judge:
        if settings.kind == "model" and settings.model is not None:
            return load_judge(settings.model)
        raise JudgeError(f"the policy's judge is of kind {settings.kind!r}: give one as `judge=`")


def checked_mode(mode: Mode | None) -> Mode | None:
    """Returns `mode`.

    Raises:
        SettingsError: It is none.
    """
    if mode not in (None, "enforce", "shadow", "off"):
        raise SettingsError(f"mode is {mode!r}, expected 'enforce', 'shadow' or 'off'")
    return mode
