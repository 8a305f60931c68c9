"""The NameNode as a process: opened in order, ports last, stopped in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from cairnfs.clock import Clock, SystemClock
from cairnfs.config import Configuration, namenode_keys
from cairnfs.config.nameservices import host_port, namenodes
from cairnfs.errors import CairnError, StartupError
from cairnfs.events import EventBus
from cairnfs.log import configure
from cairnfs.namenode import layout
from cairnfs.namenode.layout import format_namespace, process_user
from cairnfs.namenode.monitors import Monitors
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namenode.protocols import services
from cairnfs.net.lazy_http_server import LazyHttpServer
from cairnfs.net.rpc_server import RpcServer

if TYPE_CHECKING:
    from aiohttp import web

logger = logging.getLogger(__name__)

__all__ = ["NameNode", "format_if_empty", "format_namespace", "run"]

# A thread that wakes (the journal's) waits for the interpreter at most this long while the
# loop is busy; Python's 5 ms would be added to every sync under load.
SWITCH_INTERVAL_S = 0.0005


def format_if_empty(configuration: Configuration) -> bool:
    """Format a missing or empty name directory; False if a namespace is there already."""
    if layout.is_formatted(configuration):
        return False
    format_namespace(configuration)
    return True


class NameNode:
    """One NameNode on the running event loop."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock | None = None,
        events: EventBus | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.configuration = configuration
        self.clock: Clock = clock or SystemClock()
        self.events = events or EventBus()
        self.system: Namesystem | None = None
        self.rpc_port = 0
        self.http_port = 0
        self._on_failure = on_failure or (lambda error: None)
        self._server: RpcServer | None = None
        self._http: LazyHttpServer | None = None
        self._monitors: Monitors | None = None

    async def start(self) -> None:
        """Open the stores, then the ports. Raises ``StartupError`` and the like, with
        everything closed again."""
        try:
            await self._start()
        except BaseException:
            await self.stop(clean=False)
            raise

    async def _start(self) -> None:
        configuration = self.configuration
        host, port = rpc_address(configuration)
        http_host, http_port = host_port(
            configuration[namenode_keys.HTTP_ADDRESS], 9870, namenode_keys.HTTP_ADDRESS.name
        )
        self.system = system = Namesystem.open(
            configuration, self.clock, self.events, process_user(), self._on_failure
        )
        self._server = RpcServer(
            services(system),
            authorize=system.authorizer,
            clock=self.clock,
        )
        self._monitors = Monitors(system)
        self._monitors.start()
        await self._start_http(http_host, http_port)
        await self._server.start(host, port)
        self.rpc_port = self._server.port
        self.events.emit("namenode.started", rpc_port=self.rpc_port, http_port=self.http_port)

    async def _start_http(self, host: str, port: int) -> None:
        system, server = self.system, self._server
        assert system is not None
        assert server is not None

        def make_app() -> web.Application:
            from cairnfs.namenode.http import make_app as make

            return make(system, server)

        http = LazyHttpServer(make_app, ("cairnfs.namenode.http",))
        await http.start(host, port)
        self._http = http
        self.http_port = http.port

    async def stop(self, clean: bool = True) -> None:
        """Close the ports, settle what is under way, close the stores."""
        if self._server is not None:
            await self._server.close()
            self._server = None
        if self._http is not None:
            await self._http.close()
            self._http = None
        if self._monitors is not None:
            await self._monitors.stop()
            self._monitors = None
        if self.system is not None:
            await self.system.close(clean)
            self.system = None


def rpc_address(configuration: Configuration) -> tuple[str, int]:
    """Where this NameNode listens: ``dfs.namenode.rpc-address`` or ``fs.defaultFS``."""
    known = namenodes(configuration)
    if not known:
        raise StartupError("no NameNode is configured; set fs.defaultFS = hdfs://HOST:PORT")
    own = known[0]
    bind = configuration[namenode_keys.RPC_BIND_HOST]
    return bind or own.host, own.port


def run(configuration: Configuration, ready: Callable[[dict[str, int]], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. ``ready`` is told the ports."""
    import uvloop

    configure()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return uvloop.run(_serve(configuration, ready))
    except CairnError as error:
        if ready is not None:
            raise
        print(f"cairn namenode: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


async def _serve(
    configuration: Configuration, ready: Callable[[dict[str, int]], None] | None
) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        failures.append(error)
        stopping.set()

    namenode = NameNode(configuration, on_failure=failed)
    await namenode.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    # What was made until now lives as long as the process: spare the collector the walk.
    gc.collect()
    gc.freeze()
    logger.info("serving RPC on port %d, HTTP on %d", namenode.rpc_port, namenode.http_port)
    if ready is not None:
        ready({"rpc_port": namenode.rpc_port, "http_port": namenode.http_port})
    await stopping.wait()
    await namenode.stop(clean=not failures)
    if failures:
        raise StartupError(f"stopped: {failures[0]}")
    return 0
