"""RPC calls to one server over one connection, remade whenever it is lost."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Protocol, cast

from cairnfs.errors import CairnError, CallTimeout, ConnectFailed, ConnectionLost, TransportError
from cairnfs.wire.rpc import CLIENT_ID_BYTES
from cairnfs.wire.rpc_client import RpcAnswer, RpcClientConnection


class Message(Protocol):
    """Anything that serialises itself as protobuf does."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802


class _Link(asyncio.Protocol):
    """One connection and the calls that wait on it."""

    def __init__(self, wire: RpcClientConnection, peer: str) -> None:
        self._wire = wire
        self._peer = peer
        self.transport: asyncio.Transport | None = None
        self.waiting: dict[int, asyncio.Future[RpcAnswer]] = {}
        self.lost: BaseException | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = stream = cast(asyncio.Transport, transport)
        sock = stream.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.write(self._wire.hello())

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._wire.receive(data)
        except CairnError as error:
            self._give_up(error)
            return
        for answer in answers:
            future = self.waiting.pop(answer.call_id, None)
            if future is not None and not future.done():
                future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_up(
            self.lost
            or ConnectionLost(f"{self._peer} closed the connection" + (f": {exc}" if exc else ""))
        )

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _give_up(self, error: BaseException) -> None:
        if self.lost is None:
            self.lost = error
        waiting, self.waiting = self.waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(self.lost)
        self.close()


class RpcClient:
    """Calls the methods of ``protocol`` (a Java interface name) at ``host:port`` as ``user``.

    Connects when first needed, and anew after a loss; does not retry by itself: what may
    be repeated is known above. Calls from several tasks share the connection."""

    def __init__(
        self,
        host: str,
        port: int,
        protocol: str,
        *,
        user: str,
        real_user: str | None = None,
        protocol_version: int = 1,
        timeout_ms: int = 60_000,
        connect_timeout_ms: int = 20_000,
        client_id: bytes | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.timeout_ms = timeout_ms
        self._connect_timeout_ms = connect_timeout_ms
        self._protocol = protocol
        self._user = user
        self._real_user = real_user
        self._version = protocol_version
        self.client_id = client_id or os.urandom(CLIENT_ID_BYTES)
        self._wire: RpcClientConnection | None = None
        self._link: _Link | None = None
        self._connecting: asyncio.Task[_Link] | None = None
        self._next_call_id = 0
        self._closed = False

    @property
    def peer(self) -> str:
        return f"{self.host}:{self.port}"

    def new_call_id(self) -> int:
        """An id for a call that may be sent more than once."""
        call_id = self._next_call_id
        self._next_call_id = (call_id + 1) & 0x7FFFFFFF
        return call_id

    async def call(
        self,
        method: str,
        request: Message | bytes,
        timeout_ms: int | None = None,
        *,
        call_id: int | None = None,
        retry_count: int = 0,
    ) -> bytes:
        """Call ``method``; the serialised response.

        Raises what the server answered (``errors.from_java``), ``ConnectFailed``,
        ``ConnectionLost`` or ``CallTimeout``. A repeated call passes the same ``call_id``
        and a higher ``retry_count``, so that the server can tell."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        if call_id is None:
            call_id = self.new_call_id()
        limit_ms = self.timeout_ms if timeout_ms is None else timeout_ms
        link = self._link
        if link is None or link.lost is not None:
            link = await self._connect()
        assert link.transport is not None
        assert self._wire is not None
        future: asyncio.Future[RpcAnswer] = asyncio.get_running_loop().create_future()
        link.waiting[call_id] = future
        link.transport.write(self._wire.request(call_id, method, body, retry_count))
        try:
            async with asyncio.timeout(limit_ms / 1000):
                answer = await future
        except TimeoutError:
            raise CallTimeout(f"{self.peer} did not answer {method} within {limit_ms} ms") from None
        finally:
            link.waiting.pop(call_id, None)
        if answer.error is not None:
            raise answer.error
        return answer.body

    async def close(self) -> None:
        """Close the connection; calls that wait fail with ``ConnectionLost``."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._link is not None:
            self._link.close()
            self._link = None
            await asyncio.sleep(0)  # lets the transport tell its protocol

    async def _connect(self) -> _Link:
        if self._closed:
            raise ConnectionLost(f"the client of {self.peer} is closed")
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._open())
            self._connecting.add_done_callback(self._connected)
        return await asyncio.shield(self._connecting)

    def _connected(self, task: asyncio.Task[_Link]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._link = task.result()

    async def _open(self) -> _Link:
        self._wire = RpcClientConnection(
            self._protocol, self._user, self.client_id, self._real_user, self._version
        )
        wire = self._wire
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_ms / 1000):
                _, link = await loop.create_connection(
                    lambda: _Link(wire, self.peer), self.host, self.port
                )
        except TimeoutError:
            raise ConnectFailed(
                f"{self.peer} did not accept a connection within {self._connect_timeout_ms} ms"
            ) from None
        except OSError as error:
            raise ConnectFailed(
                f"{self.peer} cannot be reached: {error.strerror or error}; is it running?"
            ) from None
        return link


__all__ = ["RpcClient", "TransportError"]
