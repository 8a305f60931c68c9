"""Which replica stands for a block: the index, the open replicas, and the locks over both.

Locks, in the order in which they are taken: the lock of a block (one of ``_STRIPES``, by
block id; held for every change of which replica stands for the block), the lock of an open
replica, LMDB's writer. A thread that waits for a writer to stop holds none of them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from cairnfs.datanode import index_records as records
from cairnfs.datanode.index import Index
from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.interface import DatasetListener, VolumeFailure
from cairnfs.datanode.open_replica import OpenReplica
from cairnfs.datanode.settings import DatasetSettings
from cairnfs.datanode.storage_group import OpenStorages, StorageGroup
from cairnfs.datanode.volume import RBW, TMP, Volume, unlink_quietly
from cairnfs.errors import DiskFull, ReplicaNotFound, StorageError, VolumeFailed
from cairnfs.log import our_fault
from cairnfs.replica.life import ReplicaLife
from cairnfs.types import ExtendedBlock, ReplicaState, StorageType

logger = logging.getLogger(__name__)

_STRIPES = 256

Found = OpenReplica | ReplicaRecord


def life_of(found: Found | None) -> ReplicaLife | None:
    if found is None or isinstance(found, OpenReplica):
        return found.life if found is not None else None
    length = found.length
    return ReplicaLife(found.block_id, found.generation_stamp, found.state, length, length, length)


class _Guard:
    __slots__ = ("_table", "_volume")

    def __init__(self, table: ReplicaTable, volume: Volume) -> None:
        self._table = table
        self._volume = volume

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, VolumeFailed):
            self._table.fail_volume(self._volume, str(error))


class ReplicaTable:
    """See the module. ``now_ms`` is wall time."""

    def __init__(
        self,
        index: Index,
        storages: OpenStorages,
        settings: DatasetSettings,
        listener: DatasetListener,
        now_ms: Callable[[], int],
    ) -> None:
        self.index = index
        self.settings = settings
        self.listener = listener
        self.groups: dict[str, StorageGroup] = {g.storage_uuid: g for g in storages.groups}
        self.volumes: dict[int, Volume] = {}
        for volume in storages.volumes:
            volume.number = index.volume_number(volume.uuid)
            self.volumes[volume.number] = volume
        self.open: dict[tuple[str, int], OpenReplica] = {}
        # Set by the deletion queue: unlink at once what of a block still waits to be.
        self.finish_deletion: Callable[[str, int], None] = lambda pool_id, block_id: None
        # Set by the syncer: told the keys of records that are gone.
        self.removed: Callable[[Iterable[bytes]], None] = lambda keys: None
        self.failures: list[VolumeFailure] = list(storages.failures)
        self._now_ms = now_ms
        self._pools: dict[str, int] = {}
        self._locks = [threading.RLock() for _ in range(_STRIPES)]
        self._failing = threading.Lock()

    # --- pools -------------------------------------------------------------------------------

    def pools(self) -> tuple[str, ...]:
        return tuple(self._pools)

    def has_pool(self, pool_id: str) -> bool:
        return pool_id in self._pools

    def serve_pool(self, pool_id: str) -> None:
        self._pools[pool_id] = self.index.pool_number(pool_id)

    def drop_pool(self, pool_id: str) -> None:
        self._pools.pop(pool_id, None)

    def pool_number(self, pool_id: str) -> int:
        """Raises ``ReplicaNotFound`` for a pool that is not served."""
        try:
            return self._pools[pool_id]
        except KeyError:
            raise ReplicaNotFound(f"block pool {pool_id} is not served by this node") from None

    # --- finding -----------------------------------------------------------------------------

    def find(self, pool_id: str, block_id: int) -> Found | None:
        """What stands for a block. Something that is being deleted does not."""
        replica = self.open.get((pool_id, block_id))
        if replica is not None:
            return replica
        record = self.index.find(self.pool_number(pool_id), block_id)
        if record is None or record.deleting or record.volume not in self.volumes:
            return None
        if self.volumes[record.volume].failure is not None:
            return None
        return record

    def get(self, block: ExtendedBlock) -> Found:
        """As :meth:`find`; raises ``ReplicaNotFound``."""
        found = self.find(block.pool_id, block.block_id)
        if found is None:
            raise ReplicaNotFound(
                f"{block.pool_id} blk_{block.block_id}_{block.generation_stamp}: "
                f"this node has no replica of it"
            )
        return found

    def path_of(self, pool_id: str, record: ReplicaRecord) -> str:
        """Where the file of a record lies."""
        volume = self.volumes[record.volume]
        block_id, stamp = record.block_id, record.generation_stamp
        if record.state is ReplicaState.FINALIZED:
            return volume.finalized_path(pool_id, block_id, stamp)
        return volume.open_path(pool_id, RBW, block_id, stamp)

    def sums_of(self, pool_id: str, record: ReplicaRecord) -> bytes:
        """All CRCs of a record."""
        chunks = record.checksum.chunks(record.length)
        return self.index.checksums(self.pool_number(pool_id), record, 0, chunks)

    def choose_volume(self, storage_type: StorageType, storage_id: str, size: int) -> Volume:
        """A volume of the storage of that id, else of one of that type. Raises ``DiskFull``."""
        groups = [group for group in self.groups.values() if not group.failed]
        named = [group for group in groups if group.storage_uuid == storage_id]
        fitting = named or [group for group in groups if group.storage_type is storage_type]
        if not fitting:
            raise DiskFull(
                f"this node has no working storage of type {storage_type.name}; it has "
                f"{', '.join(sorted({g.storage_type.name for g in groups})) or 'none at all'}"
            )
        # The group of the emptiest volume.
        if len(fitting) > 1:
            fitting.sort(key=lambda group: -max(v.remaining() for v in group.volumes))
        return fitting[0].choose(size)

    # --- changing ----------------------------------------------------------------------------

    def lock(self, block_id: int) -> threading.RLock:
        return self._locks[block_id % _STRIPES]

    @contextlib.contextmanager
    def quiet(
        self, block: ExtendedBlock, check: Callable[[Found | None], object] = lambda found: None
    ) -> Iterator[Found | None]:
        """Hold the lock of a block while nobody writes to its replica.

        A writer is told to stop, but only once ``check`` has accepted what is found (it
        raises otherwise). Raises ``StorageError`` if the writer does not stop in time."""
        key = (block.pool_id, block.block_id)
        lock = self.lock(block.block_id)
        while True:
            with lock:
                self.finish_deletion(*key)
                found = self.find(*key)
                check(found)
                if not (isinstance(found, OpenReplica) and found.has_writer):
                    yield found
                    return
            found.stop_writer(self.settings.writer_stop_ms / 1000)

    def discard(self, pool_id: str, found: Found) -> None:
        """Remove a replica at once, file and record. The block's lock is held."""
        if isinstance(found, OpenReplica):
            self.forget_open(found)
            unlink_quietly(found.path)
            stamps = {found.life.generation_stamp, *found.recorded}
        else:
            unlink_quietly(self.path_of(pool_id, found))
            stamps = {found.generation_stamp}
        block_id = found.life.block_id if isinstance(found, OpenReplica) else found.block_id
        self.remove_records(pool_id, [(block_id, stamp) for stamp in stamps])

    def remove_records(self, pool_id: str, blocks: Sequence[tuple[int, int]]) -> None:
        """Forget (block id, generation stamp) pairs in one transaction."""
        # The pool may have been withdrawn meanwhile; its replicas are deleted all the same.
        pool = self.index.pool_number(pool_id)
        self.index.remove(pool, blocks)
        self.removed(records.replica_key(pool, block_id, stamp) for block_id, stamp in blocks)

    def add_open(self, replica: OpenReplica, promised_bytes: int) -> None:
        replica.promised_bytes = promised_bytes
        replica.volume.promise(promised_bytes)
        self.open[replica.pool_id, replica.life.block_id] = replica

    def forget_open(self, replica: OpenReplica) -> None:
        if self.open.get((replica.pool_id, replica.life.block_id)) is replica:
            del self.open[replica.pool_id, replica.life.block_id]
            replica.volume.promise(-replica.promised_bytes)

    def record_of(self, replica: OpenReplica, length: int, flags: int) -> ReplicaRecord:
        return ReplicaRecord(
            replica.life.block_id,
            replica.life.generation_stamp,
            length,
            replica.life.state,
            replica.volume.number,
            replica.checksum,
            replica.writer_bytes_per_checksum,
            flags | (records.FLAG_VERIFIED if replica.verified else 0),
        )

    def write_record(self, replica: OpenReplica, flags: int = 0) -> ReplicaRecord:
        """Put an open replica into the index as it is on disk now, in place of older stamps."""
        length, sums = replica.snapshot()
        record = self.record_of(replica, length, flags)
        stamp = record.generation_stamp
        older = [other for other in replica.recorded if other != stamp]
        self.index.put(
            self.pool_number(replica.pool_id), record, sums, older[-1] if older else None
        )
        if stamp not in replica.recorded:
            replica.recorded.append(stamp)
        return record

    def rename_open(self, replica: OpenReplica, life: ReplicaLife) -> None:
        """Give an open replica a new life, and its file the name that fits it."""
        kind = TMP if life.state is ReplicaState.TEMPORARY else RBW
        path = replica.volume.open_path(replica.pool_id, kind, life.block_id, life.generation_stamp)
        if path != replica.path:
            replica.volume.move(replica.path, path)
            replica.path = path
        with replica.lock:
            replica.life = life
        if replica.recorded and life.generation_stamp not in replica.recorded:
            self.write_record(replica)

    # --- failures ----------------------------------------------------------------------------

    def guard(self, volume: Volume) -> _Guard:
        """Take ``volume`` out if the block below it fails for its sake."""
        return _Guard(self, volume)

    def fail_volume(self, volume: Volume, reason: str) -> None:
        """Take a volume out of its storage; the node goes on with the others."""
        with self._failing:
            if volume.failure is not None:
                return
            volume.failure = reason
        our_fault(logger, "volume %s is taken out: %s", volume.path, reason)
        lost = self.index.used(volume.number)[0]
        self.failures.append(
            VolumeFailure(str(volume.path), volume.storage_uuid, self._now_ms(), lost, reason)
        )
        self.listener.volume_failed(volume.storage_uuid, str(volume.path), reason)
        for replica in list(self.open.values()):
            if replica.volume is volume:
                self.forget_open(replica)
                with contextlib.suppress(StorageError):
                    replica.stop_writer(0)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000
