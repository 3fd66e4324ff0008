"""LangChain's own suites for chat models, on the embedded model and a tiny one of a real family.

The tiny one's weights are random, so a judge in code stands in for its own judgement; its template
takes no tools, so that structured output is asked for by its schema. What is not claimed (remote
pictures, and tools without a template for them) is off by the properties below.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from transformers import GenerationConfig

from guardrail import ChatSafeCoDe, SafeCoDe
from tests.families import picture, save

NAME = "tiny-llava"


@functools.cache
def engine() -> SafeCoDe:
    return SafeCoDe.from_pretrained(NAME, judge=lambda request: 0.02)


@functools.cache
def embedded() -> SafeCoDe:
    return SafeCoDe.embedded()


@pytest.fixture(autouse=True, scope="module")
def _folder_with_the_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Serialised models are rebuilt by name: here it is a folder's."""
    folder = tmp_path_factory.mktemp("models")
    save("llava", folder / NAME)
    GenerationConfig(max_new_tokens=6).save_pretrained(folder / NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


class Claims:
    """What `ChatSafeCoDe` says it can do on the embedded model."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatSafeCoDe

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "embedded", "engine": embedded()}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return False


class TestUnit(Claims, ChatModelUnitTests):
    @pytest.mark.xfail(
        strict=True,
        raises=ValueError,
        reason=(
            "the suite loads with allowed_objects='all', by which langchain-core means a fixed "
            "list of its own partners' classes; test_what_is_written_down_can_be_loaded_again "
            "does the round trip with allowed_objects=[ChatSafeCoDe]"
        ),
    )
    def test_serdes(self, model: BaseChatModel, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite fetches a picture: any will do."""
    buffer = io.BytesIO()
    picture(0).save(buffer, "PNG")

    class Response:
        content = buffer.getvalue()

    monkeypatch.setattr(
        "langchain_tests.integration_tests.chat_models.httpx.get",
        lambda *args, **options: Response(),
    )


class TestEmbedded(Claims, ChatModelIntegrationTests):
    pass


class TestWithoutTools(Claims, ChatModelIntegrationTests):
    """A family whose chat template takes no tools."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # Random weights never end a string: a quotation mark is made likely.
        [quote] = engine().backend.encoder.encode_piece('"')
        bias = {"sequence_bias": [[[quote], 30.0]]}
        return {"model": NAME, "engine": engine(), "model_kwargs": bias, "max_tokens": 80}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return True

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "json_schema"}

    @property
    def supports_image_tool_message(self) -> bool:
        return False  # it binds a tool

    @property
    def supports_anthropic_inputs(self) -> bool:
        return False  # it binds a tool
