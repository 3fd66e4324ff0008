"""`guardrail serve`: a guarded model behind the chat API, for any client of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from guardrail.cli.model_loading import load_engine
from guardrail.cli.run_options import Server
from guardrail.errors import SettingsError
from guardrail.record.audit.observer import LOG_VARIABLE
from guardrail.serving.tenants import LOOPBACK, Tenants

app = typer.Typer(add_completion=False, rich_markup_mode=None)

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
        Path | None,
        typer.Option(metavar="PATH", help="Where decisions are put on record.", show_default=False),
    ] = None,
    max_inflight: Annotated[
        int, typer.Option(metavar="N", min=1, help="Requests at once; more are told to come again.")
    ] = 64,
) -> None:
    """Serve a guarded model over HTTP, by OpenAI's chat API.

    Told to stop, it takes no more requests, and ends once those under way have ended.
    """  # fmt: skip
    if api_key_file is None and host not in LOOPBACK:
        raise SettingsError(
            f"--host {host} is not this machine alone: give --api-key-file, so that not everybody "
            "may ask"
        )
    try:
        import uvicorn

        from guardrail.serving.app import create_app
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"serving needs {error.name}: pip install 'safecode-guardrail[serve]'"
        ) from error
    from guardrail.chat.model import ChatSafeCoDe

    tenants = Tenants.from_file(api_key_file) if api_key_file else None
    if audit_log is not None:
        os.environ[LOG_VARIABLE] = str(audit_log)
    console = Console(stderr=True)
    engine = load_engine(model, policy, server=server, console=console)
    served = create_app(
        ChatSafeCoDe(engine=engine),
        tenants=tenants,
        hosts=LOOPBACK if host in LOOPBACK else None,
        max_inflight=max_inflight,
    )
    console.print(f"serving {engine.model_name} under {policy}", highlight=False)
    # uvicorn raises the signal again at its end: a process that died of it would send no telemetry.
    signal.signal(signal.SIGTERM, _end)
    uvicorn.run(
        served,
        host=host,
        port=port,
        log_level="info",
        http="h11",  # which refuses what two parsers may read in two ways
        timeout_graceful_shutdown=_GRACE_S,
    )


def _end(number: int, frame: object) -> None:
    raise SystemExit(0)
