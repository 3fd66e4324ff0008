"""The site that `make docs` has built: what its search finds, and that it loads nothing else."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.test_reference import ON_PAGES

SITE = Path(__file__).parents[2] / "site"
pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not SITE.is_dir(), reason="`make docs` builds the site"),
]
OUTSIDE = re.compile(r"^(https?:)?//")


class Page(HTMLParser):
    """What a page loads, what it says in its paragraphs, and the places in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.classes: set[str] = set()
        self.paragraphs: list[str] = []
        self._in_paragraph = False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.ids.add(said.get("id", ""))
        self.classes.update(said.get("class", "").split())
        links = [said[name] for name in ("src", "href", "srcset", "data") if name in said]
        if tag == "a":  # a link loads nothing until it is followed
            self.links += links
        else:
            self.loads += links
        if tag == "p":
            self.paragraphs.append("")
            self._in_paragraph = True

    def handle_endtag(self, tag: str) -> None:
        self._in_paragraph = self._in_paragraph and tag != "p"

    def handle_data(self, data: str) -> None:
        if self._in_paragraph:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def site() -> dict[str, Page]:
    return {str(path.relative_to(SITE)): Page(path) for path in SITE.rglob("*.html")}


def found(words: str) -> set[str]:
    """The pages whose text holds the words, as the search sees it."""
    index = json.loads((SITE / "search" / "search_index.json").read_text("utf-8"))
    return {
        each["location"].split("#")[0]
        for each in index["docs"]
        if words in f"{each['title']} {each['text']}"
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("unsafe_at", {"policy/", "reference/policy/", "watching/", "calibration/"}),
        ("llama.cpp", {"wrap/", "servers/", "serving/"}),
        ("escalate", {"policy/", "agents/", "serving/", "security/"}),
    ],
)
def test_the_search_finds_what_people_look_for(words: str, expected: set[str]) -> None:
    assert expected <= found(words)


def test_no_page_loads_anything_from_elsewhere(site: dict[str, Page]) -> None:
    assert "index.html" in site
    outside = {
        name: [each for each in page.loads if OUTSIDE.match(each)] for name, page in site.items()
    }
    assert {name: loads for name, loads in outside.items() if loads} == {}
    for style in SITE.rglob("*.css"):
        text = style.read_text("utf-8")
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", text), style


def test_every_link_within_the_site_ends_somewhere(site: dict[str, Page]) -> None:
    """Those of included pages and of the reference as well, which mkdocs does not look at."""
    dead = []
    for name, page in site.items():
        if name == "404.html":  # is served under any address
            continue
        for link in page.links:
            there, _, place = unquote(link).partition("#")
            if ":" in there or OUTSIDE.match(there):
                continue
            path = (SITE / name).parent.joinpath(there).resolve() if there else SITE / name
            path = path / "index.html" if path.is_dir() else path
            aim = site.get(str(path.relative_to(SITE)))
            if not path.is_file() or (place and (aim is None or place not in aim.ids)):
                dead.append((name, link))
    assert dead == []


def test_an_included_page_links_the_pages_of_others(site: dict[str, Page]) -> None:
    assert "../rooms/" in site["contributing/index.html"].links


def test_no_page_has_what_its_theme_would_fetch_a_script_for(site: dict[str, Page]) -> None:
    assert [name for name, page in site.items() if page.classes & {"mermaid", "arithmatex"}] == []


def test_lists_and_tables_are_rendered_as_such(site: dict[str, Page]) -> None:
    """Markdown takes a list that follows a line of text at once for more of that text."""
    broken = re.compile(r"^(- |\* |\d+\. |\|.*\|$|```|!!! |::: |{% |--8<--)", re.MULTILINE)
    wrong = {
        name: [text for text in page.paragraphs if broken.search(text)]
        for name, page in site.items()
    }
    assert {name: texts for name, texts in wrong.items() if texts} == {}


def test_every_name_of_the_reference_is_a_place_on_the_site(site: dict[str, Page]) -> None:
    places = {each for name, page in site.items() if "/api/" in name for each in page.ids}
    assert ON_PAGES - places == set()
