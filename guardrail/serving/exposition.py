"""What the instruments have counted, as Prometheus reads it.

It reads OpenTelemetry's instruments, whoever made them, and makes none.
"""

from __future__ import annotations

import threading

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as MEDIA_TYPE

from guardrail.record.telemetry.names import SCHEMA_URL
from guardrail.record.version import __version__

__all__ = ["MEDIA_TYPE", "Exposition"]


class Exposition:
    """Reads the instruments of one meter provider. Safe to use from several threads.

    Args:
        provider: Whose instruments; a new one's without it. One that is there keeps its readers.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        self._reading = threading.Lock()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        reader = PrometheusMetricReader(registry=self._registry)
        if provider is None:
            named = Resource({"service.name": "guardrail", "service.version": __version__})
            provider = MeterProvider(
                metric_readers=[reader], resource=named.merge(OTELResourceDetector().detect())
            )
        else:
            provider.add_metric_reader(reader)
        self.provider = provider

    @classmethod
    def of_process(cls) -> Exposition | None:
        """Reads the process's own instruments, and has a provider made for them where none is.

        A provider that somebody else has set stays, and goes on to whomever it reports to.

        Returns:
            None if it is not OpenTelemetry's own, which alone can be read here.
        """
        found = metrics.get_meter_provider()
        if isinstance(found, MeterProvider):
            return cls(found)
        made = cls()
        metrics.set_meter_provider(made.provider)
        return made if metrics.get_meter_provider() is made.provider else None

    def meter(self, name: str) -> Meter:
        """Returns where instruments are made that are read here.

        Args:
            name: Who makes them.
        """
        return self.provider.get_meter(name, __version__, SCHEMA_URL)

    def text(self) -> bytes:
        """Returns all counts, in Prometheus's text format."""
        with self._reading:  # its reader mixes up two who read at once
            return generate_latest(self._registry)
