"""`GuardrailMiddleware`: one policy for an agent's requests, its answers and its calls to tools.

A remote model's decoding cannot be steered, so here a verdict only lets a request pass, withholds
it, or asks a human. A `ChatSafeCoDe` as the agent's model judges its requests itself, where it
enforces the same policy; then the middleware guards the tools, and turns its escalations into
interrupts.

INVARIANT: judging and asking are different nodes. What a human is asked about is read from the
graph's state, so that being resumed asks the same again. What they said goes into one more
judgement, where an approval stands for `escalate` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain.agents.middleware.types import (
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    ToolCallRequest,
)
from langchain.agents.structured_output import StructuredOutputError
from langchain_core.messages import AIMessage, AnyMessage, RemoveMessage, ToolMessage
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from langgraph.runtime import Runtime
from langgraph.types import Command

from guardrail.chat.agents.answering import guarded_model
from guardrail.chat.agents.asking import Escalated, ask_human
from guardrail.chat.agents.deciding import AgentGuard
from guardrail.chat.agents.records import (
    KEY,
    GuardrailState,
    all_asked,
    annotated,
    before_last_answer,
    call_record,
    calls_asked,
    held_by,
    is_blocked,
    is_escalated,
    is_withheld,
    is_words_alone,
    kept_answer,
    left_by,
    made,
    not_made,
    passed_record,
    pending_review,
    record_of,
    recorded_call,
    review_record,
    shown_answer,
    unanswered,
    withheld,
    withheld_answer,
    without_calls,
)
from guardrail.chat.model import ChatSafeCoDe
from guardrail.chat.streaming import in_thread
from guardrail.errors import Escalation
from guardrail.judging.guard import Guard
from guardrail.policy import Policy
from guardrail.record.answer import Judgement
from guardrail.request.pictures import PictureLimits


class GuardrailMiddleware(AgentMiddleware[GuardrailState, Any, Any]):
    """Brings a policy to an agent: `create_agent(…, middleware=[GuardrailMiddleware(guard)])`.

    What the policy decides, before every call of the model and of a tool:

    - `comply`, `plain`: it goes on.
    - `refuse`, `block`: the policy's words are the answer and the run ends; of a tool call, they
      are its result, with status `error`.
    - `escalate`: an interrupt, resumed with an approval or a rejection
      (`guardrail.chat.agents.asking`). The agent needs a checkpointer.

    Where the policy watches (`watch`), the model's answer, with its calls, is judged whole before
    the agent acts on it: one that is not cleared gives way to the policy's words, calls no tool and
    ends the run, and `escalate` asks a human about it, who is shown it. What a remote model streams
    (`stream_mode="messages"`) is seen before that.

    The decision is in `response_metadata["guardrail"]` of the message that came of it. Put it last:
    what other middleware changes closer to the model is not judged.

    Several may stand in one agent, each with a policy or a part of its own: a request or call goes
    on if all of them let it. `guardrail` is then the decision that withheld it, or that of the
    outermost on the request; `response_metadata["guardrails"]` has them all, those on answers too.

    Args:
        guard: Who judges: a `ChatSafeCoDe`, a `SafeCoDe`, or a `Guard` with a judge of its own.
        policy: Another policy than the guard's: a name, a path, or a `Policy`. It is also that of a
            `ChatSafeCoDe` as the agent's model.
        requests: Whether requests to the model, and answers where the policy watches, are judged.
        tools: Whether calls to tools are judged as well: the request that led there, with the
            call's name and arguments.
        picture_limits: Which pictures are accepted; others cannot be judged, so that the policy's
            `on_error` applies.
        name: What tells it from others in one agent, by default its policy, judge and part. It is
            the name under which threads that wait for a human find it again.

    Example:
        >>> guard = Guard(policy="strict", judge=my_judge)
        >>> agent = create_agent("openai:gpt-5.5", tools, middleware=[GuardrailMiddleware(guard)])
    """

    state_schema = GuardrailState

    def __init__(
        self,
        guard: ChatSafeCoDe | Guard,
        *,
        policy: str | Path | Policy | None = None,
        requests: bool = True,
        tools: bool = True,
        picture_limits: PictureLimits | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self._agent_guard = AgentGuard(guard, policy=policy, picture_limits=picture_limits)
        self._guards_requests, self._guards_tools = requests, tools
        parts = [part for part, is_on in (("requests", requests), ("calls", tools)) if is_on]
        self._name = name or f"GuardrailMiddleware ({' '.join([self._agent_guard.name, *parts])})"

    @property
    def name(self) -> str:
        """By which the agent's graph and state know it."""
        return self._name

    # The model ---------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """Judges a request before the model is called, its answer and its tool calls after.

        Args:
            request: What the model is to be asked.
            handler: Asks it.
        """
        ready, judged = self._before(request)
        if judged is not None and judged.withheld:
            return withheld(judged, self.name)
        kept = kept_answer(held_by(self.name, request.state), request.state["messages"])
        try:
            response = handler(ready) if kept is None else kept
        except (Escalation, StructuredOutputError) as error:
            return unanswered(error, self.name, judged)
        return self._after(request, response, judged)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ExtendedModelResponse[Any]:
        """Does the same, judging off the event loop.

        Args:
            request: What the model is to be asked.
            handler: Asks it.
        """
        ready, judged = await in_thread(self._before, request)
        if judged is not None and judged.withheld:
            return withheld(judged, self.name)
        kept = kept_answer(held_by(self.name, request.state), request.state["messages"])
        try:
            response = await handler(ready) if kept is None else kept
        except (Escalation, StructuredOutputError) as error:
            return unanswered(error, self.name, judged)
        return await in_thread(self._after, request, response, judged)

    def _before(self, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], Judgement | None]:
        held, messages = held_by(self.name, request.state), request.state["messages"]
        guarded = guarded_model(request.model, request.model_settings, ensure_config())
        if guarded is not None:
            added: dict[str, Any] = {}
            suffices = not self._guards_requests
            if self._guards_requests:
                taken = request.model_settings.get("policy") is not None
                added, suffices = self._agent_guard.settings_for(guarded, taken=taken)
            if (review := pending_review(held, messages, "model")) is not None:
                added["review"] = review.model_dump(mode="json")
            request = request.override(model_settings={**request.model_settings, **added})
            if suffices:
                return request, None
        if not self._guards_requests:
            return request, None
        review = pending_review(held, messages, "guard")
        return request, self._agent_guard.request(all_asked(request), review, held.get("passed"))

    def _after(
        self, request: ModelRequest[Any], response: ModelResponse[Any], judged: Judgement | None
    ) -> ExtendedModelResponse[Any]:
        result = list(response.result)
        at = next((n for n, each in enumerate(result) if isinstance(each, AIMessage)), None)
        left: dict[str, Any] = {}
        if at is not None:
            said = result[at]
            assert isinstance(said, AIMessage)
            if is_withheld(said):
                said = result[at] = without_calls(said)
                left = passed_record(judged)
                left |= {"withheld": said.id} if is_blocked(said) else {}
            found = None if is_words_alone(said) else self._answered(request, said, judged)
            if judged is not None and found is not None:
                if found.withheld:
                    return withheld_answer(found, self.name, response, judged)
                said = annotated(said, found.decision.model_dump(mode="json"))
            left = left or self._calls(request, said)
            if judged is not None:
                result[at] = annotated(said, judged.decision.model_dump(mode="json"))
        kept = ModelResponse(result, response.structured_response)
        return ExtendedModelResponse(kept, Command(update=left_by(self.name, left)))

    def _answered(
        self, request: ModelRequest[Any], said: AIMessage, judged: Judgement | None
    ) -> Judgement | None:
        """Decides about an answer; not about that of a model which enforces the same policy."""
        if judged is None:
            return None
        held, messages = held_by(self.name, request.state), request.state["messages"]
        review = pending_review(held, messages, "answer")
        return self._agent_guard.answer(all_asked(request), said, review)

    def _calls(self, request: ModelRequest[Any], said: AIMessage) -> dict[str, Any]:
        """Decides about the calls of a message to tools that run here."""
        if not self._guards_tools:
            return {}
        names = {tool.name for tool in request.tools if isinstance(tool, BaseTool)}
        calls = {
            str(call["id"]): call_record(call, self._agent_guard.call(request.messages, call))
            for call in said.tool_calls
            if call["name"] in names
        }
        return {"calls": calls}

    # A human -----------------------------------------------------------------------------------

    @hook_config(can_jump_to=["model", "end"])
    def after_model(self, state: GuardrailState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Asks a human about what was escalated; ends the run if the request was withheld.

        Args:
            state: The agent's.
            runtime: The graph's.
        """
        held, messages = held_by(self.name, state), state["messages"]
        if messages and held.get("withheld") == messages[-1].id:
            return _after_withheld(messages, self.name, held)
        asked = calls_asked(held, messages)
        if not asked:
            return None
        reviews = ask_human(
            [
                Escalated(
                    each["decision"],
                    each["token"],
                    {"name": each["name"], "args": each["args"], "id": name},
                )
                for name, each in asked.items()
            ]
        )
        led = before_last_answer(messages)
        again = {
            name: call_record(each, self._agent_guard.call(led, recorded_call(name, each), review))
            for (name, each), review in zip(asked.items(), reviews, strict=True)
        }
        return left_by(self.name, {"calls": {**held["calls"], **again}})

    @hook_config(can_jump_to=["model", "end"])
    async def aafter_model(
        self, state: GuardrailState, runtime: Runtime[Any]
    ) -> dict[str, Any] | None:
        """Does the same off the event loop.

        Args:
            state: The agent's.
            runtime: The graph's.
        """
        return await in_thread(self.after_model, state, runtime)

    # Tools -------------------------------------------------------------------------------------

    def wrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]],
    ) -> ToolMessage | Command[Any]:
        """Calls a tool if its call may be made.

        Args:
            request: The call.
            handler: Makes it.
        """
        if not self._guards_tools:
            return handler(request)
        record = self._call_decided(request)
        return not_made(request, record) if record["withheld"] else made(handler(request), record)

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Does the same, judging off the event loop.

        Args:
            request: The call.
            handler: Makes it.
        """
        if not self._guards_tools:
            return await handler(request)
        record = await in_thread(self._call_decided, request)
        if record["withheld"]:
            return not_made(request, record)
        return made(await handler(request), record)

    def _call_decided(self, request: ToolCallRequest) -> Mapping[str, Any]:
        """Returns what was decided about a call; one that nobody was asked about is judged now.

        A call that somebody changed after it was judged is another call. It is too late to ask a
        human about it: what would be escalated is not made.
        """
        call, state = request.tool_call, request.state
        record = record_of(held_by(self.name, state), call)
        if record is not None:
            return record
        led = before_last_answer(state["messages"])
        return call_record(call, self._agent_guard.call(led, call))


def _after_withheld(
    messages: Sequence[AnyMessage], name: str, held: Mapping[str, Any]
) -> dict[str, Any]:
    *led, last = messages
    decision = last.response_metadata[KEY]
    if not is_escalated(decision):
        return {"jump_to": "end"}
    [review] = ask_human([Escalated(decision, held.get("token", ""), answer=shown_answer(held))])
    return {
        "messages": [RemoveMessage(id=str(last.id))],
        **left_by(name, review_record(review, led, held)),
        "jump_to": "model",
    }
