"""All replicas of one DataNode: the façade over index, volumes and replicas in motion.

A closed replica is a record in the index and a file; one that is written, copied or recovered
is an open replica in memory besides. Deletion is lazy
(:mod:`cairnfs.datanode.deletion`), closed data is synced in the background
(:mod:`cairnfs.datanode.syncing`).

Thread safe; for the locks see :mod:`cairnfs.datanode.replica_table`. All methods may touch
disks: an event loop calls them in threads.

Errors: ``ReplicaNotFound``, ``ReplicaAlreadyExists``, ``RecoveryInProgress`` and
``FileSystemError`` as Hadoop names them; ``DiskFull``, ``VolumeFailed``, ``StorageError`` for
the disks. A ``VolumeFailed`` has taken the volume out before it reaches the caller.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator

from cairnfs.datanode.deletion import DeletionQueue
from cairnfs.datanode.index import Index, kernel_boot_id
from cairnfs.datanode.interface import (
    BlocksInMotion,
    DatasetListener,
    ReplicaRecoveryInfo,
    VolumeFailure,
    VolumeSpace,
)
from cairnfs.datanode.open_replica import OpenReplica, hash_file
from cairnfs.datanode.replica_list import ReplicaList
from cairnfs.datanode.replica_moving import move_replica
from cairnfs.datanode.replica_reader import ReplicaReader, open_reader
from cairnfs.datanode.replica_recovery import ReplicaRecovery
from cairnfs.datanode.replica_table import ReplicaTable, life_of, wall_ms
from cairnfs.datanode.replica_writing import ReplicaWriting
from cairnfs.datanode.settings import DatasetSettings
from cairnfs.datanode.startup import Reconciliation, StartupFindings
from cairnfs.datanode.storage_group import (
    OpenStorages,
    check_failures,
    lock_directory,
    open_storages,
)
from cairnfs.datanode.syncing import Syncer
from cairnfs.errors import FileSystemError, ReplicaNotFound, StartupError, StorageError
from cairnfs.log import our_fault
from cairnfs.replica.life import ReplicaLife
from cairnfs.types import (
    Block,
    DatanodeStorage,
    ExtendedBlock,
    Replica,
    ReplicaState,
    StorageReport,
    StorageType,
)

logger = logging.getLogger(__name__)

# Records of a deleted pool that go in one transaction.
_REMOVED_AT_ONCE = 10_000


class Dataset:
    """See the module. Make one with :meth:`open`."""

    def __init__(
        self, table: ReplicaTable, storages: OpenStorages, meta_lock: int, known: set[int]
    ) -> None:
        self.datanode_uuid = storages.datanode_uuid
        self.cluster_id = storages.cluster_id
        self.table = table
        self._storages = storages
        self._meta_lock = meta_lock
        self._syncer = Syncer(table, table.settings.sync_interval_ms)
        self._deletion = DeletionQueue(table)
        self.writing = ReplicaWriting(table, self._syncer)
        self._recovery = ReplicaRecovery(table, self.writing)
        self._checking: set[tuple[str, int]] = set()
        self._pool_served = threading.Condition()
        self.findings: StartupFindings = Reconciliation(
            table, self._syncer, self._deletion, known
        ).run()
        self._syncer.start()
        self._deletion.start()

    # --- opening and closing -----------------------------------------------------------------

    @classmethod
    def open(
        cls,
        settings: DatasetSettings,
        listener: DatasetListener,
        boot_id: str | None = None,
        now_ms: Callable[[], int] = wall_ms,
    ) -> Dataset:
        """Lock and check the volumes, open the index, make the two agree.

        New empty directories are formatted. ``boot_id`` is for tests. Raises
        ``StartupError``, ``StoreLocked``, ``StorageError``: one sentence each."""
        meta_lock = lock_directory(settings.meta_home)
        try:
            storages = open_storages(settings, now_ms())
            try:
                index = Index.open(
                    settings.meta_home, settings.index_bytes_max, boot_id or kernel_boot_id()
                )
                known = {
                    index.volume_number(volume.uuid)
                    for volume in storages.volumes
                    if index.knows_volume(volume.uuid)
                }
                table = ReplicaTable(index, storages, settings, listener, now_ms)
                dataset = cls(table, storages, meta_lock, known)
                try:
                    check_failures(table.failures, settings, len(storages.volumes))
                except StartupError:
                    dataset.end_threads()
                    index.abandon()
                    raise
            except BaseException:
                storages.close()
                raise
        except BaseException:
            os.close(meta_lock)
            raise
        if not index.opening.complete:
            logger.info("block index: %s; %s", index.opening.reason, dataset.findings)
        return dataset

    def close(self) -> None:
        """Stop all writers, sync everything and leave the mark of a clean stop.

        A writer that does not end in time is left behind: its replica is not finalized, and
        the next start finds it as after a crash."""
        for replica in list(self.table.open.values()):
            try:
                replica.stop_writer(self.table.settings.writer_stop_ms / 1000)
            except StorageError as error:
                our_fault(logger, "stopping: %s", error)
        self._deletion.close()
        self._syncer.close()
        self.table.index.close()
        self._storages.close()
        os.close(self._meta_lock)

    def abandon(self) -> None:
        """Let go without flushing anything, as the death of the process would."""
        self.end_threads()
        self.table.index.abandon()
        self._storages.close()
        os.close(self._meta_lock)

    def end_threads(self) -> None:
        self._deletion.end()
        self._syncer.end()

    # --- block pools -------------------------------------------------------------------------

    def add_block_pool(self, pool_id: str, cluster_id: str) -> None:
        """Serve a block pool from now on.

        The first NameNode ever met binds the node to its cluster. Raises ``StartupError``
        for the NameNode of another cluster, ``StorageError``."""
        if self.cluster_id and self.cluster_id != cluster_id:
            raise StartupError(
                f"the NameNode of block pool {pool_id} belongs to cluster {cluster_id}, the "
                f"volumes of this DataNode to {self.cluster_id}; correct the NameNode's "
                f"address or use empty directories"
            )
        for volume in self._storages.volumes:
            with self.table.guard(volume):
                volume.make_pool(pool_id)
                if not self.cluster_id:
                    volume.bind(cluster_id)
        self.cluster_id = cluster_id
        with self._pool_served:
            self.table.serve_pool(pool_id)
            self._pool_served.notify_all()

    def delete_block_pool(self, pool_id: str, force: bool) -> None:
        """Remove a pool that is not served any more, with all its replicas if ``force``.

        Raises ``FileSystemError`` if it is served, or has replicas and ``force`` is not set."""
        if self.table.has_pool(pool_id):
            raise FileSystemError(
                f"block pool {pool_id} is in use; remove its NameNode from the configuration "
                f"and refresh first"
            )
        pool = self.table.index.pools().get(pool_id)
        found = [] if pool is None else list(self.table.index.scan(pool))
        if found and not force:
            raise FileSystemError(f"block pool {pool_id} has {len(found)} replicas; use force")
        for first in range(0, len(found), _REMOVED_AT_ONCE):
            batch = found[first : first + _REMOVED_AT_ONCE]
            self.table.remove_records(
                pool_id, [(record.block_id, record.generation_stamp) for record in batch]
            )
        for volume in self._storages.volumes:
            with self.table.guard(volume):
                volume.remove_pool(pool_id)

    def remove_block_pool(self, pool_id: str) -> None:
        """Stop serving a pool; its replicas stay on the volumes."""
        self.table.drop_pool(pool_id)

    def has_pool(self, pool_id: str) -> bool:
        return self.table.has_pool(pool_id)

    def pools(self) -> tuple[str, ...]:
        return self.table.pools()

    def wait_for_pool(self, pool_id: str, timeout_s: float) -> bool:
        """Whether the pool is served, waiting for it for a while (a node that just started)."""
        if self.table.has_pool(pool_id):
            return True
        with self._pool_served:
            return self._pool_served.wait_for(lambda: self.table.has_pool(pool_id), timeout_s)

    # --- what there is -----------------------------------------------------------------------

    def storages(self) -> tuple[DatanodeStorage, ...]:
        """Those with at least one volume that works."""
        return tuple(group.storage for group in self.table.groups.values() if not group.failed)

    def storage(self, storage_uuid: str) -> DatanodeStorage | None:
        group = self.table.groups.get(storage_uuid)
        return None if group is None else group.storage

    def storage_reports(self, pool_id: str) -> tuple[StorageReport, ...]:
        """Space of each storage, the failed ones included."""
        pool = self.table.pool_number(pool_id)
        reports = []
        for group in self.table.groups.values():
            capacity = remaining = used = pool_used = 0
            for volume in group.volumes:
                with self.table.guard(volume):
                    capacity += volume.capacity()
                    remaining += volume.remaining()
                open_all, open_pool = self._open_bytes(volume.number, pool_id)
                used += self.table.index.used(volume.number)[0] + open_all
                pool_used += self.table.index.used(volume.number, pool)[0] + open_pool
            reports.append(
                StorageReport(
                    storage=group.storage,
                    failed=group.failed,
                    capacity=capacity,
                    dfs_used=used,
                    remaining=min(remaining, max(0, capacity - used)),
                    block_pool_used=pool_used,
                    non_dfs_used=max(0, capacity - used - remaining),
                )
            )
        return tuple(reports)

    def _open_bytes(self, volume: int, pool_id: str) -> tuple[int, int]:
        total = of_pool = 0
        for replica in list(self.table.open.values()):
            if replica.volume.number == volume and not replica.recorded:
                total += replica.life.on_disk
                of_pool += replica.life.on_disk if replica.pool_id == pool_id else 0
        return total, of_pool

    def volume_spaces(self) -> tuple[VolumeSpace, ...]:
        """Space of each volume that works."""
        found = []
        for volume in self._storages.volumes:
            with self.table.guard(volume):
                used, replicas = self.table.index.used(volume.number)
                found.append(
                    VolumeSpace(
                        str(volume.path),
                        volume.storage_uuid,
                        volume.capacity(),
                        used,
                        volume.remaining(),
                        volume.reserved_bytes,
                        replicas,
                    )
                )
        return tuple(found)

    def volume_failures(self) -> tuple[VolumeFailure, ...]:
        return tuple(self.table.failures)

    def iter_replicas(self, pool_id: str) -> Iterator[tuple[str, Replica]]:
        """(Storage uuid, replica) of all that a block report names, in one scan of the index.

        Each block once, as it was at some moment meanwhile; temporary ones are not named."""
        table = self.table
        at_first = {block_id for of, block_id in list(table.open) if of == pool_id}
        uuids = {
            number: volume.storage_uuid
            for number, volume in table.volumes.items()
            if volume.failure is None
        }
        for record in table.index.scan(table.pool_number(pool_id)):
            storage_uuid = uuids.get(record.volume)
            if storage_uuid is None or record.deleting or record.block_id in at_first:
                continue
            yield storage_uuid, Replica(record.block, record.state)
        for block_id in at_first:
            # It may have been closed, or deleted, since.
            found = table.find(pool_id, block_id)
            life = life_of(found)
            if found is None or life is None:
                continue
            number = found.volume.number if isinstance(found, OpenReplica) else found.volume
            state = life.state if life.original_state is None else life.original_state
            if state is not ReplicaState.TEMPORARY and number in uuids:
                yield uuids[number], Replica(life.block, state)

    def block_report(self, pool_id: str) -> dict[DatanodeStorage, ReplicaList]:
        """By storage, for a full block report; each working storage has an entry."""
        storages = self.storages()
        lists = {storage.storage_uuid: ReplicaList() for storage in storages}
        for storage_uuid, replica in self.iter_replicas(pool_id):
            found = lists.get(storage_uuid)
            if found is not None:
                block = replica.block
                found.add(block.block_id, block.generation_stamp, block.num_bytes, replica.state)
        return {storage: lists[storage.storage_uuid] for storage in storages}

    def replica(self, pool_id: str, block_id: int) -> Replica | None:
        """The replica of a block, in whatever state."""
        life = life_of(self.table.find(pool_id, block_id))
        return None if life is None else Replica(life.block, life.state)

    def storage_of(self, pool_id: str, block_id: int) -> str | None:
        """The storage that holds a block's replica."""
        found = self.table.find(pool_id, block_id)
        if found is None:
            return None
        if isinstance(found, OpenReplica):
            return found.volume.storage_uuid
        return self.table.volumes[found.volume].storage_uuid

    def visible_length(self, block: ExtendedBlock) -> int:
        """Raises ``ReplicaNotFound``."""
        life = self._life(block)
        if life.generation_stamp < block.generation_stamp:
            raise ReplicaNotFound(f"{life} is older than {block.generation_stamp}")
        return life.visible_length

    def in_motion(self) -> BlocksInMotion:
        return BlocksInMotion(
            frozenset(self.table.open), self._deletion.pending(), frozenset(self._checking)
        )

    def _life(self, block: ExtendedBlock) -> ReplicaLife:
        life = life_of(self.table.get(block))
        assert life is not None
        return life

    # --- operations --------------------------------------------------------------------------

    def open_for_read(
        self, block: ExtendedBlock, offset: int = 0, length: int = -1
    ) -> ReplicaReader:
        """See :func:`cairnfs.datanode.replica_reader.open_reader`. Writing: :attr:`writing`."""
        return open_reader(self.table, block, offset, length)

    def init_replica_recovery(
        self, block: ExtendedBlock, recovery_id: int
    ) -> ReplicaRecoveryInfo | None:
        """Hold a replica still and say what it is; None if it is not here.

        Raises ``RecoveryInProgress``, ``FileSystemError``, ``StorageError``."""
        return self._recovery.init(block, recovery_id)

    def update_replica_under_recovery(
        self, block: ExtendedBlock, recovery_id: int, new_length: int, new_block_id: int = 0
    ) -> str:
        """Finish a recovery; the storage uuid. ``listener.received`` has been called.

        ``new_block_id`` other than 0 and the block's: the bytes become a replica of that
        block, the old one stays.

        Raises ``ReplicaNotFound``, ``FileSystemError``, ``DiskFull``, ``VolumeFailed``."""
        return self._recovery.update(block, recovery_id, new_length, new_block_id)

    def invalidate(self, pool_id: str, blocks: Iterable[Block]) -> None:
        """Delete lazily: refused at once, ``listener.deleted`` when the space is back."""
        self._deletion.invalidate(pool_id, blocks)

    def move_replica(
        self, block: ExtendedBlock, storage_type: StorageType, storage_id: str = ""
    ) -> str:
        """Move a finalized replica to another storage of this node; its uuid.

        The listener is told that it was received there and deleted where it was. Raises as
        :func:`cairnfs.datanode.replica_moving.move_replica`."""
        before = self.storage_of(block.pool_id, block.block_id)
        length = self._life(block).on_disk
        target = self.table.choose_volume(storage_type, storage_id, length)
        moved = move_replica(self.table, self._syncer, block, target)
        if before is not None and before != target.storage_uuid:
            listener = self.table.listener
            listener.received(block.pool_id, moved.block, target.storage_uuid)
            listener.deleted(block.pool_id, moved.block, before)
        return target.storage_uuid

    def check_replica(self, block: ExtendedBlock) -> bool:
        """Read all of a finalized replica and compare it with its checksums.

        A bad one is reported to the listener. Raises ``ReplicaNotFound``, and
        ``FileSystemError`` for a replica in motion."""
        key = (block.pool_id, block.block_id)
        found = self.table.get(block)
        if isinstance(found, OpenReplica) or found.state is not ReplicaState.FINALIZED:
            raise FileSystemError(f"{life_of(found)} is in motion and cannot be judged")
        self._checking.add(key)
        try:
            sums = self.table.sums_of(block.pool_id, found)
            path = self.table.path_of(block.pool_id, found)
            volume = self.table.volumes[found.volume]
            with self.table.guard(volume):
                good = hash_file(path, found.checksum, found.length) == sums
        finally:
            self._checking.discard(key)
        if good or self.table.find(*key) != found:
            return True
        self.table.listener.corrupt(block.pool_id, found.block, volume.storage_uuid)
        return False

    def volume_failed(self, volume_path: str, reason: str) -> None:
        """Take a volume out by hand."""
        for volume in self._storages.volumes:
            if str(volume.path) == volume_path:
                self.table.fail_volume(volume, reason)
