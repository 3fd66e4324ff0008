"""The changelog, by its releases; and what a release says of itself.

    python -m tests.release.changelog v0.2.0

prints that release's section. It fails unless the tag is the version of pyproject.toml and the
changelog has a dated section of it, with nothing left under Unreleased.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import date

from tests.release.distribution import ROOT, project

CHANGELOG = ROOT / "CHANGELOG.md"
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""Keep a Changelog's; a section is of each at most once."""

UNRELEASED = "Unreleased"
_HEADING = re.compile(r"^## (?:\[(?P<name>[^\]]+)\]|(?P<bare>.+?))(?: - (?P<date>\S+))?$", re.M)


@dataclass(frozen=True)
class Release:
    """One section.

    Attributes:
        linked: Whether its heading stands in brackets, for the link at the file's end.
    """

    name: str
    date: str | None
    linked: bool
    text: str

    @property
    def kinds(self) -> list[str]:
        """The headings in it."""
        return re.findall(r"^### (.+)$", self.text, re.M)


def releases(text: str) -> list[Release]:
    """The sections of a changelog, in its order."""
    found = [*_HEADING.finditer(text)]
    ends = [each.start() for each in found[1:]] + [len(text)]
    return [
        Release(
            name=each["name"] or each["bare"],
            date=each["date"],
            linked=each["name"] is not None,
            text=_without_links(text[each.end() : end]).strip(),
        )
        for each, end in zip(found, ends, strict=True)
    ]


def links(text: str) -> dict[str, str]:
    """The link references at its end."""
    return dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", text, re.M))


def faults(text: str) -> list[str]:
    """What of it is not as Keep a Changelog wants it."""
    found, kept = releases(text), links(text)
    wrong = []
    if not found or found[0].name != UNRELEASED:
        wrong.append("the first section is not Unreleased")
    for each in found:
        if not each.linked or each.name not in kept:
            wrong.append(f"{each.name} has no link")
        if (each.date is None) != (each.name == UNRELEASED) or not _is_date(each.date):
            wrong.append(f"{each.name} has the date {each.date}")
        if unknown := [kind for kind in each.kinds if kind not in KINDS]:
            wrong.append(f"{each.name} has {', '.join(unknown)}")
        if len(set(each.kinds)) < len(each.kinds):
            wrong.append(f"{each.name} has a heading twice")
    versions = [_numbers(each.name) for each in found if each.name != UNRELEASED]
    if versions != sorted(versions, reverse=True):
        wrong.append("the newest is not first")
    return wrong


def notes(tag: str, text: str, version: str) -> str:
    """What a tag's release says of itself.

    Raises:
        ValueError: The tag, the version and the changelog do not agree.
    """
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, pyproject.toml says {version}")
    found = {each.name: each for each in releases(text)}
    if version not in found:
        raise ValueError(f"the changelog has no section {version}")
    if found[UNRELEASED].text:
        raise ValueError("something is left under Unreleased: move it, or release it later")
    return found[version].text


def _without_links(text: str) -> str:
    return re.sub(r"^\[[^\]]+\]: \S+\n?", "", text, flags=re.M)


def _is_date(text: str | None) -> bool:
    try:
        return text is None or bool(date.fromisoformat(text))
    except ValueError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version))


if __name__ == "__main__":
    try:
        print(notes(sys.argv[1], CHANGELOG.read_text("utf-8"), str(project()["version"])))
    except ValueError as error:
        sys.exit(str(error))
