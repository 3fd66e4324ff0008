"""An agent's requests and calls to tools, put to a guard in the words of `telling`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.runnables.config import ensure_config

from guardrail.chat.agents.answering import GuardedModel
from guardrail.chat.agents.telling import told, told_with_call
from guardrail.chat.messages import to_conversation
from guardrail.chat.model import ChatSafeCoDe
from guardrail.chat.sessions import session_of
from guardrail.judging.approvals import content_digest
from guardrail.judging.guard import Guard
from guardrail.judging.judge import judge_failure
from guardrail.policy import Policy
from guardrail.policy.review import Review
from guardrail.policy.verdict import Verdict
from guardrail.record.answer import Judgement
from guardrail.record.decision import Decision
from guardrail.request.conversation import question
from guardrail.request.pictures import PictureLimits
from guardrail.request.telling import answer_in_words

_UNNAMEABLE = re.compile(r"[^\w.-]+")


class AgentGuard:
    """Decides about what an agent is about to do; see `GuardrailMiddleware` for the arguments.

    Raises:
        PolicyError: The policy is not usable.
    """

    def __init__(
        self,
        guard: ChatSafeCoDe | Guard,
        *,
        policy: str | Path | Policy | None,
        picture_limits: PictureLimits | None,
    ) -> None:
        self._limits, self._policy = picture_limits, policy
        self._given, self._mode = policy is not None, None
        if isinstance(guard, ChatSafeCoDe):
            self._guard: Guard = guard.engine
            self._mode = guard.mode
            self._limits = picture_limits or guard.picture_limits
            self._policy = guard.policy if policy is None else policy
        else:
            self._guard = guard
        self._guard.policy_for(self._policy)  # one that does not check must show now

    @property
    def name(self) -> str:
        """What tells this guard from others in one agent, the same after a restart."""
        policy = self._guard.policy_for(self._policy)
        judge = self._guard.judge
        parts = [
            policy.name,
            policy.digest[:8] if isinstance(self._policy, Policy) else "",
            self._guard.model_name,
            "" if judge is None else getattr(judge, "__qualname__", type(judge).__qualname__),
        ]
        return " ".join(_UNNAMEABLE.sub("-", part) for part in parts if part)

    def settings_for(
        self, model: GuardedModel, *, taken: bool = False
    ) -> tuple[dict[str, Any], bool]:
        """Returns the settings of a call to a model that judges its requests itself.

        A policy that was given to this guard is the model's, too.

        Args:
            model: It, and its settings so far.
            taken: Whether another guard has given it a policy already, which is left to it.

        Returns:
            What to add to the settings, and whether the request needs no other judge: then they
            hold the model to this guard's policy, in a mode that is no milder.
        """
        metadata = ensure_config().get("metadata")
        policy = self._guard.policy_for(self._policy, metadata)
        given = self._given and not taken
        theirs = policy if given else model.policy(metadata)
        mode = model.mode(theirs)
        if theirs.digest == policy.digest and mode in ("enforce", self._mode or policy.mode):
            return {"policy": theirs, "mode": mode}, True
        return ({"policy": policy} if given else {}), False

    def request(
        self,
        messages: Sequence[BaseMessage],
        review: Review | None,
        passed: Mapping[str, Any] | None = None,
    ) -> Judgement:
        """Decides about a request to the agent's model.

        Args:
            messages: All that the model is to be asked.
            review: A human's word on it.
            passed: What was decided, if a human approved it and it went no further; see
                `guardrail.chat.agents.records.passed_record`.
        """
        return self._decide(lambda: told(messages), review, passed)

    def call(
        self, led: Sequence[BaseMessage], call: ToolCall, review: Review | None = None
    ) -> Judgement:
        """Decides about a call to a tool.

        Args:
            led: The messages that led to it.
            call: Its name and arguments.
            review: A human's word on it.
        """
        return self._decide(lambda: told_with_call(led, call), review)

    def answer(
        self, asked: Sequence[BaseMessage], said: AIMessage, review: Review | None = None
    ) -> Judgement | None:
        """Decides about an answer of the agent's model, its calls and thoughts included.

        Args:
            asked: All that the model was asked.
            said: Its answer.
            review: A human's word on it.

        Returns:
            None where the policy does not watch answers, or nothing was said.
        """
        config = ensure_config()
        policy = self._guard.policy_for(self._policy, config.get("metadata"))
        if policy.watch.is_off:
            return None
        session, verdict = session_of(config), None
        try:
            conversation = to_conversation(told(asked), limits=self._limits, session=session)
            if not (answer := told([said])):
                return None
            words = answer_in_words(to_conversation(answer, limits=self._limits).turns[-1])
        except Exception as error:  # what cannot be judged must not look safe
            conversation = question("(a request that cannot be judged)", session=session)
            words = "(an answer that cannot be judged)"
            why = judge_failure(error, source="none", ours=True)
            verdict = Verdict.unavailable(why, source="none")
        return self._guard.decide_answer(
            conversation, words, policy=policy, mode=self._mode, review=review, verdict=verdict
        )

    def _decide(
        self,
        telling: Callable[[], Sequence[BaseMessage]],
        review: Review | None,
        passed: Mapping[str, Any] | None = None,
    ) -> Judgement:
        config = ensure_config()
        session = session_of(config)
        verdict: Verdict | None = None
        try:
            conversation = to_conversation(telling(), limits=self._limits, session=session)
        except Exception as error:  # what cannot be judged must not look safe
            conversation = question("(a request that cannot be judged)", session=session)
            why = judge_failure(error, source="none", ours=True)
            verdict = Verdict.unavailable(why, source="none")
        policy = self._guard.policy_for(self._policy, config.get("metadata"))
        content = f"{content_digest(conversation)} {policy.digest}"
        if passed is not None and verdict is None and passed["content"] == content:
            return Judgement(Decision.model_validate(passed["decision"]), "", content=content)
        judged = self._guard.decide(
            conversation, policy=policy, mode=self._mode, review=review, verdict=verdict
        )
        return replace(judged, content=content)
