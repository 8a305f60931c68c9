"""Reading one range of a replica: an open file, and the checksums that fit its bytes.

All that a reader needs is taken at once when it opens: whatever happens to the replica
afterwards (an append, a new generation, deletion) does not change the bytes up to the length
that it saw, nor their checksums.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.open_replica import OpenReplica
from cairnfs.datanode.replica_table import Found, ReplicaTable, life_of
from cairnfs.datanode.volume import Volume, disk_errors
from cairnfs.errors import FileSystemError, ReplicaNotFound, StoreDamaged
from cairnfs.types import Block, ExtendedBlock, ReplicaState
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum

# A reader of a replica that is being written waits so long for the bytes it asks for.
_GROWTH_WAIT_S = 3.0
# An append or a deletion may take a replica away between finding and opening it.
_ATTEMPTS = 5


@dataclass(slots=True)
class ReplicaReader:
    """An open range. ``start`` and ``stop`` are the range asked for, widened to chunks
    (``stop`` at most to ``length``, the bytes that can be read); ``sums`` are the CRCs of the
    chunks between. Close it."""

    block: Block
    length: int
    checksum: DataChecksum
    writer_bytes_per_checksum: int
    start: int
    stop: int
    sums: bytes
    volume: Volume
    state: ReplicaState
    descriptor: int

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> ReplicaReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_reader(
    table: ReplicaTable, block: ExtendedBlock, offset: int = 0, length: int = -1
) -> ReplicaReader:
    """Open ``length`` bytes (-1: all that is visible) from ``offset`` on.

    Raises ``ReplicaNotFound``; ``FileSystemError`` for a range that is not there;
    ``ChecksumMismatch`` or ``VolumeFailed`` where the disk is at fault."""
    for attempt in range(_ATTEMPTS):
        found = table.get(block)
        life = life_of(found)
        assert life is not None
        if life.generation_stamp < block.generation_stamp:
            raise ReplicaNotFound(
                f"blk_{block.block_id}_{block.generation_stamp}: this node has {life}, "
                f"which is older"
            )
        if life.visible_length < 0:
            raise ReplicaNotFound(f"{life} cannot be read")
        wanted = length if length >= 0 else max(0, life.visible_length - offset)
        try:
            if isinstance(found, OpenReplica):
                return _open_growing(found, offset, wanted)
            return _open_closed(table, block.pool_id, found, offset, wanted)
        except (FileNotFoundError, StoreDamaged):
            if attempt + 1 == _ATTEMPTS:
                break
            if table.find(block.pool_id, block.block_id) == found and not _repair(
                table, block, found
            ):
                raise ReplicaNotFound(f"the file of {life} is not where it should be") from None
    raise ReplicaNotFound(f"blk_{block.block_id} changes too fast to be read; try again")


def _open_growing(replica: OpenReplica, offset: int, wanted: int) -> ReplicaReader:
    replica.wait_for_length(offset + wanted, _GROWTH_WAIT_S)
    descriptor = os.open(replica.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        length, sums = replica.snapshot()
        start, stop = _range(replica.life.block, replica.checksum, length, offset, wanted)
        step = replica.checksum.bytes_per_checksum
        first, last = start // step, replica.checksum.chunks(stop)
        return ReplicaReader(
            replica.life.block,
            length,
            replica.checksum,
            replica.writer_bytes_per_checksum,
            start,
            stop,
            sums[first * CRC_BYTES : last * CRC_BYTES],
            replica.volume,
            replica.life.state,
            descriptor,
        )
    except BaseException:
        os.close(descriptor)
        raise


def _open_closed(
    table: ReplicaTable, pool_id: str, record: ReplicaRecord, offset: int, wanted: int
) -> ReplicaReader:
    volume = table.volumes[record.volume]
    start, stop = _range(record.block, record.checksum, record.length, offset, wanted)
    first = start // record.checksum.bytes_per_checksum
    count = record.checksum.chunks(stop) - first
    path = table.path_of(pool_id, record)
    with table.guard(volume):
        descriptor = _open_file(path)
    try:
        sums = table.index.checksums(table.pool_number(pool_id), record, first, count)
        return ReplicaReader(
            record.block,
            record.length,
            record.checksum,
            record.writer_bytes_per_checksum,
            start,
            stop,
            sums,
            volume,
            record.state,
            descriptor,
        )
    except BaseException:
        os.close(descriptor)
        raise


def _open_file(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        with disk_errors("opening a block", path):
            raise error


def _range(
    block: Block, checksum: DataChecksum, length: int, offset: int, wanted: int
) -> tuple[int, int]:
    if offset < 0 or offset + wanted > length:
        raise FileSystemError(
            f"offset {offset} and length {wanted} are not within the {length} bytes of "
            f"blk_{block.block_id}_{block.generation_stamp}"
        )
    step = checksum.bytes_per_checksum
    return offset - offset % step, min(length, -(-(offset + wanted) // step) * step)


def _repair(table: ReplicaTable, block: ExtendedBlock, found: Found) -> bool:
    """A record without its file or without its checksums. False: nothing could be done, the
    record is gone or reported as corrupt."""
    with table.lock(block.block_id):
        if isinstance(found, OpenReplica) or table.find(block.pool_id, block.block_id) != found:
            return True
        path = table.path_of(block.pool_id, found)
        volume = table.volumes[found.volume]
        if os.path.exists(path):
            table.listener.corrupt(block.pool_id, found.block, volume.storage_uuid)
            return False
        # A crash between record and rename leaves the file under an older generation.
        for other in Path(path).parent.glob(f"blk_{found.block_id}_*"):
            if other.stat().st_size == found.length:
                volume.move(str(other), path)
                return True
        table.remove_records(block.pool_id, [(found.block_id, found.generation_stamp)])
    table.listener.deleted(block.pool_id, found.block, volume.storage_uuid)
    return False
