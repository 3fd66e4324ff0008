"""A guarded embedded model behind the application, asked in this process or over a port."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from guardrail import ChatSafeCoDe, Policy, SafeCoDe, load_policy
from guardrail.judging.judge import JudgeRequest
from guardrail.request.conversation import Picture
from guardrail.request.pictures import load_picture
from guardrail.serving.app import create_app
from guardrail.serving.tenants import LOOPBACK
from guardrail.shared.connection import SharedRedis
from guardrail.shared.ledger import SharedLedger
from guardrail.shared.sessions import SharedSessions

PICTURES = Path(__file__).parents[2] / "examples" / "pictures"
NAME = "embedded"
COMPLETIONS = "/v1/chat/completions"
DECIDE = "/v1/guardrail/decide"
COMPARE = "/v1/guardrail/compare"


@cache
def backend() -> Any:
    return SafeCoDe.embedded().backend


def chat(
    p: float | Callable[[JudgeRequest], float] | None = 0.01,
    shared: SharedRedis | None = None,
    watch: Mapping[str, Any] | None = None,
    **verdict: Any,
) -> ChatSafeCoDe:
    """Returns a guarded model that believes `p` of every request; what it thinks itself on None."""
    base = load_policy("baseline")
    rules = base.verdict.model_copy(update=verdict)
    watched = base.watch if watch is None else {"every": 4, **watch}
    policy: Policy = base.model_copy(update={"verdict": rules, "watch": watched})
    judge = p if p is None or callable(p) else lambda request: p
    kept: Any = {}
    if shared is not None:
        policy = policy.model_copy(update={"session": {"memory": "max"}})
        kept = {"sessions": SharedSessions(shared), "approval_ledger": SharedLedger(shared)}
    engine = SafeCoDe(backend=backend(), policy=policy, judge=judge, name=NAME, **kept)
    return ChatSafeCoDe(engine=engine)


def client(app: FastAPI | None = None, **options: Any) -> TestClient:
    found = app or create_app(chat(), hosts=LOOPBACK, **options)
    return TestClient(
        found,
        base_url="http://127.0.0.1",
        raise_server_exceptions=False,
        client=("127.0.0.1", 50000),
    )


def picture(name: str) -> dict[str, Any]:
    shown: Picture = load_picture(PICTURES / f"{name}.png")
    url = f"data:image/png;base64,{shown.png}"
    return {"type": "image_url", "image_url": {"url": url}}


def body(
    text: str = "How do I cut this?", name: str = "kitchen-knife-bread", **more: Any
) -> dict[str, Any]:
    content = [picture(name), {"type": "text", "text": text}]
    asked = {"messages": [{"role": "user", "content": content}], "max_tokens": 12}
    return {**asked, "temperature": 0, **more}


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def headers(key: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {key}"}


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Yields the URL, up to and with `/v1`, at which an application listens."""
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()
