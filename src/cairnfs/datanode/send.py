"""Sending a range of a replica as packets: reads, copies to other nodes, balancer moves.

The kernel moves the data: for each packet one ``sendmsg`` of header and checksums that says
"more follows", then ``sendfile``. Packets hold 1 MiB of data: 64 KiB ones cost twice the CPU
(measured). Short reads are copied once instead, with everything in one ``sendmsg``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass

from cairnfs.datanode.connection import Connection
from cairnfs.datanode.replica_reader import ReplicaReader
from cairnfs.datanode.throttle import Throttle
from cairnfs.errors import StorageError, VolumeFailed
from cairnfs.types import ChecksumType
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum
from cairnfs.wire.packet import encode_last_packet, encode_packet_prefix

PACKET_DATA_BYTES = 1 << 20
# Up to here one copy costs less than the second system call.
_COPIED_BYTES_MAX = 128 * 1024
# Shorter reads give the page cache no hints.
_LONG_READ_BYTES = 256 * 1024
# Alignment of a read without checksums, as Hadoop's readers expect it.
PLAIN_CHUNK_BYTES = 512
_PLAIN = DataChecksum(ChecksumType.NULL, PLAIN_CHUNK_BYTES)


@dataclass(frozen=True, slots=True)
class CacheHints:
    """What to tell the kernel about the file's pages; bytes, 0: nothing."""

    readahead_bytes: int = 0
    drop_behind: bool = False


NO_HINTS = CacheHints()


class BlockSender:
    """Sends what a reader has opened. Not thread safe."""

    def __init__(
        self,
        reader: ReplicaReader,
        offset: int,
        length: int,
        with_sums: bool = True,
        hints: CacheHints = NO_HINTS,
        throttle: Throttle | None = None,
    ) -> None:
        self._reader = reader
        self._hints = hints
        self._throttle = throttle
        if with_sums:
            self.checksum = reader.checksum
            self.start, self._stop = reader.start, reader.stop
        else:
            self.checksum = _PLAIN
            self.start = offset - offset % PLAIN_CHUNK_BYTES
            stop = -(-(offset + length) // PLAIN_CHUNK_BYTES) * PLAIN_CHUNK_BYTES
            self._stop = min(reader.length, stop)
        step = self.checksum.bytes_per_checksum
        # Whole chunks, and at least one.
        self._packet_bytes = max(step, PACKET_DATA_BYTES // step * step)

    def send(self, connection: Connection, first: bytes = b"") -> int:
        """``first`` (an answer), the packets, the empty last one. The data bytes sent.

        Raises ``TransportError``; ``VolumeFailed`` or ``StorageError`` if the file is at
        fault: then nothing can mend the stream, and the connection has to be closed."""
        size = self._stop - self.start
        if 0 < size <= _COPIED_BYTES_MAX and size <= self._packet_bytes:
            self._send_copied(connection, first, size)
        else:
            self._send_packets(connection, first)
        return size

    def _send_copied(self, connection: Connection, first: bytes, size: int) -> None:
        try:
            data = os.pread(self._reader.descriptor, size, self.start)
        except OSError as error:
            raise self._bad_file(error) from error
        if len(data) < size:
            raise self._too_short(self.start + len(data))
        prefix = encode_packet_prefix(0, self.start, size, self._sums(self.start, size))
        connection.send_all((first, prefix, data, encode_last_packet(1, self._stop)))
        if self._throttle is not None:
            self._throttle.pass_bytes(size)

    def _send_packets(self, connection: Connection, first: bytes) -> None:
        descriptor = self._reader.descriptor
        position, seqno = self.start, 0
        long_read = self._stop - self.start > _LONG_READ_BYTES
        while position < self._stop:
            size = min(self._packet_bytes, self._stop - position)
            if long_read:
                self._advise(position)
            prefix = encode_packet_prefix(seqno, position, size, self._sums(position, size))
            connection.send(first + prefix, socket.MSG_MORE)
            first = b""
            try:
                sent = connection.send_file(descriptor, position, size)
            except OSError as error:
                raise self._bad_file(error) from error
            if sent < size:
                raise self._too_short(position + sent)
            if self._throttle is not None:
                self._throttle.pass_bytes(size)
            position += size
            seqno += 1
        connection.send(first + encode_last_packet(seqno, self._stop))
        if self._hints.drop_behind:
            with contextlib.suppress(OSError):
                os.posix_fadvise(
                    descriptor, self.start, self._stop - self.start, os.POSIX_FADV_DONTNEED
                )

    def _sums(self, position: int, size: int) -> bytes:
        if self.checksum is _PLAIN:
            return b""
        step = self.checksum.bytes_per_checksum
        first = (position - self._reader.start) // step * CRC_BYTES
        return self._reader.sums[first : first + self.checksum.sums_bytes(size)]

    def _advise(self, position: int) -> None:
        """Ask the kernel for the next window, once for each."""
        window = self._hints.readahead_bytes
        if not window:
            return
        done = position - self.start
        if done % max(window, self._packet_bytes) < self._packet_bytes:
            with contextlib.suppress(OSError):
                os.posix_fadvise(
                    self._reader.descriptor, position, 2 * window, os.POSIX_FADV_WILLNEED
                )

    def _bad_file(self, error: OSError) -> StorageError:
        block = self._reader.block
        what = (
            f"blk_{block.block_id}_{block.generation_stamp} on {self._reader.volume.path} cannot "
            f"be read: {error.strerror or error}"
        )
        return VolumeFailed(what) if error.errno == errno.EIO else StorageError(what)

    def _too_short(self, position: int) -> StorageError:
        block = self._reader.block
        return StorageError(
            f"blk_{block.block_id}_{block.generation_stamp} ends at {position}, before "
            f"{self._stop}; it was cut while it was read"
        )
