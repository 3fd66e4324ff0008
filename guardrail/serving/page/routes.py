"""At which paths the pages stand. None needs a key: they say what runs, and nothing of requests."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from guardrail.serving.desk import Desk
from guardrail.serving.failures import Failure
from guardrail.serving.page.examples import EXAMPLES
from guardrail.serving.page.views import Page, Running, reference_page, start_page
from guardrail.serving.routes import desk_of

_READ = ["GET", "HEAD"]
_PLAIN_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_UNKNOWN = "http://127.0.0.1:8080"

pages = APIRouter()


@pages.api_route("/", methods=_READ)
def start(request: Request) -> HTMLResponse:
    """Shows what runs, and a playground."""
    desk = desk_of(request)
    policy, mode = desk.policy(desk.anybody)
    named = {"name": policy.name, "version": policy.version, "digest": policy.digest}
    running = Running(
        model=desk.name,
        policy={**named, "mode": mode},
        keys=desk.tenants is not None,
        compares=_comparers(desk),
        under_way=desk.admission.under_way,
        address=_address(request),
    )
    return _written(start_page(running, request.app.openapi()))


@pages.api_route("/docs", methods=_READ)
def reference(request: Request) -> HTMLResponse:
    """Describes the API."""
    return _written(reference_page(request.app.openapi()))


@pages.api_route("/examples/{name}.png", methods=_READ)
def example(name: str) -> Response:
    """Shows one of the pictures that ship with the package."""
    if name not in EXAMPLES:
        raise Failure(404, "there is no such picture", "no_such_path")
    headers = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}
    return Response(EXAMPLES[name].png(), media_type="image/png", headers=headers)


def _comparers(desk: Desk) -> str:
    if desk.tenants is not None:
        return "keys"
    return "anybody" if desk.anybody.compares else "nobody"


def _address(request: Request) -> str:
    """Returns by which address the server was asked, if it can be pasted into a shell."""
    found = str(request.base_url).rstrip("/")
    return found if _PLAIN_ADDRESS.fullmatch(found) else _UNKNOWN


def _written(page: Page) -> HTMLResponse:
    return HTMLResponse(page.html, headers=dict(page.headers))
