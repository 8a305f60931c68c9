"""The RPC server: connections on an event loop, calls to handlers, answers back.

All calls that arrive together are served in one pass and answered by one write, which is
what makes it quick (DESIGN section 1). A handler is given the request's bytes and the call
and returns the response's bytes at once, or an awaitable of them, or :data:`LATER` when it
will call :meth:`ServerCall.reply` or :meth:`ServerCall.fail` itself.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from cairnfs import limits
from cairnfs.clock import Clock, SystemClock
from cairnfs.errors import (
    CairnError,
    NoSuchMethod,
    NoSuchProtocol,
    RemoteError,
    StartupError,
    VersionMismatch,
)
from cairnfs.log import our_fault, peer_fault
from cairnfs.types import Caller
from cairnfs.wire.rpc import ConnectionContext
from cairnfs.wire.rpc_server import (
    RpcCall,
    RpcFatal,
    RpcServerConnection,
    decode_method,
    error_answer,
    success_answer,
)

logger = logging.getLogger(__name__)


class _Later:
    """The handler will answer by itself."""


LATER: Final = _Later()
Answer = bytes | Awaitable[bytes] | _Later
Handler = Callable[[bytes, "ServerCall"], Answer]
# A quick one that needs nothing but the caller and answers at once.
Read = Callable[[bytes, Caller], bytes]
Authorize = Callable[[ConnectionContext, str], Caller]

# Distinct method headers remembered; a hostile peer could send endless different ones.
_METHOD_CACHE_MAX = 4096
_SWEEP_MS = 5_000
# Instead of a time: the connection owes nothing.
_NOTHING = -1


@dataclass(frozen=True, slots=True)
class RpcService:
    """One protocol: its Java interface name, its version, its methods.

    ``reads`` are methods too, called without a :class:`ServerCall` being made for them."""

    protocol: str
    version: int
    methods: Mapping[str, Handler]
    reads: Mapping[str, Read] = field(default_factory=dict)


class _Method:
    """A handler and how often it was called."""

    __slots__ = ("calls", "error", "handler", "name", "read")

    def __init__(
        self, name: str, handler: Handler | None, read: Read | None, error: CairnError | None
    ) -> None:
        self.name = name
        self.handler = handler
        self.read = read
        self.error = error
        self.calls = 0


class ServerCall:
    """One call on its way through the server."""

    __slots__ = ("_connection", "_rpc")

    def __init__(self, rpc_call: RpcCall, connection: _Connection) -> None:
        self._rpc = rpc_call
        self._connection = connection

    @property
    def caller(self) -> Caller:
        """Who calls, as the connection said it (without the ids of this very call)."""
        caller = self._connection.caller
        assert caller is not None
        return caller

    @property
    def retry_key(self) -> bytes:
        """Client id and call id: names this call across retries; empty without client id."""
        client_id = self._rpc.origin.client_id
        return client_id + self._rpc.call_id.to_bytes(4, "big") if client_id else b""

    def reply(self, body: bytes) -> None:
        """Answer with the serialised response. Answers of one loop pass share a write."""
        self._connection.answer_later(success_answer(self._rpc, body))

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self._connection.answer_later(error_answer(self._rpc, presentable(error)))


def presentable(error: BaseException) -> CairnError:
    """``error`` as the peer may see it; what is not a ``CairnError`` is our fault."""
    if isinstance(error, CairnError):
        return error
    our_fault(logger, "a call failed with %r", error, exc_info=error)
    return RemoteError("java.io.IOException", f"internal error: {type(error).__name__}")


class _Connection(asyncio.Protocol):
    """One peer."""

    __slots__ = (
        "_server",
        "_since_ms",
        "caller",
        "in_flight",
        "paused",
        "peer",
        "transport",
        "waiting",
        "wire",
    )

    def __init__(self, server: RpcServer) -> None:
        self._server = server
        self.transport: asyncio.Transport | None = None
        self.peer = "?"
        self.caller: Caller | None = None
        # Answers for the flush that ends the current pass.
        self.waiting: list[bytes] = []
        self.in_flight = 0
        self.paused = False
        self._since_ms = server.clock.steady_ms()
        self.wire = RpcServerConnection(self._authorize, self)

    def _authorize(self, context: ConnectionContext) -> None:
        self.caller = self._server.authorize(context, self.peer)

    # --- transport callbacks ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = stream = cast(asyncio.Transport, transport)
        name = stream.get_extra_info("peername")
        self.peer = name[0] if name else "?"
        stream.set_write_buffer_limits(high=limits.RPC_ANSWER_BUFFER_BYTES_MAX)
        sock = stream.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._server.disconnected(self)

    def pause_writing(self) -> None:
        # The peer does not read its answers: take no more calls from it.
        self.paused = True
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.paused = False
        self._resume_reading()

    def data_received(self, data: bytes) -> None:
        wire = self.wire
        try:
            calls = wire.receive(data)
        except RpcFatal as fatal:
            peer_fault(logger, "%s: %s", self.peer, fatal)
            self.close(fatal.last_words)
            return
        if wire.outgoing:
            self.waiting += wire.outgoing
            wire.outgoing = []
        if calls:
            self._server.serve(calls, self)
        self.flush()
        if not wire.ready:
            return
        # A frame that drips in keeps the clock it began with.
        if not wire.pending_bytes:
            self._since_ms = _NOTHING
        elif calls or self._since_ms == _NOTHING:
            self._since_ms = self._server.clock.steady_ms()

    # --- answers ---------------------------------------------------------------------------

    def answer_later(self, frame: bytes) -> None:
        """An answer that was waited for; written with others of the same loop pass."""
        self.in_flight -= 1
        if self.transport is None:
            return
        if not self.waiting:
            self._server.flush_soon(self)
        self.waiting.append(frame)
        if self.in_flight == limits.RPC_CALLS_IN_FLIGHT_MAX // 2:
            self._resume_reading()

    def deferred(self) -> None:
        self.in_flight += 1
        if self.in_flight >= limits.RPC_CALLS_IN_FLIGHT_MAX and self.transport is not None:
            self.transport.pause_reading()

    def flush(self) -> None:
        waiting = self.waiting
        if waiting:
            frames = waiting[0] if len(waiting) == 1 else b"".join(waiting)
            # The list stays: whoever serves this connection's calls may hold its append.
            waiting.clear()
            # A peer that has gone must not disturb the others (DESIGN section 9).
            if self.transport is not None and not self.transport.is_closing():
                self.transport.write(frames)

    def close(self, last_words: bytes = b"") -> None:
        self.flush()
        if self.transport is not None and not self.transport.is_closing():
            if last_words:
                self.transport.write(last_words)
            self.transport.close()

    def overdue(self, now_ms: int) -> str | None:
        """Why this connection should be closed, if it should."""
        if self._since_ms == _NOTHING:
            return None
        waited_ms = now_ms - self._since_ms
        if not self.wire.ready:
            if waited_ms > limits.RPC_HANDSHAKE_MS:
                return f"its handshake took more than {limits.RPC_HANDSHAKE_MS} ms"
        elif waited_ms > limits.RPC_FRAME_MS:
            return f"a frame was not whole after {limits.RPC_FRAME_MS} ms"
        return None

    def _resume_reading(self) -> None:
        if (
            self.transport is not None
            and not self.paused
            and self.in_flight < limits.RPC_CALLS_IN_FLIGHT_MAX
            and not self.transport.is_reading()
            and not self.transport.is_closing()
        ):
            self.transport.resume_reading()


def authorize_anyone(context: ConnectionContext, address: str) -> Caller:
    """Simple authentication without groups or superusers: believe the name."""
    return Caller(context.user, (), False, address)


class RpcServer:
    """Serves ``services`` to whoever connects.

    ``authorize`` makes a :class:`Caller` of a connection's context and peer address, or
    raises."""

    def __init__(
        self,
        services: Iterable[RpcService],
        *,
        authorize: Authorize = authorize_anyone,
        clock: Clock | None = None,
    ) -> None:
        self.authorize = authorize
        self.clock: Clock = clock or SystemClock()
        self._services = {service.protocol: service for service in services}
        self._methods: dict[bytes, _Method] = {}
        self._named: dict[str, _Method] = {}
        self._connections: set[_Connection] = set()
        self._dirty: list[_Connection] = []
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[bytes]] = set()
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises ``StartupError`` where the address cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Connection(self), host or None, port, backlog=1024, reuse_address=True
            )
        except OSError as error:
            raise StartupError(
                f"cannot listen on {host}:{port} for RPC: {error.strerror or error}; "
                "is another process using the port?"
            ) from None
        # uvloop's servers hold a list where asyncio's hold a tuple.
        server: Any = self._server
        self.port = server.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(_SWEEP_MS / 1000, self._sweep)

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    def call_counts(self) -> dict[str, int]:
        """Calls so far, by ``Protocol.method`` (the short protocol name)."""
        return {name: method.calls for name, method in self._named.items()}

    # --- called by connections -------------------------------------------------------------

    def connected(self, connection: _Connection) -> None:
        if len(self._connections) >= limits.RPC_CONNECTIONS_MAX:
            peer_fault(
                logger, "%s: more than %d connections", connection.peer, len(self._connections)
            )
            connection.close()
        self._connections.add(connection)

    def disconnected(self, connection: _Connection) -> None:
        self._connections.discard(connection)

    def serve(self, calls: list[RpcCall], connection: _Connection) -> None:
        """Hand each call to its handler; answers that are there at once are queued."""
        methods = self._methods
        caller = connection.caller
        assert caller is not None, "calls come after the context"
        answer_now = connection.waiting.append
        for rpc_call in calls:
            try:
                method = methods.get(rpc_call.method_header)
                if method is None:
                    method = self._resolve(rpc_call.method_header)
                method.calls += 1
                read = method.read
                if read is not None:
                    answer_now(success_answer(rpc_call, read(rpc_call.request, caller)))
                    continue
                if method.handler is None:
                    assert method.error is not None
                    raise method.error
                answer = method.handler(rpc_call.request, ServerCall(rpc_call, connection))
            except Exception as error:
                answer_now(error_answer(rpc_call, presentable(error)))
                continue
            if type(answer) is bytes:
                answer_now(success_answer(rpc_call, answer))
            elif answer is LATER:
                connection.deferred()
            else:
                connection.deferred()
                self._await(answer, ServerCall(rpc_call, connection))

    def flush_soon(self, connection: _Connection) -> None:
        """Write the connection's answers at the end of this loop pass."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush_dirty)
        self._dirty.append(connection)

    # --- inside ----------------------------------------------------------------------------

    def _flush_dirty(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    def _await(self, answer: Any, call: ServerCall) -> None:
        def settle(done: asyncio.Future[bytes]) -> None:
            self._tasks.discard(done)
            if done.cancelled():
                return
            if (error := done.exception()) is not None:
                call.fail(error)
            else:
                call.reply(done.result())

        # A coroutine is the task itself: one inside another would never be begun nor closed
        # when `close` comes before the first step.
        task: asyncio.Future[bytes] = asyncio.ensure_future(answer)
        self._tasks.add(task)
        task.add_done_callback(settle)

    def _resolve(self, method_header: bytes) -> _Method:
        name = decode_method(method_header)
        short = name.protocol.rpartition(".")[2]
        service = self._services.get(name.protocol)
        handler: Handler | None = None
        read: Read | None = None
        error: CairnError | None = None
        if service is None:
            error = NoSuchProtocol(f"Unknown protocol: {name.protocol}")
        elif name.version != service.version:
            error = VersionMismatch(
                f"Protocol {name.protocol} version mismatch. "
                f"(client = {name.version}, server = {service.version})"
            )
        else:
            handler = service.methods.get(name.method)
            read = service.reads.get(name.method)
            if handler is None and read is None:
                error = NoSuchMethod(
                    f"Unknown method {name.method} called on {name.protocol} protocol."
                )
        label = f"{short}.{name.method}"
        known = error is None
        method = self._named.get(label) if known else None
        if method is None:
            method = _Method(label, handler, read, error)
            if known:
                self._named[label] = method
        if len(self._methods) < _METHOD_CACHE_MAX:
            self._methods[method_header] = method
        return method

    def _sweep(self) -> None:
        now_ms = self.clock.steady_ms()
        for connection in tuple(self._connections):
            reason = connection.overdue(now_ms)
            if reason is not None:
                peer_fault(logger, "%s: %s", connection.peer, reason)
                connection.close()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_MS / 1000, self._sweep)
