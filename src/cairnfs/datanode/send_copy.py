"""Sending a whole replica to another DataNode, checksummed as its writer had it.

A reader is content with one CRC for each 8 KiB. Another DataNode keeps what it gets, and one
of Apache's then refuses appends whose chunks differ from those of the replica, and answers
``getFileChecksum`` differently from the other replicas' nodes. So a copy carries CRCs of the
writer's chunks, computed from the data (1.4 CPU s/GiB for 512 bytes, measured on a busy machine);
folded together they must equal the stored ones, so that a copy of wrong data is never made to
look right.
Where chunks at rest and the writer's are the same, ``sendfile`` does the work.
"""

from __future__ import annotations

import os

from cairnfs.datanode.connection import Connection
from cairnfs.datanode.replica_reader import ReplicaReader
from cairnfs.datanode.send import NO_HINTS, PACKET_DATA_BYTES, BlockSender, CacheHints
from cairnfs.datanode.throttle import Throttle
from cairnfs.datanode.volume import disk_errors
from cairnfs.errors import ChecksumMismatch, StorageError
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum, compute
from cairnfs.wire.checksum_stream import ChecksumAccumulator
from cairnfs.wire.packet import encode_last_packet, encode_packet_prefix


class CopySender:
    """Sends all that a reader has opened, from the beginning. Not thread safe."""

    start = 0

    def __init__(
        self,
        reader: ReplicaReader,
        hints: CacheHints = NO_HINTS,
        throttle: Throttle | None = None,
    ) -> None:
        assert reader.start == 0, reader
        self._reader = reader
        self._throttle = throttle
        self._plain = BlockSender(reader, 0, reader.stop, True, hints, throttle)
        self.checksum = DataChecksum(reader.checksum.type, reader.writer_bytes_per_checksum)

    def send(self, connection: Connection, first: bytes = b"") -> int:
        """As :meth:`BlockSender.send`; raises ``ChecksumMismatch`` for data that does not match
        its checksums, before it is sent."""
        if self.checksum == self._reader.checksum:
            return self._plain.send(connection, first)
        step = self.checksum.bytes_per_checksum
        packet_bytes = max(step, PACKET_DATA_BYTES // step * step)
        folding = ChecksumAccumulator(self.checksum, self._reader.checksum)
        position, seqno, stop = 0, 0, self._reader.stop
        while position < stop:
            data = self._read(position, min(packet_bytes, stop - position))
            sums = compute(self.checksum, data)
            folding.add(position, data, sums)
            position += len(data)
            self._compare(folding, position == stop)
            prefix = encode_packet_prefix(seqno, position - len(data), len(data), sums)
            connection.send_all((first, prefix, data))
            first = b""
            seqno += 1
            if self._throttle is not None:
                self._throttle.pass_bytes(len(data))
        connection.send(first + encode_last_packet(seqno, stop))
        return stop

    def _read(self, position: int, size: int) -> bytes:
        with disk_errors("reading a block", self._reader.volume.path):
            data = os.pread(self._reader.descriptor, size, position)
        if len(data) < size:
            block = self._reader.block
            raise StorageError(
                f"blk_{block.block_id}_{block.generation_stamp} ends at {position + len(data)}, "
                f"before {self._reader.stop}; it was cut while it was read"
            )
        return data

    def _compare(self, folding: ChecksumAccumulator, at_end: bool) -> None:
        first, found = folding.finish() if at_end else folding.take()
        at = first * CRC_BYTES
        if found != self._reader.sums[at : at + len(found)]:
            block = self._reader.block
            raise ChecksumMismatch(
                f"blk_{block.block_id}_{block.generation_stamp} on {self._reader.volume.path} does "
                f"not match its checksums; it is not copied"
            )
