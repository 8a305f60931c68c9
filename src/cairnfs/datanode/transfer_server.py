"""The data-transfer server: accepts, waits, and lends threads to what moves.

A connection that has nothing to say is parked in one epoll
(:mod:`cairnfs.datanode.parking`); one that begins an operation borrows a pooled thread, which
stays with it for a moment after the operation (the next one of a sequential reader is only
microseconds away) and then parks it again.

What a peer sends costs its own connection and nothing else: bytes that cannot be, silence in
the middle of an operation, a disappearance. What cannot be granted is answered first.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading

from cairnfs.datanode.connection import Connection
from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.interface import TransferCounters
from cairnfs.datanode.parking import ParkingLot
from cairnfs.datanode.settings import TransferSettings
from cairnfs.datanode.transfer_context import TransferContext
from cairnfs.datanode.transfer_ops import perform, refuse
from cairnfs.datanode.worker_pool import WorkerPool
from cairnfs.errors import (
    CairnError,
    ProtocolError,
    StartupError,
    StorageError,
    TransportError,
)
from cairnfs.limits import TRANSFER_OP_MS
from cairnfs.log import peer_fault
from cairnfs.types import DatanodeID
from cairnfs.wire.sasl_transfer import SaslNotOffered
from cairnfs.wire.transfer_codec import parse_request
from cairnfs.wire.transfer_reply import Status

logger = logging.getLogger(__name__)

# A thread stays with its connection so long after an operation, if few are busy: parking and
# being handed over again costs two changes of threads.
_LINGER_MS = 20
_LINGER_BUSY_MAX = 64
_BACKLOG = 4096
# Transfers get so long to notice that the server stops.
_STOP_S = 5.0


class TransferServer:
    """See the module. Thread safe."""

    def __init__(self, dataset: Dataset, settings: TransferSettings) -> None:
        self.context = TransferContext(dataset, settings, DatanodeID("", "", "", 0, 0, 0))
        self._settings = settings
        self._workers = WorkerPool("transfer", settings.threads_max)
        self._parking: ParkingLot | None = None
        self._listener: socket.socket | None = None
        self._active: set[Connection] = set()
        self._lock = threading.Lock()
        self._stopping = False

    # --- life --------------------------------------------------------------------------------

    def start(self, host: str, port: int) -> int:
        """Listen; the port (of interest where 0 was asked for). Raises ``StartupError``."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise StartupError(
                f"data transfer cannot listen on {host}:{port}: {error.strerror or error}; "
                f"choose another dfs.datanode.address"
            ) from None
        self._listener = listener
        self._parking = ParkingLot(
            listener,
            self._begin,
            self._count_refused,
            self._settings.socket_timeout_ms,
            self._settings.keepalive_ms,
            self._settings.write_timeout_ms,
        )
        self._parking.start()
        bound: int = listener.getsockname()[1]
        return bound

    def stop(self) -> None:
        """Stop accepting, end what is under way, close everything. Writers' replicas stay
        for recovery. A second call does nothing."""
        if self._stopping or self._parking is None or self._listener is None:
            return
        self._stopping = True
        self._parking.stop()
        self._listener.close()
        with self._lock:
            active = list(self._active)
        for connection in active:
            connection.interrupt()
        self._workers.stop(_STOP_S)

    # --- what the control plane asks ---------------------------------------------------------

    @property
    def xceiver_count(self) -> int:
        """Operations under way."""
        return self._workers.busy

    @property
    def connection_count(self) -> int:
        """Connections open, idle ones included."""
        parked = 0 if self._parking is None else self._parking.parked
        return parked + len(self._active)

    @property
    def counters(self) -> TransferCounters:
        return self.context.counters

    def set_identity(self, identity: DatanodeID) -> None:
        """How clients know this node: named to them where a pipeline cannot be set up."""
        self.context.identity = identity

    def set_balance_bandwidth(self, bytes_per_s: int) -> None:
        self.context.moves.throttle.bytes_per_s = bytes_per_s

    # --- connections -------------------------------------------------------------------------

    def _begin(self, connection: Connection) -> None:
        """A parked connection has something to say (or ends). In the parking thread."""
        with self._lock:
            self._active.add(connection)
        if not self._workers.submit(lambda: self._serve(connection)):
            self._turn_away(connection)

    def _turn_away(self, connection: Connection) -> None:
        message = (
            f"this DataNode has {self._settings.threads_max} transfers under way "
            f"(dfs.datanode.max.transfer.threads); try another or try again later"
        )
        peer_fault(logger, "%s is turned away: %s", connection.peer, message)
        self._count_refused()
        with contextlib.suppress(OSError):
            # What it sent must be read, or closing would throw the answer away.
            connection.socket.recv(65536, socket.MSG_DONTWAIT)
        connection.set_send_timeout(1)
        refuse(connection, Status.ERROR, message)
        self._end(connection)

    def _count_refused(self) -> None:
        self.context.count("connections_refused")

    def _end(self, connection: Connection) -> None:
        with self._lock:
            self._active.discard(connection)
        assert self._parking is not None
        self._parking.forget(connection)
        connection.close()

    def _serve(self, connection: Connection) -> None:
        """Operations of one connection, until it has none for a moment."""
        keep = False
        try:
            keep = self._operations(connection)
        finally:
            if keep and not self._stopping:
                with self._lock:
                    self._active.discard(connection)
                assert self._parking is not None
                self._parking.park(connection)
            else:
                self._end(connection)

    def _operations(self, connection: Connection) -> bool:
        """Whether the connection is to be parked."""
        while not self._stopping:
            try:
                connection.set_send_timeout(self._settings.write_timeout_ms)
                request = connection.read(parse_request, TRANSFER_OP_MS)
                if connection.used == 0:
                    self.context.count("connections")
                connection.used += 1
                if not perform(self.context, connection, request):
                    return False
            except SaslNotOffered as error:
                peer_fault(logger, "%s: %s", connection.peer, error)
                with contextlib.suppress(TransportError):
                    connection.send(error.last_words)
                return False
            except TransportError as error:
                logger.debug("%s", error)
                return False
            except ProtocolError as error:
                peer_fault(logger, "%s: %s", connection.peer, error)
                return False
            except StorageError as error:
                logger.warning("%s: %s", connection.peer, error)
                return False
            except CairnError as error:
                logger.info("%s: %s", connection.peer, error)
                return False
            if not self._settings.keepalive_ms:
                return False
            if connection.rest:
                # The next operation is here already.
                continue
            lingers = self._workers.busy <= _LINGER_BUSY_MAX
            if not (lingers and connection.wait_readable(_LINGER_MS)):
                return True
        return False
