"""Speaks HTTP with one OpenAI-compatible server: JSON there and back, in bounded time.

It knows paths, time-outs and what may be asked again. What is asked, and what the answers mean, is
not known here.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic_core import from_json

from guardrail.backends.backend import Interrupted, Stop
from guardrail.errors import ServerError

CONNECT_S = 5.0
READ_S = 120.0
"""Seconds between two pieces of an answer, where nobody sets them."""

TRIES = 4
"""How often a request that changes nothing is made before the server is said to be down."""

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0
AT_ONCE = 128
"""Requests of one backend that are under way together, beside its streams."""

_SLOW_TRIES = 2
"""Of them, those that may take too long."""

_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_CLOSED = {"connection": "close"}
"""Of a stream: llama.cpp closes its connection without saying so."""

_READ = httpx.ByteStream(b"")
"""In place of what an answer was read from."""

_LARGEST = 64 * 2**20
"""Bytes of an answer that is no stream: more is no answer."""

_LONGEST_LINE = 4 * 2**20
"""Bytes of one event of a stream: more is no answer."""


class ServerClient:
    """Asks one server. Safe to use from several threads; connections are kept.

    Args:
        base_url: Up to and with `/v1`. A name and a password in it are sent as such, and not shown.
        api_key: Sent as a bearer token; None sends none.
        timeout_s: Seconds between two pieces of an answer after which there is none.
        transport: Instead of the network, for tests.
        sleep: Waits between tries.

    Raises:
        ServerError: The URL is none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = READ_S,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = _address(base_url)
        if url.userinfo and api_key:
            raise ServerError("the server's address holds a name, expected it or a key, not both")
        self.base_url = str(url.copy_with(userinfo=b"")).rstrip("/")
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(
            headers=headers,
            auth=(url.username, url.password) if url.userinfo else None,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S), pool=None),
            # As many as there are streams, which must keep no other request waiting.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=AT_ONCE),
            transport=transport,
            trust_env=False,
        )
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="guardrail-server")
        self._sleep = sleep
        self._close = weakref.finalize(self, _closed, self._threads, self._http)

    def ask(self, path: str, body: Mapping[str, Any], *, stop: Stop | None = None) -> Any:
        """Returns the JSON that the server answers with.

        A request is made again where the connection broke or the server is busy: whatever is asked
        here changes nothing on the server.

        Raises:
            ServerError: There is no usable answer, within the tries there are.
            Interrupted: It was stopped between tries.
        """
        wait, slow = FIRST_WAIT_S, 0
        for last in (False,) * (TRIES - 1) + (True,):
            if stop is not None and stop():
                raise Interrupted
            try:
                with self._opened(path, body) as answer:
                    content = _read(answer)
            except httpx.HTTPError as error:
                slow += isinstance(error, httpx.TimeoutException)
                if last or slow == _SLOW_TRIES:
                    raise ServerError(_broken(self.base_url, error)) from error
            else:
                if answer.status_code not in _BUSY or last:
                    return _json_of(answer, content)
                wait = max(wait, _retry_after_s(answer) or 0.0)
            self._sleep(min(wait, LONGEST_WAIT_S))
            wait *= 2
        raise AssertionError("the last try returns or raises")

    def ask_all(
        self, asked: Sequence[tuple[str, Mapping[str, Any]]], *, stop: Stop | None = None
    ) -> list[Any]:
        """Returns the answers to several requests, made together.

        Raises:
            ServerError: One of them has none.
            Interrupted: It was stopped.
        """
        if len(asked) == 1:
            return [self.ask(*asked[0], stop=stop)]
        waiting = [self._threads.submit(self.ask, *each, stop=stop) for each in asked]
        waiting.reverse()  # and taken out: what fails holds this frame, which must not hold it
        return [waiting.pop().result() for _ in asked]

    @contextmanager
    def meanwhile(self, calls: Sequence[Callable[[], None]]) -> Iterator[None]:
        """Has calls wait for the server while the caller does so for something else.

        None of them makes requests by `ask_all`: what waits for threads must hold none.
        """
        waiting = [self._threads.submit(each) for each in calls]
        try:
            yield
        finally:
            while waiting:
                waiting.pop().result()

    def stream(self, path: str, body: Mapping[str, Any]) -> Generator[Any, None, None]:
        """Yields the JSON of each event of a stream; made once, since text is out after the first.

        Raises:
            ServerError: It does not begin, breaks off, or is no stream of events.
        """
        ended = False
        try:
            with self._opened(path, {**body, "stream": True}, _CLOSED) as answer:
                if answer.status_code != httpx.codes.OK:
                    _json_of(answer, _read(answer))
                for line in answer.iter_lines():
                    if len(line) > _LONGEST_LINE:
                        raise ServerError("the server streams an event without end")
                    if not line.startswith("data:"):
                        continue
                    data = line.removeprefix("data:").strip()
                    if data == "[DONE]":
                        ended = True
                        break
                    yield _parsed(data)
        except httpx.HTTPError as error:
            raise ServerError(_broken(self.base_url, error)) from error
        if not ended:
            raise ServerError("the server's stream broke off before its end")

    @contextmanager
    def _opened(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        method = "GET" if body is None else "POST"
        request = self._http.build_request(method, self._url(path), json=body, headers=headers)
        answer = self._http.send(request, stream=True)
        try:
            yield answer
        finally:
            answer.close()
            answer.stream = _READ  # its own holds it: they would wait for the collector

    def get(self, path: str) -> Any:
        """Returns the JSON at a path; None where the server has none.

        Raises:
            ServerError: It cannot be reached.
        """
        try:
            with self._opened(path) as answer:
                content = _read(answer)
        except httpx.HTTPError as error:
            raise ServerError(_broken(self.base_url, error)) from error
        return _parsed_or_none(content) if answer.status_code == httpx.codes.OK else None

    def close(self) -> None:
        """Closes every connection; so does the end of its last use."""
        self._close()

    def _url(self, path: str) -> str:
        if path.startswith("/"):  # beside the API, as `/tokenize`
            return self.base_url.removesuffix("/v1") + path
        return f"{self.base_url}/{path}"


def _closed(threads: ThreadPoolExecutor, http: httpx.Client) -> None:
    threads.shutdown(wait=False, cancel_futures=True)
    http.close()


def _address(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ServerError(f"the server's address is no URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        shown = str(url.copy_with(userinfo=b"") if url.host else url)
        raise ServerError(f"the server's address is {shown!r}, expected http://… or https://…")
    return url


def _read(answer: httpx.Response) -> bytes:
    found = bytearray()
    for piece in answer.iter_bytes():
        found += piece
        if len(found) > _LARGEST:
            raise ServerError("the server's answer has no end")
    return bytes(found)


def _json_of(answer: httpx.Response, content: bytes) -> Any:
    status = answer.status_code
    if status != httpx.codes.OK:
        said = _parsed_or_none(content)
        found = said.get("error", said) if isinstance(said, dict) else {}
        message = found.get("message", "") if isinstance(found, dict) else str(found)
        raise ServerError(
            f"the server answers {status}: {str(message)[:300]!r}",
            status=status,
            retry_after_s=_retry_after_s(answer),
        )
    return _parsed(content)


def _parsed(text: bytes | str) -> Any:
    try:
        return from_json(text)
    except ValueError as error:
        raise ServerError(f"the server answers {text[:60]!r}, expected JSON") from error


def _parsed_or_none(text: bytes) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return None


def _broken(url: str, error: httpx.HTTPError) -> str:
    kind = "takes too long" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    return f"the server at {url!r} {kind} ({type(error).__name__})"


def _retry_after_s(answer: httpx.Response) -> float | None:
    """Returns in how many seconds the server wants to be asked again; None if it says nothing."""
    said = answer.headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
