"""A finalized replica moves to another volume of this node: copied, verified, then swapped."""

from __future__ import annotations

import dataclasses
import os

from cairnfs.datanode import index_records as records
from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.open_replica import OpenReplica, hash_file
from cairnfs.datanode.replica_table import ReplicaTable
from cairnfs.datanode.syncing import Syncer
from cairnfs.datanode.volume import TMP, Volume, disk_errors, unlink_quietly
from cairnfs.errors import ChecksumMismatch, FileSystemError
from cairnfs.types import ExtendedBlock, ReplicaState

_COPY_BYTES = 8 << 20


def move_replica(
    table: ReplicaTable, syncer: Syncer, block: ExtendedBlock, target: Volume
) -> ReplicaRecord:
    """Move a finalized replica to ``target``; its record as it is now.

    Readers that have the old file open go on with it. Raises ``ReplicaNotFound``,
    ``FileSystemError`` for a replica in motion, ``ChecksumMismatch``, ``DiskFull``."""
    found = table.get(block)
    if isinstance(found, OpenReplica) or found.state is not ReplicaState.FINALIZED:
        raise FileSystemError(f"blk_{block.block_id} is in motion and cannot be moved now")
    if found.volume == target.number:
        return found
    source = table.path_of(block.pool_id, found)
    stamp = found.generation_stamp
    copy = target.open_path(block.pool_id, TMP, found.block_id, stamp)
    try:
        with table.guard(target), disk_errors("copying a block", copy):
            _copy(source, copy, found.length)
        sums = table.sums_of(block.pool_id, found)
        with table.guard(target):
            if hash_file(copy, found.checksum, found.length) != sums:
                volume = table.volumes[found.volume]
                table.listener.corrupt(block.pool_id, found.block, volume.storage_uuid)
                raise ChecksumMismatch(f"{source} does not match its checksums; it is not moved")
        with table.lock(block.block_id):
            if table.find(block.pool_id, block.block_id) != found:
                raise FileSystemError(f"blk_{block.block_id} changed while it was moved")
            pool = table.pool_number(block.pool_id)
            moved = dataclasses.replace(
                found, volume=target.number, flags=found.flags & ~records.FLAG_SYNCED
            )
            path = target.finalized_path(block.pool_id, found.block_id, stamp)
            # The record first, as when a replica is closed: a start finds the copy in tmp.
            target.make_parent(path)
            table.index.put(pool, moved, sums)
            target.move(copy, path)
            syncer.closed(pool, moved, path, target)
            unlink_quietly(source)
            return moved
    finally:
        unlink_quietly(copy)


def _copy(source: str, target: str, length: int) -> None:
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            offset = 0
            while offset < length:
                sent = os.sendfile(write, read, offset, min(_COPY_BYTES, length - offset))
                if not sent:
                    break
                offset += sent
        finally:
            os.close(write)
    finally:
        os.close(read)
