"""A replica in motion: being written, copied or recovered. Kept in memory until it is closed.

What is written is described twice: by the file, and by the CRCs that go with it (``sums``
for whole chunks, a tail for the unfinished last one). Both grow under ``lock``, so that a
reader always gets a length and the CRCs that fit it.

Locks: ``Dataset``'s lock of the block is taken before a replica's own; a writer holds its
replica's lock while it writes, never while it waits for a peer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from cairnfs.datanode.volume import Volume, disk_errors, sync_directory
from cairnfs.errors import StorageError
from cairnfs.replica.life import ReplicaLife
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum
from cairnfs.wire.checksum_stream import ChecksumAccumulator
from cairnfs.wire.crc import Buffer, crc_function

# One pwritev takes at most IOV_MAX pieces.
_PIECES_MAX = 1024
# A file that is hashed again is read in pieces of this size.
_READ_BYTES = 1 << 20

# (offset in the block, data, the writer's checksums of the data)
Piece = tuple[int, Buffer, Buffer]


class OpenReplica:
    """See the module. ``life`` is the one door for changes of state."""

    def __init__(
        self,
        pool_id: str,
        life: ReplicaLife,
        volume: Volume,
        path: str,
        checksum: DataChecksum,
        writer_bytes_per_checksum: int,
        sums: bytes = b"",
        verified: bool = True,
    ) -> None:
        self.pool_id = pool_id
        self.life = life
        self.volume = volume
        self.path = path
        self.checksum = checksum
        self.writer_bytes_per_checksum = writer_bytes_per_checksum
        self.verified = verified
        # Generation stamps under which the index has a record of it.
        self.recorded: list[int] = []
        # Room on the volume that is kept for the rest of it.
        self.promised_bytes = 0
        self.lock = threading.Lock()
        self._grown = threading.Condition(self.lock)
        self._waiting = 0
        whole = life.on_disk // checksum.bytes_per_checksum * CRC_BYTES
        self._sums = bytearray(sums[:whole])
        self._tail_crc = int.from_bytes(sums[whole : whole + CRC_BYTES], "big")
        self._accumulator: ChecksumAccumulator | None = None
        self._writer: ReplicaWriter | None = None

    # --- reading -----------------------------------------------------------------------------

    def snapshot(self) -> tuple[int, bytes]:
        """Length on disk, and the CRCs of all chunks up to it (the last may be short)."""
        with self.lock:
            return self._snapshot()

    def _snapshot(self) -> tuple[int, bytes]:
        length = self.life.on_disk
        self._gather()
        if length % self.checksum.bytes_per_checksum:
            return length, bytes(self._sums) + self._tail_crc.to_bytes(CRC_BYTES, "big")
        return length, bytes(self._sums)

    def _gather(self) -> None:
        if self._accumulator is not None:
            self._sums += self._accumulator.take()[1]
            self._tail_crc = self._accumulator.partial[0]

    def wait_for_length(self, length: int, timeout_s: float) -> None:
        """Return when ``length`` bytes are on disk, or the time is over, or nobody writes."""
        deadline = time.monotonic() + timeout_s
        with self.lock:
            self._waiting += 1
            try:
                while self.life.on_disk < length and self._writer is not None:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return
                    self._grown.wait(left)
            finally:
                self._waiting -= 1

    # --- writers -----------------------------------------------------------------------------

    @property
    def has_writer(self) -> bool:
        return self._writer is not None

    def attach(self, descriptor: int | None = None) -> ReplicaWriter:
        """The writer of this replica from now on; there must be none. It owns ``descriptor``,
        an open file, or opens it itself."""
        with self.lock:
            assert self._writer is None, self.life
            if descriptor is None:
                with disk_errors("opening a block file", self.path):
                    descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            self._writer = ReplicaWriter(self, descriptor)
            return self._writer

    def detach(self, writer: ReplicaWriter) -> None:
        with self.lock:
            if self._writer is writer:
                self._gather()
                self._accumulator = None
                self._writer = None
                self._grown.notify_all()

    def stop_writer(self, timeout_s: float) -> None:
        """Interrupt the writer and wait until it is gone. Raises ``StorageError``."""
        writer = self._writer
        if writer is not None:
            writer.stop()
        with self.lock:
            if not self._grown.wait_for(lambda: self._writer is None, timeout_s):
                raise StorageError(
                    f"the writer of {self.life} did not stop within {timeout_s:.0f} s"
                )

    # --- lengths -----------------------------------------------------------------------------

    def truncate(self, length: int) -> None:
        """Cut file and CRCs; the CRC of a chunk that is cut is computed from its data."""
        with self.lock:
            with disk_errors("truncating a block file", self.path):
                os.truncate(self.path, length)
            self._rewind(length)
            self.life = replace(
                self.life,
                received=length,
                on_disk=length,
                acked=min(length, self.life.acked),
            )

    def _rewind(self, length: int) -> None:
        """Let the CRCs describe the first ``length`` bytes of the file again."""
        step = self.checksum.bytes_per_checksum
        whole, tail = divmod(length, step)
        self._gather()
        self._accumulator = None
        assert len(self._sums) >= whole * CRC_BYTES, self.life
        del self._sums[whole * CRC_BYTES :]
        self._tail_crc = 0
        if tail:
            self._tail_crc = crc_function(self.checksum.type)(
                read_exactly(self.path, whole * step, tail), 0
            )


class ReplicaWriter:
    """What one thread needs to write one replica. Only that thread calls it, except for
    :meth:`stop` (any thread). Close it, whatever happens."""

    def __init__(self, replica: OpenReplica, descriptor: int) -> None:
        self.replica = replica
        self.stopped = False
        self._descriptor = descriptor
        self._interrupt: Callable[[], None] | None = None
        # How much of the file was synced, and under which directory its name.
        self._synced_bytes = -1
        self._synced_directory = ""

    @property
    def descriptor(self) -> int:
        return self._descriptor

    @property
    def life(self) -> ReplicaLife:
        return self.replica.life

    def begin(self, source: DataChecksum) -> None:
        """Say what checksums will come with the data."""
        replica = self.replica
        with replica.lock:
            replica._gather()
            replica._accumulator = ChecksumAccumulator(
                source, replica.checksum, replica.life.on_disk, replica._tail_crc
            )

    def on_stop(self, interrupt: Callable[[], None]) -> None:
        """``interrupt`` is called by the thread that wants this writer to end."""
        self._interrupt = interrupt
        if self.stopped:
            interrupt()

    def stop(self) -> None:
        self.stopped = True
        if self._interrupt is not None:
            self._interrupt()

    def check(self) -> None:
        """Raises ``StorageError`` if another writer took over."""
        if self.stopped:
            raise StorageError(f"the writer of {self.life} was told to stop")

    def write(self, pieces: Iterable[Piece]) -> int:
        """Append data; what is there already is passed over. The length on disk afterwards.

        Raises ``RemoteProtocolError`` where bytes are missing between, ``DiskFull``,
        ``VolumeFailed``."""
        replica = self.replica
        with replica.lock:
            self.check()
            accumulator = replica._accumulator
            assert accumulator is not None
            life = replica.life
            fresh: list[Buffer] = []
            try:
                for offset, data, sums in pieces:
                    old = accumulator.add(offset, data, sums)
                    if old == 0:
                        fresh.append(data)
                    elif old < len(data):
                        fresh.append(memoryview(data)[old:])
                length = accumulator.position
                self._write_all(fresh, life.on_disk, length)
            except BaseException:
                replica._rewind(life.on_disk)
                replica._accumulator = ChecksumAccumulator(
                    accumulator.source, replica.checksum, life.on_disk, replica._tail_crc
                )
                raise
            replica.life = ReplicaLife(
                life.block_id, life.generation_stamp, life.state, length, length, life.acked
            )
            if replica._waiting:
                replica._grown.notify_all()
        return length

    def _write_all(self, pieces: list[Buffer], offset: int, stop: int) -> None:
        with disk_errors("writing a block", self.replica.path):
            for first in range(0, len(pieces), _PIECES_MAX):
                batch = pieces[first : first + _PIECES_MAX]
                size = sum(map(len, batch))
                written = os.pwritev(self._descriptor, batch, offset)
                if written < size:
                    rest = memoryview(b"".join(batch))
                    while written < size:
                        written += os.pwrite(self._descriptor, rest[written:], offset + written)
                offset += size
        assert offset == stop, (offset, stop)

    def set_acked(self, length: int) -> None:
        """All nodes downstream have ``length`` bytes."""
        replica = self.replica
        with replica.lock:
            life = replica.life
            if length > life.acked:
                replica.life = ReplicaLife(
                    life.block_id,
                    life.generation_stamp,
                    life.state,
                    life.received,
                    life.on_disk,
                    min(length, life.on_disk),
                )

    def complete(self, sync: bool) -> None:
        """All has come: do now what closing needs and what need not wait for other nodes.

        ``sync``: the data is to be durable. Raises ``VolumeFailed``."""
        with self.replica.lock:
            self.replica._gather()
            self.replica._accumulator = None
        if sync:
            self._sync_data()

    def sync(self) -> None:
        """Make the data (and the file's name) durable. Raises ``VolumeFailed``."""
        self._sync_data()
        directory = self.replica.path.rpartition("/")[0]
        if directory != self._synced_directory:
            with disk_errors("syncing a directory", directory):
                sync_directory(directory)
            self._synced_directory = directory

    def _sync_data(self) -> None:
        length = self.life.on_disk
        if length != self._synced_bytes:
            with disk_errors("syncing a block", self.replica.path):
                os.fdatasync(self._descriptor)
            self._synced_bytes = length

    def close(self) -> None:
        """Let go of the replica; it stays as it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self.replica.detach(self)


def read_exactly(path: str, offset: int, size: int) -> bytes:
    """``size`` bytes of a file. Raises ``StorageError`` if it is shorter, ``VolumeFailed``."""
    with disk_errors("reading a block", path), open(path, "rb", buffering=0) as file:
        data = os.pread(file.fileno(), size, offset)
    if len(data) != size:
        raise StorageError(f"{path}: {len(data)} bytes at offset {offset} instead of {size}")
    return data


def hash_file(path: str, checksum: DataChecksum, length: int) -> bytes:
    """The CRCs of the first ``length`` bytes of a file (fewer if it is shorter)."""
    step = checksum.bytes_per_checksum
    crc = crc_function(checksum.type)
    piece = max(step, _READ_BYTES // step * step)
    sums: list[bytes] = []
    with disk_errors("reading a block", path), open(path, "rb", buffering=0) as file:
        buffer = memoryview(bytearray(piece))
        offset = 0
        while offset < length:
            size = _fill(file.fileno(), buffer[: min(piece, length - offset)], offset)
            if not size:
                break
            sums.extend(
                crc(buffer[at : min(at + step, size)], 0).to_bytes(CRC_BYTES, "big")
                for at in range(0, size, step)
            )
            offset += size
    return b"".join(sums)


def _fill(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Read into all of ``buffer``; less only at the end of the file."""
    size = 0
    while size < len(buffer):
        read = os.preadv(descriptor, [buffer[size:]], offset + size)
        if not read:
            break
        size += read
    return size
