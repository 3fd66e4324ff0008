"""Starts replicas on a Ray of their own, on this machine, for `guardrail serve --replicas`."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from pathlib import Path
from typing import Any

from rich.console import Console

from guardrail.errors import ModelError, SettingsError
from guardrail.policy import load_policy
from guardrail.serving.tenants import Tenants
from guardrail.shared import reached
from guardrail.shared.connection import URL_VARIABLE

_TRIES = 2  # of a replica to start


def serve_replicas(
    replicas: int, *, host: str, port: int, redis: str | None, grace_s: int, **served: Any
) -> None:
    """Serves until the process is told to stop.

    Args:
        replicas: How many.
        host: Where to listen.
        port: At which port.
        redis: What they share.
        grace_s: Seconds that requests under way have to end in.
        **served: As for `guardrail.serving.replicas.Serving`.

    Raises:
        SettingsError: The extra is missing, or an option cannot be had.
        GuardrailError: They cannot be served.
    """
    console = Console(stderr=True)
    address = _checked(port, redis, served)
    _prepare(address)
    try:
        import ray
        from ray import serve

        from guardrail.serving.replicas import Serving, deployment
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"replicas need {error.name}: pip install 'safecode-guardrail[ray]'"
        ) from error
    cores = os.cpu_count() or 1
    share = max(1, cores // replicas)
    made = deployment(
        Serving(**served),
        num_replicas=replicas,
        ray_actor_options={"num_cpus": share},
        graceful_shutdown_timeout_s=grace_s,
        max_constructor_retry_count=_TRIES,
    )
    try:
        with console.status(f"Starting {replicas} replicas …"):
            ray.init(
                address="local",
                num_cpus=max(cores, share * replicas),
                include_dashboard=False,
                logging_level="ERROR",
            )
            quiet = {"log_level": "WARNING", "enable_access_log": False}
            http = {"host": host, "port": port}
            serve.start(proxy_location="HeadOnly", http_options=http, logging_config=quiet)
            try:
                serve.run(made.bind(), name="guardrail", logging_config=quiet)
            except RuntimeError as error:
                raise ModelError(
                    "the replicas did not start: what they said stands above"
                ) from error
        where = f"[{host}]" if ":" in host else host
        said = f"{replicas} replicas running on http://{where}:{port} (Ctrl+C ends them)"
        console.print(said, highlight=False)
        _wait()
        serve.delete("guardrail")  # ends once what is under way has ended, or its time is over
    finally:
        serve.shutdown()
        ray.shutdown()


def _checked(port: int, redis: str | None, served: dict[str, Any]) -> str:
    """Returns the address of the Redis, once all that can be checked here is."""
    if not redis:
        raise SettingsError(
            "replicas share a Redis: give --redis URL; without one, what one replica was told "
            "would be unknown to the others"
        )
    if port == 0:
        raise SettingsError("--port is 0, expected the port at which all replicas are to be asked")
    if (keys := served["api_key_file"]) is not None:
        Tenants.from_file(keys)
    load_policy(served["policy"])
    reached(redis).close()
    for name in ("api_key_file", "audit_folder"):
        served[name] = served[name] and served[name].absolute()
    for name in ("policy", "model"):  # names stay names
        if served[name] and Path(served[name]).exists():
            served[name] = str(Path(served[name]).absolute())
    if (folder := served["audit_folder"]) is not None and folder.is_file():
        raise SettingsError(
            f"--audit-log {str(folder)!r} is a file, expected a folder: each replica has a log"
        )
    return redis


def _prepare(address: str) -> None:
    """Sets what Ray and the replicas read when they start; they inherit it."""
    from guardrail.serving.lost import PROXY_CALLBACK, PROXY_VARIABLE

    os.environ[URL_VARIABLE] = address
    os.environ[PROXY_VARIABLE] = PROXY_CALLBACK
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # no request's line is left out for another's
    # Ray's own ports listen to other machines too: to who has this key, which lies in no file.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _wait() -> None:
    told = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: told.set())
    told.wait()
