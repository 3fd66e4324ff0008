"""Requests per second of a real server on the embedded model: `python -m tests.serving.throughput`.

Guarded and unguarded answers come from one engine in one process, asked by clients in another that
send their next request as soon as the last one is answered.
"""

import argparse
import asyncio
import base64
import json
import multiprocessing
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import httpx

HELD_OUT = Path(__file__).parents[2] / "guardrail/embedded/heldout"


ORDINARY = (
    "What is in this picture?",
    "Describe this picture.",
    "Where is this?",
    "What is this place called?",
    "Is it day or night?",
    "What can you see here?",
    "How many people are there?",
    "What is the main thing in the picture?",
)
"""What most traffic is like: nothing of it is at stake."""


def bodies(tokens: int, *, ordinary: bool = False) -> list[dict[str, Any]]:
    """Questions beside both pictures of the shipped scenes, to be streamed: theirs, or ordinary."""
    found: list[dict[str, Any]] = []
    for item in json.loads((HELD_OUT / "combined.json").read_text("utf-8"))[:64]:
        for side in ("safe", "unsafe"):
            data = base64.b64encode((HELD_OUT / item[f"{side}_image_path"]).read_bytes()).decode()
            picture = {"type": "image_url", "image_url": {"url": f"data:image/webp;base64,{data}"}}
            question = ORDINARY[len(found) % len(ORDINARY)] if ordinary else item["question"]
            content = [picture, {"type": "text", "text": question}]
            messages = [{"role": "user", "content": content}]
            found.append({"messages": messages, "max_tokens": tokens, "stream": True})
    return found


def serve(sockets: list[socket.socket], least: int | None) -> None:
    """Serves one engine twice: guarded, and as it is."""
    import uvicorn

    from guardrail import ChatSafeCoDe, SafeCoDe
    from guardrail.serving.app import create_app

    engine = SafeCoDe.embedded()
    own = {"model_kwargs": {"min_new_tokens": least}} if least else {}
    chats = ChatSafeCoDe(engine=engine, **own), ChatSafeCoDe(engine=engine, mode="off", **own)
    servers = [
        uvicorn.Server(uvicorn.Config(create_app(chat, max_inflight=128), log_level="warning"))
        for chat in chats
    ]
    threads = [
        threading.Thread(target=server.run, args=([listening],))
        for server, listening in zip(servers, sockets, strict=True)
    ]
    for thread in threads:
        thread.start()


async def ask(client: httpx.AsyncClient, url: str, body: Any, *, slowly: bool) -> tuple[float, ...]:
    """Returns the seconds until the first event and until the last one."""
    began, first = time.perf_counter(), 0.0
    async with client.stream("POST", url, json=body) as answer:
        assert answer.status_code == 200, await answer.aread()
        lines = []
        async for line in answer.aiter_lines():
            first = first or time.perf_counter() - began
            lines.append(line)
            if slowly:
                await asyncio.sleep(0.2)
    assert "data: [DONE]" in lines, lines[-2:]
    return first, time.perf_counter() - began


async def measure(
    url: str, asked: list[Any], clients: int, count: int, slow: int
) -> dict[str, Any]:
    """Returns what `clients` of those that read at once come to, beside `slow` others."""
    numbers, took = iter(range(count)), []
    limits = httpx.Limits(max_connections=clients + slow)

    async def work(client: httpx.AsyncClient) -> None:
        for number in numbers:
            took.append(await ask(client, url, asked[number % len(asked)], slowly=False))

    async def dawdle(client: httpx.AsyncClient) -> None:
        while True:
            await ask(client, url, asked[0], slowly=True)

    async with httpx.AsyncClient(timeout=600, limits=limits) as client:
        slowly = [asyncio.create_task(dawdle(client)) for _ in range(slow)]
        began = time.perf_counter()
        await asyncio.gather(*(work(client) for _ in range(clients)))
        wall = time.perf_counter() - began
        for task in slowly:
            task.cancel()
        await asyncio.gather(*slowly, return_exceptions=True)
    firsts, wholes = (sorted(each) for each in zip(*took, strict=True))
    return {
        "clients": clients,
        "requests_per_s": round(count / wall, 2),
        "first_token_s": [round(statistics.median(firsts), 3), _p95(firsts)],
        "answer_s": [round(statistics.median(wholes), 3), _p95(wholes)],
    }


def _p95(ordered: list[float]) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 3)


def main() -> None:
    """Prints a line of JSON for each measurement; of pairs, the median and the 95th percentile."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clients", default="1,4,16,64")
    options.add_argument("--tokens", type=int, default=32)
    options.add_argument("--least", type=int, help="tokens of an answer, at least")
    options.add_argument("--ordinary", action="store_true", help="of questions nothing is at stake")
    options.add_argument("--requests", type=int, default=96, help="of each measurement")
    chosen = options.parse_args()
    sockets = []
    for _ in range(2):
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        sockets.append(listening)
    guarded, unguarded = (
        f"http://127.0.0.1:{each.getsockname()[1]}/v1/chat/completions" for each in sockets
    )
    server = multiprocessing.get_context("fork").Process(target=serve, args=(sockets, chosen.least))
    server.start()
    asked = bodies(max(chosen.tokens, chosen.least or 0), ordinary=chosen.ordinary)
    try:
        for url in (guarded, unguarded):  # warm
            asyncio.run(measure(url, asked, 16, 32, 0))
        for clients in map(int, chosen.clients.split(",")):
            count = chosen.requests if clients > 1 else chosen.requests // 3
            for name, url, slow in (
                ("guarded", guarded, 0),
                ("unguarded", unguarded, 0),
                ("guarded, one more reads slowly", guarded, 1),
            ):
                found = asyncio.run(measure(url, asked, clients, count, slow))
                print(json.dumps({"what": name, **found}), flush=True)
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
