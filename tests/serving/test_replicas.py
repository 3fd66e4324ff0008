"""Replicas on a real Ray Serve, with a real Redis: one dies, and nobody is told half an answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import ValidationError

from guardrail.cli import main, model_loading
from guardrail.errors import SettingsError
from tests.serving.served import body, hashed, headers

pytest.importorskip("ray", reason="needs the extra ray")
psutil = pytest.importorskip("psutil")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RETRYABLE = {"replica_lost", "no_replica", "busy"}
CONFIG = Path(__file__).parents[2] / "examples" / "ray-serve" / "config.yaml"
ENVIRONMENT = {"GUARDRAIL_APPROVAL_KEY": "k" * 16, "RAY_USAGE_STATS_ENABLED": "0"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def serving(command: list[str], port: int, **more: str) -> Iterator[Any]:
    """Yields the process of replicas that are ready."""
    environment = {**os.environ, **ENVIRONMENT, **more}
    process = subprocess.Popen(command, env=environment)
    try:
        end = time.monotonic() + 600
        while not ready(port):
            assert process.poll() is None, "it ended"
            assert time.monotonic() < end, "it did not start"
            time.sleep(1)
        yield psutil.Process(process.pid)
    finally:
        if process.poll() is None:
            started = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                for each in (*started, process):
                    each.kill()
                process.wait()


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def replicas(process: Any) -> list[Any]:
    found = process.children(recursive=True)
    return [each for each in found if "ServeReplica:guardrail" in " ".join(each.cmdline())]


def asked(port: int, number: int) -> tuple[str, str]:
    """Asks once; returns how it ended, `whole` or the code of an error, and the decision's id."""
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    said = body("Describe it at length.", stream=number % 2 == 0, max_tokens=40)
    sent = {**headers("k"), "x-guardrail-session": f"s{number % 10}"}
    try:
        found = httpx.post(url, json=said, headers=sent, timeout=120)
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return "cut off", ""
    if found.status_code != 200:
        assert found.status_code in (429, 503), found.text
        assert found.headers["retry-after"]
        return str(found.json()["error"]["code"]), ""
    if not said["stream"]:
        return "whole", guarded(found.json())
    *events, last = [line[6:] for line in found.text.split("\n\n") if line]
    if last == "[DONE]":
        return "whole", guarded(json.loads(events[-1]))
    return str(json.loads(last)["error"]["code"]), ""


def guarded(answer: Any) -> str:
    """Returns the id of the decision that an answer holds; it must hold one that is in force."""
    decision = answer["guardrail"]
    assert decision["mode"] == "enforce"
    assert decision["verdict"]["label"] != "unavailable" or decision["action"] == "block"
    return str(decision["request_id"])


def test_one_of_two_replicas_dies_and_what_clients_get_is_whole_or_to_be_tried_again(
    tmp_path: Path, redis_url: str
) -> None:
    keys = {"keys": [{"sha256": hashed("k"), "tenant": "shop"}]}
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump(keys))
    policy = {"version": 1, "name": "own", "extends": "baseline", "session": {"memory": "max"}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(policy))
    port, logs = free_port(), tmp_path / "audit"
    command = [sys.executable, "-m", "guardrail", "serve", "--replicas", "2", "--port", str(port)]
    command += ["--api-key-file", str(tmp_path / "keys.yaml"), "--audit-log", str(logs)]
    command += ["--policy", str(tmp_path / "own.yaml")]
    with serving(command, port, GUARDRAIL_REDIS=redis_url) as process:
        refused = httpx.get(f"http://127.0.0.1:{port}/v1/models")
        assert refused.status_code == 401
        with ThreadPoolExecutor(16) as clients:
            under_way = [clients.submit(asked, port, number) for number in range(200)]
            while sum(each.done() for each in under_way) < 60:
                time.sleep(0.05)
            both = replicas(process)
            assert len(both) == 2
            both[0].send_signal(signal.SIGKILL)
            results = [each.result() for each in under_way]
        ended = Counter(how for how, _ in results)
        print(dict(ended))
        assert set(ended) <= {"whole", "cut off", *RETRYABLE}
        assert ended["whole"] >= 150
        results += [asked(port, number) for number in range(20)]  # whoever tries again
        assert {how for how, _ in results[200:]} == {"whole"}
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        said = body("Describe it at length.", stream=True, max_tokens=40)
        with httpx.stream("POST", url, json=said, headers=headers("k"), timeout=120) as found:
            lines = found.iter_lines()
            assert next(lines).startswith("data: ")
            process.terminate()  # told to stop, it ends what is under way
            assert "data: [DONE]" in list(lines)
        assert process.wait(120) == 0
    written = sorted(logs.glob("guardrail-*.db"))
    assert len(written) >= 2
    assert all(main(["audit", "verify", str(log)]) == 0 for log in written)
    recorded = set().union(*(decisions(log) for log in written))
    assert {request_id for how, request_id in results if how == "whole"} <= recorded


def decisions(log: Path) -> set[str]:
    """Returns the ids of the decisions that a log holds."""
    exported = log.with_suffix(".jsonl")
    assert main(["audit", "export", str(log), str(exported)]) == 0
    bodies = [json.loads(line).get("body", {}) for line in exported.read_text().splitlines()]
    return {each["decision"]["request_id"] for each in bodies if each.get("kind") == "decision"}


def test_ray_serve_reads_the_example_as_it_ships(tmp_path: Path, redis_url: str) -> None:
    config: Any = yaml.safe_load(CONFIG.read_text())
    port = free_port()
    config["http_options"]["port"] = port
    [application] = config["applications"]
    application["args"]["audit_folder"] = str(tmp_path / "audit")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("serve")), "run", str(tmp_path / "config.yaml")]
    more = {
        "GUARDRAIL_REDIS": redis_url,
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "guardrail.serving.lost:in_proxy",
    }
    with serving(command, port, **more):
        url = f"http://127.0.0.1:{port}/v1"
        assert [asked(port, number)[0] for number in (0, 1)] == ["whole", "whole"]
        evil = httpx.get(f"{url}/models", headers={"host": "evil.test"})
        assert (evil.status_code, evil.json()["error"]["code"]) == (403, "host")
        page = httpx.get(f"{url}/models", headers={"origin": "http://evil.test"})
        assert (page.status_code, page.json()["error"]["code"]) == (403, "origin")
        large = httpx.post(f"{url}/chat/completions", content=b" " * (65 * 2**20), timeout=60)
        assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")
    [*logs] = (tmp_path / "audit").glob("guardrail-*.db")
    assert logs
    assert all(main(["audit", "verify", str(log)]) == 0 for log in logs)


def test_what_no_replica_can_serve_is_one_clear_line(
    redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("GUARDRAIL_APPROVAL_KEY", "k" * 16)
    taken = tmp_path / "audit.db"
    taken.write_text("")
    for options, said in (
        ([], "give --redis"),
        (["--redis", redis_url, "--port", "0"], "--port is 0"),
        (["--redis", redis_url, "--policy", "nowhere"], "nowhere"),
        (["--redis", redis_url, "--audit-log", str(taken)], "expected a folder"),
    ):
        assert main(["serve", "--replicas", "2", *options]) == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert said in line


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own, while it is imported
def test_what_stands_in_a_yaml_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    from guardrail.serving.replicas import SERVER_KEY, Serving, deployment

    assert SERVER_KEY == model_loading.SERVER_KEY
    for wrong in (
        {"audit_folder": "audit"},
        {"api_key_file": "keys.yaml"},
        {"redis": "redis://:secret@127.0.0.1"},
        {"replicas": 2},
    ):
        with pytest.raises(ValidationError):
            Serving.model_validate(wrong)
    monkeypatch.delenv("GUARDRAIL_REDIS", raising=False)
    with pytest.raises(SettingsError, match="replicas share a Redis"):
        deployment(Serving())
