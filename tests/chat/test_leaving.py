"""A request that nobody waits for any more does not keep the process alive, nor take it down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LEAVING = """
import asyncio, sys, threading, time
from guardrail import ChatSafeCoDe
from tests.chat.test_chat_model import ScriptedEngine

class Stuck(ScriptedEngine):
    def stream(self, *_, **__):
        yield from self.stuck()
    def batch(self, *_, **__):
        return list(self.stuck())
    def stuck(self):
        try:
            if sys.argv[2] == "asleep":
                time.sleep(60)
            while True:  # at work, and deaf to being cancelled
                time.sleep(0.01)
            yield
        finally:
            print("stopped", flush=True)

chat = ChatSafeCoDe(engine=Stuck())
asked = {
    "ainvoke": lambda: chat.ainvoke("hi"),
    "abatch": lambda: chat.abatch(["hi", "there"]),
    "astream": lambda: anext(chat.astream("hi")),
}[sys.argv[1]]

async def ask():
    try:
        await asyncio.wait_for(asked(), 0.3)
    except asyncio.TimeoutError:
        print("left", flush=True)

asyncio.run(ask())
assert all(each.daemon for each in threading.enumerate() if each is not threading.main_thread())
"""


EACH = [
    ("abatch", "asleep"),
    ("astream", "at work"),
    *(
        pytest.param(way, doing, marks=pytest.mark.slow)  # a process each: ten seconds
        for way, doing in (
            ("ainvoke", "asleep"),
            ("ainvoke", "at work"),
            ("abatch", "at work"),
            ("astream", "asleep"),
        )
    ),
]


@pytest.mark.parametrize(("way", "doing"), EACH)
def test_what_nobody_waits_for_does_not_keep_the_process_alive(way: str, doing: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, way, doing],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    stopped = "stopped\n" if doing == "at work" else ""
    assert (done.returncode, done.stdout) == (0, f"left\n{stopped}"), done.stderr
