"""What a wheel and an sdist hold, checked against the tree that they were built from.

    python -m tests.release.distribution dist/

prints what is wrong with what lies there, one line each, and fails if anything is.
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from pathlib import Path, PurePosixPath

import tomllib

ROOT = Path(__file__).parents[2]
MOST_MB = 30
"""Of a wheel or an sdist; the checkpoint is 16 MB, and PyPI takes 100."""

INSTALLED = {"guardrail": "", "adapters": "guardrail/", "policies": "guardrail/"}
"""Folders of the tree, and what stands before them in a wheel."""

PROGRAMS = ("*.py", "pictures/*")
"""What of `examples/` is installed: what `guardrail ask --demo` and the start page show."""

BESIDES = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "MANIFEST.in"}
"""What an sdist holds beside what becomes a wheel."""

GENERATED = ("PKG-INFO", "setup.cfg", ".egg-info/")


def project() -> dict[str, object]:
    """The table `[project]` of pyproject.toml."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def shipped() -> set[str]:
    """The files of the tree that belong into a wheel: all, but for what made the model."""
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in INSTALLED
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    examples = {
        path.relative_to(ROOT).as_posix()
        for pattern in PROGRAMS
        for path in (ROOT / "examples").glob(pattern)
    }
    return {each for each in found if "training" not in PurePosixPath(each).parts} | examples


def in_wheel(path: str) -> str:
    """Where a file of the tree stands in a wheel."""
    folder = path.split("/")[0]
    return INSTALLED.get(folder, "guardrail/") + path


def wheel_faults(wheel: Path) -> Iterator[str]:
    """What is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [each for each in archive.namelist() if not each.endswith("/")]
        [about] = [each for each in names if each.endswith(".dist-info/METADATA")]
        info = about.removesuffix("METADATA")
        metadata = message_from_string(archive.read(about).decode())
        entries = archive.read(f"{info}entry_points.txt").decode()
    held = {each for each in names if not each.startswith(info)}
    yield from _differences({in_wheel(each) for each in shipped()}, held)
    for licence in ("LICENSE", "guardrail/embedded/NOTICE"):
        if f"{info}licenses/{licence}" not in names:
            yield f"no {licence} among the licences"
    yield from _metadata_faults(metadata)
    for name in ("guardrail", project()["name"]):
        if f"{name} = guardrail.cli:main" not in entries:
            yield f"no command {name}"


def sdist_faults(sdist: Path) -> Iterator[str]:
    """What is wrong with an sdist."""
    with tarfile.open(sdist) as archive:
        names = [each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()]
        about = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert about is not None
        metadata = message_from_string(about.read().decode())
    held = {each for each in names if not any(part in each for part in GENERATED)}
    yield from _differences(shipped() | BESIDES, held)
    yield from _metadata_faults(metadata)


def faults(folder: Path) -> list[str]:
    """What is wrong with the one wheel and the one sdist of a folder."""
    found = []
    for pattern, look in (("*.whl", wheel_faults), ("*.tar.gz", sdist_faults)):
        files = [*folder.glob(pattern)]
        if len(files) != 1:
            found.append(f"{len(files)} files {pattern} in {folder}, expected one")
        for each in files:
            size = each.stat().st_size / 1e6
            print(f"{each.name}: {size:.1f} MB")
            if size > MOST_MB:
                found.append(f"{each.name}: {size:.1f} MB, at most {MOST_MB}")
            found += [f"{each.name}: {fault}" for fault in look(each)]
    return found


def _differences(expected: set[str], held: set[str]) -> Iterator[str]:
    for each in sorted(expected - held):
        yield f"{each} is missing"
    for each in sorted(held - expected):
        yield f"{each} does not belong there"


def _metadata_faults(metadata: Message) -> Iterator[str]:
    said = project()
    for key, name in (("Name", "name"), ("Version", "version"), ("License-Expression", "license")):
        if metadata[key] != said[name]:
            yield f"{key} is {metadata[key]!r}, pyproject.toml says {said[name]!r}"
    if metadata["Requires-Python"] != said["requires-python"]:
        yield f"Requires-Python is {metadata['Requires-Python']!r}"


def main(folder: str) -> int:
    """Prints the faults; returns 1 if there are any."""
    found = faults(Path(folder))
    for each in found:
        print(each, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
