"""Tools and structured output: what LangChain's users ask for, as the form of an answer.

How a form is written is `guardrail.request`'s business, how it is kept the backend's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Literal

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from guardrail.chat.fallbacks import cautious
from guardrail.chat.identity import ConfiguredChatModel
from guardrail.chat.messages import to_conversation
from guardrail.chat.parsing import structured_parser
from guardrail.errors import SettingsError
from guardrail.request.answer_form import ANY_OBJECT, AnswerForm
from guardrail.request.answer_grammar import parameters_of
from guardrail.request.conversation import Conversation, Turn

Method = Literal["function_calling", "json_schema", "json_mode"]
_METHODS = ("function_calling", "json_schema", "json_mode")
_FORCED = ("any", "required", True)
_TOLD = "Answer with JSON that follows this JSON schema, and nothing else:\n{schema}"


@dataclass(frozen=True)
class Demand:
    """What one call demands of its answer.

    Attributes:
        tools: OpenAI's JSON-schema dictionaries.
        form: What the answer has to be.
        told: What is put after the last turn, to tell the model of its form; empty for nothing.
    """

    tools: tuple[Mapping[str, Any], ...] = ()
    form: AnswerForm = field(default=AnswerForm())
    told: str = ""

    @classmethod
    def taken_from(cls, call: dict[str, Any]) -> Demand:
        """Returns the demand among the arguments of a call, and takes it out of them.

        Raises:
            SettingsError: It is contradictory, or names what is not known.
        """
        tools = _tools(call.pop("tools", None) or ())
        choice = call.pop("tool_choice", None)
        parallel = call.pop("parallel_tool_calls", None)
        schema, told = _demanded_schema(call.pop("response_format", None))
        if choice == "none":
            tools, choice = (), None
        calls, tool = _chosen(choice, [each["function"]["name"] for each in tools])
        form = AnswerForm(calls, tool, parallel, schema)
        return cls(tools, form, told)


class ToolCallingChatModel(ConfiguredChatModel):
    """A chat model that calls tools and answers in JSON, as far as its chat template can."""

    def bind_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Returns this model with tools that it may, or must, call.

        A forced call follows its tool's schema to the letter, whatever the model would rather say;
        a free one is read as the model writes it. Where the policy decides to refuse, no call is
        passed on, and a forced one is no longer forced, so that the model can refuse in words.

        Args:
            tools: In any of LangChain's forms.
            tool_choice: `"auto"` (or None) leaves it to the model, `"any"` (`"required"`, True)
                forces a call, a tool's name forces a call of that tool, `"none"` forbids calls.
            parallel_tool_calls: Whether an answer may hold several calls. None leaves it to the
                model, and takes one where a call is forced.
            **kwargs: Settings of the calls, as for `bind`. `strict` is accepted and changes
                nothing: what is forced is always strict.

        Raises:
            ModelError: The model's chat template takes no tools.
            SettingsError: No tool has the name chosen, a schema cannot be enforced, or the extra
                `structured` that forcing needs is not installed.
        """
        kwargs.pop("strict", None)
        bound: dict[str, Any] = {
            "tools": list(_tools(tools)),
            "tool_choice": tool_choice,
            "parallel_tool_calls": parallel_tool_calls,
            **kwargs,
        }
        bound = {name: value for name, value in bound.items() if value is not None}
        self._check_demand(bound)
        return self.bind(**bound)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Method = "function_calling",
        include_raw: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Returns this model with answers that follow a schema, parsed.

        Decoding is held to the schema. Where the policy blocks or decides to refuse, or the answer
        is cut off by `max_tokens`, there is nothing to parse: `OutputParserException`, or None with
        `include_raw`.

        Args:
            schema: A pydantic class, a TypedDict, or a JSON schema; None with `json_mode` only.
            method: `function_calling` forces a call of a tool with this schema; `json_schema` tells
                the model the schema after the last message, and works without a template that
                takes tools; `json_mode` leaves telling to the caller.
            include_raw: Returns the message and any parsing error, too.
            **kwargs: `strict` is accepted: answers are always strict.

        Raises:
            ModelError: The model's chat template takes no tools, which `function_calling` needs.
            SettingsError: The method is unknown, the schema missing or not enforceable, or the
                extra `structured` is not installed.
        """
        kwargs.pop("strict", None)
        if method not in _METHODS:
            expected = ", ".join(map(repr, _METHODS))
            raise SettingsError(f"method is {method!r}, expected one of {expected}")
        if schema is None and method != "json_mode":
            raise SettingsError(f"schema is None, expected one for method={method!r}")
        if kwargs:
            raise SettingsError(f"unknown arguments of structured output: {', '.join(kwargs)}")
        bound = self._bound_to(schema, method)
        parser = structured_parser(schema, calls=method == "function_calling")
        return _with_raw(bound, parser) if include_raw else bound | parser

    def _bound_to(self, schema: Any, method: Method) -> Runnable[LanguageModelInput, AIMessage]:
        told = {"kwargs": {"method": method}, "schema": schema or dict(ANY_OBJECT)}
        if method == "function_calling":
            return self.bind_tools([schema], tool_choice="any", ls_structured_output_format=told)
        written = dict(ANY_OBJECT) if schema is None else convert_to_json_schema(schema)
        wanted: dict[str, Any] = {"type": "json_object", "schema": written}
        if method == "json_schema":
            wanted = {"type": "json_schema", "json_schema": {"schema": written}}
        bound: dict[str, Any] = {"response_format": wanted}
        self._check_demand(bound)
        return self.bind(**bound, ls_structured_output_format=told)

    def _check_demand(self, call: Mapping[str, Any]) -> None:
        """Raises for what would only fail once a request is there."""
        demand = Demand.taken_from(dict(call))
        if demand.tools:
            self.engine.call_format()
        self.engine.constraint(Conversation((Turn("user", ("?",)),), demand.tools, demand.form))

    def _conversation(self, messages: Sequence[BaseMessage], call: dict[str, Any]) -> Conversation:
        """Returns a request's conversation; takes what it demands out of the call's arguments."""
        demand = Demand.taken_from(call)
        conversation = to_conversation(
            messages,
            tools=demand.tools,
            limits=self.picture_limits,
            session=call.pop("session", None),
        )
        if demand.told:
            conversation = conversation.ask(demand.told)
        return replace(conversation, form=demand.form)


def _tools(tools: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    converted = tuple(convert_to_openai_tool(tool) for tool in tools)
    for tool in converted:
        if not isinstance(tool.get("function"), Mapping):
            raise SettingsError(
                f"a tool of type {tool.get('type')!r} is run by a provider: give functions"
            )
    # Chat templates read the parameters of every function, and fall over one without.
    return tuple(
        {**tool, "function": {**tool["function"], "parameters": parameters_of(tool["function"])}}
        for tool in converted
    )


def _chosen(choice: Any, names: Sequence[str]) -> tuple[Literal["free", "forced"], str | None]:
    """Returns whether a call is forced, and the only tool that may be called, if it is one."""
    if choice is None or (choice == "auto" and "auto" not in names):
        return "free", None
    if not names:
        raise SettingsError(f"tool_choice is {choice!r}, but no tools are given")
    if isinstance(choice, Mapping):
        named = choice.get("function") or choice
        choice = named.get("name", choice.get("type"))
    if choice in names:
        return "forced", choice
    if choice in _FORCED:
        return "forced", None
    expected = ", ".join(map(repr, ("auto", "any", "none", *names)))
    raise SettingsError(f"tool_choice is {choice!r}, expected one of {expected}")


def _demanded_schema(wanted: Any) -> tuple[Mapping[str, Any] | None, str]:
    """Returns the schema of a `response_format`, and what the model is told of it."""
    kind = wanted.get("type") if isinstance(wanted, Mapping) else wanted
    if kind in (None, "text"):
        return None, ""
    if kind == "json_object":
        return wanted.get("schema") or ANY_OBJECT, ""
    schema = wanted.get("json_schema", {}).get("schema") if kind == "json_schema" else None
    if not isinstance(schema, Mapping):
        raise SettingsError(
            f"response_format is {wanted!r}, expected 'type' text, json_object, or json_schema "
            "with its 'schema'"
        )
    return schema, _TOLD.format(schema=json.dumps(schema, ensure_ascii=False))


def _with_raw(bound: Runnable[Any, AIMessage], parser: Any) -> Runnable[LanguageModelInput, Any]:
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    both = parsed.with_fallbacks([failed], exception_key="parsing_error")
    chain: Runnable[LanguageModelInput, Any] = cautious(RunnableMap(raw=bound) | both)
    return chain
