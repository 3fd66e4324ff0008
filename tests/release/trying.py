"""A wheel, as people get it: in an empty environment, by pip, pipx and uv.

    python -m tests.release.trying dist/safecode_guardrail-….whl [pip pipx uvx]

installs it in each way, runs `guardrail ask --demo` from an empty folder, and says how long it
took. pipx and uv have to be on the PATH.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.release.distribution import project

NAME, VERSION = str(project()["name"]), str(project()["version"])
DEMO = ("ask", "--demo")


@dataclass(frozen=True)
class Way:
    """Commands, in their order, and what each has to print.

    Attributes:
        prints: A piece of the output; empty for any.
    """

    command: tuple[str, ...]
    prints: str = ""


def ways(kind: str, wheel: Path, folder: Path) -> Iterator[Way]:
    """The commands that try a wheel.

    Raises:
        ValueError: The kind is neither pip, pipx nor uvx.
    """
    if kind == "pip":
        here = folder / "venv" / "bin"
        yield Way((sys.executable, "-m", "venv", str(folder / "venv")))
        yield Way((str(here / "python"), "-m", "pip", "install", "--quiet", str(wheel)))
        yield Way((str(here / "guardrail"), "--version"), f"guardrail {VERSION}")
        yield Way((str(here / "guardrail"), "policy", "test", "baseline"), "pass")
        yield Way((str(here / "guardrail"), *DEMO), "can't")
    elif kind == "pipx":
        yield Way(("pipx", "run", "--spec", str(wheel), "guardrail", *DEMO), "can't")
        yield Way(("pipx", "run", "--spec", str(wheel), NAME, *DEMO), "can't")
    elif kind == "uvx":
        yield Way(("uvx", "--from", str(wheel), "guardrail", *DEMO), "can't")
        yield Way(("uvx", "--from", str(wheel), NAME, *DEMO), "can't")
    else:
        raise ValueError(f"the way is {kind!r}, expected pip, pipx or uvx")


def attempt(kind: str, wheel: Path) -> bool:
    """Tries a wheel in one way; says what was run, for how long, and what went wrong."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "empty").mkdir()
        for way in ways(kind, wheel.resolve(), folder):
            began = time.monotonic()
            done = subprocess.run(
                way.command,
                cwd=folder / "empty",
                env=_bare(folder),
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )
            took = time.monotonic() - began
            shown = " ".join(Path(each).name if "/" in each else each for each in way.command)
            said = done.stdout.strip().splitlines()
            print(f"{took:6.1f} s  {shown}", *said[-1:], sep="\n          ")
            if done.returncode or way.prints not in done.stdout:
                print(done.stdout, done.stderr, f"exit {done.returncode}", file=sys.stderr)
                return False
    return True


def _bare(folder: Path) -> dict[str, str]:
    """The variables of this process, without what points at its environment or its caches."""
    kept = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    own = {"PIPX_HOME": "pipx", "UV_CACHE_DIR": "uv-cache", "UV_TOOL_DIR": "uv-tools"}
    return {**kept, **{name: str(folder / place) for name, place in own.items()}}


if __name__ == "__main__":
    wanted = sys.argv[2:] or ["pip", "pipx", "uvx"]
    tried = [attempt(each, Path(sys.argv[1])) for each in wanted]
    sys.exit(0 if all(tried) else 1)
