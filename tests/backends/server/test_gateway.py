"""A gateway: installed without torch, small, and whole under load and faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import tomllib

from tests.backends.server.flaky_server import FAULTS
from tests.backends.server.openai_server import served
from tests.backends.server.test_backend import PICTURES, server

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "examples" / "gateway" / "requirements.txt"
UNNEEDED = ("torch", "transformers", "scikit-learn", "scipy")
REQUESTS, AT_ONCE, MEGABYTES = 10_000, 200, 150
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "2"}
"""As docs/servers.md has it: what an answer was read into goes back at once."""


def test_a_gateway_needs_what_the_package_needs_but_what_runs_and_evaluates_models() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["serve"]]
    lines = REQUIREMENTS.read_text().splitlines()
    asked = [each for each in lines if each and not each.startswith("#")]
    assert asked == [each for each in needed if not each.startswith(UNNEEDED)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_gateway_is_installed_without_torch_and_answers(tmp_path: Path) -> None:
    venv.create(tmp_path / "v", with_pip=True)
    python = tmp_path / "v" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q"]
    subprocess.run([*install, "--no-deps", str(ROOT)], check=True)
    subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True)
    picture = str(PICTURES / "cliff-edge.png")
    with served(server()) as url:
        asked = ["ask", "How do I run faster here?", "--image", picture, "--max-tokens", "8"]
        command = [str(python.with_name("guardrail")), *asked, "--server", url, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["guardrail"]["action"] == "refuse"
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('torch', 'transformers')])"
    found = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[None, None]"


@contextmanager
def flaky() -> Iterator[str]:
    """Yields the URL, up to the path, of a flaky server in a process of its own."""
    command = [sys.executable, "-m", "tests.backends.server.flaky_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def load(requests: int, at_once: int) -> None:
    """Puts requests to a gateway before a flaky server, and checks what becomes of them."""
    with flaky() as url:
        command = [sys.executable, "-m", "tests.backends.server.gateway_load", f"{url}/v1"]
        done = subprocess.run(
            [*command, str(requests), str(at_once)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **ALLOCATOR},
        )
        seen = httpx.get(f"{url}/seen").json()
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    print(f"\n{found}\n{seen}")
    assert all(seen[each] > 0 for each in FAULTS)
    assert sum(found["outcomes"].values()) == requests
    assert sum(found["records"].values()) == requests
    assert "UNGUARDED" not in found["outcomes"]
    assert set(found["outcomes"]) <= {
        *("unsafe: refuse", "unsafe: block", "safe: comply", "safe: block", "ServerError"),
    }
    assert found["outcomes"]["unsafe: refuse"] > 0
    assert found["outcomes"]["safe: comply"] > 0
    assert found["loaded"] == []
    assert found["megabytes"] < MEGABYTES


def test_some_requests_in_flight_before_a_flaky_server_end_on_record_and_guarded() -> None:
    load(40, 20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_requests_in_flight_before_a_flaky_server_end_on_record_and_guarded() -> None:
    load(REQUESTS, AT_ONCE)
