"""Checkpoints: whole, consistent, durable copies of the store, made while it serves.

One is a directory named by the journal record it holds last::

    checkpoints/00000000000000012345/data.mdb    LMDB's compact copy
                                     MANIFEST    sequence, size and crc32c of it

It appears by a rename after everything in it is durable, and is read back from the disk
before anything older goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from crc32c import crc32c

from cairnfs.errors import StorageError, StoreDamaged
from cairnfs.store.applied_mark import read_mark
from cairnfs.store.disk import Disk, storage_error, write_all, write_file
from cairnfs.store.lmdb_store import LmdbStore

_NAME = re.compile(r"[0-9]{20}")
_CHUNK_BYTES = 1024 * 1024
_UNFINISHED = "unfinished.new"
DATA = "data.mdb"
MANIFEST = "MANIFEST"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a checkpoint must be to be whole."""

    sequence: int
    size_bytes: int
    crc32c: int


class Checkpoints:
    """The directory of checkpoints. One caller at a time."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk

    def sequences(self) -> list[int]:
        """What there is, ascending. Raises ``StorageError``."""
        try:
            names = [entry.name for entry in self._directory.iterdir()]
        except OSError as error:
            raise storage_error(error, self._directory, "cannot be read") from error
        return sorted(int(name) for name in names if _NAME.fullmatch(name))

    def make(self, store: LmdbStore) -> int:
        """Copy ``store`` to a directory that is no checkpoint yet; the sequence it holds.

        Raises ``StorageError``; what was begun is removed then."""
        beside = self._directory / _UNFINISHED
        try:
            self._disk.remove_tree(beside)
            self._disk.make_directory(beside)
            descriptor = self._disk.create(beside / DATA)
            try:
                size_bytes, checksum = self._stream(store, descriptor)
                self._disk.sync(descriptor)
            finally:
                self._disk.close(descriptor)
            sequence = _sequence_of(beside)
            manifest = Manifest(sequence, size_bytes, checksum)
            # Makes the names of both files durable.
            write_file(self._disk, beside / MANIFEST, msgspec.json.encode(asdict(manifest)))
        except OSError as error:
            self.clear_unfinished()
            raise storage_error(error, beside, "cannot be written") from error
        except StorageError:
            self.clear_unfinished()
            raise
        return sequence

    def publish(self, sequence: int) -> None:
        """Make what :meth:`make` made a checkpoint, and remove older ones if it is whole.

        Raises ``StoreDamaged`` if it cannot be read back (nothing is removed then)."""
        target = self._path(sequence)
        try:
            if target.exists():
                # One of the same sequence holds the same; it goes only if it is of no use.
                if self.is_whole(sequence):
                    self.clear_unfinished()
                    return
                self._disk.remove_tree(target)
            self._disk.rename(self._directory / _UNFINISHED, target)
            self._disk.sync_directory(self._directory)
            if not self.is_whole(sequence):
                raise StoreDamaged(
                    f"{target} does not read back as it was written: replace this disk; "
                    "older checkpoints and the journal were kept"
                )
            for older in self.sequences():
                if older < sequence:
                    self._disk.remove_tree(self._path(older))
            self._disk.sync_directory(self._directory)
        except OSError as error:
            raise storage_error(error, target, "cannot be put in place") from error

    def clear_unfinished(self) -> None:
        """Remove what a crash or an error left; what cannot be removed now goes later."""
        with contextlib.suppress(OSError):
            self._disk.remove_tree(self._directory / _UNFINISHED)

    def newest_whole(self) -> int | None:
        """Sequence of the newest checkpoint that reads back whole; None if there is none.

        Raises ``StoreDamaged`` if there are some and all are damaged."""
        sequences = self.sequences()
        for sequence in reversed(sequences):
            if self.is_whole(sequence):
                return sequence
        if sequences:
            raise StoreDamaged(
                f"{self._directory}: no checkpoint reads back as it was written; "
                "restore the directory from a backup or take over from another NameNode"
            )
        return None

    def is_whole(self, sequence: int) -> bool:
        """Whether it is on disk as its manifest says; reads all of it, from the disk."""
        path = self._path(sequence)
        try:
            manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
            with (path / DATA).open("rb", buffering=0) as file:
                # Not from the page cache, which knows only what was meant to be written.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                size_bytes = checksum = 0
                while chunk := file.read(_CHUNK_BYTES):
                    size_bytes += len(chunk)
                    checksum = crc32c(chunk, checksum)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except (OSError, msgspec.MsgspecError):
            return False
        return manifest == Manifest(sequence, size_bytes, checksum)

    def restore(self, sequence: int, target: Path) -> None:
        """Copy a checkpoint's data to the new directory ``target``, unsynced."""
        try:
            self._disk.remove_tree(target)
            self._disk.make_directory(target)
            shutil.copyfile(self._path(sequence) / DATA, target / DATA)
            (target / DATA).chmod(0o600)
        except OSError as error:
            raise storage_error(error, target, "cannot be restored") from error

    def _path(self, sequence: int) -> Path:
        return self._directory / f"{sequence:020d}"

    def _stream(self, store: LmdbStore, descriptor: int) -> tuple[int, int]:
        """Size and checksum of what LMDB gave, not of what the disk took."""
        reading, writing = os.pipe()
        failures: list[StorageError] = []

        def copy() -> None:
            try:
                store.copy_to(writing)
            except StorageError as error:
                failures.append(error)
            finally:
                os.close(writing)

        with contextlib.suppress(OSError):
            fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)
        thread = threading.Thread(target=copy, name="checkpoint-copy")
        thread.start()
        size_bytes = checksum = 0
        try:
            while chunk := os.read(reading, _CHUNK_BYTES):
                checksum = crc32c(chunk, checksum)
                write_all(self._disk, descriptor, chunk, size_bytes)
                size_bytes += len(chunk)
        finally:
            # LMDB gets EPIPE where nobody takes the rest.
            os.close(reading)
            thread.join()
        if failures:
            raise failures[0]
        return size_bytes, checksum


def _sequence_of(directory: Path) -> int:
    copy = LmdbStore(directory, read_only=True, lock=False)
    try:
        snapshot = copy.snapshot()
        try:
            return read_mark(snapshot).sequence
        finally:
            snapshot.close()
    finally:
        copy.close()
