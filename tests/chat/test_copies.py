"""A chat model that is changed, copied or pickled: it means something, or one clear error."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableBinding

from guardrail import ChatSafeCoDe, Guard, GuardrailMiddleware, SafeCoDe
from guardrail.errors import GuardrailError, ModelError, PolicyError, SettingsError
from guardrail.request.pictures import PictureLimits
from tests.chat.test_chat_model import STRICT, ScriptedEngine, ask, engine, judge, policy
from tests.families import save

BLOCKING = policy("blocking", verdict=STRICT)


@pytest.fixture(scope="module")
def shared() -> SafeCoDe:
    return engine()


def name_of(answer: Any) -> str:
    return str(answer.response_metadata["guardrail"]["policy"]["name"])


# Changing ----------------------------------------------------------------------------------------


async def test_an_assigned_policy_is_the_next_requests(shared: SafeCoDe, tmp_path: Path) -> None:
    chat = ChatSafeCoDe(engine=shared, max_tokens=2)
    other = ChatSafeCoDe(engine=shared, max_tokens=2)
    path = tmp_path / "kids.yaml"
    path.write_text("version: 1\nname: kids\nextends: baseline\n")
    for given, name in ((BLOCKING, "blocking"), ("strict", "strict"), (path, "kids")):
        chat.policy = given
        assert name_of(chat.invoke(ask())) == name
        assert name_of(await chat.ainvoke(ask())) == name
        assert name_of([*chat.stream(ask())][-1]) == name
        assert [name_of(each) for each in chat.batch([ask(), ask()])] == [name, name]
    assert name_of(other.invoke(ask())) == "baseline"


def test_a_copy_with_another_policy_has_it(shared: SafeCoDe) -> None:
    chat = ChatSafeCoDe(engine=shared, max_tokens=2)
    copied = chat.model_copy(update={"policy": BLOCKING, "temperature": 0, "max_tokens": 1})
    answer = copied.invoke(ask())
    assert name_of(answer) == "blocking"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 1
    assert name_of(chat.invoke(ask())) == "baseline"
    assert copied.engine is shared


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "another/model"),
        ("processor", object()),
        ("judge", judge),
        ("engine", ScriptedEngine()),
        ("load_kwargs", {"dtype": "float16"}),
        ("mode", "sometimes"),
        ("temperature", -1),
        ("temperature", "hot"),
        ("max_tokens", 0),
        ("top_p", 7),
        ("stop", [1]),
        ("model_kwargs", {"tempreature": 1}),
        ("timeout", -1),
        ("max_batch_size", 0),
        ("policy", None),
        ("policy", 7),
        ("policy", "no-such-policy"),
        ("picture_limits", {"max_pixels": 3}),
    ],
)
@pytest.mark.parametrize("way", ["assign", "copy"])
def test_what_cannot_be_honoured_raises_and_changes_nothing(
    shared: SafeCoDe, name: str, value: Any, way: str
) -> None:
    chat = ChatSafeCoDe(engine=shared, policy=BLOCKING, max_tokens=2)
    before = dict(chat.__dict__)
    change: Any = partial(setattr, chat, name, value)
    if way == "copy":
        change = partial(chat.model_copy, update={name: value})
    with pytest.raises(GuardrailError):
        change()
    assert chat.__dict__ == before
    assert name_of(chat.invoke(ask())) == "blocking"


def test_other_changes_are_honoured() -> None:
    scripted = ScriptedEngine()
    chat = ChatSafeCoDe(engine=scripted)
    chat.mode, chat.temperature, chat.stop = "shadow", 0.5, ["x"]
    chat.picture_limits = PictureLimits(local_files=False)
    chat.invoke("hi")
    [(settings, _, mode)] = scripted.seen
    assert (settings.temperature, settings.stop, mode) == (0.5, ("x",), "shadow")
    with pytest.raises(GuardrailError):
        chat.invoke([HumanMessage([{"type": "image", "url": "cliff.png"}])])
    with pytest.raises(ValueError, match="no field"):
        chat.polcy = "strict"  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match="polcy"):
        chat.model_copy(update={"polcy": "strict"})


def test_the_engines_policy_cannot_be_assigned(shared: SafeCoDe) -> None:
    with pytest.raises(AttributeError):
        shared.policy = BLOCKING  # type: ignore[misc]


# Copying -----------------------------------------------------------------------------------------


def test_a_deep_copy_shares_the_engine_and_nothing_else(shared: SafeCoDe) -> None:
    chat = ChatSafeCoDe(engine=shared, policy=BLOCKING, max_tokens=2, stop=["a"], tags=["t"])
    for copied in (copy.deepcopy(chat), chat.model_copy(deep=True)):
        assert copied.engine is shared
        assert copied.invoke(ask()).content == chat.invoke(ask()).content
        assert name_of(copied.invoke(ask())) == "blocking"
        copied.stop.append("b")
        copied.policy = "strict"
        copied.temperature = 0.5
        assert (chat.stop, chat.policy, chat.temperature) == (["a"], BLOCKING, None)
        assert name_of(chat.invoke(ask())) == "blocking"


def test_what_holds_a_chat_model_can_be_copied(shared: SafeCoDe) -> None:
    chat = ChatSafeCoDe(engine=shared, max_tokens=2)
    bound = copy.deepcopy(chat.bind(max_tokens=1))
    assert bound.bound.engine is shared
    assert copy.deepcopy({"model": chat, "engine": shared})["engine"] is shared
    assert copy.copy(shared) is shared
    assert copy.deepcopy(GuardrailMiddleware(chat))._agent_guard._guard is shared
    held = ChatSafeCoDe(engine=shared, model_kwargs={"logits_processor": [object()]})
    assert copy.deepcopy(held).engine is shared


# Pickling ----------------------------------------------------------------------------------------


def test_one_built_by_name_is_built_again(tmp_path: Path) -> None:
    save("llava", tmp_path / "tiny")
    chat = ChatSafeCoDe.from_pretrained(
        tmp_path / "tiny", policy=BLOCKING, temperature=0, max_tokens=3, dtype="float32"
    )
    for used in (False, True):
        if used:
            chat.invoke(ask())
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(chat, protocol))
        assert again.asdict() == chat.asdict()
        assert again.load_kwargs == {"dtype": "float32"}
        assert again.invoke(ask()).content == chat.invoke(ask()).content
    chat.policy = "strict"
    assert name_of(pickle.loads(pickle.dumps(chat)).invoke(ask())) == "strict"
    bound = pickle.loads(pickle.dumps(chat.bind(max_tokens=1)))
    assert isinstance(bound, RunnableBinding)
    assert bound.kwargs == {"max_tokens": 1}
    assert bound.invoke(ask()).content == chat.bind(max_tokens=1).invoke(ask()).content


def test_one_that_no_name_can_rebuild_is_one_clear_error(shared: SafeCoDe) -> None:
    for chat in (
        ChatSafeCoDe(engine=shared),
        ChatSafeCoDe(engine=shared, model="m", judge=judge),
        ChatSafeCoDe(engine=shared, model="m", load_kwargs={"token": "canary"}),
        ChatSafeCoDe(engine=shared, model="m", picture_limits=PictureLimits(local_files=False)),
    ):
        with pytest.raises(ModelError, match="cannot be pickled") as caught:
            pickle.dumps(chat)
        assert "canary" not in str(caught.value)
    for guard in (shared, Guard(judge=judge)):
        with pytest.raises(ModelError, match="cannot be pickled"):
            pickle.dumps(guard)


def test_a_policy_that_is_gone_is_an_error_of_the_policy(shared: SafeCoDe, tmp_path: Path) -> None:
    chat = ChatSafeCoDe(engine=shared)
    with pytest.raises(PolicyError):
        chat.policy = tmp_path / "gone.yaml"
