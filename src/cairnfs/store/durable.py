"""The durable store: LMDB that is never synced, a journal that is, and checkpoints.

::

    <directory>/VERSION       format of this directory and the id of the store
                in_use.lock   one process at a time
                state         boot id, clean-stop mark (:mod:`cairnfs.store.boot_state`)
                tree/         LMDB, unsynced; knows the last record it applied
                journal/      records of changes, one sync for each group
                checkpoints/  durable copies of the tree

A commit is appended to the journal and then committed to LMDB, so LMDB is never ahead of
the journal. Opening takes LMDB as it is if its process died and the kernel did not, or if
it was synced by a clean stop, and applies the journal's tail; otherwise LMDB is restored
from the newest checkpoint and the journal behind it. Either way nothing is loaded.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from cairnfs.errors import DiskFull, LocalProtocolError, StorageError, StoreFailed
from cairnfs.limits import (
    JOURNAL_SEGMENT_BYTES,
    STORE_MAP_BYTES,
    STORE_ROOM_BYTES_MIN,
    STORE_ROOM_BYTES_PER_CHANGE,
)
from cairnfs.log import our_fault
from cairnfs.store.applied_mark import MARK_KEY, pack_mark
from cairnfs.store.boot_state import BootState, kernel_boot_id, save_state
from cairnfs.store.directory_lock import DirectoryLock
from cairnfs.store.disk import Disk, SystemDisk
from cairnfs.store.interface import Batch
from cairnfs.store.journal_scan import JournalMark
from cairnfs.store.lmdb_store import LmdbBatch, LmdbSnapshot, LmdbStore
from cairnfs.store.recovery import Recovery
from cairnfs.store.store_directory import STATE, TREE, format_directory, read_store_id

logger = logging.getLogger(__name__)

# A checkpoint is due when the journal has grown to the size of the tree, but not for less:
# so checkpoints at most double what is written.
_CHECKPOINT_BYTES_MIN = 64 * 1024 * 1024


class DurableBatch(LmdbBatch):
    """A batch whose commit goes through the journal."""

    __slots__ = ("durable",)

    def __init__(self, durable: DurableStore, tree: LmdbStore) -> None:
        super().__init__(tree, tree.begin_write())
        self.durable = durable

    def commit(self) -> None:
        """As :meth:`DurableStore.commit`."""
        self.durable.commit(self)

    def commit_applied(self, mark: JournalMark) -> None:
        """Commit to LMDB only, noting which record these changes are."""
        self.write_unlisted(MARK_KEY, pack_mark(mark))
        super().commit()


class DurableStore:
    """A :class:`cairnfs.store.interface.Store` that loses nothing that was synced.

    ``batch``, ``commit`` and ``close`` belong to one thread; ``sync`` and ``checkpoint``
    block and are meant for others; snapshots may be taken anywhere. After ``StoreFailed``
    from any of them the process must stop: the next one finds all that was synced."""

    def __init__(
        self,
        directory: Path,
        *,
        disk: Disk | None = None,
        boot_id: str | None = None,
        map_bytes: int = STORE_MAP_BYTES,
        segment_bytes: int = JOURNAL_SEGMENT_BYTES,
    ) -> None:
        """Open a formatted store, in milliseconds unless the machine was restarted.

        Raises ``StartupError`` if there is none, ``StoreLocked``, ``StoreDamaged``."""
        self._directory = Path(directory)
        self._disk: Disk = disk or SystemDisk()
        self._boot_id = boot_id or kernel_boot_id()
        store_id = read_store_id(self._directory)
        self._lock = DirectoryLock(self._directory)
        try:
            recovered = Recovery(
                self._directory, store_id, self._boot_id, self._disk, map_bytes, segment_bytes
            ).run()
        except BaseException:
            self._lock.release()
            raise
        self.store_id = store_id.hex()
        # Whether LMDB was made anew: other unsynced files of this machine are gone, too.
        self.rebuilt = recovered.rebuilt
        self._tree = recovered.tree
        self._journal = recovered.journal
        self._checkpoints = recovered.checkpoints
        self._checkpoint_lock = threading.Lock()
        self._failed: StoreFailed | None = None
        self._closed = False
        # LMDB's own, so that reads pay for no frame of ours.
        self.snapshot: Callable[[], LmdbSnapshot] = self._tree.snapshot

    @classmethod
    def format(
        cls,
        directory: Path,
        *,
        disk: Disk | None = None,
        boot_id: str | None = None,
        map_bytes: int = STORE_MAP_BYTES,
        segment_bytes: int = JOURNAL_SEGMENT_BYTES,
    ) -> DurableStore:
        """Make a store in an empty or missing directory and open it.

        Raises ``StartupError`` naming what is there already."""
        disk = disk or SystemDisk()
        boot_id = boot_id or kernel_boot_id()
        format_directory(Path(directory), disk, boot_id)
        return cls(
            directory,
            disk=disk,
            boot_id=boot_id,
            map_bytes=map_bytes,
            segment_bytes=segment_bytes,
        )

    @staticmethod
    def open_reader(directory: Path, map_bytes: int = STORE_MAP_BYTES) -> LmdbStore:
        """What another process reads the open store with, seeing each commit at once."""
        return LmdbStore(Path(directory) / TREE, map_bytes=map_bytes, read_only=True)

    @property
    def last_sequence(self) -> int:
        """Of the newest commit."""
        return self._journal.last_sequence

    @property
    def durable_sequence(self) -> int:
        """Of the newest commit that a power cut cannot take."""
        return self._journal.durable_sequence

    @property
    def checkpoint_due(self) -> bool:
        """Whether the journal has grown so long that a checkpoint pays."""
        return self._journal.size_bytes > max(_CHECKPOINT_BYTES_MIN, self._tree.file_bytes)

    def batch(self) -> DurableBatch:
        """Begin the one write transaction. Raises ``LocalProtocolError``, ``StoreFailed``."""
        if self._failed is not None:
            raise self._failed
        return DurableBatch(self, self._tree)

    def commit(self, batch: Batch) -> int:
        """Append the batch to the journal, then make it visible; its sequence number.

        Not durable before :meth:`sync`. A batch without changes gets the number of the
        last one. Raises ``DiskFull`` and, for a batch beyond the limit,
        ``LocalProtocolError``: then the batch is undone and the store as before; and
        ``StoreFailed``."""
        if not isinstance(batch, DurableBatch) or batch.durable is not self:
            raise LocalProtocolError("this batch was not begun by this store")
        changes = batch.changes
        if not changes:
            batch.abort()
            return self._journal.last_sequence
        try:
            self._check_room(len(changes))
            # The last change of a key is all that matters: parents change with each child.
            sequence = self._journal.append(list(dict(changes).items()))
        except (DiskFull, LocalProtocolError):
            batch.abort()
            raise
        except StorageError as error:
            batch.abort()
            raise self._fail(error) from error
        try:
            batch.commit_applied(self._journal.mark)
        except StorageError as error:
            raise self._fail(error) from error
        except BaseException as error:
            our_fault(logger, "journal and store differ now: %s", error, exc_info=True)
            raise self._fail(error) from error
        return sequence

    def _check_room(self, changes: int) -> None:
        """Raise ``DiskFull`` while there is still room: the journal cannot take back what LMDB
        then has no page for. (1.8 us, measured on a busy machine.)"""
        disk = os.statvfs(self._directory)
        if (
            disk.f_bavail * disk.f_frsize
            < STORE_ROOM_BYTES_MIN + changes * STORE_ROOM_BYTES_PER_CHANGE
        ):
            raise DiskFull(
                f"{self._directory}: no space is left on its disk; changes are refused until "
                "some is freed"
            )

    def sync(self) -> int:
        """Make all commits so far durable; the last durable sequence number. Blocks.

        Raises ``StoreFailed``."""
        try:
            return self._journal.sync()
        except StorageError as error:
            raise self._fail(error) from error

    def checkpoint(self) -> int:
        """Copy the store as it is to a checkpoint and trim the journal; the copy's sequence.

        Blocks for as long as reading and writing all of it takes, while the store serves.
        Raises ``StorageError`` (``DiskFull``): then older checkpoints and the journal are
        kept and nothing is lost."""
        with self._checkpoint_lock:
            newest = max(self._checkpoints.sequences(), default=0)
            if newest == self._journal.last_sequence:
                return newest
            sequence = self._checkpoints.make(self._tree)
            # A checkpoint must not be ahead of the journal after a power cut.
            if self.sync() < sequence:
                raise StorageError("the journal ends before the checkpoint")
            self._checkpoints.publish(sequence)
            self._journal.trim(sequence)
            return sequence

    def close(self, *, clean: bool = True) -> None:
        """Stop; when ``clean``, sync LMDB so that even a restart of the machine finds it.

        Raises ``StorageError`` if it could not be synced; the journal has everything."""
        if self._closed:
            return
        self._closed = True
        with self._checkpoint_lock, contextlib.ExitStack() as closing:
            closing.callback(self._lock.release)
            closing.callback(self._journal.close)
            closing.callback(self._tree.close)
            if clean and self._failed is None:
                sequence = self.sync()
                self._tree.sync()
                save_state(
                    self._disk,
                    self._directory / STATE,
                    BootState(self._boot_id, True, sequence),
                )

    def _fail(self, error: BaseException) -> StoreFailed:
        if self._failed is None:
            self._failed = StoreFailed(f"the store in {self._directory} failed: {error}")
        return self._failed
