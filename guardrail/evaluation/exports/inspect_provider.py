"""A model provider for Inspect AI, so that any of its tasks can be run guarded.

    inspect eval task.py --model guardrail/embedded -M policy=baseline
    inspect eval task.py --model guardrail//path/to/model -M policy=acme.yaml -M mode=shadow

Inspect finds it by the entry-point group `inspect_ai`; nothing else imports it. The decision is in
the output's metadata, under `guardrail`. A blocked or escalated request ends with `content_filter`.

INVARIANT: content and settings that the engine cannot follow raise; they are never dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import anyio.to_thread
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    Content,
    ContentImage,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolCall, ToolChoice, ToolFunction, ToolInfo

from guardrail.errors import Escalation, MessageError, SettingsError
from guardrail.evaluation.exports.inspect_log import STOPS
from guardrail.policy.terms import Mode
from guardrail.record.answer import Answer
from guardrail.record.decision import Decision
from guardrail.request.answer_form import AnswerForm
from guardrail.request.conversation import Conversation, Part, Turn
from guardrail.request.delta import InvalidCall
from guardrail.request.pictures import load_picture
from guardrail.request.settings import GenerationSettings
from guardrail.steering.safecode import SafeCoDe

_MODES: tuple[Mode, ...] = ("enforce", "shadow", "off")
_UNKNOWN = ("best_of", "frequency_penalty", "logit_bias", "logprobs", "presence_penalty")


class GuardedModel(ModelAPI):
    """A guarded model, in this process.

    Args:
        model_name: `embedded`, a model's folder, or a hub id.
        base_url: Not taken.
        api_key: Not needed.
        config: Inspect's own.
        policy: As for `SafeCoDe`.
        mode: Instead of the policy's.
        engine: A `SafeCoDe` to use, instead of one by name.
        load_arguments: Passed to `from_pretrained`.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        *,
        policy: str = "baseline",
        mode: Mode | None = None,
        engine: SafeCoDe | None = None,
        **load_arguments: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        if base_url is not None:
            raise SettingsError(
                f"base_url={base_url!r} is not taken: the model runs in this process"
            )
        if mode is not None and mode not in _MODES:
            raise SettingsError(f"mode is {mode!r}, accepted are {', '.join(_MODES)}")
        self._policy, self._mode = policy, mode
        if engine is not None:
            self._engine = engine
        elif model_name == "embedded":
            self._engine = SafeCoDe.embedded(policy=policy)
        else:
            self._engine = SafeCoDe.from_pretrained(model_name, policy=policy, **load_arguments)

    def max_connections(self) -> int:
        """Returns 1: requests share one model."""
        return 1

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answers a conversation, guarded.

        Raises:
            GuardrailError: It cannot be served.
        """
        conversation = to_conversation(input, tools, tool_choice, config)
        settings = to_settings(config)

        def answer() -> Answer:
            return self._engine.answer(conversation, settings, mode=self._mode)

        try:
            return _output(self.model_name, await anyio.to_thread.run_sync(answer))
        except Escalation as escalation:
            return _escalated(self.model_name, escalation)


def to_conversation(
    messages: Sequence[ChatMessage],
    tools: Sequence[ToolInfo],
    tool_choice: ToolChoice,
    config: GenerateConfig,
) -> Conversation:
    """Returns Inspect's messages as a conversation.

    Raises:
        MessageError: A message holds what cannot be passed on.
        PictureError: A picture cannot be read, or is not allowed.
    """
    turns: list[Turn] = []
    for at, message in enumerate(messages):
        turn = _turn(message, at)
        before = turns[-1] if turns else None
        if before and before.role == turn.role != "tool" and not before.tool_calls:
            turns[-1] = Turn(
                turn.role, (*before.parts, *turn.parts), turn.tool_calls, turn.call_ids
            )
        else:
            turns.append(turn)
    given = () if tool_choice == "none" else tuple(_tool(each) for each in tools)
    return Conversation(tuple(turns), tools=given, form=_form(given, tool_choice, config))


def to_settings(config: GenerateConfig) -> GenerationSettings:
    """Returns Inspect's settings as the engine's.

    Raises:
        SettingsError: One of them cannot be followed.
    """
    for name in _UNKNOWN:
        if getattr(config, name, None) not in (None, False, 0, {}):
            raise SettingsError(f"{name}={getattr(config, name)!r} cannot be guided: leave it out")
    if config.num_choices not in (None, 1):
        raise SettingsError(f"num_choices is {config.num_choices}, expected 1")
    return GenerationSettings(
        max_new_tokens=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        stop=tuple(config.stop_seqs or ()),
        seed=config.seed,
    )


def _turn(message: ChatMessage, at: int) -> Turn:
    parts = tuple(_parts(message.content, at))
    if isinstance(message, ChatMessageAssistant):
        calls = message.tool_calls or []
        plain = tuple({"name": each.function, "arguments": each.arguments} for each in calls)
        return Turn("assistant", parts, plain, tuple(each.id for each in calls))
    if isinstance(message, ChatMessageTool):
        said = (message.error.message,) if message.error is not None else parts
        return Turn("tool", said, (), (message.tool_call_id or "",))
    return Turn("system" if message.role == "system" else "user", parts)


def _parts(content: str | list[Content], at: int) -> Iterator[Part]:
    for block in [ContentText(text=content)] if isinstance(content, str) else content:
        if isinstance(block, ContentText):
            if block.text:
                yield block.text
        elif isinstance(block, ContentImage):
            yield load_picture(block.image)
        elif not isinstance(block, ContentReasoning):
            raise MessageError(
                f"message {at}: content of type {block.type!r} cannot be passed on to the model: "
                "give text and pictures only"
            )


def _tool(tool: ToolInfo) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters.model_dump(mode="json", exclude_none=True),
        },
    }


def _form(tools: Sequence[Any], choice: ToolChoice, config: GenerateConfig) -> AnswerForm:
    wanted = config.response_schema
    schema = None
    if wanted is not None:
        schema = wanted.json_schema.model_dump(mode="json", exclude_none=True)
    if tools and isinstance(choice, ToolFunction):
        return AnswerForm("forced", tool=choice.name, schema=schema)
    if tools and choice == "any":
        return AnswerForm("forced", parallel=config.parallel_tool_calls, schema=schema)
    return AnswerForm(parallel=config.parallel_tool_calls, schema=schema)


def _output(model: str, answer: Answer) -> ModelOutput:
    message = ChatMessageAssistant(
        content=answer.text,
        tool_calls=[_call(each) for each in answer.calls] or None,
        model=model,
        source="generate",
    )
    usage = ModelUsage(
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        total_tokens=answer.usage.input_tokens + answer.usage.output_tokens,
    )
    return _finished(model, message, answer.decision, usage=usage)


def _escalated(model: str, escalation: Escalation) -> ModelOutput:
    """The answer to a request that waits for a human: the policy's words until then."""
    message = ChatMessageAssistant(content=escalation.refusal, model=model, source="generate")
    decision: Decision = escalation.decision
    return _finished(model, message, decision, error=escalation.reason)


def _finished(
    model: str, message: ChatMessageAssistant, decision: Decision, **more: Any
) -> ModelOutput:
    stop: Any = STOPS.get(decision.outcome.finish_reason, "unknown")
    return ModelOutput(
        model=model,
        choices=[ChatCompletionChoice(message=message, stop_reason=stop)],
        metadata={"guardrail": decision.model_dump(mode="json")},
        **more,
    )


def _call(call: Any) -> ToolCall:
    if isinstance(call, InvalidCall):
        return ToolCall(
            id=call.id, function=call.name or "unknown", arguments={}, parse_error=call.error
        )
    arguments = json.loads(json.dumps(dict(call.arguments)))
    return ToolCall(id=call.id, function=call.name, arguments=arguments)


@modelapi(name="guardrail")
def guardrail() -> type[ModelAPI]:
    """Returns the provider, for Inspect to find."""
    return GuardedModel
