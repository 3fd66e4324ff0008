"""What stands in the fenced blocks of a page, and how the tests are to run it.

A fence's info string is a language and, if the block is a file, its name: `yaml title="acme.yaml"`.
A comment on the line before says when it runs: `<!-- run: slow -->`, `<!-- run: wheel -->` (where a
wheel is installed, which is what the block begins with), or `<!-- run: no, REASON -->`.
Fences may be indented, as in lists and tabs. Knows nothing of how a block is run.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, cast

When = Literal["fast", "slow", "wheel", "never"]

RUN = ("python", "sh")
SHOWN = ("text", "json", "yaml", "toml", "console", "dockerfile", "html", "css", "ini", "diff")

_OPENING = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_TITLE = re.compile(r'\btitle="([^"]*)"')
_RUN = re.compile(r"^\s*<!--\s*run:(.*?)-->\s*$")
_INSTALLS = re.compile(r"^(python -m venv|\. \S+/activate$|(python -m )?pip install) ?")
_INCLUDED = re.compile(r'{% include-markdown "([^"]+)"')
_FILE = re.compile(r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$")


class SnippetError(ValueError):
    """A page says something about a block that cannot be meant."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block: where its first line stands, what it is, and when it runs."""

    line: int
    language: str
    title: str | None
    when: When
    reason: str
    text: str

    @property
    def file(self) -> PurePosixPath | None:
        """The file that the block is, if its title is the name of one."""
        if self.title is None or not _FILE.match(self.title):
            return None
        return PurePosixPath(self.title)

    @property
    def installed(self) -> str:
        """What is left of a command once its `… && pip install … &&` is done."""
        steps = self.text.split(" && ")
        while _INSTALLS.match(steps[0].strip()):
            del steps[0]
        return " && ".join(steps)

    @property
    def does_something(self) -> bool:
        """Whether running it can fail."""
        return self.language in RUN or self.is_policy

    @property
    def is_policy(self) -> bool:
        """Whether it is a policy file: YAML that begins with a version."""
        lines = [each for each in self.text.splitlines() if each and not each.startswith("#")]
        named = self.file is not None and self.file.suffix in (".yaml", ".yml")
        return named and bool(lines) and lines[0].startswith("version:")


def snippets(markdown: str) -> list[Snippet]:
    """Returns a page's fenced blocks in order.

    Raises:
        SnippetError: A fence stays open, or a comment about running is misspelt or before no fence.
    """
    found: list[Snippet] = []
    lines = markdown.splitlines()
    at = 0
    while at < len(lines):
        if opening := _OPENING.match(lines[at]):
            end = _closing(lines, at, opening)
            when, reason = _when(lines[at - 1] if at else "", at)
            info = opening["info"].strip()
            title = _TITLE.search(info)
            found.append(
                Snippet(
                    line=at + 2,
                    language=info.split()[0] if info else "",
                    title=title[1] if title else None,
                    when=when,
                    reason=reason,
                    text=textwrap.dedent("\n".join((*lines[at + 1 : end], ""))),
                )
            )
            at = end
        elif _RUN.match(lines[at]) and not _OPENING.match(_line(lines, at + 1)):
            raise SnippetError(f"line {at + 1}: {lines[at].strip()!r} stands before no block")
        at += 1
    return found


def pages(root: Path) -> list[Path]:
    """The pages whose blocks are run; of one that shows another file, that file."""
    folders = (root / "docs", root / "docs" / "reference", root / "docs" / "reference" / "api")
    found = [page for each in folders for page in sorted(each.glob("*.md"))]
    return [root / "README.md", *(_shown(page) for page in found)]


def _shown(page: Path) -> Path:
    included = _INCLUDED.search(page.read_text("utf-8"))
    return (page.parent / included[1]).resolve() if included else page


def named(root: Path, *times: When) -> list[str]:
    """The pages with something to run at one of these times."""
    return [
        str(page.relative_to(root))
        for page in pages(root)
        if any(x.when in times and x.does_something for x in snippets(page.read_text("utf-8")))
    ]


def _line(lines: list[str], at: int) -> str:
    return lines[at] if at < len(lines) else ""


def _closing(lines: list[str], at: int, opening: re.Match[str]) -> int:
    fence = opening["fence"]
    closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}} *$")
    for end in range(at + 1, len(lines)):
        if closing.match(lines[end]):
            return end
    raise SnippetError(f"line {at + 1}: the block that begins here does not end")


def _when(before: str, line: int) -> tuple[When, str]:
    if not (comment := _RUN.match(before)):
        return "fast", ""
    word, _, reason = (part.strip() for part in comment[1].partition(","))
    if word in ("slow", "wheel") and not reason:
        return cast("When", word), ""
    if word == "no" and reason:
        return "never", reason
    raise SnippetError(
        f"line {line}: {before.strip()!r}: expected 'run: slow', 'run: wheel' or 'run: no, REASON'"
    )
