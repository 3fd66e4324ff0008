"""From what runs to HTML: pages that load nothing from elsewhere, and say so to the browser.

INVARIANT: autoescaping is on for every template; only files of our own are marked safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape

from guardrail.record.audit.page.views import escaping, source_hash, static_file
from guardrail.record.version import __version__
from guardrail.serving.page.examples import EXAMPLES
from guardrail.serving.page.reference import operations_of, shapes_of

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Running:
    """What the start page says.

    Attributes:
        model: The name by which it is served.
        policy: Name, version, digest and mode.
        keys: Whether keys are needed.
        compares: Whether unguarded answers may be seen: by `anybody`, by some `keys`, by `nobody`.
        under_way: Requests.
        address: Of the server, as it was asked.
    """

    model: str
    policy: Mapping[str, Any]
    keys: bool
    compares: str
    under_way: int
    address: str


@dataclass(frozen=True)
class Page:
    """A page, and the headers that it goes with."""

    html: str
    headers: Mapping[str, str]


def start_page(running: Running, api: Mapping[str, Any]) -> Page:
    """Returns the start page.

    Args:
        running: What it says.
        api: The description of the API.
    """
    return _page(
        "start.html",
        script=_own_file("static/decision.js") + _own_file("static/playground.js"),
        running=running,
        operations=operations_of(api),
        examples=EXAMPLES.values(),
    )


def reference_page(api: Mapping[str, Any]) -> Page:
    """Returns the page that describes the API."""
    return _page("reference.html", operations=operations_of(api), shapes=shapes_of(api))


def _page(template: str, *, script: str = "", **given: Any) -> Page:
    style = static_file("page.css") + _own_file("static/start.css")
    scripts = f"script-src '{source_hash(script)}'; connect-src 'self'; " if script else ""
    policy = (
        f"default-src 'none'; {scripts}style-src '{source_hash(style)}'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    html = _templates().get_template(template).render(
        style=Markup(style),  # our own files, whole: the content policy holds their digests
        script=Markup(script),
        **given,
    )  # fmt: skip
    return Page(html, {"Content-Security-Policy": policy, **_HEADERS})


@cache
def _templates() -> Environment:
    found = escaping("guardrail.serving.page")
    found.globals.update(version=__version__)
    found.filters.update(coded=_coded)
    return found


def _coded(text: str) -> Markup:
    """Returns a docstring's words, escaped, what stands in backticks as code."""
    pieces = (
        Markup("<code>{}</code>").format(piece) if at % 2 else escape(piece)
        for at, piece in enumerate(text.split("`"))
    )
    return Markup("").join(pieces)


@cache
def _own_file(name: str) -> str:
    return files("guardrail.serving.page").joinpath(name).read_text("utf-8")
