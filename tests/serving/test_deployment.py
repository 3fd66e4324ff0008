"""The image and the compose file of `examples/gateway`: what can be checked without a container."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomllib
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typer.main import get_command

from guardrail.cli.serve import app
from guardrail.record.telemetry.metrics import Metrics
from tests.record.telemetry.test_otlp import Receiver, receiver
from tests.serving.served import body

__all__ = ["receiver"]  # a fixture

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "gateway"
COMPOSE: Any = yaml.safe_load((FOLDER / "compose.yaml").read_text())
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
GUARDRAIL = COMPOSE["services"]["guardrail"]
KEPT = {"guardrail", "adapters", "policies", "examples"}


def options(command: list[str]) -> set[str]:
    return {each.split("=")[0] for each in command if each.startswith("--")}


def command_of_image() -> list[str]:
    [line] = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    found: list[str] = json.loads(line)
    return found


@pytest.mark.parametrize("command", [command_of_image(), GUARDRAIL["command"]])
def test_what_a_container_is_started_with_is_what_serve_takes(command: list[str]) -> None:
    known = {name for each in get_command(app).params for name in each.opts}
    assert command[0] == "serve"
    assert options(command) <= known
    assert {"--api-key-file", "--audit-log", "--host"} <= options(command)


def test_every_name_in_the_compose_file_is_one_of_its_own() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        for volume in service.get("volumes", ()):
            where = volume.split(":")[0]
            assert (
                (FOLDER / where).is_file() if where.startswith(".") else where in COMPOSE["volumes"]
            )
    addressed = re.findall(r"http://([a-z]+):\d", json.dumps(COMPOSE))
    assert {"vllm", "collector"} <= set(addressed) <= set(services)
    assert GUARDRAIL["build"]["target"] in re.findall(r" AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert (FOLDER / GUARDRAIL["build"]["context"] / GUARDRAIL["build"]["dockerfile"]).is_file()


def test_nobody_but_this_machine_is_let_in_and_no_key_is_shipped() -> None:
    published = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    ignored = [(ROOT / ".gitignore").read_text(), (FOLDER / "Dockerfile.dockerignore").read_text()]
    for name in COMPOSE["secrets"]:
        assert all(f"examples/gateway/{name}" in each for each in ignored)
        assert f"/run/secrets/{name}" in DOCKERFILE
    assert (GUARDRAIL["read_only"], GUARDRAIL["cap_drop"]) == (True, ["ALL"])
    assert re.search(r"^USER 10001", DOCKERFILE, re.MULTILINE)


def test_the_image_is_built_of_what_the_wheel_is_built_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [torch] = [each for each in project["project"]["dependencies"] if each.startswith("torch")]
    assert f'"{torch}"' in DOCKERFILE
    [extras] = re.findall(r"\{wheel\}\[([a-z,]+)\]", DOCKERFILE)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text()
    kept = {line.removeprefix("!") for line in ignored.splitlines() if line.startswith("!")}
    assert kept >= KEPT | {"pyproject.toml", "README.md", "LICENSE"}
    assert all((ROOT / each).exists() for each in kept)


class Names:
    """Notes which instruments are made, by the names that Prometheus gives them."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def create_counter(self, name: str, *_: Any) -> None:
        self.found.add(f"{name.replace('.', '_')}_total")

    def create_histogram(self, name: str, unit: str, *_: Any, **__: Any) -> None:
        named = name.replace(".", "_") + ("_seconds" if unit == "s" else "")
        self.found |= {f"{named}_bucket", f"{named}_sum", f"{named}_count"}


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    names: Any = Names()
    Metrics(names)
    board = json.loads((FOLDER / "grafana" / "guardrail.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    found = {name for each in asked for name in re.findall(r"\b\w+(?=(?:\{[^}]*\})?\[)", each)}
    assert found
    assert found <= names.found
    source = yaml.safe_load((FOLDER / "grafana" / "datasource.yaml").read_text())
    uids = {panel["datasource"]["uid"] for panel in board["panels"]}
    assert uids == {each["uid"] for each in source["datasources"]}


def test_metrics_go_from_one_to_the_next() -> None:
    collector = yaml.safe_load((FOLDER / "collector.yaml").read_text())
    prometheus = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    port = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert GUARDRAIL["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://collector:{port}"
    out = collector["exporters"]["prometheus"]["endpoint"].rpartition(":")[2]
    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": [f"collector:{out}"]}]
    for each in collector["service"]["pipelines"].values():
        assert set(each["exporters"]) <= set(collector["exporters"])


@pytest.mark.slow
def test_a_collector_receives_spans_and_metrics_of_what_is_served(receiver: Receiver) -> None:
    variables = {**GUARDRAIL["environment"], "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{receiver.server_port}"
    there = Path(sys.executable).parent
    started = [str(there / name) for name in GUARDRAIL["entrypoint"]]
    process = subprocess.Popen(
        [*started, "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    assert process.stderr is not None
    try:
        line = next(each for each in process.stderr if "Uvicorn running on" in each)
        url = line.split("running on ")[1].split()[0]
        answer = httpx.post(f"{url}/v1/chat/completions", json=body(), timeout=60).json()
    finally:
        process.terminate()
        process.communicate(timeout=60)  # which sends what is left
    spans = {
        span.name: span
        for message in receiver.received("/v1/traces", ExportTraceServiceRequest)
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert {"chat embedded", "guardrail.verdict", "guardrail.decode"} <= set(spans)
    assert spans["chat embedded"].trace_id.hex() == answer["guardrail"]["trace_id"]
    measured = receiver.received("/v1/metrics", ExportMetricsServiceRequest)
    services = {
        each.value.string_value
        for message in measured
        for resource in message.resource_metrics
        for each in resource.resource.attributes
        if each.key == "service.name"
    }
    metrics = {
        metric.name
        for message in measured
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert services == {"guardrail"}
    assert {"guardrail.requests", "guardrail.decisions"} <= metrics
