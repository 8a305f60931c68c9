"""A web server that loads aiohttp when the first peer comes.

aiohttp and the Prometheus client are 19 MB of a role's memory (measured), and the port of
most DataNodes is never asked. So the port is opened by a plain server, whose first
connection has the rest loaded in a thread; that and all later ones are aiohttp's.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from cairnfs.errors import StartupError
from cairnfs.log import our_fault

if TYPE_CHECKING:
    from aiohttp import web

logger = logging.getLogger(__name__)


# What a peer may say before somebody listens; a request's head is below 1 KiB.
_EARLY_BYTES_MAX = 64 * 1024


class _Doorman(asyncio.Protocol):
    """Keeps a connection, and what it says, until there is somebody to serve it.

    (Reading is not simply paused: uvloop does not take it up again where it was paused
    before it began.)"""

    def __init__(self, server: LazyHttpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._early = bytearray()
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface, not the class.
        self._transport = cast(asyncio.Transport, transport)
        self._server.admit(self)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._early += data
        if len(self._early) > _EARLY_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def hand_over(self, handler: asyncio.Protocol) -> None:
        """Let ``handler`` go on where this one waited."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.set_protocol(handler)
        handler.connection_made(transport)
        if self._early:
            handler.data_received(bytes(self._early))
        if self._paused:
            transport.resume_reading()


class LazyHttpServer:
    """Serves the application that ``make_app`` returns; ``modules`` are loaded before it."""

    def __init__(
        self, make_app: Callable[[], web.Application], modules: tuple[str, ...] = ()
    ) -> None:
        self._make_app = make_app
        self._modules = ("aiohttp.web", *modules)
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self._loading: asyncio.Task[web.AppRunner] | None = None
        self._admissions: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def loaded(self) -> bool:
        """Whether anybody has come yet."""
        return self._runner is not None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises ``StartupError`` where the address cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._protocol, host or None, port, reuse_address=True
            )
        except OSError as error:
            raise StartupError(
                f"cannot listen on {host}:{port} for HTTP: {error.strerror or error}; "
                "is another process using the port?"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._admissions):
            task.cancel()
        await asyncio.gather(*self._admissions, return_exceptions=True)
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def admit(self, visitor: _Doorman) -> None:
        """Give the connection to aiohttp as soon as that is there."""
        task = asyncio.ensure_future(self._admit(visitor))
        self._admissions.add(task)
        task.add_done_callback(self._admissions.discard)

    def _protocol(self) -> asyncio.BaseProtocol:
        if self._runner is not None:
            return self._handler(self._runner)
        return _Doorman(self)

    async def _admit(self, visitor: _Doorman) -> None:
        try:
            if self._loading is None:
                self._loading = asyncio.ensure_future(self._load())
            runner = await asyncio.shield(self._loading)
        except Exception as error:
            our_fault(logger, "the web port cannot serve: %r", error, exc_info=error)
            visitor.close()
            return
        except asyncio.CancelledError:
            visitor.close()
            raise
        visitor.hand_over(self._handler(runner))

    async def _load(self) -> web.AppRunner:
        for module in self._modules:
            await asyncio.to_thread(importlib.import_module, module)
        from aiohttp import web

        runner = web.AppRunner(self._make_app(), access_log=None, handle_signals=False)
        await runner.setup()
        self._runner = runner
        return runner

    @staticmethod
    def _handler(runner: web.AppRunner) -> asyncio.Protocol:
        assert runner.server is not None
        return runner.server()
