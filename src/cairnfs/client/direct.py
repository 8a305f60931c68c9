"""Calls to a NameNode without an event loop: a link that never waits in the asyncio sense.

A coroutine of the client that only talks to the NameNode through such a link runs from start
to end in one step, in the caller's own thread. So a command that lists a directory needs
neither asyncio (a third of its start-up time) nor another thread (0.1 ms for each call).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from cairnfs.errors import CallTimeout, ConnectFailed, ConnectionLost, LocalProtocolError
from cairnfs.wire.rpc_client import RpcClientConnection

T = TypeVar("T")
_RECEIVE_BYTES = 64 * 1024


def run_directly(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits for an event loop."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    work.close()
    raise LocalProtocolError("a call without an event loop waited for one")


class DirectClock:
    """The machine's clock, for coroutines that :func:`run_directly` runs."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: float) -> None:
        time.sleep(max(0.0, duration_ms) / 1000)  # noqa: ASYNC251 - there is no loop to block


class DirectLink:
    """One NameNode, as :class:`cairnfs.net.rpc_client.RpcClient`; one call at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        protocol: str,
        *,
        user: str,
        client_id: bytes,
        timeout_ms: int,
        connect_timeout_ms: int,
    ) -> None:
        self._address = (host, port)
        self._protocol = protocol
        self._user = user
        self._client_id = client_id
        self._timeout_ms = timeout_ms
        self._connect_timeout_ms = connect_timeout_ms
        self._sock: socket.socket | None = None
        self._wire: RpcClientConnection | None = None
        self._next_call_id = 0

    @property
    def peer(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    async def call(
        self,
        method: str,
        request: bytes,
        timeout_ms: int | None = None,
        *,
        call_id: int | None = None,
        retry_count: int = 0,
    ) -> bytes:
        """The serialised response. Raises the NameNode's error, ``ConnectFailed``,
        ``ConnectionLost`` or ``CallTimeout``."""
        if call_id is None:
            call_id = self._next_call_id
            self._next_call_id += 1
        limit_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        self._connect()
        assert self._wire is not None
        try:
            return self._exchange(
                self._wire.request(call_id, method, request, retry_count), call_id, limit_ms
            )
        except TimeoutError:
            self._drop()
            raise CallTimeout(f"{self.peer} did not answer {method} within {limit_ms} ms") from None
        except OSError as error:
            self._drop()
            raise ConnectionLost(
                f"{self.peer} broke the connection: {error.strerror or error}"
            ) from None

    def _exchange(self, frame: bytes, call_id: int, limit_ms: int) -> bytes:
        sock, wire = self._sock, self._wire
        assert sock is not None
        assert wire is not None
        deadline_s = time.monotonic() + limit_ms / 1000
        whole = False
        try:
            sock.settimeout(limit_ms / 1000)
            sock.sendall(frame)
            while True:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                sock.settimeout(left_s)
                data = sock.recv(_RECEIVE_BYTES)
                if not data:
                    raise ConnectionLost(f"{self.peer} closed the connection")
                for answer in wire.receive(data):
                    if answer.call_id == call_id:
                        whole = True
                        if answer.error is not None:
                            raise answer.error
                        return answer.body
        finally:
            # Interrupted in the middle, nobody knows what comes next on it.
            if not whole:
                self._drop()

    def _connect(self) -> None:
        if self._sock is not None and self._is_open(self._sock):
            return
        self._drop()
        try:
            sock = socket.create_connection(self._address, self._connect_timeout_ms / 1000)
        except TimeoutError:
            raise ConnectFailed(
                f"{self.peer} did not accept a connection within {self._connect_timeout_ms} ms"
            ) from None
        except OSError as error:
            raise ConnectFailed(
                f"{self.peer} cannot be reached: {error.strerror or error}; is it running?"
            ) from None
        self._sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = RpcClientConnection(self._protocol, self._user, self._client_id)
        try:
            sock.sendall(self._wire.hello())
        except OSError as error:
            self._drop()
            raise ConnectionLost(f"{self.peer} broke the connection: {error}") from None

    @staticmethod
    def _is_open(sock: socket.socket) -> bool:
        """Whether a connection that was idle is still there: NameNodes close those."""
        try:
            sock.setblocking(False)
            return sock.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def close(self) -> None:
        self._drop()
