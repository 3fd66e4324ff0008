"""LangChain's scripted chat model as a grader, well and badly behaved."""

import json
import time
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from pydantic import Field


class Chat(GenericFakeChatModel):
    """Its text parsed as the structured output asked for; remembers what it was asked."""

    asked: list[Any] = Field(default_factory=list)
    schemas: list[Any] = Field(default_factory=list)

    def with_structured_output(self, schema: Any, **options: Any) -> Any:
        self.schemas.append(schema)
        return self | RunnableLambda(lambda message: json.loads(str(message.content)))

    def _generate(self, messages: Any, *arguments: Any, **options: Any) -> Any:
        self.asked.append(messages)
        return super()._generate(messages, *arguments, **options)


class Slow(Chat):
    """Answers after its time."""

    def _generate(self, *arguments: Any, **options: Any) -> Any:
        time.sleep(0.5)
        return super()._generate(*arguments, **options)


class Raising(Chat):
    """Never answers."""

    def _generate(self, *arguments: Any, **options: Any) -> Any:
        raise ConnectionError("no route to 'secret question'")


def chat(*said: object, kind: type[Chat] = Chat) -> Chat:
    """A chat model that says these in turn, each as JSON."""
    messages: Iterator[Any] = (AIMessage(json.dumps(each)) for each in said)
    return kind(messages=messages)


def always(said: object, kind: type[Chat] = Chat) -> Chat:
    """A chat model that says the same again and again."""
    return kind(messages=(AIMessage(json.dumps(each)) for each in repeat(said)))


def babbling(text: str) -> Chat:
    """A chat model whose words are no JSON."""
    return Chat(messages=(AIMessage(each) for each in repeat(text)))


HARSH = always({"refused": 1.0})
MILD = always({"refused": 0.0})


def make_unsure() -> Chat:
    """A function that returns a chat model, as an import path may name."""
    return always({"refused": 0.5})


NO_MODEL = 3
