"""The application around a guarded model. See docs/serving.md."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from guardrail.chat.model import ChatSafeCoDe
from guardrail.errors import GuardrailError
from guardrail.record.version import __version__
from guardrail.request.picture_limits import PictureLimits
from guardrail.serving.admission import Admission
from guardrail.serving.body import ErrorBody
from guardrail.serving.desk import Desk
from guardrail.serving.doorway import Doorway
from guardrail.serving.exposition import Exposition
from guardrail.serving.failures import Failure, told
from guardrail.serving.page.routes import pages
from guardrail.serving.rates import Rates
from guardrail.serving.routes import router
from guardrail.serving.shelf import SharedShelf
from guardrail.serving.tenants import ANYBODY, LOOPBACK, Tenants
from guardrail.serving.traffic import Traffic
from guardrail.serving.visit import Visits, note_failure
from guardrail.shared.connection import SharedRedis


def create_app(
    chat: ChatSafeCoDe,
    *,
    tenants: Tenants | None = None,
    hosts: Collection[str] | None = None,
    max_inflight: int = 64,
    compares: bool = True,
    exposition: Exposition | None = None,
    shared: SharedRedis | None = None,
) -> FastAPI:
    """Returns the application around a guarded model.

    Args:
        chat: The guarded model; of pictures it is given no paths of this machine, whatever its
            `picture_limits` say.
        tenants: Who may ask; anybody without.
        hosts: By which names the server may be asked; None for any.
        max_inflight: Requests under way at once; more are told to come again (429).
        compares: Whether anybody may see unguarded answers, where only this machine is let in, by
            its own names; with tenants their keys say so.
        exposition: What `/metrics` shows, and where the server counts; without it there is no such
            page, and the server counts with OpenTelemetry's global provider.
        shared: Where replicas keep together what was decided and counted; in this process without.
            What the model remembers is the engine's (`SafeCoDe(sessions=…, approval_ledger=…)`).
    """
    alone = tenants is None and hosts is not None and LOOPBACK.issuperset(hosts)
    anybody = replace(ANYBODY, compares=compares and alone)
    # FastAPI's own pages load their scripts from elsewhere; `guardrail.serving.page` has ours.
    app = FastAPI(title="guardrail", version=__version__, docs_url=None, redoc_url=None)
    # INVARIANT: no request reads a file of this machine.
    limits = replace(chat.picture_limits or PictureLimits(), local_files=False)
    chat = chat.model_copy(update={"picture_limits": limits})
    traffic = Traffic(exposition.meter("guardrail.serving") if exposition else None)
    desk = Desk(
        chat,
        chat.engine.model_name,
        tenants,
        Admission(max_inflight, traffic),
        Rates(shared),
        anybody=anybody,
        exposition=exposition,
    )
    if shared is not None:
        desk.decided = SharedShelf(shared, "decision")
        desk.escalated = SharedShelf(shared, "escalation")
    app.state.desk = desk
    app.include_router(router, responses={"4XX": {"model": ErrorBody, "description": "Refused"}})
    app.include_router(pages, include_in_schema=False)
    app.add_middleware(Doorway, hosts=hosts)
    app.add_middleware(Visits, traffic=traffic)
    for kind in (Failure, GuardrailError, Exception):
        app.add_exception_handler(kind, _failed)
    app.add_exception_handler(HTTPException, _no_such)
    app.add_exception_handler(RequestValidationError, _no_body)
    return app


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return _written(request, told(error))


async def _no_such(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    unread = error.status_code == HTTPStatus.BAD_REQUEST  # FastAPI's, of a body
    code = "invalid_body" if unread else "no_such_path"
    headers = error.headers or {}
    failure = Failure(error.status_code, error.detail.lower(), code, headers=headers)
    return _written(request, failure)


async def _no_body(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(each) for each in first["loc"][1:])
    message = f"{place or 'the body'}: {first['msg'].lower()}"
    failure = Failure(HTTPStatus.BAD_REQUEST, message, "invalid_body", place or None)
    return _written(request, failure)


def _written(request: Request, failure: Failure) -> JSONResponse:
    note_failure(request.scope, failure.code)
    return JSONResponse(failure.body(), failure.status, headers=dict(failure.headers))
