"""What stands at which path. See docs/serving.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from guardrail.record.version import __version__
from guardrail.serving.body import ChatBody, ReviewBody
from guardrail.serving.desk import Ask, Desk
from guardrail.serving.doorway import is_local
from guardrail.serving.exposition import MEDIA_TYPE
from guardrail.serving.failures import Failure, told
from guardrail.serving.tenants import Tenant
from guardrail.serving.visit import CLIENT_CLOSED, Visit, visit_of
from guardrail.serving.written import LAST_LINE, WrittenAnswer, event_line

SESSION = "x-guardrail-session"
"""The header that names a request's session, among those of its tenant."""

REVIEWED = "x-guardrail-review"
"""The header of a request that was escalated and reviewed, and is made again: its first id."""

_LONGEST_NAME = 200
"""Characters of a session's name."""

_Found = TypeVar("_Found")

router = APIRouter()


def desk_of(request: Request) -> Desk:
    """Returns the desk of the application that is asked."""
    found: Desk = request.app.state.desk
    return found


def _tenant(request: Request) -> Tenant:
    desk, visit = desk_of(request), visit_of(request)
    tenants = desk.tenants
    if tenants is None:
        visit.tenant = desk.anybody.name
        return desk.anybody
    given = request.headers.getlist("authorization")
    # Of two, a proxy in front may have checked the other one.
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    found = tenants.of(key.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        headers = {"www-authenticate": "Bearer"}
        raise Failure(401, "a key is needed, and this is none", "no_key", headers=headers)
    visit.tenant = found.name
    return found


_OfDesk = Annotated[Desk, Depends(desk_of)]
_Whose = Annotated[Tenant, Depends(_tenant)]


def _comparing(request: Request, desk: _OfDesk, tenant: _Whose) -> None:
    # Without keys this machine alone may: whatever the server listens on, and by whatever name it
    # is asked.
    if not tenant.compares or (desk.tenants is None and not is_local(request.client)):
        raise Failure(403, "unguarded answers are not for you to see", "no_comparison")


@router.get("/health")
async def health() -> dict[str, str]:
    """Says that the process lives."""
    return {"status": "ok", "version": __version__}


@router.get("/ready")
async def ready(desk: _OfDesk) -> dict[str, Any]:
    """Says that requests are answered, and how many are under way."""
    return {"status": "ready", "model": desk.name, "under_way": desk.admission.under_way}


@router.get("/metrics")
def metrics(desk: _OfDesk, tenant: _Whose) -> Response:
    """Shows what was counted, in Prometheus's text format."""
    if not tenant.metrics:
        raise Failure(403, "this key may not read metrics", "no_metrics_key")
    if desk.exposition is None:
        raise Failure(404, "this process's metrics are not read here", "no_metrics")
    return Response(desk.exposition.text(), media_type=MEDIA_TYPE)


@router.get("/v1/models")
async def models(desk: _OfDesk, tenant: _Whose) -> dict[str, Any]:
    """Lists the one model."""
    known = {"id": desk.name, "object": "model", "created": 0, "owned_by": "guardrail"}
    return {"object": "list", "data": [known]}


@router.get("/v1/guardrail/policy")
def policy(desk: _OfDesk, tenant: _Whose) -> dict[str, Any]:
    """Says which policy holds for this key: its thresholds, what is done at each label, and how
    answers are watched.
    """
    found, mode = desk.policy(tenant)
    rules = [
        {
            "id": rule.id,
            "safe_below": rule.safe_below,
            "unsafe_at": rule.unsafe_at,
            "actions": {**rule.actions, "uncertain": rule.asked_of_uncertain},
        }
        for rule in found.rules
    ]
    named = {"name": found.name, "version": found.version, "digest": found.digest}
    watch = None if found.watch.is_off else found.watch.model_dump(mode="json")
    return {**named, "mode": mode, "categories": rules, "watch": watch}


@router.get("/v1/guardrail/decisions/{request_id}")
async def decision(request_id: str, desk: _OfDesk, tenant: _Whose) -> dict[str, Any]:
    """Returns one of the latest decisions on this key's requests."""
    return await desk.decision(tenant, request_id)


@router.post("/v1/guardrail/reviews/{request_id}")
async def review(
    request_id: str, body: ReviewBody, desk: _OfDesk, tenant: _Whose
) -> dict[str, Any]:
    """Takes a human's word on an escalation; the client then makes the request again."""
    await desk.review(tenant, request_id, approved=body.approved, by=body.by)
    return {"request_id": request_id, "approved": body.approved, "by": body.by}


async def _counted(request: Request, desk: _OfDesk, tenant: _Whose) -> Tenant:
    """Counts a request among those of its key: once, however many answers are given to it."""
    visit_of(request).headers.update(await desk.rates.count(tenant.rate, tenant.key))
    return tenant


_Counted = Annotated[Tenant, Depends(_counted)]


async def _ask(body: ChatBody, request: Request, desk: _OfDesk, tenant: _Counted) -> Ask:
    if body.model not in (None, desk.name):
        raise Failure(404, f"there is no model {body.model!r}", "model_not_found", "model")
    session = request.headers.get(SESSION)
    if session is not None and len(session) > _LONGEST_NAME:
        raise Failure(400, f"{SESSION} is over {_LONGEST_NAME} characters", "invalid_session")
    return Ask(body, tenant, session, request.headers.get(REVIEWED))


_Asked = Annotated[Ask, Depends(_ask)]


@router.post("/v1/chat/completions", response_model=None)
async def completions(ask: _Asked, request: Request, desk: _OfDesk) -> Any:
    """Answers, guarded."""
    written = WrittenAnswer(desk.name, json_asked=ask.body.json_asked)
    events = desk.events(ask, written, visit_of(request))
    return await _answered(ask, request, events, written, written.whole)


@router.post("/v1/guardrail/compare", response_model=None, dependencies=[Depends(_comparing)])
async def compare(ask: _Asked, request: Request, desk: _OfDesk) -> Any:
    """Answers guarded, and then once more unguarded, for those who may see that.

    What is blocked or refused is asked unguarded, too; what a human has to decide is not.
    """
    if ask.body.tools:
        raise Failure(400, "unguarded calls of tools cannot be had", "invalid_body", "tools")
    written = WrittenAnswer(desk.name, json_asked=ask.body.json_asked)
    unguarded: dict[str, Any] = {}

    async def both() -> AsyncGenerator[dict[str, Any], None]:
        async with aclosing(desk.events(ask, written, visit_of(request))) as events:
            async for event in events:
                yield event
        unguarded.update(await desk.unguarded(ask))
        yield written.compared(unguarded)

    def whole() -> dict[str, Any]:
        return {"guarded": written.whole(), "unguarded": unguarded}

    return await _answered(ask, request, both(), written, whole)


@router.post("/v1/guardrail/decide", response_model=None)
async def decide(ask: _Asked, request: Request, desk: _OfDesk) -> Any:
    """Decides about a request that somebody else answers."""
    if ask.body.stream:
        raise Failure(400, "a decision is not streamed", "invalid_body", "stream")
    try:
        found = await _unless_gone(request, desk.decide(ask, visit_of(request)))
    except Exception as error:
        raise told(error) from None
    decision = found.decision.model_dump(mode="json")
    said = {
        "decision": decision,
        "action": decision["action"],
        "withheld": found.withheld,
        "words": found.refusal,
    }
    return JSONResponse(said, headers=_headers(decision))


async def _answered(
    ask: Ask,
    request: Request,
    events: AsyncGenerator[dict[str, Any], None],
    written: WrittenAnswer,
    whole: Callable[[], dict[str, Any]],
) -> Any:
    """Returns the answer: its events while they are made, or what `whole` returns after them."""
    try:
        if ask.body.stream:
            first = await _unless_gone(request, anext(events))
            lines = _lines(first, events, visit_of(request))
            return StreamingResponse(lines, media_type="text/event-stream")
        await _unless_gone(request, _spent(events))
    except Exception as error:
        raise told(error) from None
    return JSONResponse(whole(), headers=_headers(written.decision))


def _headers(decision: Mapping[str, Any]) -> dict[str, str]:
    return {
        "x-guardrail-action": decision["action"],
        "x-guardrail-request-id": decision["request_id"],
    }


async def _spent(events: AsyncGenerator[Any, None]) -> None:
    async for _ in events:
        pass


async def _lines(
    first: dict[str, Any], events: AsyncGenerator[dict[str, Any], None], visit: Visit
) -> AsyncIterator[str]:
    """Yields an answer's events as lines; what fails in the middle is the last of them."""
    async with aclosing(events):
        yield event_line(first)
        try:
            async for event in events:
                yield event_line(event)
        except Exception as error:
            failure = told(error)
            visit.code = failure.code
            yield event_line(failure.body())
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
            raise Failure(CLIENT_CLOSED, "the client has gone away", "client_closed")
        return doing.result()
    finally:
        doing.cancel()
        gone.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
