"""An agent's requests and calls to tools, put to a guard in the words of `telling`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage, ToolCall
from langchain_core.runnables.config import ensure_config

from guardrail.chat.agents.answering import GuardedModel
from guardrail.chat.agents.telling import told, told_with_call
from guardrail.chat.messages import to_conversation
from guardrail.chat.model import ChatSafeCoDe
from guardrail.chat.sessions import session_of
from guardrail.judging.guard import Guard
from guardrail.judging.judge import judge_failure
from guardrail.policy import Policy
from guardrail.policy.review import Review
from guardrail.policy.verdict import Verdict
from guardrail.record.answer import Judgement
from guardrail.request.conversation import question
from guardrail.request.pictures import PictureLimits


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

    def settings_for(self, model: GuardedModel) -> tuple[dict[str, Any], bool]:
        """Returns the settings of a call to a model that judges its requests itself.

        A policy that was given to this guard is the model's, too.

        Args:
            model: It, and its settings so far.

        Returns:
            What to add to the settings, and whether the request needs no other judge: then they
            hold the model to this guard's policy, in a mode that is no milder.
        """
        metadata = ensure_config().get("metadata")
        policy = self._guard.policy_for(self._policy, metadata)
        theirs = policy if self._given else model.policy(metadata)
        mode = model.mode(theirs)
        if theirs.digest == policy.digest and mode in ("enforce", self._mode or policy.mode):
            return {"policy": theirs, "mode": mode}, True
        return ({"policy": policy} if self._given else {}), False

    def request(self, messages: Sequence[BaseMessage], review: Review | None) -> Judgement:
        """Decides about a request to the agent's model.

        Args:
            messages: All that the model is to be asked.
            review: A human's word on it.
        """
        return self._decide(lambda: told(messages), review)

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

    def _decide(
        self, telling: Callable[[], Sequence[BaseMessage]], review: Review | None
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
        return self._guard.decide(
            conversation,
            policy=self._policy,
            metadata=config.get("metadata"),
            mode=self._mode,
            review=review,
            verdict=verdict,
        )
