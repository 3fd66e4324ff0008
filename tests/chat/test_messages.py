from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from PIL import Image

from guardrail.chat.messages import to_conversation, with_media_types
from guardrail.errors import MessageError, PictureError
from guardrail.request.conversation import Picture
from guardrail.request.pictures import PictureLimits

_buffer = io.BytesIO()
Image.new("RGB", (6, 4), "teal").save(_buffer, "PNG")
PNG = _buffer.getvalue()
DATA = base64.b64encode(PNG).decode()
URI = f"data:image/png;base64,{DATA}"
DIGEST = hashlib.sha256(PNG).hexdigest()


def parts(*messages: BaseMessage) -> list[Any]:
    conversation = to_conversation(list(messages))
    return [
        part.digest if isinstance(part, Picture) else part
        for turn in conversation.turns
        for part in turn.parts
    ]


def human(*blocks: Any) -> HumanMessage:
    return HumanMessage(content=list(blocks))


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": URI}},
        {"type": "image_url", "image_url": {"url": URI, "detail": "low"}},
        {"type": "image_url", "image_url": URI},
        {"type": "input_image", "image_url": URI},
        {"type": "image", "base64": DATA, "mime_type": "image/png"},
        {"type": "image", "url": URI},
        {"type": "image", "source_type": "base64", "data": DATA, "mime_type": "image/png"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": DATA},
        },
        {"type": "file", "base64": DATA, "mime_type": "image/png"},
        {"type": "file", "file": {"file_data": URI, "filename": "a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "image/png", "data": DATA},
        },
        {"image": {"format": "png", "source": {"bytes": PNG}}},
    ],
    ids=lambda block: str(block)[:60],
)
def test_every_picture_form_gives_the_same_picture(block: dict[str, Any]) -> None:
    assert parts(human({"type": "text", "text": "what?"}, block)) == ["what?", DIGEST]


def test_file_urls_and_paths(tmp_path: Path) -> None:
    path = tmp_path / "a b.png"
    path.write_bytes(PNG)
    for url in (path.as_uri(), str(path)):
        assert parts(human({"type": "image_url", "image_url": {"url": url}})) == [DIGEST]
        assert parts(human({"type": "image", "url": url})) == [DIGEST]


def test_order_of_text_and_pictures_is_kept() -> None:
    image = {"type": "image", "base64": DATA, "mime_type": "image/png"}
    assert parts(human("a", image, {"type": "text", "text": "b"}, image)) == [
        "a",
        DIGEST,
        "b",
        DIGEST,
    ]


@pytest.mark.parametrize(
    ("block", "named"),
    [
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}, "'audio' (audio/wav)"),
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}, "'audio'"),
        ({"type": "video", "url": "file:///x.mp4"}, "'video'"),
        ({"type": "file", "base64": "JVBERi0x", "mime_type": "application/pdf"}, "application/pdf"),
        ({"type": "file", "file": {"file_id": "f1"}}, "'file'"),
        ({"type": "image", "file_id": "f1"}, "uploaded file"),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "uploaded file"),
        ({"type": "image"}, "no picture"),
        ({"type": "image_url", "image_url": {"detail": "low"}}, "no picture"),
        ({"type": "text"}, "no text"),
        ({"type": "text-plain", "url": "https://x/y"}, "an address"),
        ({"type": "hologram", "data": 1}, "'hologram'"),
        ({"data": 1}, "without a type"),
        ({"type": "reasoning", "reasoning": "hm"}, "'reasoning'"),
        ({"type": "tool_result", "tool_use_id": "1", "content": "x"}, "'tool_result'"),
        ({"type": "server_tool_call", "id": "1", "name": "s", "args": {}}, "'server_tool_call'"),
        ({"type": "tool_use", "id": "1", "name": "f", "input": {}}, "only an AI message"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_passed_on_raises(block: dict[str, Any], named: str) -> None:
    with pytest.raises(MessageError) as caught:
        to_conversation([SystemMessage("s"), human("hello", block)])
    assert named in str(caught.value)
    assert str(caught.value).startswith("message 1 (human), block 1: ")


def test_picture_errors_say_where() -> None:
    bad = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
    with pytest.raises(PictureError, match=r"^message 1 \(human\), block 1: its base64 data"):
        to_conversation([SystemMessage("s"), human("hello", bad)])
    with pytest.raises(PictureError, match="example"):
        to_conversation([human({"type": "image", "url": "https://example.org/x.png"})])


def test_picture_limits_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    message = human({"type": "image", "url": str(tmp_path / "a.png")})
    with pytest.raises(PictureError, match="may not be read here"):
        to_conversation([message], limits=PictureLimits(local_files=False))


def test_roles() -> None:
    conversation = to_conversation(
        [
            SystemMessage("be brief"),
            HumanMessage("hi"),
            AIMessage("", tool_calls=[{"name": "look", "args": {"x": 1}, "id": "1"}]),
            ToolMessage("seen", tool_call_id="1"),
            AIMessage("done"),
            ChatMessage("again", role="user"),
        ]
    )
    roles = ["system", "user", "assistant", "tool", "assistant", "user"]
    assert [turn.role for turn in conversation.turns] == roles
    assert conversation.turns[2].tool_calls == ({"name": "look", "arguments": {"x": 1}},)


def test_neighbours_of_one_role_become_one_turn_but_tool_results_stay_apart() -> None:
    calls = [{"name": "look", "args": {"at": n}, "id": str(n)} for n in range(2)]
    conversation = to_conversation(
        [
            HumanMessage("a"),
            HumanMessage("b"),
            AIMessage("c", tool_calls=calls),
            ToolMessage("0", tool_call_id="0"),
            ToolMessage("1", tool_call_id="1"),
            AIMessage("d"),
            AIMessage("e"),
        ]
    )
    assert [(turn.role, turn.parts) for turn in conversation.turns] == [
        ("user", ("a", "b")),
        ("assistant", ("c",)),
        ("tool", ("0",)),
        ("tool", ("1",)),
        ("assistant", ("d", "e")),
    ]
    assert len(conversation.turns[1].tool_calls) == 2


def test_tool_messages_may_hold_pictures() -> None:
    image = {"type": "image", "base64": DATA, "mime_type": "image/png"}
    conversation = to_conversation(
        [
            HumanMessage("go"),
            AIMessage("", tool_calls=[{"name": "screenshot", "args": {}, "id": "1"}]),
            ToolMessage([{"type": "text", "text": "here"}, image], tool_call_id="1"),
        ]
    )
    assert conversation.turns[2].role == "tool"
    assert [picture.digest for picture in conversation.pictures] == [DIGEST]


def test_tool_calls_in_every_form_are_counted_once() -> None:
    call = {"name": "look", "args": {"x": 1}, "id": "1", "type": "tool_call"}
    use = {"type": "tool_use", "id": "1", "name": "look", "input": {"x": 1}}
    chunk = {"name": "look", "args": '{"x": 1}', "id": "1", "index": 0, "type": "tool_call_chunk"}
    messages = [
        AIMessage("a", tool_calls=[call]),
        AIMessage([{"type": "text", "text": "a"}, use], tool_calls=[call]),
        AIMessage([{"type": "text", "text": "a"}, use]),
        AIMessage([{"type": "text", "text": "a"}, call]),
        AIMessage(content_blocks=[{"type": "text", "text": "a"}, call]),
        AIMessageChunk("a", tool_call_chunks=[chunk]),
        AIMessage(
            "a",
            additional_kwargs={
                "tool_calls": [
                    {
                        "id": "1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"x": 1}'},
                    }
                ]
            },
        ),
    ]
    for message in messages:
        turn = to_conversation([HumanMessage("q"), message]).turns[1]
        assert turn.parts == ("a",)
        assert turn.tool_calls == ({"name": "look", "arguments": {"x": 1}},)


def test_calls_without_ids_are_all_kept() -> None:
    calls = [{"name": "look", "args": {"at": n}, "id": None} for n in range(3)]
    turn = to_conversation([AIMessage("", tool_calls=calls)]).turns[0]
    assert [call["arguments"]["at"] for call in turn.tool_calls] == [0, 1, 2]


def test_calls_that_share_an_id_are_all_kept() -> None:
    calls = [{"name": name, "args": {}, "id": "1"} for name in ("look", "touch")]
    turn = to_conversation([AIMessage("", tool_calls=calls)]).turns[0]
    assert [call["name"] for call in turn.tool_calls] == ["look", "touch"]


def test_a_call_without_an_id_in_both_places_is_one_call() -> None:
    call: Any = {"type": "tool_call", "name": "look", "args": {"at": 1}, "id": None}
    turn = to_conversation([AIMessage(content_blocks=[call])]).turns[0]
    assert len(turn.tool_calls) == 1


def test_an_invalid_tool_call_is_what_the_model_wrote() -> None:
    bad = {
        "name": "f",
        "args": "<tool_call>{",
        "id": "1",
        "error": "e",
        "type": "invalid_tool_call",
    }
    [turn] = to_conversation([AIMessage("x", invalid_tool_calls=[bad])]).turns
    assert turn.parts == ("x", "<tool_call>{")
    assert turn.tool_calls == ()


def test_what_is_lost_of_a_tool_call_raises() -> None:
    bad = {"name": "f", "args": None, "id": "1", "error": "e", "type": "invalid_tool_call"}
    with pytest.raises(MessageError, match="message 0"):
        to_conversation([AIMessage("x", invalid_tool_calls=[bad])])


def test_calls_and_their_results_keep_their_ids() -> None:
    calls = [{"name": name, "args": {}, "id": name} for name in "fg"]
    talk = [AIMessage("", tool_calls=calls), ToolMessage("of g", tool_call_id="g")]
    asked, answered = to_conversation(talk).turns
    assert (asked.call_ids, answered.call_ids) == (("f", "g"), ("g",))


@pytest.mark.parametrize(
    "message",
    [
        FunctionMessage("x", name="f"),
        RemoveMessage("1"),
        ChatMessage("x", role="narrator"),
    ],
)
def test_unknown_kinds_of_message_raise(message: BaseMessage) -> None:
    with pytest.raises(MessageError, match="message 0"):
        to_conversation([message])


def test_an_empty_conversation_raises() -> None:
    for messages in ([], [HumanMessage("")]):
        with pytest.raises(MessageError, match="empty"):
            to_conversation(messages)


def test_messages_are_not_changed() -> None:
    message = human("a", {"type": "image", "base64": DATA, "mime_type": "image/png"})
    before = message.model_dump()
    to_conversation([message, HumanMessage("b")])
    assert message.model_dump() == before


def test_tools_are_passed_on() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    assert to_conversation([HumanMessage("a")], tools=[tool]).tools == (tool,)
    with pytest.raises(MessageError, match="tool 0 is"):
        to_conversation([HumanMessage("a")], tools=[{"name": "f"}])


def test_an_earlier_answers_reasoning_is_left_out() -> None:
    answer = AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, "Hello."])
    [turn] = to_conversation([answer]).turns
    assert turn.parts == ("Hello.",)
    with pytest.raises(MessageError, match="thinking"):
        to_conversation([HumanMessage([{"type": "thinking", "thinking": "hm"}])])


def test_pictures_reach_the_loader_in_whichever_form_they_come(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    text = base64.b64encode(PNG).decode()
    blocks: list[dict[str, Any]] = [
        {"type": "image", "image": Image.open(path)},
        {"type": "image", "image": np.zeros((8, 8, 3), np.uint8)},
        {"type": "image", "path": str(path)},
        {"type": "image", "url": path},
        {"type": "image", "base64": text},
        {"type": "image", "source_type": "base64", "data": text, "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": f" data:image/png;base64,{text}"}},
        {"type": "image_url", "image_url": text},
        {"type": "input_image", "image_url": f"data:image/png;base64,{text}"},
    ]
    for block in blocks:
        assert len(to_conversation([human("hello", block)]).pictures) == 1, block["type"]
    with pytest.raises(PictureError, match=r"^message 0 \(human\), block 1: its 'url' is empty"):
        to_conversation([human("hello", {"type": "image_url", "image_url": {"url": ""}})])


def test_pictures_without_a_media_type_get_past_langchains_tracing() -> None:
    block = {"type": "image", "base64": "AAAA"}
    (message,) = with_media_types([human("hello", block)])
    assert message.content[1] == {**block, "mime_type": "image/*"}
    assert "mime_type" not in block


DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "the text"},
}


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (human({**DOCUMENT, "title": "T"}), ["the text", "title: T"]),
        (human({**DOCUMENT, "context": "C"}), ["the text", "context: C"]),
        (human({"type": "text-plain", "text": "x", "title": "T"}), ["x", "title: T"]),
        (
            human({"type": "text", "text": "x", "citations": [{"title": "T"}]}),
            ["x", 'citations: [{"title": "T"}]'],
        ),
        (AIMessage([{"type": "refusal", "refusal": "I won't."}]), ["I won't."]),
        (AIMessage("", additional_kwargs={"refusal": "I won't."}), ["I won't."]),
        (human({"type": "text", "text": "x", "annotations": [], "index": 0}), ["x"]),
    ],
)
def test_what_a_text_rests_on_is_text_as_well(message: BaseMessage, kept: list[str]) -> None:
    assert parts(message) == kept


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "name": "web_search", "input": {"query": "x"}, "id": "1"},
        {"type": "web_search_tool_result", "tool_use_id": "1", "content": [{"title": "x"}]},
        {"type": "code_interpreter_call", "id": "1", "code": "x"},
        {"type": "from the future", "x": "x"},
        {**DOCUMENT, "source": {"type": "content", "content": "x"}},
    ],
)
@pytest.mark.parametrize("provider", ["anthropic", "openai", None])
def test_what_a_providers_own_tools_did_is_never_dropped(block: Any, provider: Any) -> None:
    metadata = {"model_provider": provider} if provider else {}
    with pytest.raises(MessageError, match="message 0"):
        to_conversation([AIMessage([block, "so"], response_metadata=metadata)])


def test_sound_beside_an_answer_raises() -> None:
    with pytest.raises(MessageError, match="sound"):
        to_conversation([AIMessage("x", additional_kwargs={"audio": {"id": "1"}})])


def test_a_speakers_name_reaches_neither_judge_nor_model() -> None:
    assert to_conversation([HumanMessage("x", name="N")]) == to_conversation([HumanMessage("x")])
