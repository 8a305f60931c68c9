"""One data-transfer connection, from either side: a blocking socket with deadlines.

The kernel keeps the time (``SO_RCVTIMEO``, ``SO_SNDTIMEO``), so that ``recv_into``, ``sendmsg``
and ``sendfile`` are one system call each; Python's own socket timeouts would poll before every
one of them. Bytes that came with an operation but belong to what follows stay in ``rest``.

All methods raise ``ConnectionLost`` when the peer has gone and ``CallTimeout`` when it was
silent for too long, ``RemoteProtocolError`` for bytes that cannot be.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from cairnfs.errors import CallTimeout, ConnectFailed, ConnectionLost
from cairnfs.wire.crc import Buffer

T = TypeVar("T")

# (buffer, start, end) -> (message, position behind it), or None for "more bytes needed".
Parse = Callable[[Buffer, int, int], tuple[T, int] | None]

_READ_BYTES = 8 * 1024
_TIMEVAL = struct.Struct("@ll")
# One sendfile call may move this much; a peer that takes less in the write timeout is given up.
_SENDFILE_BYTES_MAX = 1 << 30


class _SocketErrors:
    """Turns ``OSError`` of a socket into ``CallTimeout`` or ``ConnectionLost``."""

    __slots__ = ("_peer",)

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BlockingIOError):
            raise CallTimeout(f"{self._peer} was silent for too long") from None
        if isinstance(error, OSError):
            raise ConnectionLost(f"{self._peer}: {error.strerror or error}") from None


class Connection:
    """See the module. Not thread safe, but for :meth:`interrupt`."""

    __slots__ = (
        "_receive_ms",
        "_send_ms",
        "_socket_errors",
        "descriptor",
        "peer",
        "rest",
        "socket",
        "used",
        "watched",
    )

    def __init__(
        self, sock: socket.socket, peer: str, receive_ms: int = 0, send_ms: int = 0
    ) -> None:
        """``sock`` blocks; ``receive_ms`` and ``send_ms`` are the deadlines that it has."""
        self.socket = sock
        self.descriptor = sock.fileno()
        self.peer = peer
        self.rest = b""
        # Operations done on it so far.
        self.used = 0
        # Whether the parking lot's epoll knows it.
        self.watched = False
        self._receive_ms, self._send_ms = receive_ms, send_ms
        self._socket_errors = _SocketErrors(peer)

    # --- time --------------------------------------------------------------------------------

    def set_receive_timeout(self, timeout_ms: int) -> None:
        if timeout_ms != self._receive_ms:
            self._receive_ms = timeout_ms
            self._set(socket.SO_RCVTIMEO, timeout_ms)

    def set_send_timeout(self, timeout_ms: int) -> None:
        if timeout_ms != self._send_ms:
            self._send_ms = timeout_ms
            self._set(socket.SO_SNDTIMEO, timeout_ms)

    def _set(self, option: int, timeout_ms: int) -> None:
        with self._socket_errors:
            _set_timeout(self.socket, option, timeout_ms)

    def _silent(self, timeout_ms: int) -> CallTimeout:
        return CallTimeout(f"{self.peer} was silent for {timeout_ms} ms")

    # --- receiving ---------------------------------------------------------------------------

    def receive_into(self, buffer: memoryview, flags: int = 0) -> int:
        """At least one byte. With ``MSG_DONTWAIT`` 0 means that there is nothing yet."""
        try:
            size = self.socket.recv_into(buffer, 0, flags)
        except BlockingIOError:
            if flags & socket.MSG_DONTWAIT:
                return 0
            raise self._silent(self._receive_ms) from None
        except OSError as error:
            raise ConnectionLost(f"{self.peer}: {error.strerror or error}") from None
        if not size:
            raise ConnectionLost(f"{self.peer} closed the connection")
        return size

    def read(self, parse: Parse[T], timeout_ms: int) -> T:
        """The next message; all of it must come within ``timeout_ms``."""
        deadline = time.monotonic() + timeout_ms / 1000
        data: bytes | bytearray = self.rest
        while True:
            found = parse(data, 0, len(data)) if data else None
            if found is not None:
                self.rest = bytes(data[found[1] :])
                return found[0]
            left_ms = round((deadline - time.monotonic()) * 1000)
            if left_ms <= 0:
                raise self._silent(timeout_ms)
            self.set_receive_timeout(max(1, left_ms) if data else timeout_ms)
            with self._socket_errors:
                more = self.socket.recv(_READ_BYTES)
            if not more:
                raise ConnectionLost(f"{self.peer} closed the connection")
            if not data:
                data = more
            else:
                data = bytearray(data) if isinstance(data, bytes) else data
                data += more
            self.rest = b""

    def wait_readable(self, timeout_ms: int) -> bool:
        """Whether something (or the end) came within the time."""
        if self.rest:
            return True
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN | select.POLLRDHUP)
        return bool(poll.poll(timeout_ms))

    # --- sending -----------------------------------------------------------------------------

    def send(self, data: Buffer, flags: int = 0) -> None:
        """All of ``data``."""
        with self._socket_errors:
            sent = self.socket.send(data, flags)
            if sent < len(data):
                self.socket.sendall(memoryview(data)[sent:], flags)

    def send_all(self, parts: Sequence[Buffer], flags: int = 0) -> None:
        """All of ``parts``, one after another, in one system call if the kernel takes it."""
        total = sum(map(len, parts))
        with self._socket_errors:
            sent = self.socket.sendmsg(parts, (), flags)
            if sent < total:
                self.socket.sendall(memoryview(b"".join(parts))[sent:], flags)

    def send_now(self, data: memoryview) -> int:
        """As much as the socket's buffer takes without waiting; 0: nothing."""
        try:
            return self.socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ConnectionLost(f"{self.peer}: {error.strerror or error}") from None

    def send_file(self, descriptor: int, offset: int, size: int) -> int:
        """Bytes of a file; how many were sent (fewer: the file ends there).

        An error of the file raises ``OSError`` with ``EIO``."""
        sent = 0
        while sent < size:
            try:
                count = os.sendfile(
                    self.descriptor,
                    descriptor,
                    offset + sent,
                    min(size - sent, _SENDFILE_BYTES_MAX),
                )
            except BlockingIOError:
                raise CallTimeout(f"{self.peer} took no data for {self._send_ms} ms") from None
            except ConnectionError as error:
                raise ConnectionLost(f"{self.peer}: {error.strerror or error}") from None
            if not count:
                break
            sent += count
        return sent

    # --- the end -----------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Make whoever waits on this connection stop waiting. Any thread may call it."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.socket.close()


def prepare(sock: socket.socket) -> None:
    """Set what every connection has; those that a listener accepts have it from there."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def prepare_listener(listener: socket.socket, receive_ms: int, send_ms: int) -> None:
    """As :func:`prepare`, with the deadlines that accepted connections begin with."""
    prepare(listener)
    _set_timeout(listener, socket.SO_RCVTIMEO, receive_ms)
    _set_timeout(listener, socket.SO_SNDTIMEO, send_ms)


def _set_timeout(sock: socket.socket, option: int, timeout_ms: int) -> None:
    sock.setsockopt(
        socket.SOL_SOCKET, option, _TIMEVAL.pack(timeout_ms // 1000, timeout_ms % 1000 * 1000)
    )


def connect(host: str, port: int, timeout_ms: int, write_timeout_ms: int) -> Connection:
    """A connection to another node. Raises ``ConnectFailed``."""
    peer = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout_ms / 1000)
    except OSError as error:
        raise ConnectFailed(f"{peer} cannot be reached: {error.strerror or error}") from None
    prepare(sock)
    sock.setblocking(True)
    connection = Connection(sock, peer)
    connection.set_receive_timeout(timeout_ms)
    connection.set_send_timeout(write_timeout_ms)
    return connection
