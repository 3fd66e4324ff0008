"""`guardrail serve` from the outside: a real process, asked and told to stop."""

from __future__ import annotations

import os
import signal
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
def serving(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yields the URL, up to and with `/v1`, of a server that takes a free port, and its process."""
    command = [sys.executable, "-m", "guardrail", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    try:
        for line in process.stderr:
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
    log = tmp_path / "audit.jsonl"
    options = ("--api-key-file", str(tmp_path / "keys.yaml"), "--audit-log", str(log))
    with serving(*options) as (url, process):
        assert httpx.post(f"{url}/chat/completions", json=body()).status_code == 401
        found = httpx.post(
            f"{url}/chat/completions", json=body(), headers=headers("k"), timeout=60
        ).json()
        assert found["model"] == "embedded"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert main(["audit", "verify", str(log)]) == 0
    assert main(["audit", "show", str(log), found["guardrail"]["request_id"]]) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "give --api-key-file"),
        (["--api-key-file", "nowhere.yaml"], "cannot be read"),
        (["--policy", "nowhere"], "nowhere"),
        (["--model", "nowhere"], "nowhere"),
        (["--server", "nowhere"], "address"),
        (["--server", "http://127.0.0.1:9/v1"], "cannot be reached"),
    ],
)
def test_what_cannot_be_served_is_one_clear_line(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *options]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("guardrail: error: ")
    assert said in line
