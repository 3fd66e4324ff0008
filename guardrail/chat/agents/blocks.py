"""A message's blocks as a provider is sent them, in text and pictures that a judge can be shown.

What LangChain normalises loses some of what a provider reads (a document's title, what a citation
quotes, the results of tools that the provider runs), so this starts from the blocks as they stand.

INVARIANT: whatever a block holds is told, or the block raises: it is never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from guardrail.chat.asides import asides, in_words
from guardrail.errors import MessageError

Block = dict[str, Any]

_TEXTS = ("text", "text-plain", "input_text", "output_text")
_PICTURES = ("image", "image_url", "input_image")
_MEDIA = ("audio", "input_audio", "video", "file", "input_file", "media", "container_upload")
_CARRIERS = ("base64", "url", "image_url", "source", "data", "file_id", "image", "path")
_OPAQUE = re.compile(
    "base64|b64_json|data|file_data|file_id|file_ids|container_id|encrypted_.*|.*_encrypted",
)
_FETCHED = ("url", "uri", "file_uri", "file_url", "fileUri", "image_url")
_SIGNATURES = ("signature", "thought_signature", "thoughtSignature")
_BLOB = re.compile(r"[A-Za-z0-9+/_=-]{256,}")
_TRAFFIC = re.compile("(.*_)?(call|tool_call_chunk|tool_use|result|call_output|tools|citation)")
_MODELS_OWN = ("reasoning", "thinking", "executable_code", "code_execution_result")


def text_block(words: str) -> Block:
    """Returns text as a block."""
    return {"type": "text", "text": words}


def told_block(block: str | Mapping[str, Any], place: str) -> Iterator[Block]:
    """Yields what a judge is told of a block: texts, and pictures as they stand.

    Args:
        block: As the message holds it.
        place: Where it stands, for errors.

    Raises:
        MessageError: It holds what a judge cannot be shown.
    """
    if isinstance(block, str):
        yield text_block(block)
        return
    kind, value = block.get("type"), block.get("value")
    if kind == "non_standard" and isinstance(value, Mapping):
        yield from told_block(value, place)
        yield from _beside(block, place, "value")
    elif kind in _TEXTS and isinstance(block.get("text"), str):
        yield text_block(block["text"])
        yield from _beside(block, place, "text")
    elif kind in _PICTURES or (kind == "file" and _is_picture(block)):
        yield from _picture(block, place)
    elif kind == "image_generation_call" and isinstance(block.get("result"), str):
        yield {"type": "image", "base64": block["result"], "mime_type": "image/png"}
        yield from _beside(block, place, "result")
    elif kind == "document":
        yield from _document(block, place)
    elif not isinstance(kind, str) or kind in _MEDIA or kind in _TEXTS:
        yield from _unshown(block, place)
    else:
        traffic = _TRAFFIC.fullmatch(kind) is not None or kind in _MODELS_OWN
        check_shown(block, place, fetched=not traffic)
        yield text_block(in_words(dict(block)))


def check_shown(value: Any, place: str, *, fetched: bool = False) -> None:
    """Looks for what no judge can be shown: data that is no text, encrypted or kept elsewhere.

    Args:
        value: A block, or anything within.
        place: Where it stands, for errors.
        fetched: Whether the provider may fetch what an address in it names.

    Raises:
        MessageError: There is some.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _SIGNATURES and isinstance(inner, str):
                continue  # of the provider's own words; told, whatever its length
            hidden = isinstance(key, str) and _OPAQUE.fullmatch(key) is not None
            if inner and (hidden or (fetched and key in _FETCHED)):
                raise _hidden(place)
            check_shown(inner, place, fetched=fetched)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            check_shown(inner, place, fetched=fetched)
    elif isinstance(value, bytes | bytearray | memoryview) or _is_data(value):
        raise _hidden(place)


def _is_data(value: Any) -> bool:
    return isinstance(value, str) and (
        value[:5].lower() == "data:" or _BLOB.search(value) is not None
    )


def _hidden(place: str) -> MessageError:
    return MessageError(
        f"{place}: it holds data that the model would read and the judge cannot be shown: "
        "give text and pictures only"
    )


def _beside(block: Mapping[str, Any], place: str, *without: str) -> Iterator[Block]:
    held = {key: value for key, value in block.items() if key not in without}
    check_shown(held, place)
    for line in asides(held):
        yield text_block(line)


def _picture(block: Mapping[str, Any], place: str) -> Iterator[Block]:
    carriers = [key for key in _CARRIERS if block.get(key)]
    for key in carriers:
        inner = block[key]
        if isinstance(inner, Mapping):
            carriers += [f"{key}.{each}" for each in ("data", "url", "file_id") if inner.get(each)]
            carriers.remove(key)
    if len(carriers) > 1:
        raise MessageError(f"{place}: it holds its picture more than once: give it once")
    yield dict(block)
    for key in _CARRIERS:
        if isinstance(block.get(key), Mapping):
            yield from _beside(block[key], place, "data", "url", "file_id")
    yield from _beside(block, place, *_CARRIERS)


def _document(block: Mapping[str, Any], place: str) -> Iterator[Block]:
    source = block.get("source")
    held: Mapping[str, Any] = source if isinstance(source, Mapping) else {}
    if held.get("type") == "text" and isinstance(held.get("data"), str):
        yield text_block(held["data"])
        yield from _beside(held, place, "data")
    elif held.get("type") == "content" and isinstance(held.get("content"), str | list):
        content = held["content"]
        for inner in [content] if isinstance(content, str) else content:
            yield from told_block(inner, place)
        yield from _beside(held, place, "content")
    else:
        yield from _unshown(block, place)
        return
    yield from _beside(block, place, "source")


def _unshown(block: Mapping[str, Any], place: str) -> Iterator[Block]:
    """Refuses what cannot be shown, or cannot be told apart from it."""
    kind = block.get("type")
    of_type = f"content of type {kind!r}" if isinstance(kind, str) else "content without a type"
    raise MessageError(f"{place}: {of_type} cannot be shown to a judge: give text and pictures")
    yield  # a generator, like its siblings


def _is_picture(block: Mapping[str, Any]) -> bool:
    return str(block.get("mime_type", "")).lower().startswith("image/")
