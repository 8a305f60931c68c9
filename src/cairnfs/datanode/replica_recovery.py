"""Block recovery on one replica: held still, then given its agreed length and stamp.

The steps are those of ``InterDatanodeProtocol``; what they may do is decided in
:mod:`cairnfs.replica.life`.
"""

from __future__ import annotations

import os

from cairnfs.datanode.interface import ReplicaRecoveryInfo
from cairnfs.datanode.open_replica import OpenReplica
from cairnfs.datanode.replica_table import Found, ReplicaTable, life_of
from cairnfs.datanode.replica_writing import ReplicaWriting
from cairnfs.datanode.volume import RBW, disk_errors
from cairnfs.errors import ReplicaNotFound, StorageError
from cairnfs.replica import life as lives
from cairnfs.replica.life import ReplicaLife
from cairnfs.types import ExtendedBlock, ReplicaState
from cairnfs.wire.checksum import CRC_BYTES
from cairnfs.wire.crc import crc_function

_COPY_BYTES = 8 << 20


class ReplicaRecovery:
    """See the module. Thread safe."""

    def __init__(self, table: ReplicaTable, writing: ReplicaWriting) -> None:
        self._table = table
        self._writing = writing

    def init(self, block: ExtendedBlock, recovery_id: int) -> ReplicaRecoveryInfo | None:
        """Stop the writer and hold the replica; None if there is no replica here.

        Raises ``RecoveryInProgress``, ``FileSystemError``, ``StorageError``."""
        table = self._table

        def check(found: Found | None) -> None:
            life = life_of(found)
            if life is not None:
                lives.init_recovery(life, block.block, recovery_id)

        with table.quiet(block, check) as found:
            life = life_of(found)
            if found is None or life is None:
                return None
            held = lives.init_recovery(life, block.block, recovery_id)
            if isinstance(found, OpenReplica):
                with found.lock:
                    found.life = held
            else:
                self._hold(block.pool_id, found, held)
            assert held.original_state is not None
            return ReplicaRecoveryInfo(held.block, held.original_state)

    def _hold(self, pool_id: str, found: Found, held: ReplicaLife) -> None:
        assert not isinstance(found, OpenReplica)
        table = self._table
        replica = OpenReplica(
            pool_id,
            held,
            table.volumes[found.volume],
            table.path_of(pool_id, found),
            found.checksum,
            found.writer_bytes_per_checksum,
            table.sums_of(pool_id, found),
            found.verified,
        )
        replica.recorded.append(found.generation_stamp)
        table.add_open(replica, 0)

    def update(
        self, block: ExtendedBlock, recovery_id: int, new_length: int, new_block_id: int
    ) -> str:
        """End a recovery: ``new_length`` bytes under ``recovery_id`` as stamp. With another
        ``new_block_id`` (a truncate that must keep the old block) the bytes become a replica
        of that block and the old one stays. Returns the storage; the listener is told.

        ``block.num_bytes`` is the length that :meth:`init` answered. Raises
        ``ReplicaNotFound``, ``FileSystemError``, ``DiskFull``, ``VolumeFailed``."""
        table = self._table
        with table.quiet(block) as found:
            life = life_of(found)
            if found is None or life is None:
                raise ReplicaNotFound(f"blk_{block.block_id}: this node has no replica of it")
            change = lives.update_recovery(life, block.num_bytes, recovery_id, new_length)
            assert isinstance(found, OpenReplica)
            volume = found.volume
            with table.guard(volume):
                if new_block_id not in (0, block.block_id):
                    closed = self._copy(found, new_block_id, recovery_id, new_length)
                    self._release(found)
                else:
                    closed = change.life
                    if change.truncate_to is not None:
                        found.truncate(change.truncate_to)
                    self._writing.close_open(found, closed)
        table.listener.received(block.pool_id, closed.block, volume.storage_uuid)
        return volume.storage_uuid

    def _release(self, replica: OpenReplica) -> None:
        """A finalized replica that was only held goes back to what it was."""
        if replica.life.original_state is not ReplicaState.FINALIZED:
            raise StorageError(f"{replica.life} was not finalized and cannot be kept beside a copy")
        self._table.forget_open(replica)

    def _copy(self, replica: OpenReplica, block_id: int, stamp: int, length: int) -> ReplicaLife:
        table = self._table
        life = ReplicaLife(block_id, stamp, ReplicaState.RBW, length, length, length)
        target = replica.volume.open_path(replica.pool_id, RBW, block_id, stamp)
        _, sums = replica.snapshot()
        with disk_errors("copying a block", target):
            tail = _copy_bytes(replica, target, length)
        step = replica.checksum.bytes_per_checksum
        sums = sums[: length // step * CRC_BYTES]
        if length % step:
            sums += crc_function(replica.checksum.type)(tail, 0).to_bytes(CRC_BYTES, "big")
        copy = OpenReplica(
            replica.pool_id,
            life,
            replica.volume,
            target,
            replica.checksum,
            replica.writer_bytes_per_checksum,
            sums,
            replica.verified,
        )
        # Nobody knows the new block yet, so its lock is not needed (and a second one beside
        # that of the old block could deadlock).
        table.add_open(copy, 0)
        closed = lives.finalize(life)
        self._writing.close_open(copy, closed)
        return closed


def _copy_bytes(replica: OpenReplica, target: str, length: int) -> bytes:
    """Copy the first ``length`` bytes; those of the last short chunk come back."""
    step = replica.checksum.bytes_per_checksum
    source = os.open(replica.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sink = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            offset = 0
            while offset < length:
                copied = os.copy_file_range(
                    source, sink, min(_COPY_BYTES, length - offset), offset, offset
                )
                if not copied:
                    raise StorageError(f"{replica.path} ends at {offset}, before {length}")
                offset += copied
        finally:
            os.close(sink)
        return os.pread(source, length % step, length - length % step)
    finally:
        os.close(source)
