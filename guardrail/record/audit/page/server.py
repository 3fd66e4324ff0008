"""Serves the pages to this machine, for reading only, with the standard library alone.

It listens on the loopback address, answers only requests that name it (so that no other site can
reach it through the browser), and sends pages that may load nothing from anywhere else.
"""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from guardrail.errors import AuditError
from guardrail.record.audit.checking import verify_path
from guardrail.record.audit.keys import AuditKey
from guardrail.record.audit.page import views
from guardrail.record.audit.queries import LogReader

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
_LONGEST_QUERY = 2000


class AuditServer(ThreadingHTTPServer):
    """The server of one log.

    Attributes:
        log: The log.
        key: Checks it, if it is at hand.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, log: Path, *, port: int, key: AuditKey | None) -> None:
        self.log, self.key = log, key
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
    timeout = 30

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def _answer(self, *, send_body: bool) -> None:
        status, kind, body = self._response()
        encoded = body.encode("utf-8", "backslashreplace")
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        if send_body:
            self.wfile.write(encoded)

    def _response(self) -> tuple[int, str, str]:
        if not self._names_us():
            return 403, HTML, views.error_page(403, "this page is for this machine alone")
        try:
            return self._page()
        except AuditError as error:
            return 500, HTML, views.error_page(500, str(error))
        except Exception as error:
            _log.warning("a page of the audit log failed", exc_info=error)
            return 500, HTML, views.error_page(500, f"the page failed: {type(error).__name__}")

    def _names_us(self) -> bool:
        port = self.server.port
        names = {f"{host}:{port}" for host in ("127.0.0.1", "localhost")}
        return self.headers.get("Host", "") in names

    def _page(self) -> tuple[int, str, str]:
        where = urlsplit(self.path[:_LONGEST_QUERY])
        path = where.path
        if path.startswith("/static/") and (name := path.removeprefix("/static/")) in views.STATIC:
            return 200, views.STATIC[name], views.static_file(name)
        if path == "/check":
            return 200, HTML, views.check_page(verify_path(self.server.log, self.server.key))
        with LogReader(self.server.log) as reader:
            if path == "/":
                query = {name: given[-1] for name, given in parse_qs(where.query).items()}
                return 200, HTML, views.list_page(reader, query)
            place = path.removeprefix("/record/")
            if place != path and place.isdecimal() and place.isascii() and len(place) < 19:
                record = reader.record(int(place))
                if record is not None:
                    return 200, HTML, views.decision_page(reader, record)
        return 404, HTML, views.error_page(404, "there is no such page")

    def log_message(self, format: str, *arguments: object) -> None:
        _log.debug(format, *arguments)
