"""Parsers of structured output that take whole answers only.

LangChain's own complete JSON that was cut off, and take an answer without a call for None. Under a
guardrail, an answer that is not there is an error. While streaming, partial results stay partial.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.output_parsers import (
    JsonOutputKeyToolsParser,
    JsonOutputParser,
    PydanticOutputParser,
    PydanticToolsParser,
)
from langchain_core.outputs import Generation
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass


class _WholeJson(JsonOutputParser):
    """JSON that has to be whole."""

    pydantic_object: Any = None

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parses an answer.

        Args:
            result: One generation.
            partial: Whether more of it is to come.

        Raises:
            OutputParserException: It is no JSON, refused or cut off.
        """
        if not partial:
            text = result[0].text
            try:
                json.loads(text)
            except (ValueError, RecursionError) as error:  # nested too deep, too many digits
                message = f"the answer is no JSON; it was refused, blocked or cut off: {error}"
                raise OutputParserException(message, llm_output=text) from error
        return super().parse_result(result, partial=partial)


class _WholePydantic(_WholeJson):
    """The same, to an object of `pydantic_object`."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parses an answer; see `_WholeJson`.

        Args:
            result: One generation.
            partial: Whether more of it is to come; None while it does not validate.
        """
        found = super().parse_result(result, partial=partial)
        parser: Any = PydanticOutputParser(pydantic_object=self.pydantic_object)
        try:
            return parser.parse(json.dumps(found))
        except OutputParserException:
            if partial:
                return None
            raise


class _CallThere:
    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parses an answer.

        Args:
            result: One generation.
            partial: Whether more of it is to come.

        Raises:
            OutputParserException: It holds no valid call.
        """
        found = super().parse_result(result, partial=partial)  # type: ignore[misc]
        if found is None and not partial:
            message = "the answer holds no valid call; it was refused, blocked or cut off"
            raise OutputParserException(message, llm_output=result[0].text)
        return found


class _JsonCall(_CallThere, JsonOutputKeyToolsParser):
    """The arguments of a call that has to be there."""


class _PydanticCall(_CallThere, PydanticToolsParser):
    """The same, to a pydantic object."""


def structured_parser(schema: Any, *, calls: bool) -> Any:
    """Returns what parses answers by `schema`.

    Args:
        schema: A pydantic class, a TypedDict, a JSON schema, or None.
        calls: Whether the answer is a tool call, rather than bare JSON.
    """
    pydantic = isinstance(schema, type) and is_basemodel_subclass(schema)
    if not calls:
        return _WholePydantic(pydantic_object=schema) if pydantic else _WholeJson()
    if pydantic:
        return _PydanticCall(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return _JsonCall(key_name=name, first_tool_only=True)
