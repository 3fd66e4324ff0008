"""Many requests of mixed kinds on a real server: `python -m tests.serving.soak --requests 20000`.

Text and pictures, streams and whole answers, decisions alone, one in twenty given up and one in
fifty malformed, 64 at a time. It fails where a record is lost, an answer is unguarded or fails, the
audit log does not verify, or memory grows by more than 5% once the server is warm.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from guardrail.record.audit.filters import Filter
from guardrail.record.audit.queries import LogReader
from tests.serving.throughput import bodies

AT_ONCE = 64
MALFORMED: list[bytes] = [b"{", b"[]", b'{"messages": []}', b'{"messages": [{"role": "king"}]}']


class Soak:
    """What is asked, and what has come of it.

    Args:
        url: Of the server.
        seed: Of the mixture.
    """

    def __init__(self, url: str, seed: int) -> None:
        self._url, self._random = url, random.Random(seed)
        self._pictures = bodies(8)
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.seen: set[str] = set()

    async def ask(self, client: httpx.AsyncClient) -> None:
        """Makes one request of a random kind."""
        kind, body = self._random.random(), self._body()
        if kind < 0.02:
            found = await client.post(f"{self._url}/chat/completions", content=self._malformed())
            assert found.status_code == 400, found.text
            self.outcomes["malformed"] += 1
        elif kind < 0.07:
            await self._given_up(client, body)
        elif kind < 0.17:
            found = await client.post(f"{self._url}/guardrail/decide", json=body)
            self._note("decided", found.status_code, found.json()["decision"])
        elif kind < 0.6:
            await self._streamed(client, body)
        else:
            found = await client.post(f"{self._url}/chat/completions", json=body)
            self._note("whole", found.status_code, found.json()["guardrail"])

    def _malformed(self) -> bytes:
        return self._random.choice(MALFORMED)

    def _body(self) -> dict[str, Any]:
        if self._random.random() < 0.5:
            return {**self._random.choice(self._pictures), "stream": False}
        words = " ".join(self._random.choices(("how", "do", "I", "cut", "this", "here"), k=6))
        return {"messages": [{"role": "user", "content": words}], "max_tokens": 8}

    async def _given_up(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        asked = client.post(f"{self._url}/chat/completions", json=body)
        try:
            await asyncio.wait_for(asked, self._random.uniform(0.05, 4))
        except TimeoutError:
            self.outcomes["given up"] += 1
        else:
            self.outcomes["too quick to be given up"] += 1

    async def _streamed(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        last: dict[str, Any] = {}
        url, streamed = f"{self._url}/chat/completions", {**body, "stream": True}
        async with client.stream("POST", url, json=streamed) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    last = json.loads(line.removeprefix("data: "))
        self._note("streamed", answer.status_code, last.get("guardrail", last))

    def _note(self, kind: str, status: int, decision: dict[str, Any]) -> None:
        assert status == 200, (status, decision)
        assert decision["mode"] == "enforce"
        assert decision["verdict"]["label"] in ("safe", "unsafe", "uncertain"), decision["verdict"]
        assert decision["request_id"] not in self.seen
        self.seen.add(decision["request_id"])
        self.outcomes[f"{kind}, {decision['action']}"] += 1


def resident_mb(process: int) -> float:
    """Returns the memory of a process."""
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) / 1024


async def run(soak: Soak, count: int, process: int) -> list[float]:
    """Makes all requests; returns the server's memory on the way, in MB."""
    numbers, memory = iter(range(count)), list[float]()

    async def work(client: httpx.AsyncClient) -> None:
        for number in numbers:
            await soak.ask(client)
            if number % 50 == 0:
                memory.append(resident_mb(process))

    limits = httpx.Limits(max_connections=2 * AT_ONCE)
    async with httpx.AsyncClient(timeout=600, limits=limits) as client:
        await asyncio.gather(*(work(client) for _ in range(AT_ONCE)))
    return memory


def check_records(log: Path, soak: Soak) -> int:
    """Returns how many decisions are on record; each that was seen is, and each has an end."""
    with LogReader(log) as reader:
        records = list(reader.records(Filter()))
        assert reader.unfinished() == []
    kept = {each.decision.request_id for each in records if each.decision is not None}
    assert soak.seen <= kept, f"{len(soak.seen - kept)} records are lost"
    assert {each.decision.mode for each in records if each.decision is not None} == {"enforce"}
    return len(kept)


def main() -> None:
    """Prints what came of it, as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        log = Path(folder) / "audit.db"
        command = [sys.executable, "-m", "guardrail", "serve", "--port", str(port)]
        command += ["--audit-log", str(log), "--max-inflight", str(2 * AT_ONCE)]
        with (Path(folder) / "stderr").open("wb") as errors:
            server = subprocess.Popen(command, stderr=errors, env={**os.environ})
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                try:
                    httpx.get(f"{url}/ready").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.2)
            soak = Soak(f"{url}/v1", chosen.seed)
            began = time.monotonic()
            memory = asyncio.run(run(soak, chosen.requests, server.pid))
            took = time.monotonic() - began
        finally:
            server.terminate()
            server.wait(60)
        recorded = check_records(log, soak)
        verified = subprocess.run(
            [sys.executable, "-m", "guardrail", "audit", "verify", str(log)], check=False
        )
    quarter = len(memory) // 4
    warm = statistics.median(memory[quarter : 2 * quarter])
    last = statistics.median(memory[-quarter:])
    found = {
        "requests": chosen.requests,
        "seconds": round(took),
        "outcomes": dict(sorted(soak.outcomes.items())),
        "records": recorded,
        "verified": verified.returncode == 0,
        "memory_mb": {"warm": round(warm), "last": round(last)},
    }
    print(json.dumps(found, indent=2))
    assert verified.returncode == 0
    assert last < 1.05 * warm, "memory grows"


if __name__ == "__main__":
    main()
