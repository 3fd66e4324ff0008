"""What stands at which path. See docs/serving.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, StreamingResponse

from guardrail.record.version import __version__
from guardrail.serving.body import ChatBody, ReviewBody
from guardrail.serving.desk import Desk
from guardrail.serving.failures import Failure, told
from guardrail.serving.tenants import ANYBODY, Tenant
from guardrail.serving.written import LAST_LINE, WrittenAnswer, event_line

SESSION = "x-guardrail-session"
"""The header that names a request's session, among those of its tenant."""

REVIEWED = "x-guardrail-review"
"""The header of a request that was escalated and reviewed, and is made again: its first id."""

_LONGEST_NAME = 200
"""Characters of a session's name."""

_CLIENT_CLOSED = 499
"""What nobody reads any more."""

_Found = TypeVar("_Found")

router = APIRouter()


def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


def _tenant(request: Request) -> Tenant:
    tenants = _desk(request).tenants
    if tenants is None:
        return ANYBODY
    given = request.headers.getlist("authorization")
    # Of two, a proxy in front may have checked the other one.
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    found = tenants.of(key.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        headers = {"www-authenticate": "Bearer"}
        raise Failure(401, "a key is needed, and this is none", "no_key", headers=headers)
    return found


_OfDesk = Annotated[Desk, Depends(_desk)]
_Whose = Annotated[Tenant, Depends(_tenant)]


@router.get("/health")
async def health() -> dict[str, str]:
    """Says that the process lives."""
    return {"status": "ok", "version": __version__}


@router.get("/ready")
async def ready(desk: _OfDesk) -> dict[str, Any]:
    """Says that requests are answered, and how many are under way."""
    return {"status": "ready", "model": desk.name, "under_way": desk.admission.under_way}


@router.get("/v1/models")
async def models(desk: _OfDesk, tenant: _Whose) -> dict[str, Any]:
    """Lists the one model."""
    known = {"id": desk.name, "object": "model", "created": 0, "owned_by": "guardrail"}
    return {"object": "list", "data": [known]}


@router.get("/v1/guardrail/decisions/{request_id}")
async def decision(request_id: str, desk: _OfDesk, tenant: _Whose) -> dict[str, Any]:
    """Returns one of the latest decisions on this key's requests."""
    found = desk.decided.get((tenant.name, request_id))
    if found is None:
        raise Failure(404, "there is no such decision, or it is too old", "no_decision")
    return found


@router.post("/v1/guardrail/reviews/{request_id}")
async def review(
    request_id: str, body: ReviewBody, desk: _OfDesk, tenant: _Whose
) -> dict[str, Any]:
    """Takes a human's word on an escalation; the client then makes the request again."""
    found = desk.review(tenant, request_id, approved=body.approved, by=body.by)
    return {"request_id": request_id, "approved": found.approved, "by": found.by}


@router.post("/v1/chat/completions", response_model=None)
async def completions(body: ChatBody, request: Request, desk: _OfDesk, tenant: _Whose) -> Any:
    """Answers, guarded."""
    if body.model not in (None, desk.name):
        raise Failure(404, f"there is no model {body.model!r}", "model_not_found", "model")
    session = request.headers.get(SESSION)
    if session is not None and len(session) > _LONGEST_NAME:
        raise Failure(400, f"{SESSION} is over {_LONGEST_NAME} characters", "invalid_session")
    written = WrittenAnswer(desk.name, json_asked=body.json_asked)
    events = desk.events(
        body,
        tenant,
        written,
        session=session,
        reviewed=request.headers.get(REVIEWED),
    )
    try:
        if body.stream:
            first = await _unless_gone(request, anext(events))
            return StreamingResponse(_lines(first, events), media_type="text/event-stream")
        await _unless_gone(request, _spent(events))
    except Exception as error:
        raise told(error) from None
    said = written.decision
    headers = {
        "x-guardrail-action": said["action"],
        "x-guardrail-request-id": said["request_id"],
    }
    return JSONResponse(written.whole(), headers=headers)


async def _spent(events: AsyncGenerator[Any, None]) -> None:
    async for _ in events:
        pass


async def _lines(
    first: dict[str, Any], events: AsyncGenerator[dict[str, Any], None]
) -> AsyncIterator[str]:
    """Yields an answer's events as lines; what fails in the middle is the last of them."""
    async with aclosing(events):
        yield event_line(first)
        try:
            async for event in events:
                yield event_line(event)
        except Exception as error:
            yield event_line(told(error).body())
            return
    yield LAST_LINE


async def _unless_gone(request: Request, work: Awaitable[_Found]) -> _Found:
    """Returns what comes of `work`, which is cancelled if the client goes away.

    Raises:
        Failure: The client has gone away.
    """
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Failure(_CLIENT_CLOSED, "the client has gone away", "client_closed")
        return doing.result()
    finally:
        doing.cancel()
        gone.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
