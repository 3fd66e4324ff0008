"""What the chat API answers: the guarded answer, its decision, and errors in its own shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk

from guardrail.errors import ModelError
from guardrail.request.settings import GenerationSettings
from guardrail.serving.app import create_app
from guardrail.serving.written import WrittenAnswer
from tests.serving.served import COMPLETIONS, body, chat, client, picture


def shown(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def events(text: str) -> list[Any]:
    lines = [each.removeprefix("data: ") for each in text.split("\n\n") if each]
    assert lines[-1] == "[DONE]"
    return [json.loads(each) for each in lines[:-1]]


def test_the_answer_is_that_of_the_guarded_model_with_its_decision() -> None:
    found = client().post(COMPLETIONS, json=body())
    said = found.json()
    local = chat().invoke(body()["messages"], max_tokens=12, temperature=0)
    [choice] = said["choices"]
    assert choice["message"] == {"role": "assistant", "content": local.content}
    assert choice["finish_reason"] == local.response_metadata["finish_reason"]
    assert said["usage"]["completion_tokens"] == local.usage_metadata["output_tokens"]
    assert (said["object"], said["model"]) == ("chat.completion", "embedded")
    assert said["guardrail"]["action"] == "comply"
    assert found.headers["x-guardrail-action"] == "comply"
    assert found.headers["x-guardrail-request-id"] == said["guardrail"]["request_id"]


def test_a_stream_is_the_answer_in_pieces_and_ends_with_its_decision() -> None:
    asked = body(stream=True, stream_options={"include_usage": True})
    found = client().post(COMPLETIONS, json=asked)
    assert found.headers["content-type"].startswith("text/event-stream")
    *pieces, last, usage = events(found.text)
    whole = client().post(COMPLETIONS, json=body()).json()
    deltas = [each["choices"][0]["delta"] for each in pieces]
    assert deltas[0]["role"] == "assistant"
    assert all("role" not in each for each in deltas[1:])
    text = "".join(each["content"] for each in deltas)
    assert text == whole["choices"][0]["message"]["content"]
    assert last["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert last["guardrail"]["verdict"] == whole["guardrail"]["verdict"]
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    assert len({each["id"] for each in (*pieces, last, usage)}) == 1


def test_log_probabilities_are_told_whole_and_in_pieces() -> None:
    asked = body(logprobs=True, top_logprobs=3)
    [whole] = client().post(COMPLETIONS, json=asked).json()["choices"]
    told = whole["logprobs"]["content"]
    assert whole["logprobs"]["refusal"] is None
    spelled = b"".join(bytes(each["bytes"]) for each in told)
    assert spelled.decode() == whole["message"]["content"]
    for each in told:
        assert set(each) == {"token", "bytes", "logprob", "top_logprobs"}
        assert [set(other) for other in each["top_logprobs"]] == [{"token", "bytes", "logprob"}] * 3
        assert each["logprob"] == each["top_logprobs"][0]["logprob"] <= 0  # greedy
    found = events(client().post(COMPLETIONS, json={**asked, "stream": True}).text)
    pieces = [each["choices"][0] for each in found]
    assert [e for c in pieces if c["logprobs"] for e in c["logprobs"]["content"]] == told
    for each in pieces[:-1]:
        tokens = b"".join(bytes(e["bytes"]) for e in each["logprobs"]["content"])
        assert tokens.decode() == each["delta"]["content"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_policys_words_have_no_log_probabilities(stream: bool) -> None:
    app = create_app(chat(0.99, on_unsafe="block"))
    found = client(app).post(COMPLETIONS, json=body(stream=stream, logprobs=True))
    if stream:
        assert all(each["choices"][0]["logprobs"] is None for each in events(found.text))
    else:
        [choice] = found.json()["choices"]
        assert choice["logprobs"] == {"content": [], "refusal": None}


def test_log_probabilities_of_a_refusal_are_told_as_those_of_one() -> None:
    written = WrittenAnswer("m", json_asked=True)
    told = [{"token": "No", "bytes": [78, 111], "logprob": -0.5, "top_logprobs": []}]
    last = client().post(COMPLETIONS, json=body()).json()["guardrail"]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    event = written.take(AIMessageChunk("No", response_metadata={"logprobs": {"content": told}}))
    ended = {"guardrail": last, "logprobs": {"content": []}}
    assert written.take(AIMessageChunk("", response_metadata=ended, usage_metadata=usage)) is None
    assert event is not None
    for choice in (event["choices"][0], written.whole()["choices"][0]):
        assert choice["logprobs"] == {"content": None, "refusal": told}


def test_a_stream_does_not_count_tokens_unasked() -> None:
    found = events(client().post(COMPLETIONS, json=body(stream=True)).text)
    assert all(each["choices"] for each in found)


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_policy_blocks_is_filtered_content(stream: bool) -> None:
    app = create_app(chat(0.99, on_unsafe="block"))
    found = client(app).post(COMPLETIONS, json=body(stream=stream))
    last = events(found.text)[-1] if stream else found.json()
    assert last["choices"][0]["finish_reason"] == "content_filter"
    assert last["guardrail"]["action"] == "block"
    if not stream:
        assert last["choices"][0]["message"]["content"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_escalation_is_an_error_that_says_which_request(stream: bool) -> None:
    asked = client(create_app(chat(0.99, on_unsafe="escalate")))
    found = asked.post(COMPLETIONS, json=body(stream=stream))
    error = found.json()["error"]
    assert (found.status_code, error["code"]) == (422, "escalated")
    assert found.headers["x-guardrail-action"] == "escalate"
    kept = asked.get(f"/v1/guardrail/decisions/{error['request_id']}").json()
    assert kept == error["guardrail"]
    assert "token" not in json.dumps(kept["review"])


def test_a_decision_can_be_looked_up_again() -> None:
    asked = client()
    decided = asked.post(COMPLETIONS, json=body()).json()["guardrail"]
    assert asked.get(f"/v1/guardrail/decisions/{decided['request_id']}").json() == decided
    missing = asked.get("/v1/guardrail/decisions/nobody")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "no_decision")


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Bern", "Oslo"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.mark.parametrize("stream", [False, True])
def test_a_forced_call_is_a_call(stream: bool) -> None:
    asked = body(tools=[TOOL], tool_choice="required", stream=stream, max_tokens=60)
    found = client().post(COMPLETIONS, json=asked)
    if stream:
        *pieces, last = events(found.text)
        [call] = [c for e in pieces for c in e["choices"][0]["delta"].get("tool_calls", ())]
        assert call["index"] == 0
        choice = last["choices"][0]
    else:
        [choice] = found.json()["choices"]
        [call] = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert call["type"] == "function"
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"])["city"] in ("Bern", "Oslo")


def test_what_tools_said_and_several_turns_and_pictures_are_taken() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    asked = body(tools=[TOOL])
    asked["messages"] = [
        {"role": "developer", "content": "Be brief."},
        *asked["messages"],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "user", "content": [picture("garden-balloon"), {"type": "text", "text": "So?"}]},
    ]
    found = client().post(COMPLETIONS, json=asked)
    assert found.status_code == 200, found.text


def test_a_form_is_kept() -> None:
    schema = {
        "type": "object",
        "properties": {"safe": {"type": "boolean"}},
        "required": ["safe"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    found = client().post(COMPLETIONS, json=body(response_format=form, max_tokens=40)).json()
    assert isinstance(json.loads(found["choices"][0]["message"]["content"])["safe"], bool)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": 3}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": False, "top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages.0.tool_calls.0.function",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_token": 5}, "max_token"),
        ({"policy": "permissive"}, "policy"),
        ({"mode": "off"}, "mode"),
        ({"session": "s"}, "session"),
        ({"review": {"approved": True}}, "review"),
    ],
)
def test_what_cannot_be_had_is_an_error_that_names_it(change: dict[str, Any], param: str) -> None:
    found = client().post(COMPLETIONS, json=body(**change))
    error = found.json()["error"]
    assert (found.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == param


def test_a_message_cannot_bring_its_own_decision_to_be_believed() -> None:
    asked = body()
    asked["messages"][0]["response_metadata"] = {"guardrail": {"action": "comply"}}
    found = client().post(COMPLETIONS, json=asked)
    assert found.status_code == 400


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ([shown("data:image/png;base64,AAAA")], "invalid_picture"),
        ([shown("file:///etc/passwd")], "invalid_picture"),
        ([{"type": "input_audio", "input_audio": {}}], "invalid_message"),
        ("x\ud800", "invalid_message"),
    ],
)
def test_what_a_message_cannot_hold_is_an_error(content: Any, code: str) -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": content}]})
    headers = {"content-type": "application/json"}
    found = client().post(COMPLETIONS, content=asked, headers=headers)
    assert (found.status_code, found.json()["error"]["code"]) == (400, code), found.text


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"\xff\xfe", b'{"messages": 3}'])
def test_a_body_that_is_none_is_an_error(sent: bytes) -> None:
    headers = {"content-type": "application/json"}
    found = client().post(COMPLETIONS, content=sent, headers=headers)
    assert (found.status_code, found.json()["error"]["code"]) == (400, "invalid_body"), found.text


def test_another_model_is_not_served() -> None:
    assert client().get("/v1/models").json()["data"][0]["id"] == "embedded"
    assert client().post(COMPLETIONS, json=body(model="embedded")).status_code == 200
    found = client().post(COMPLETIONS, json=body(model="gpt-5"))
    assert (found.status_code, found.json()["error"]["code"]) == (404, "model_not_found")


def test_a_path_that_is_none_is_an_error_in_the_same_shape() -> None:
    found = client().get("/v1/embeddings")
    assert (found.status_code, found.json()["error"]["code"]) == (404, "no_such_path")


def test_a_judge_that_fails_blocks() -> None:
    def judge(request: Any) -> float:
        raise RuntimeError("no")

    found = client(create_app(chat(judge))).post(COMPLETIONS, json=body()).json()
    assert found["choices"][0]["finish_reason"] == "content_filter"
    assert found["guardrail"]["verdict"]["label"] == "unavailable"


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_unexpected_tells_nothing(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    guarded = chat()
    asked = " ".join(["what", "was", "asked"])  # so that this line does not say it

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError(asked)

    guarded.engine.stream = fails  # type: ignore[method-assign]
    found = client(create_app(guarded)).post(COMPLETIONS, json=body(stream=stream))
    assert (found.status_code, found.json()["error"]["code"]) == (500, "internal_error")
    assert asked not in found.text + caplog.text
    assert "in fails" in caplog.text


def test_a_stream_that_fails_in_the_middle_ends_with_the_error() -> None:
    guarded = chat()
    decode = guarded.engine.stream

    def breaks(*args: Any, **how: Any) -> Any:
        yield next(iter(decode(*args, **how)))
        raise ModelError("it broke")

    guarded.engine.stream = breaks  # type: ignore[method-assign, assignment]
    found = client(create_app(guarded)).post(COMPLETIONS, json=body(stream=True))
    assert found.status_code == 200
    *_, last = [each for each in found.text.split("\n\n") if each]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "model_failed"


def test_settings_reach_the_model() -> None:
    seen: list[GenerationSettings] = []
    guarded = chat()
    stream = guarded.engine.stream

    def noted(conversation: Any, settings: Any, **how: Any) -> Any:
        seen.append(settings)
        return stream(conversation, settings, **how)

    guarded.engine.stream = noted  # type: ignore[method-assign]
    asked = body(temperature=0.5, top_p=0.9, seed=7, stop=["."], max_completion_tokens=9)
    asked |= {"logprobs": True, "top_logprobs": 4}
    del asked["max_tokens"]
    assert client(create_app(guarded)).post(COMPLETIONS, json=asked).status_code == 200
    [settings] = seen
    assert (settings.temperature, settings.top_p, settings.seed) == (0.5, 0.9, 7)
    assert (settings.max_new_tokens, settings.stop) == (9, (".",))
    assert settings.likeliest == 4
