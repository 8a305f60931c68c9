"""Connections that wait for their next operation: all in one epoll, none costs a thread.

One thread accepts, watches and gives up those that wait too long. A connection that becomes
readable is handed over and is not watched until it is parked again (``EPOLLONESHOT``). Most
new ones have said what they want by the time they are accepted: they are handed over at once.
10,000 parked connections take 0.03 % of a core (measured).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from cairnfs.datanode.connection import Connection, prepare_listener
from cairnfs.errors import ConnectionLost
from cairnfs.limits import TRANSFER_CONNECTIONS_MAX
from cairnfs.log import our_fault, peer_fault

logger = logging.getLogger(__name__)

_WATCH = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
_EVENTS_MAX = 256
# What a new connection may have said already; an operation is a few hundred bytes.
_FIRST_BYTES = 8 * 1024
# How often expired connections are looked for.
_SWEEP_S = 0.5
_BACKLOG = 4096
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class ParkingLot:
    """See the module. ``ready`` takes over a connection that has something to say;
    ``refused`` is told of a connection that had to be turned away."""

    def __init__(
        self,
        listener: socket.socket,
        ready: Callable[[Connection], None],
        refused: Callable[[], None],
        first_ms: int,
        keepalive_ms: int,
        write_ms: int,
    ) -> None:
        self._listener = listener
        self._ready = ready
        self._refused = refused
        self._waits_s = (first_ms / 1000, keepalive_ms / 1000)
        self._deadlines_ms = (first_ms, write_ms)
        prepare_listener(listener, *self._deadlines_ms)
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # By descriptor, oldest first, new connections apart from used ones: each of the two
        # is in order of its deadlines.
        self._parked: tuple[
            OrderedDict[int, tuple[Connection, float]], OrderedDict[int, tuple[Connection, float]]
        ] = (OrderedDict(), OrderedDict())
        # Descriptors of all connections that were accepted and not ended.
        self._known: set[int] = set()
        self._arriving: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._stopping = False
        self._accepting = True
        listener.setblocking(False)
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="transfer-parking", daemon=True)

    @property
    def parked(self) -> int:
        return len(self._parked[0]) + len(self._parked[1]) + len(self._arriving)

    def start(self) -> None:
        self._thread.start()

    def park(self, connection: Connection) -> None:
        """Watch a connection again. Any thread."""
        self._arriving.append(connection)
        self._wake()

    def forget(self, connection: Connection) -> None:
        """A connection that was handed over is about to be closed. Any thread."""
        with self._lock:
            self._known.discard(connection.descriptor)

    def stop(self) -> None:
        """Stop accepting and close everything that is parked."""
        self._stopping = True
        self._wake()
        self._thread.join()
        for waiting in self._parked:
            for connection, _ in waiting.values():
                connection.close()
            waiting.clear()
        while self._arriving:
            self._arriving.popleft().close()
        self._epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    # --- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        next_sweep = time.monotonic() + _SWEEP_S
        listening = self._listener.fileno()
        while not self._stopping:
            events = self._epoll.poll(max(0.0, next_sweep - time.monotonic()), _EVENTS_MAX)
            for descriptor, _ in events:
                if descriptor == listening:
                    self._accept()
                elif descriptor == self._wake_read:
                    os.read(self._wake_read, 4096)
                else:
                    self._hand_over(descriptor)
            while self._arriving:
                self._watch(self._arriving.popleft())
            now = time.monotonic()
            if now >= next_sweep:
                self._sweep(now)
                next_sweep = now + _SWEEP_S

    def _accept(self) -> None:
        for _ in range(_EVENTS_MAX):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_DESCRIPTORS:
                    self._make_way(error)
                return
            if len(self._known) >= TRANSFER_CONNECTIONS_MAX:
                peer_fault(logger, "%s: too many connections; it is closed", address[0])
                self._refused()
                sock.close()
                continue
            connection = Connection(sock, f"{address[0]}:{address[1]}", *self._deadlines_ms)
            try:
                connection.rest = sock.recv(_FIRST_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._watch(connection)
                continue
            except OSError:
                connection.close()
                continue
            # Nothing at all is an end, which whoever reads on finds.
            with self._lock:
                self._known.add(connection.descriptor)
            self._ready(connection)

    def _make_way(self, error: OSError) -> None:
        """Out of descriptors: the connection that has waited longest gives up its own."""
        our_fault(logger, "cannot accept: %s; raise the limit of open files", error.strerror)
        for waiting in self._parked:
            if waiting:
                _, (connection, _) = waiting.popitem(last=False)
                self._close(connection)
                return
        # Nothing of ours is idle; let the transfers go on before the next try.
        time.sleep(0.05)

    def _watch(self, connection: Connection) -> None:
        used = connection.used > 0
        deadline = time.monotonic() + self._waits_s[used]
        descriptor = connection.descriptor
        self._parked[used][descriptor] = (connection, deadline)
        if connection.watched:
            self._epoll.modify(descriptor, _WATCH)
            return
        connection.watched = True
        with self._lock:
            self._known.add(descriptor)
        self._epoll.register(descriptor, _WATCH)

    def _hand_over(self, descriptor: int) -> None:
        entry = self._parked[0].pop(descriptor, None) or self._parked[1].pop(descriptor, None)
        if entry is not None:
            self._ready(entry[0])

    def _sweep(self, now: float) -> None:
        for waiting in self._parked:
            while waiting:
                descriptor, (connection, deadline) = next(iter(waiting.items()))
                if deadline > now:
                    break
                del waiting[descriptor]
                self._close(connection)

    def _close(self, connection: Connection) -> None:
        self.forget(connection)
        with contextlib.suppress(ConnectionLost):
            connection.close()
