"""Closed replicas reach the disk within seconds, and only then their records become durable.

One thread. Every interval the files closed since the last are synced (unless their writer
wanted that when it closed them), then their records are settled in the index in one synced
commit. A few small files are synced one by one; otherwise one ``syncfs`` a volume does it: one
commit of the file system's journal instead of one a file, and the kernel's own writers submit
the data. A failed sync takes the volume out: what the kernel could not write it will not try
again.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from cairnfs.datanode import index_records as records
from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.replica_table import ReplicaTable
from cairnfs.datanode.volume import Volume, disk_errors, sync_directory
from cairnfs.errors import StorageError, VolumeFailed
from cairnfs.log import our_fault

logger = logging.getLogger(__name__)

# From so many files or bytes on, one syncfs is cheaper than a sync of each.
_SYNCFS_FILES = 8
_SYNCFS_BYTES = 256 << 20

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class _Closed:
    key: bytes
    path: str
    volume: Volume
    length: int
    # Data and name are on disk already.
    synced: bool


class Syncer:
    """See the module. Thread safe."""

    def __init__(self, table: ReplicaTable, interval_ms: int) -> None:
        self._table = table
        self._interval_s = interval_ms / 1000
        self._changed = threading.Condition()
        self._closed: list[_Closed] = []
        self._removed: set[bytes] = set()
        self._stopping = False
        self._round = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        table.removed = self.removed

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """End the thread; what waits stays unsynced."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """End the thread and sync all that is left."""
        self.end()
        self.sync_all()

    # --- what happened -----------------------------------------------------------------------

    def closed(
        self,
        pool: int,
        record: ReplicaRecord,
        path: str,
        volume: Volume,
        synced: bool = False,
    ) -> None:
        """A replica was finalized: sync it soon (unless it was) and settle its record."""
        key = records.replica_key(pool, record.block_id, record.generation_stamp)
        with self._changed:
            self._closed.append(_Closed(key, path, volume, record.length, synced))
            if len(self._closed) == 1:
                self._changed.notify()

    def removed(self, keys: Iterable[bytes]) -> None:
        """Records are gone: let the index forget them durably, soon."""
        gone = set(keys)
        if gone:
            with self._changed:
                self._removed |= gone
                self._changed.notify()

    # --- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._removed or self._stopping):
                    self._changed.wait()
                # Let more come together first.
                self._changed.wait_for(lambda: self._stopping, self._interval_s)
                if self._stopping:
                    return
            try:
                self.sync_all()
            except Exception:
                our_fault(logger, "a round of syncing failed", exc_info=True)

    def sync_all(self) -> None:
        """Sync and settle all that was closed or removed before this call."""
        with self._round:
            with self._changed:
                closed, self._closed = self._closed, []
                removed, self._removed = self._removed, set()
            by_volume: dict[int, list[_Closed]] = defaultdict(list)
            for entry in closed:
                by_volume[entry.volume.number].append(entry)
            keys = set(removed)
            for entries in by_volume.values():
                volume = entries[0].volume
                try:
                    _sync_files(volume, [entry for entry in entries if not entry.synced])
                except VolumeFailed as error:
                    self._table.fail_volume(volume, str(error))
                except StorageError as error:
                    self._table.fail_volume(volume, f"a sync failed: {error}")
                else:
                    keys.update(entry.key for entry in entries)
            try:
                self._table.index.settle(keys)
            except StorageError as error:
                # The records stay in the unsynced part of the index and are tried again.
                our_fault(logger, "records of synced blocks are not durable yet: %s", error)
                with self._changed:
                    self._removed |= keys


def _sync_files(volume: Volume, entries: list[_Closed]) -> None:
    if not entries:
        return
    with disk_errors("syncing block files", volume.path):
        size = sum(entry.length for entry in entries)
        if len(entries) >= _SYNCFS_FILES or size >= _SYNCFS_BYTES:
            descriptor = os.open(volume.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if _libc.syncfs(descriptor) != 0:
                    number = ctypes.get_errno() or errno.EIO
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(descriptor)
            return
        for entry in entries:
            # Appended to or deleted since: then its record is another one now.
            with contextlib.suppress(FileNotFoundError):
                _sync_file(entry.path)
        for directory in {os.path.dirname(entry.path) for entry in entries}:
            with contextlib.suppress(FileNotFoundError):
                sync_directory(directory)


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
