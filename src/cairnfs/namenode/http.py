"""The NameNode's web port: health and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

if TYPE_CHECKING:
    from cairnfs.namenode.namesystem import Namesystem
    from cairnfs.net.rpc_server import RpcServer


class _Collector:
    """Reads the figures when they are asked for; nothing is counted twice."""

    def __init__(self, system: Namesystem, server: RpcServer) -> None:
        self._system = system
        self._server = server

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("cairn_rpc_calls", "Calls served.", labels=["method"])
        for method, count in sorted(self._server.call_counts().items()):
            calls.add_metric([method], count)
        yield calls
        for name, (value, documentation) in self._system.gauges().items():
            yield GaugeMetricFamily(f"cairn_namenode_{name}", documentation, value)
        yield GaugeMetricFamily(
            "cairn_rpc_connections", "Open RPC connections.", self._server.connection_count
        )
        writer = self._system.writer
        for name, count in (
            ("batches", writer.batches),
            ("operations", writer.operations),
            ("syncs", writer.syncs),
        ):
            yield CounterMetricFamily(f"cairn_journal_{name}", f"Writer {name}.", count)


def make_app(system: Namesystem, server: RpcServer) -> web.Application:
    """The application behind ``dfs.namenode.http-address``."""
    registry = CollectorRegistry()
    registry.register(_Collector(system, server))

    async def health(request: web.Request) -> web.Response:
        body = system.health()
        return web.json_response(body, status=200 if body["status"] == "ok" else 503)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def index(request: web.Request) -> web.Response:
        return web.json_response({"service": "cairn namenode", "see": ["/health", "/metrics"]})

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/health", health)
    app.router.add_get("/metrics", metrics)
    return app
