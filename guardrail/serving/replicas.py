"""The application as replicas on Ray Serve. Needs the extra `ray`. See docs/replicas.md.

`serve run` builds it by its name, `guardrail.serving.replicas:app`, and the arguments of `Serving`.
Each replica loads the model, and has an audit log of its own; what they share lies in Redis.
"""

# No postponed annotations: Ray reads the class of `app`'s argument off the function.
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from ray import serve
from ray.serve import Application
from starlette.types import ASGIApp

from guardrail.backends.transformers.loading import quieten
from guardrail.chat.model import ChatSafeCoDe
from guardrail.errors import SettingsError
from guardrail.record.audit.observer import LOG_VARIABLE
from guardrail.serving.app import create_app
from guardrail.serving.doorway import LocalPeers
from guardrail.serving.exposition import Exposition
from guardrail.serving.log import begin_log
from guardrail.serving.tenants import LOOPBACK, Tenants
from guardrail.shared import engine_options, reached
from guardrail.shared.connection import URL_VARIABLE
from guardrail.steering.safecode import SafeCoDe

SERVER_KEY = "GUARDRAIL_SERVER_KEY"
"""The environment variable that holds a server's key."""


class Serving(BaseModel):
    """What is served, and how.

    Attributes:
        model: A model's folder or hub id, or its name on `server`; the embedded model without it.
        server: An OpenAI-compatible server, up to and with `/v1`; its key is in
            `GUARDRAIL_SERVER_KEY`.
        policy: A policy's name, or a policy file.
        api_key_file: Who may ask; without it, this machine alone.
        audit_folder: Where each replica keeps its audit log.
        redis: What replicas share, an address without a password, since Ray writes it into its
            logs; by default the one in `GUARDRAIL_REDIS`, with or without.
        max_inflight: Requests under way at once in each replica; more are told to come again.
        json_logs: Whether replicas log one JSON object a line.
        compares: Whether, without keys, this machine may see unguarded answers.
        hosts: By which names the server may be asked; without them any, given keys, and this
            machine's own without keys.
    """

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    server: str | None = None
    policy: str = "baseline"
    api_key_file: Path | None = None
    audit_folder: Path | None = None
    redis: str | None = None
    max_inflight: int = Field(64, ge=1)
    json_logs: bool = False
    compares: bool = True
    hosts: list[str] | None = None

    @field_validator("audit_folder", "api_key_file")
    @classmethod
    def _is_absolute(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            raise ValueError(f"{str(path)!r} is not absolute: replicas run in folders of Ray's")
        return path

    @field_validator("redis")
    @classmethod
    def _is_public(cls, address: str | None) -> str | None:
        if address is not None and "@" in address:
            raise ValueError(f"an address with a password stands in {URL_VARIABLE} alone")
        return address


def app(serving: Serving) -> Application:
    """Returns the application that Ray Serve runs.

    Args:
        serving: What is served; in a YAML of Ray Serve, the `args` of the application.

    Raises:
        SettingsError: No Redis is named.
    """
    return deployment(serving).bind()


def deployment(serving: Serving, **options: Any) -> Any:
    """Returns the deployment, of the name `guardrail`, for options of one's own.

    Args:
        serving: What is served.
        **options: Those of a deployment of Ray Serve, as `num_replicas`.

    Raises:
        SettingsError: No Redis is named.
    """
    if not _address(serving):
        raise SettingsError(
            f"replicas share a Redis: name it as `redis`, or in {URL_VARIABLE}; without one, what "
            "one replica was told would be unknown to the others"
        )

    def built() -> ASGIApp:  # in each replica
        return replica(serving, serve.get_replica_context().replica_id.unique_id)

    # A replica says itself when there is too much for it, and answers /ready even then.
    given = {"max_ongoing_requests": 2 * serving.max_inflight + 8, **options}
    return serve.deployment(serve.ingress(built)(), name="guardrail", **given)


def replica(serving: Serving, named: str) -> ASGIApp:
    """Returns one replica: the model loaded, its log named, the Redis reached.

    Args:
        serving: What is served.
        named: Which replica it is.

    Raises:
        GuardrailError: It cannot be served.
    """
    tenants = Tenants.from_file(serving.api_key_file) if serving.api_key_file else None
    shared = reached(_address(serving))
    if serving.audit_folder is not None:
        serving.audit_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[LOG_VARIABLE] = str(serving.audit_folder / f"guardrail-{named}.db")
    exposition = Exposition.of_process()
    engine = _engine(serving, engine_options(shared))
    begin_log(as_json=serving.json_logs)
    hosts = serving.hosts or (LOOPBACK if tenants is None else None)
    made: ASGIApp = create_app(
        ChatSafeCoDe(engine=engine),
        tenants=tenants,
        hosts=hosts,
        max_inflight=serving.max_inflight,
        compares=serving.compares,
        exposition=exposition,
        shared=shared,
    )
    return LocalPeers(made) if tenants is None else made


def _engine(serving: Serving, kept: dict[str, Any]) -> SafeCoDe:
    own = None if serving.model == "embedded" else serving.model
    if serving.server is not None:
        key = os.environ.get(SERVER_KEY)
        return SafeCoDe.from_server(
            serving.server, model=own, api_key=key, policy=serving.policy, **kept
        )
    quieten()
    if own is None:
        return SafeCoDe.embedded(policy=serving.policy, **kept)
    return SafeCoDe.from_pretrained(own, policy=serving.policy, **kept)


def _address(serving: Serving) -> str:
    return serving.redis or os.environ.get(URL_VARIABLE, "")
