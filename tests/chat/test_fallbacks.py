"""Fallbacks and retries handle failures of running a model, and nothing that is withheld."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.load import dumpd
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import ConfigurableField, RunnableBinding

from guardrail import ChatSafeCoDe
from guardrail.chat.fallbacks import WithheldWarning
from guardrail.errors import (
    OPERATIONAL,
    AuditError,
    Escalation,
    GuardrailError,
    MessageError,
    ModelError,
    PictureError,
    PolicyError,
    SettingsError,
    Withheld,
)
from tests.chat.test_chat_model import STRICT, ScriptedEngine, ask, engine, policy

AROUND = "nobody guards this"
UNGUARDED = FakeListChatModel(responses=[AROUND])
NO_PICTURE = [HumanMessage([{"type": "image", "base64": "aGVsbG8=", "mime_type": "image/png"}])]
STRICTLY = policy("strictly", verdict=STRICT)

WRAPPINGS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda model: model,
    "bind": lambda model: model.bind(max_tokens=2),
    "bind twice": lambda model: model.bind(max_tokens=2).bind(temperature=0),
    "with_config": lambda model: model.with_config(tags=["a"]),
    "with_retry": lambda model: model.with_retry(stop_after_attempt=2),
    "bind, with_retry": lambda model: model.bind(max_tokens=2).with_retry(stop_after_attempt=2),
    "with_types": lambda model: model.with_types(output_type=str),
    "with_listeners": lambda model: model.with_listeners(on_start=lambda run: None),
    "configurable": lambda model: model.configurable_fields(
        policy=ConfigurableField(id="policy")
    ).bind(max_tokens=2),
    "alternatives": lambda model: model.configurable_alternatives(
        ConfigurableField(id="which"), other=UNGUARDED
    ),
    "chain": lambda model: model | StrOutputParser(),
    "longer chain": lambda model: model.bind(max_tokens=2) | StrOutputParser() | len,
    "piped": lambda model: model.pipe(StrOutputParser()),
    "json": lambda model: model.with_structured_output(None, method="json_mode"),
    "json, raw": lambda model: model.with_structured_output(
        None, method="json_mode", include_raw=True
    ),
}


@pytest.fixture(scope="module")
def chat() -> ChatSafeCoDe:
    return ChatSafeCoDe(engine=engine("qwen3_vl"), policy=STRICTLY, temperature=0, max_tokens=4)


@pytest.mark.parametrize("wrapping", WRAPPINGS.values(), ids=WRAPPINGS)
@pytest.mark.parametrize(
    ("request_", "error"), [(ask("unclear"), Escalation), (NO_PICTURE, PictureError)]
)
async def test_what_the_guard_withholds_goes_to_no_fallback(
    chat: ChatSafeCoDe, wrapping: Callable[[Any], Any], request_: Any, error: type[Exception]
) -> None:
    model = wrapping(chat).with_fallbacks([UNGUARDED])
    with pytest.raises(error):
        model.invoke(request_)
    with pytest.raises(error):
        await model.ainvoke(request_)
    with pytest.raises(error):
        list(model.stream(request_))
    with pytest.raises(error):
        model.batch([request_])


@pytest.mark.parametrize(
    "error",
    [
        PolicyError("x"),
        PictureError("x"),
        MessageError("x"),
        SettingsError("x"),
        AuditError("x"),
        Escalation("x", None),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_that_is_withheld_stays_an_error(error: Exception) -> None:
    class Failing(ScriptedEngine):
        def stream(self, *_: Any, **__: Any) -> Any:
            raise error

    assert isinstance(error, Withheld)
    model = ChatSafeCoDe(engine=Failing())
    with pytest.raises(type(error)):
        model.with_fallbacks([UNGUARDED]).invoke("hi")


@pytest.mark.parametrize("error", OPERATIONAL)
def test_what_fails_in_running_a_model_may_be_handled(error: type[Exception]) -> None:
    class Failing(ScriptedEngine):
        asked = 0

        def stream(self, *_: Any, **__: Any) -> Any:
            self.asked += 1
            raise error("x")

    failing = Failing()
    model = ChatSafeCoDe(engine=failing)
    assert model.with_fallbacks([UNGUARDED]).invoke("hi").content == AROUND
    retried = model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    failing.asked = 0
    assert retried.with_fallbacks([UNGUARDED]).invoke("hi").content == AROUND
    assert failing.asked == 2


def test_a_withheld_request_is_not_tried_until_it_passes(chat: ChatSafeCoDe) -> None:
    asked: list[Any] = []
    counted = engine("llava", STRICTLY)
    counted.judge = lambda request: asked.append(request) or 0.5  # type: ignore[func-returns-value]
    model = ChatSafeCoDe(engine=counted, max_tokens=2)
    for each in (model.with_retry(), model.bind(max_tokens=2).with_retry()):
        asked.clear()
        with pytest.raises(Escalation):
            each.invoke("hi")
        assert len(asked) == 1


@pytest.mark.parametrize("handled", [(Exception,), (GuardrailError,), (Escalation, ModelError)])
def test_asking_for_more_warns(handled: Any) -> None:
    model = ChatSafeCoDe(engine=ScriptedEngine())
    with pytest.warns(WithheldWarning, match="around the guard"):
        model.with_fallbacks([UNGUARDED], exceptions_to_handle=handled)
    with pytest.warns(WithheldWarning, match=handled[0].__name__):
        model.bind(max_tokens=2).with_fallbacks([UNGUARDED], exceptions_to_handle=handled)
    with pytest.warns(WithheldWarning):
        model.with_retry(retry_if_exception_type=handled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.with_fallbacks([UNGUARDED], exceptions_to_handle=(ModelError, OSError))
        model.with_retry(retry_if_exception_type=lambda _: False)


def test_what_langchain_wraps_is_written_down_as_langchains_own() -> None:
    model = ChatSafeCoDe(engine=ScriptedEngine())
    bound = model.bind(max_tokens=2)
    assert isinstance(bound, RunnableBinding)
    assert dumpd(bound)["id"] == dumpd(RunnableBinding(bound=model, kwargs={"a": 1}))["id"]
    assert dumpd(model | StrOutputParser())["id"][-1] == "RunnableSequence"


def test_errors_survive_copies_and_pickle(chat: ChatSafeCoDe) -> None:
    with pytest.raises(Escalation) as caught:
        chat.invoke(ask("unclear"))
    for again in (copy.deepcopy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert str(again) == str(caught.value)
        assert again.decision == caught.value.decision
        assert again.refusal == caught.value.refusal
    policy_error = PolicyError("not usable", file="a.yaml", line=3, column=1)
    again_ = pickle.loads(pickle.dumps(policy_error))
    assert (str(again_), again_.line) == (str(policy_error), 3)
