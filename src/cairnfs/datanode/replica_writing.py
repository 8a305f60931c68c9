"""Replicas coming into being, growing and being closed: what a block receiver asks for.

Each call checks with :mod:`cairnfs.replica.life` whether it is allowed, then does to the
files what that says. All that open a replica return its :class:`ReplicaWriter`, which the
caller must close.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cairnfs.datanode import index_records as records
from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.open_replica import OpenReplica, ReplicaWriter
from cairnfs.datanode.replica_table import Found, ReplicaTable, life_of
from cairnfs.datanode.syncing import Syncer
from cairnfs.datanode.volume import RBW, TMP, disk_errors
from cairnfs.errors import ReplicaNotFound, StorageError
from cairnfs.replica import life as lives
from cairnfs.replica.life import ReplicaLife
from cairnfs.types import Block, ChecksumType, ExtendedBlock, ReplicaState, StorageType
from cairnfs.wire.checksum import DataChecksum


class ReplicaWriting:
    """See the module. Thread safe; see :mod:`cairnfs.datanode.replica_table` for the locks."""

    def __init__(self, table: ReplicaTable, syncer: Syncer) -> None:
        self._table = table
        self._syncer = syncer

    # --- creating ----------------------------------------------------------------------------

    def create_rbw(
        self,
        block: ExtendedBlock,
        storage_type: StorageType,
        storage_id: str,
        source: DataChecksum,
        new_stamp: int = 0,
    ) -> ReplicaWriter:
        """A new replica that a client writes; ``block.num_bytes`` is the room to keep for it.

        Raises ``ReplicaAlreadyExists``, ``DiskFull``, ``VolumeFailed``."""

        def check(found: Found | None) -> ReplicaLife:
            return lives.create_rbw(life_of(found), block.block, new_stamp)

        with self._table.quiet(block, check) as found:
            return self._create(block, check(found), found, RBW, storage_type, storage_id, source)

    def create_temporary(
        self,
        block: ExtendedBlock,
        storage_type: StorageType,
        storage_id: str,
        source: DataChecksum,
        is_transfer: bool = False,
    ) -> ReplicaWriter:
        """A new replica that a DataNode copies here. Raises as :meth:`create_rbw`."""

        def check(found: Found | None) -> ReplicaLife:
            return lives.create_temporary(life_of(found), block.block, is_transfer)

        with self._table.quiet(block, check) as found:
            return self._create(block, check(found), found, TMP, storage_type, storage_id, source)

    def _create(
        self,
        block: ExtendedBlock,
        life: ReplicaLife,
        found: Found | None,
        kind: str,
        storage_type: StorageType,
        storage_id: str,
        source: DataChecksum,
    ) -> ReplicaWriter:
        table = self._table
        table.pool_number(block.pool_id)
        if found is not None:
            table.discard(block.pool_id, found)
        volume = table.choose_volume(storage_type, storage_id, max(0, block.num_bytes))
        path = volume.open_path(block.pool_id, kind, life.block_id, life.generation_stamp)
        with table.guard(volume), disk_errors("creating a block file", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        at_rest = table.settings.bytes_per_checksum
        # A writer without checksums still gets them at rest.
        type_ = ChecksumType.CRC32C if source.type is ChecksumType.NULL else source.type
        replica = OpenReplica(
            block.pool_id,
            life,
            volume,
            path,
            DataChecksum(type_, at_rest),
            source.bytes_per_checksum,
        )
        table.add_open(replica, max(0, block.num_bytes))
        return replica.attach(descriptor)

    # --- opening again -----------------------------------------------------------------------

    def append(self, block: ExtendedBlock, new_stamp: int, expected_length: int) -> ReplicaWriter:
        """Raises ``ReplicaNotFound``, ``FileSystemError``, ``VolumeFailed``."""
        table = self._table
        with table.lock(block.block_id):
            found = table.get(block)
            life = life_of(found)
            assert life is not None
            opened = lives.append(life, block.block, new_stamp, expected_length)
            assert isinstance(found, ReplicaRecord)
            return self._reopen(block, found, opened)

    def recover_append(
        self, block: ExtendedBlock, new_stamp: int, expected_length: int
    ) -> ReplicaWriter:
        """Raises ``ReplicaNotFound``, ``ReplicaAlreadyExists``, ``FileSystemError``."""
        with self._table.quiet(block, _present(block)) as found:
            life = life_of(found)
            assert life is not None
            opened = lives.recover_append(life, block.block, new_stamp, expected_length)
            if isinstance(found, ReplicaRecord):
                return self._reopen(block, found, opened)
            assert found is not None
            return self._restamp(found, opened)

    def recover_rbw(
        self, block: ExtendedBlock, new_stamp: int, received_min: int, received_max: int
    ) -> ReplicaWriter:
        """Raises ``ReplicaNotFound``, ``VolumeFailed``, ``StorageError``."""
        with self._table.quiet(block, _present(block)) as found:
            life = life_of(found)
            assert life is not None
            change = lives.recover_rbw(life, block.block, new_stamp, received_min, received_max)
            if not isinstance(found, OpenReplica):
                raise ReplicaNotFound(f"{life} is not being written")
            if change.truncate_to is not None:
                with self._table.guard(found.volume):
                    found.truncate(change.truncate_to)
            return self._restamp(found, change.life)

    def _reopen(
        self, block: ExtendedBlock, record: ReplicaRecord, life: ReplicaLife
    ) -> ReplicaWriter:
        """Finalized to RBW: the file moves first, so that a crash between finds it in rbw."""
        table = self._table
        volume = table.volumes[record.volume]
        sums = table.sums_of(block.pool_id, record)
        path = volume.open_path(block.pool_id, RBW, life.block_id, life.generation_stamp)
        with table.guard(volume):
            volume.move(table.path_of(block.pool_id, record), path)
        replica = OpenReplica(
            block.pool_id,
            life,
            volume,
            path,
            record.checksum,
            record.writer_bytes_per_checksum,
            sums,
            record.verified,
        )
        replica.recorded.append(record.generation_stamp)
        table.add_open(replica, max(0, block.num_bytes - record.length))
        table.write_record(replica, record.flags & records.FLAG_SYNCED)
        with table.guard(volume):
            return replica.attach()

    def _restamp(self, replica: OpenReplica, life: ReplicaLife) -> ReplicaWriter:
        with self._table.guard(replica.volume):
            self._table.rename_open(replica, life)
            return replica.attach()

    # --- closing -----------------------------------------------------------------------------

    def recover_close(
        self, block: ExtendedBlock, new_stamp: int, expected_length: int
    ) -> tuple[Block, str]:
        """Close a replica under a new stamp; the block as it is now, and its storage.

        Raises as :meth:`recover_append`."""
        table = self._table
        with table.quiet(block, _present(block)) as found:
            life = life_of(found)
            assert life is not None
            closed = lives.recover_close(life, block.block, new_stamp, expected_length)
            if isinstance(found, ReplicaRecord):
                volume = table.volumes[found.volume]
                if closed.generation_stamp != found.generation_stamp:
                    self.restamp_closed(block.pool_id, found, closed)
            else:
                assert found is not None
                volume = found.volume
                self.close_open(found, closed)
            return closed.block, volume.storage_uuid

    def finalize(self, writer: ReplicaWriter, sync: bool = False) -> tuple[Block, str]:
        """All is written: the block, and the storage that holds it.

        ``sync``: make data and name durable before returning (the record follows with those
        of other blocks: a walk over the volumes finds what a power cut takes of it). Raises
        ``StorageError`` if another writer has taken over, ``VolumeFailed``."""
        replica = writer.replica
        table = self._table
        with table.lock(replica.life.block_id):
            writer.check()
            if table.open.get((replica.pool_id, replica.life.block_id)) is not replica:
                raise StorageError(f"{replica.life} was deleted while it was written")
            closed = lives.finalize(replica.life)
            with table.guard(replica.volume):
                self.close_open(replica, closed, writer if sync else None)
        return closed.block, replica.volume.storage_uuid

    def convert_temporary(self, writer: ReplicaWriter, block: ExtendedBlock) -> None:
        """A copied replica becomes one that is being written (it joins a pipeline)."""
        replica = writer.replica
        with self._table.lock(block.block_id):
            writer.check()
            life = lives.temporary_to_rbw(replica.life, block.block)
            with self._table.guard(replica.volume):
                self._table.rename_open(replica, life)

    def close_open(
        self, replica: OpenReplica, closed: ReplicaLife, syncing: ReplicaWriter | None = None
    ) -> None:
        """From open to finalized. The block's lock is held.

        The record comes first: a crash before the file has moved finds a finalized record
        and a whole file in rbw, and moves it. What ``syncing`` wrote is made durable under its
        new name: one commit of a journal where data and name are synced together."""
        table = self._table
        volume = replica.volume
        target = volume.finalized_path(replica.pool_id, closed.block_id, closed.generation_stamp)
        stale = [stamp for stamp in replica.recorded if stamp != closed.generation_stamp]
        before = replica.life
        try:
            volume.make_parent(target)
            with replica.lock:
                replica.life = closed
            record = table.write_record(replica)
            volume.move(replica.path, target)
        except StorageError:
            with replica.lock:
                replica.life = before
            raise
        replica.path = target
        table.forget_open(replica)
        pool = table.pool_number(replica.pool_id)
        if stale:
            self._syncer.removed(
                records.replica_key(pool, closed.block_id, stamp) for stamp in stale
            )
        if syncing is not None:
            try:
                syncing.sync()
            except StorageError as error:
                # It is closed already, so nobody would learn that its data is not safe.
                table.fail_volume(volume, f"a sync failed: {error}")
                raise
        self._syncer.closed(pool, record, target, volume, synced=syncing is not None)

    def restamp_closed(self, pool_id: str, record: ReplicaRecord, closed: ReplicaLife) -> None:
        """Give a finalized replica a new stamp: file name and record."""
        table = self._table
        volume = table.volumes[record.volume]
        pool = table.pool_number(pool_id)
        sums = table.sums_of(pool_id, record)
        target = volume.finalized_path(pool_id, closed.block_id, closed.generation_stamp)
        renamed = ReplicaRecord(
            closed.block_id,
            closed.generation_stamp,
            record.length,
            ReplicaState.FINALIZED,
            record.volume,
            record.checksum,
            record.writer_bytes_per_checksum,
            record.flags,
        )
        # The record first: a file under its older name is found by whoever misses it.
        source = table.path_of(pool_id, record)
        table.index.put(pool, renamed, sums, replaces=record.generation_stamp)
        with table.guard(volume):
            volume.move(source, target)
        self._syncer.removed([records.replica_key(pool, record.block_id, record.generation_stamp)])
        self._syncer.closed(pool, renamed, target, volume)

    def abandon(self, writer: ReplicaWriter) -> None:
        """Throw a temporary replica away whose copying failed; others stay as they are."""
        replica = writer.replica
        with self._table.lock(replica.life.block_id):
            key = (replica.pool_id, replica.life.block_id)
            if (
                replica.life.state is ReplicaState.TEMPORARY
                and self._table.open.get(key) is replica
            ):
                self._table.discard(replica.pool_id, replica)

    def hsync(self, writer: ReplicaWriter) -> None:
        """Make what was written so far durable, record included. Raises ``VolumeFailed``."""
        replica = writer.replica
        with self._table.guard(replica.volume):
            writer.sync()
        with self._table.lock(replica.life.block_id):
            writer.check()
            record = self._table.write_record(replica, records.FLAG_SYNCED)
        pool = self._table.pool_number(replica.pool_id)
        self._table.index.settle(
            [records.replica_key(pool, record.block_id, record.generation_stamp)]
        )


def _present(block: ExtendedBlock) -> Callable[[Found | None], None]:
    def check(found: Found | None) -> None:
        if found is None:
            raise ReplicaNotFound(
                f"{block.pool_id} blk_{block.block_id}_{block.generation_stamp}: "
                f"this node has no replica of it"
            )

    return check
