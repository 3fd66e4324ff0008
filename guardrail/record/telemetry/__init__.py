"""Spans and metrics of requests, through the OpenTelemetry API."""
