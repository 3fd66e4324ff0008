"""`guardrail serve`: a guarded model behind the chat API, for any client of it."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from guardrail.cli.model_loading import load_engine
from guardrail.cli.run_options import Server
from guardrail.cli.serve_replicas import serve_replicas
from guardrail.errors import SettingsError
from guardrail.record.audit.observer import LOG_VARIABLE
from guardrail.record.audit.own_log import is_folder
from guardrail.serving.tenants import LOOPBACK, Tenants
from guardrail.shared import engine_options, reached
from guardrail.shared.connection import URL_VARIABLE

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_LOG = logging.getLogger(__name__)

_GRACE_S = 30
"""Seconds that requests under way have to end in, once the server is told to."""


@app.command("serve")
def serve(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="A model's folder or hub id, or its name on --server; the embedded model by "
            "default.",
            show_default=False,
        ),
    ] = None,
    server: Server = None,
    policy: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="A policy's name, or a policy file.")
    ] = "baseline",
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where to listen; any but this machine's own needs keys."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = 8080,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="YAML: SHA-256 of each key, its tenant and metadata (docs/serving.md).",
            show_default=False,
        ),
    ] = None,
    audit_log: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|DIR/",
            help="Where decisions are put on record; in a folder, in a log of this process's own. "
            "A folder, with --replicas.",
            show_default=False,
        ),
    ] = None,
    max_inflight: Annotated[
        int, typer.Option(metavar="N", min=1, help="Requests at once; more are told to come again.")
    ] = 64,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log one JSON object a line, for programs.")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare/--no-compare",
            help="Without keys, show this machine unguarded answers beside guarded ones; with "
            "them, keys say so.",
        ),
    ] = True,
    redis: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar=URL_VARIABLE,
            show_envvar=False,
            help="A Redis in which several servers share sessions, reviews and rates "
            "(docs/replicas.md); with a password in it, better as GUARDRAIL_REDIS.",
            show_default=False,
        ),
    ] = None,
    replicas: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="How many processes, each with its own model, on Ray Serve; they need --redis.",
        ),
    ] = 1,
) -> None:
    """Serve a guarded model over HTTP, by OpenAI's chat API.

    Told to stop, it takes no more requests, and ends once those under way have ended.
    """  # fmt: skip
    if api_key_file is None and host not in LOOPBACK:
        raise SettingsError(
            f"--host {host} is not this machine alone: give --api-key-file, so that not everybody "
            "may ask"
        )
    if replicas > 1:
        serve_replicas(
            replicas,
            host=host,
            port=port,
            redis=redis,
            grace_s=_GRACE_S,
            model=model,
            server=server,
            policy=policy,
            api_key_file=api_key_file,
            audit_folder=Path(audit_log) if audit_log else None,
            max_inflight=max_inflight,
            json_logs=json_logs,
            compares=compare,
        )
        return
    try:
        import uvicorn

        from guardrail.serving.app import create_app
        from guardrail.serving.exposition import Exposition
        from guardrail.serving.log import begin_log
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"serving needs {error.name}: pip install 'safecode-guardrail[serve]'"
        ) from error
    from guardrail.chat.model import ChatSafeCoDe

    tenants = Tenants.from_file(api_key_file) if api_key_file else None
    shared = reached(redis) if redis else None
    if audit_log is not None:
        if is_folder(audit_log):
            _make_folder(audit_log)
        os.environ[LOG_VARIABLE] = audit_log
    console = Console(stderr=True, quiet=json_logs)
    exposition = Exposition.of_process()
    engine = load_engine(model, policy, server=server, console=console, **engine_options(shared))
    begin_log(as_json=json_logs)
    if exposition is None:
        _LOG.warning("the process's meter provider is not OpenTelemetry's: there is no /metrics")
    served = create_app(
        ChatSafeCoDe(engine=engine),
        tenants=tenants,
        hosts=LOOPBACK if host in LOOPBACK else None,
        max_inflight=max_inflight,
        compares=compare,
        exposition=exposition,
        shared=shared,
    )
    _LOG.info("serving %s under %s", engine.model_name, policy)
    # uvicorn raises the signal again at its end: a process that died of it would send no telemetry.
    signal.signal(signal.SIGTERM, _end)
    uvicorn.run(
        served,
        host=host,
        port=port,
        log_level="info",
        log_config=None,
        access_log=False,  # it would hold paths and queries as they were asked
        http="h11",  # which refuses what two parsers may read in two ways
        timeout_graceful_shutdown=_GRACE_S,
    )


def _end(number: int, frame: object) -> None:
    raise SystemExit(0)


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make the folder {path!r}: {error.strerror}") from error
