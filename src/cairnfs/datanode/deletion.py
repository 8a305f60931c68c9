"""Lazy deletion: refused to readers at once, unlinked in batches later.

A deleted replica is flagged in the index and queued; a thread unlinks the files, forgets
the records and tells the listener when the space is back. The flags survive the process, so
that a restart goes on where this one stopped. Whoever needs the place of a queued block at
once has it unlinked at once (:meth:`DeletionQueue.finish`).
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from cairnfs.datanode.open_replica import OpenReplica
from cairnfs.datanode.replica_table import Found, ReplicaTable
from cairnfs.datanode.volume import Volume, unlink_quietly
from cairnfs.errors import StorageError, VolumeFailed
from cairnfs.log import our_fault, peer_fault
from cairnfs.types import Block

logger = logging.getLogger(__name__)

# Taken from the queue at once: the thread asks seldom, and a stop is heard soon.
_BATCH = 64
PENDING_FLAG = "deleting"


@dataclass(frozen=True, slots=True)
class _Doomed:
    pool_id: str
    block: Block
    stamps: tuple[int, ...]
    path: str
    volume: Volume


class DeletionQueue:
    """See the module. Thread safe."""

    def __init__(self, table: ReplicaTable) -> None:
        self._table = table
        self._changed = threading.Condition()
        self._pending: dict[tuple[str, int], _Doomed] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="deletion", daemon=True)
        table.finish_deletion = self.finish

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """End the thread; what is still queued goes on after the next start."""
        self.end()
        self._table.index.set_flag(PENDING_FLAG, bool(self._pending))

    def pending(self) -> frozenset[tuple[str, int]]:
        """(Pool id, block id) of all that is refused and not yet gone."""
        return frozenset(self._pending)

    def invalidate(self, pool_id: str, blocks: Iterable[Block]) -> None:
        """Delete replicas. Blocks that are not here are passed over; a replica of another
        generation than the one that was named stays."""
        for block in blocks:
            with self._table.lock(block.block_id):
                found = self._table.find(pool_id, block.block_id)
                if found is None:
                    continue
                stamp = (
                    found.life.generation_stamp
                    if isinstance(found, OpenReplica)
                    else found.generation_stamp
                )
                if stamp != block.generation_stamp:
                    peer_fault(
                        logger,
                        "not deleted: blk_%d_%d; the replica here has generation stamp %d",
                        block.block_id,
                        block.generation_stamp,
                        stamp,
                    )
                    continue
                self._doom(pool_id, found)

    def resume(self, pool_id: str, found: Found) -> None:
        """Queue a replica that an earlier process flagged."""
        self._queue(pool_id, found)

    def finish(self, pool_id: str, block_id: int) -> None:
        """Unlink what is queued of a block now. The block's lock is held."""
        with self._changed:
            doomed = self._pending.pop((pool_id, block_id), None)
        if doomed is None:
            return
        try:
            unlink_quietly(doomed.path)
            stamps = [(block_id, stamp) for stamp in doomed.stamps]
            self._table.remove_records(pool_id, stamps)
        except VolumeFailed as error:
            self._table.fail_volume(doomed.volume, str(error))
        except StorageError as error:
            our_fault(logger, "a deleted block keeps its space: %s", error)
        self._table.listener.deleted(pool_id, doomed.block, doomed.volume.storage_uuid)

    def _doom(self, pool_id: str, found: Found) -> None:
        if isinstance(found, OpenReplica):
            self._table.forget_open(found)
            with contextlib.suppress(StorageError):
                found.stop_writer(0)
        else:
            self._table.index.mark_deleting(self._table.pool_number(pool_id), [found])
        self._queue(pool_id, found)

    def _queue(self, pool_id: str, found: Found) -> None:
        if isinstance(found, OpenReplica):
            block, path, volume = found.life.block, found.path, found.volume
            stamps = tuple({block.generation_stamp, *found.recorded})
        else:
            block, path = found.block, self._table.path_of(pool_id, found)
            volume = self._table.volumes[found.volume]
            stamps = (block.generation_stamp,)
        with self._changed:
            self._pending[pool_id, block.block_id] = _Doomed(pool_id, block, stamps, path, volume)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                keys = list(self._pending)[:_BATCH]
            for key in keys:
                try:
                    with self._table.lock(key[1]):
                        self.finish(*key)
                except Exception:
                    our_fault(logger, "blk_%d was not deleted", key[1], exc_info=True)
