"""The DataNode's web port: ``/health`` and ``/metrics``.

Imported when the first peer comes (:mod:`cairnfs.net.lazy_http_server`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

if TYPE_CHECKING:
    from cairnfs.datanode.status import Status


class _Collector:
    """Turns the figures of one moment into metrics."""

    def __init__(self) -> None:
        self.figures: list[tuple[str, str, str, dict[str, str], float]] = []

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for kind, name, documentation, labels, value in self.figures:
            family = families.get(name)
            if family is None:
                made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                family = families[name] = made(
                    f"cairn_datanode_{name}", documentation, labels=list(labels)
                )
            family.add_metric(list(labels.values()), value)  # type: ignore[attr-defined]
        return iter(families.values())


def make_app(status: Status) -> web.Application:
    """The application behind ``dfs.datanode.http.address``."""
    registry = CollectorRegistry()
    collector = _Collector()
    registry.register(collector)

    async def health(request: web.Request) -> web.Response:
        body = await asyncio.to_thread(status.health)
        return web.json_response(body, status=200 if body["status"] == "ok" else 503)

    async def metrics(request: web.Request) -> web.Response:
        collector.figures = await asyncio.to_thread(status.figures)
        return web.Response(
            body=generate_latest(registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def index(request: web.Request) -> web.Response:
        return web.json_response({"service": "cairn datanode", "see": ["/health", "/metrics"]})

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/health", health)
    app.router.add_get("/metrics", metrics)
    return app
