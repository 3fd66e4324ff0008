"""A page's tags, and what everybody must be able to use of them."""

import itertools
import re
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "rect", "line", "hr"}


class Page(HTMLParser):
    """Collects what accessibility is checked on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.labels: set[str | None] = set()
        self.unlabelled: list[str] = []
        self.feed(html)
        assert self.open == [], "tags left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "label":
            self.labels.add(given.get("for", ""))
        labelled = "label" in self.open or "aria-label" in given or given.get("id") in self.labels
        if tag in ("select", "input", "textarea") and not labelled:
            self.unlabelled.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [given for name, given in self.tags if name == tag]


def assert_accessible(html: str) -> None:
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("main")) == len(page.all("h1")) == 1
    assert re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL).count("</title>") == 1
    assert page.unlabelled == []
    identities = [given["id"] for _, given in page.tags if "id" in given]
    assert len(identities) == len(set(identities))
    for _, given in page.tags:
        if "aria-labelledby" in given:
            assert given["aria-labelledby"] in identities
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (
            svg.get("role") == "img" and svg.get("aria-label")
        )
    assert all(given.get("scope") in ("col", "row") for given in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert next(given["href"] for given in page.all("a")) == "#main"
