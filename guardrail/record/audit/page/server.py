"""Serves the pages to this machine, for reading only, with the standard library alone.

It listens on the loopback address, answers only requests that name it (so that no other site can
reach it through the browser), and sends pages that may load nothing from anywhere else. A
connection carries one request, whose head must come whole, soon and in few bytes; so many are
served at once, and one more is told to come back. How a head is read is in `requests`.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from guardrail.errors import AuditError
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.page import views
from guardrail.record.audit.page.requests import (
    Refused,
    checked_target,
    drain,
    fields_of,
    names_us,
    read_head,
)
from guardrail.record.audit.queries import LogReader
from guardrail.record.keys import AuditKey

_log = logging.getLogger(__name__)

HTML = "text/html; charset=utf-8"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_CONNECTIONS = 32
HEAD_S = 10.0
"""How long a request's head may take to come, all of it together."""
SEND_S = 30.0
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 33\r\n\r\ntoo many connections: come again\n"
)


class AuditServer(ThreadingHTTPServer):
    """The server of one log.

    Attributes:
        log: The log.
        key: Checks it, if it is at hand.
        checking: Held while the log is checked: that takes a processor, and one is enough.
        head_s: How long a request's head may take to come, in seconds.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, log: Path, *, port: int, key: AuditKey | None, head_s: float = HEAD_S
    ) -> None:
        self.log, self.key, self.head_s = log, key, head_s
        self.checking = threading.Lock()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/"

    def close(self) -> None:
        """Stops listening."""
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serves a connection in a thread of its own, or turns it away if there are too many."""
        if not self._free.acquire(blocking=False):
            with suppress(OSError):
                request.setblocking(False)
                request.send(_BUSY)
                drain(request)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is no news."""
        _log.debug("a connection to the audit page failed", exc_info=True)


def make_server(log: Path, *, port: int, key: AuditKey | None) -> AuditServer:
    """Returns a server that listens, and serves once `serve_forever` is called.

    Args:
        log: An existing log.
        port: 0 takes a free one.
        key: For the page that checks the log; without it only hashes are checked.

    Raises:
        AuditError: There is no such log, or the port is taken.
    """
    LogReader(log).close()
    try:
        return AuditServer(log, port=port, key=key)
    except (OSError, OverflowError) as error:
        raise AuditError(f"cannot listen on port {port}: {error}") from error


class _Handler(BaseHTTPRequestHandler):
    server: AuditServer
    server_version = "guardrail"
    sys_version = ""
    connection: socket.socket

    def handle(self) -> None:
        self.close_connection = True  # INVARIANT: one request a connection; what follows is dropped
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
        try:
            head = read_head(self.connection, within_s=self.server.head_s)
        except Refused as error:
            self.send_error(error.status, str(error))
        else:
            if head:
                self.rfile = BytesIO(head)
                self.handle_one_request()
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            drain(self.connection)

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        said = message or self.responses.get(code, ("the request failed", ""))[0]
        page = views.error_page(int(code), said)
        self._send(int(code), HTML, page, send_body=self.command != "HEAD")

    def _answer(self, *, send_body: bool) -> None:
        status, kind, body = self._response()
        self._send(status, kind, body, send_body=send_body)

    def _send(self, status: int, kind: str, body: str, *, send_body: bool) -> None:
        encoded = body.encode("utf-8", "backslashreplace")
        self.request_version = "HTTP/1.1"  # else no headers are sent, and the page is unprotected
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(encoded)))
        self.send_header("Connection", "close")
        self.connection.settimeout(SEND_S)
        self.end_headers()
        if send_body:
            self.wfile.write(encoded)

    def _response(self) -> tuple[int, str, str]:
        try:
            if not names_us(self.headers.get_all("Host") or [], self.server.port):
                raise Refused(403, "this page is for this machine alone")
            if (
                "Transfer-Encoding" in self.headers
                or self.headers.get("Content-Length", "0") != "0"
            ):
                raise Refused(413, "a request has no body here")
            return self._page(*checked_target(self.requestline))
        except Refused as error:
            return error.status, HTML, views.error_page(error.status, str(error))
        except AuditError as error:
            return 500, HTML, views.error_page(500, str(error))
        except Exception as error:
            _log.warning("a page of the audit log failed", exc_info=error)
            return 500, HTML, views.error_page(500, f"the page failed: {type(error).__name__}")

    def _page(self, path: str, asked: str) -> tuple[int, str, str]:
        if path.startswith("/static/") and (name := path.removeprefix("/static/")) in views.STATIC:
            return 200, views.STATIC[name], views.static_file(name)
        if path == "/check":
            with self.server.checking:
                found = verify_path(self.server.log, self.server.key)
            return 200, HTML, views.check_page(found)
        with LogReader(self.server.log) as reader:
            if path == "/":
                return 200, HTML, views.list_page(reader, fields_of(asked))
            place = path.removeprefix("/record/")
            if place != path and place.isdecimal() and place.isascii() and len(place) < 19:
                record = reader.record(int(place))
                if record is not None:
                    return 200, HTML, views.decision_page(reader, record)
        return 404, HTML, views.error_page(404, "there is no such page")

    def log_message(self, format: str, *arguments: object) -> None:
        _log.debug(format, *arguments)
