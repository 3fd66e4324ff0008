"""`guardrail serve` from the outside: a real process, asked and told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from guardrail.cli import main
from tests.serving.served import body, hashed, headers


@contextmanager
def serving(
    *options: str, said: list[str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yields the URL, up to and with `/v1`, of a server that takes a free port, and its process.

    `said` takes the lines that it logs until then.
    """
    command = [sys.executable, "-m", "guardrail", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if said is not None:
                said.append(line)
            if "Uvicorn running on" in line:
                url = line.split("running on ")[1].split()[0]
                yield f"{url}/v1", process
                break
        else:
            raise AssertionError("it did not start")
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


def test_a_served_answer_is_on_record_and_the_server_stops_when_told(tmp_path: Path) -> None:
    keys = {"keys": [{"sha256": hashed("k"), "tenant": "shop"}]}
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump(keys))
    logs = tmp_path / "logs"
    options = ("--api-key-file", str(tmp_path / "keys.yaml"), "--audit-log", f"{logs}/")
    with serving(*options) as (url, process):
        assert httpx.post(f"{url}/chat/completions", json=body()).status_code == 401
        found = httpx.post(
            f"{url}/chat/completions", json=body(), headers=headers("k"), timeout=60
        ).json()
        assert found["model"] == "embedded"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    [log] = logs.glob("*.db")
    assert log.name == f"guardrail-{socket.gethostname()}-{process.pid}.db"
    assert logs.stat().st_mode & 0o077 == 0
    assert main(["audit", "verify", str(logs)]) == 0
    assert main(["audit", "show", str(log), found["guardrail"]["request_id"]]) == 0


def test_json_logs_are_one_object_a_line_without_a_word_of_requests(tmp_path: Path) -> None:
    keys = {"keys": [{"sha256": hashed("k-secret"), "tenant": "shop"}]}
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump(keys))
    said: list[str] = []
    options = ("--api-key-file", str(tmp_path / "keys.yaml"), "--json-logs")
    with serving(*options, said=said) as (url, process):
        asked = f"{url}/chat/completions?key=QUERY"
        sent = body("PLAINWORDS", max_tokens=2)
        found = httpx.post(asked, json=sent, headers=headers("k-secret"), timeout=60).json()
        request_id = found["guardrail"]["request_id"]
        path = f"{url}/guardrail/decisions/{request_id}"
        assert httpx.get(path, headers=headers("k-secret")).is_success
        assert httpx.get(f"{url}/PATH", headers=headers("k-wrong")).status_code == 404
        assert httpx.post(asked, json=sent, headers=headers("k-wrong")).status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        said += process.stderr.readlines()
    assert all(word not in "".join(said) for word in ("PLAINWORDS", "QUERY", "k-", "PATH"))
    lines = [json.loads(each) for each in said]
    assert all({"time", "level", "logger", "message"} <= set(each) for each in lines)
    assert "serving embedded under baseline" in [each["message"] for each in lines]
    first, second, third, last = [each for each in lines if "status" in each]
    duration_ms = first.pop("duration_ms")
    assert 0 < duration_ms < 60_000
    message = first.pop("message")
    assert re.fullmatch(r"POST /v1/chat/completions 200 in \d+ ms", message)
    assert first == {
        "time": first["time"],
        "level": "info",
        "logger": "guardrail.serving.visit",
        "method": "POST",
        "route": "/v1/chat/completions",
        "status": 200,
        "tenant": "shop",
        "action": found["guardrail"]["action"],
        "request_id": request_id,
    }
    assert second["route"] == "/v1/guardrail/decisions/{request_id}"
    assert (third["status"], third["code"], "route" in third) == (404, "no_such_path", False)
    assert (last["status"], last["code"], "tenant" in last) == (401, "no_key", False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "give --api-key-file"),
        (["--api-key-file", "nowhere.yaml"], "cannot be read"),
        (["--policy", "nowhere"], "nowhere"),
        (["--model", "./nowhere"], "nowhere"),
        (["--audit-log", f"{__file__}/"], "cannot make the folder"),
        (["--server", "nowhere"], "address"),
        (["--server", "http://127.0.0.1:9/v1"], "cannot be reached"),
        (["--redis", "redis://:secret@127.0.0.1:9"], "the Redis at 127.0.0.1:9/0 failed"),
        (["--redis", "127.0.0.1:secret"], "expected redis://"),
    ],
)
def test_what_cannot_be_served_is_one_clear_line(
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GUARDRAIL_APPROVAL_KEY", "k" * 16)
    assert main(["serve", *options]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("guardrail: error: ")
    assert said in line
    assert "secret" not in line
