"""Links of included pages, which lead to files of the repository, lead to their pages on the site.

`CONTRIBUTING.md` links `guardrail/README.md`, as it must where one reads it beside the sources.
What is on the site is linked there; of a link to another file of the repository its words stay.
"""

import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_INCLUDED = re.compile(r'{% include-markdown "([^"]+)"')
_DEFINED = re.compile(r"^\[([^\]\n]+)\]: \.\./\S+\n?", re.MULTILINE)
"""A link of the changelog's versions, which leads to where the repository is looked at."""
_LINK = re.compile(r"(?<!!)\[([^\]\[]+)\]\(([^()\s#:]+)(#[^()\s]*)?\)")


def _pages() -> dict[Path, str]:
    """The included files and the pages that include them."""
    found = {}
    for page in _DOCS.glob("*.md"):
        if included := _INCLUDED.search(page.read_text("utf-8")):
            found[(_DOCS / included[1]).resolve()] = page.name
    return found


def mended(markdown: str, pages: dict[Path, str]) -> str:
    """Returns a page of `docs/` with its links out of that folder led to where they end."""

    def lead(link: re.Match[str]) -> str:
        target = (_DOCS / link[2]).resolve()
        if target in pages:
            return f"[{link[1]}]({pages[target]}{link[3] or ''})"
        outside = target.is_file() and not target.is_relative_to(_DOCS)
        return link[1] if outside else link[0]

    defined = _DEFINED.findall(markdown)
    markdown = _LINK.sub(lead, _DEFINED.sub("", markdown))
    for name in defined:
        markdown = markdown.replace(f"[{name}]", name)
    return markdown


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Called by mkdocs for each page, after its plug-ins have included what it includes."""
    return mended(markdown, _pages()) if "/" not in page.file.src_uri else markdown
