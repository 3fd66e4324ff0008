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
from guardrail.record.version import __version__
from guardrail.request.picture_limits import PictureLimits
from guardrail.serving.admission import Admission
from guardrail.serving.desk import Desk
from guardrail.serving.doorway import Doorway
from guardrail.serving.failures import Failure, told
from guardrail.serving.routes import router
from guardrail.serving.tenants import Tenants


def create_app(
    chat: ChatSafeCoDe,
    *,
    tenants: Tenants | None = None,
    hosts: Collection[str] | None = None,
    max_inflight: int = 64,
) -> FastAPI:
    """Returns the application around a guarded model.

    Args:
        chat: The guarded model; of pictures it is given no paths of this machine, whatever its
            `picture_limits` say.
        tenants: Who may ask; anybody without.
        hosts: By which names the server may be asked; None for any.
        max_inflight: Requests under way at once; more are told to come again (429).
    """
    # FastAPI's own pages load their scripts from elsewhere; what they show is in /openapi.json.
    app = FastAPI(title="guardrail", version=__version__, docs_url=None, redoc_url=None)
    # INVARIANT: no request reads a file of this machine.
    limits = replace(chat.picture_limits or PictureLimits(), local_files=False)
    chat = chat.model_copy(update={"picture_limits": limits})
    app.state.desk = Desk(chat, chat.engine.model_name, tenants, Admission(max_inflight))
    app.include_router(router)
    app.add_middleware(Doorway, hosts=hosts)
    for kind in (Failure, Exception):
        app.add_exception_handler(kind, _failed)
    app.add_exception_handler(HTTPException, _no_such)
    app.add_exception_handler(RequestValidationError, _no_body)
    return app


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return _written(told(error))


async def _no_such(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    unread = error.status_code == HTTPStatus.BAD_REQUEST  # FastAPI's, of a body
    code = "invalid_body" if unread else "no_such_path"
    headers = error.headers or {}
    return _written(Failure(error.status_code, error.detail.lower(), code, headers=headers))


async def _no_body(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(each) for each in first["loc"][1:])
    message = f"{place or 'the body'}: {first['msg'].lower()}"
    return _written(Failure(HTTPStatus.BAD_REQUEST, message, "invalid_body", place or None))


def _written(failure: Failure) -> JSONResponse:
    return JSONResponse(failure.body(), failure.status, headers=dict(failure.headers))
