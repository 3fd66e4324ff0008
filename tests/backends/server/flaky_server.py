"""A server in a process of its own that answers fast, by rule, and often wrongly.

It holds no model: what is tested against it is what becomes of answers that are late, torn or
nonsense, many at a time. It says yes to every question about a request that holds `DANGER`, and
would go on to answer all of them.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

DANGER = "a dangerous thing"
ANSWER = ("Sure", ",", " take", " this", " and", " that", ".")
REFUSAL = ("Sorry", ",", " I", " can", "'t", " help", " with", " that", ".")
FAULTS = ("reset", "stall", "garbage")
SHARE = 0.05
"""Of each fault, among requests."""

_END = "<|im_end|>"
_GARBAGE = (
    b"",
    b"<html>busy</html>",
    b'{"choices": [{"logprobs": {"content": [{"token": "Yes", "logprob": NaN}]}}]}',
    b'{"choices": [{"message": {"content": null}, "logprobs": null}]}',
    b'{"choices": [], "usage": {}}',
    b"[" * 5000,
    b'{"error": {"message": "\\ud800"}}',
    b'{"choices": [{"delta": 3, "finish_reason": "poem", "logprobs": {"content": [3]}}]}',
)


def steps(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns what is told of an answer's tokens."""
    *before, last = body["messages"]
    begun = last["content"] if last["role"] == "assistant" else ""
    text = json.dumps(before if begun else body["messages"])
    if "yes or no" in text:
        yes = 0.99 if DANGER in text else 0.01
        return [_told({"Yes": yes, "No": 0.999 - yes})]
    words = REFUSAL if begun.startswith("Sorry") else ANSWER
    said, left = "", []
    for word in (*words, _END):
        if len(said) >= len(begun):
            left.append(_told({word: 0.9, "Sorry": 0.01, "I": 0.01, " the": 0.005, "x": 0.001}))
        said += word
    return left[: body["max_tokens"]]


def _told(p: dict[str, float]) -> dict[str, Any]:
    from math import log

    entries = [
        {"token": each, "bytes": [*each.encode()], "logprob": log(value)}
        for each, value in sorted(p.items(), key=lambda item: -item[1])
    ]
    return {**entries[0], "top_logprobs": entries}


def answered(body: dict[str, Any]) -> tuple[bytes, str]:
    """Returns an answer, and its type."""
    told = steps(body)
    ended = told[-1]["token"] == _END
    words = ["" if each["token"] == _END else each["token"] for each in told]
    reason = "stop" if ended else "length"
    count = 10 + (body["messages"][-1]["role"] == "assistant")
    usage = {"prompt_tokens": count, "completion_tokens": len(told)}
    if body.get("stream"):
        shown = [{"content": [each]} if body.get("logprobs") else None for each in told]
        events: list[Any] = [
            {"choices": [{"delta": {"content": each}, "logprobs": log_p}], "usage": usage}
            for each, log_p in zip(words, shown, strict=True)
            if each
        ]
        events.append({"choices": [{"delta": {}, "finish_reason": reason}]})
        lines = [*(json.dumps(each) for each in events), "[DONE]"]
        return "".join(f"data: {each}\n\n" for each in lines).encode(), "text/event-stream"
    choice = {
        "message": {"role": "assistant", "content": "".join(words)},
        "logprobs": {"content": told},
        "finish_reason": reason,
    }
    return json.dumps({"choices": [choice], "usage": usage}).encode(), "application/json"


class FlakyServer:
    """Serves connections.

    Args:
        seed: Chooses what goes wrong.
        good: Requests before anything does: a server is found out first.
    """

    def __init__(self, seed: int = 0, good: int = 10) -> None:
        self._random, self._good = random.Random(seed), good
        self.seen = dict.fromkeys(("ok", *FAULTS), 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers what comes over a connection, until it ends."""
        try:
            while await self._served(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        length = next(
            (int(line.partition(":")[2]) for line in head.lower().split("\r\n")
             if line.startswith("content-length:")), 0,
        )  # fmt: skip
        raw = await reader.readexactly(length)
        if method == "GET":
            models = {"data": [{"id": "flaky", "owned_by": "sglang"}]}
            found = json.dumps(models if path.endswith("/models") else self.seen).encode()
            await _reply(writer, found, "application/json")
            return True
        fault = self._fault()
        self.seen[fault] += 1
        if fault == "reset":
            writer.transport.abort()
            return False
        if fault == "stall":
            await reader.read(1)  # until the other side has had enough
            return False
        body, kind = answered(json.loads(raw))
        if fault == "garbage":
            body = self._random.choice((*_GARBAGE, body[: len(body) // 2]))
        await _reply(writer, body, kind)
        return "connection: close" not in head.lower()

    def _fault(self) -> str:
        if self._good > 0:
            self._good -= 1
            return "ok"
        at = int(self._random.random() / SHARE)
        return FAULTS[at] if at < len(FAULTS) else "ok"


async def _reply(writer: asyncio.StreamWriter, body: bytes, kind: str) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def main() -> None:
    """Serves on a free port, which is printed, until killed."""
    server = await asyncio.start_server(FlakyServer().serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
