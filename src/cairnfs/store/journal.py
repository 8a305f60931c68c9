"""The journal on the local disk: segments of records, one sync for a group of them.

An append is one ``pwrite`` into space that was allocated before; a sync is one
``fdatasync``, in whatever thread. Once a sync has failed nobody knows what reached the
disk: the journal refuses everything after it, and the process must stop.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from cairnfs.errors import DiskFull, LocalProtocolError, StorageError, StoreDamaged
from cairnfs.limits import JOURNAL_RECORD_BYTES_MAX, JOURNAL_SEGMENT_BYTES
from cairnfs.store.disk import Disk, SystemDisk, storage_error, write_all
from cairnfs.store.interface import Change
from cairnfs.store.journal_record import (
    HEADER_BYTES,
    SegmentHeader,
    encode_header,
    encode_record,
    pack_changes,
    record_bytes,
)
from cairnfs.store.journal_scan import (
    NO_MARK,
    JournalEnd,
    JournalMark,
    find_end,
    list_segments,
    load_segment,
    segment_path,
)

logger = logging.getLogger(__name__)


class _OpenSegment:
    """A segment file that is written to, or that still waits for its sync."""

    __slots__ = ("descriptor", "end", "first_sequence", "salt", "size_bytes")

    def __init__(self, descriptor: int, first_sequence: int, end: int, size: int, salt: int):
        self.descriptor = descriptor
        self.first_sequence = first_sequence
        self.end = end
        self.size_bytes = size
        self.salt = salt


class LocalJournal:
    """A :class:`cairnfs.store.interface.Journal` in a directory of its own.

    Records up to ``mark`` are known from elsewhere (the store applied them) and are not
    read again; records up to ``floor`` are known to have been durable. If ``last_sequence <
    mark.sequence`` after opening, the journal has lost what the store still holds: the
    caller must :meth:`restart` it, or refuse.

    ``append`` belongs to one thread, ``sync`` and ``trim`` may run in others. Raises
    ``StoreDamaged`` and ``StorageError`` on opening."""

    def __init__(
        self,
        directory: Path,
        store_id: bytes,
        mark: JournalMark = NO_MARK,
        *,
        disk: Disk | None = None,
        segment_bytes: int = JOURNAL_SEGMENT_BYTES,
        floor: int = 0,
    ) -> None:
        self._directory = directory
        self._store_id = store_id
        self._disk: Disk = disk or SystemDisk()
        self._segment_bytes = segment_bytes
        self._failed: StorageError | None = None
        # Guards the fields that append, sync and trim share; never held during a sync.
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._active: _OpenSegment | None = None
        self._sealed: list[_OpenSegment] = []
        end = find_end(directory, store_id, mark, floor)
        self._known = mark
        self._mark = end.last if end.last.sequence == end.last_sequence else mark
        self._last = self._durable = end.last_sequence
        self._segments = list_segments(directory)
        if end.last_sequence >= mark.sequence:
            try:
                self._adopt(end)
            except OSError as error:
                raise storage_error(error, directory, "cannot be opened for writing") from error

    @property
    def last_sequence(self) -> int:
        return self._last

    @property
    def durable_sequence(self) -> int:
        """Of the newest record that a power cut cannot take."""
        return self._durable

    @property
    def mark(self) -> JournalMark:
        """Where the newest record lies."""
        return self._mark

    @property
    def size_bytes(self) -> int:
        """Bytes of records and headers on disk, give or take the rest of a segment."""
        with self._lock:
            active = self._active
            full = len(self._segments) - (active is not None)
            return full * self._segment_bytes + (active.end if active is not None else 0)

    def append(self, changes: list[Change]) -> int:
        """Write a record (to the kernel, not yet durable) and return its sequence number.

        Raises ``LocalProtocolError`` for a record beyond the limit and ``DiskFull``: the
        journal is as before and usable. Any other ``StorageError`` is final."""
        if self._failed is not None:
            raise self._failed
        payload = pack_changes(changes)
        if len(payload) > JOURNAL_RECORD_BYTES_MAX:
            raise LocalProtocolError(
                f"a batch of {len(payload)} bytes; a journal record takes at most "
                f"{JOURNAL_RECORD_BYTES_MAX}: commit it in parts"
            )
        sequence = self._last + 1
        size = record_bytes(len(payload))
        segment = self._active
        if segment is None or segment.end + size > segment.size_bytes:
            segment = self._rotate(sequence, size)
        record = encode_record(segment.salt, sequence, self._durable, payload)
        offset = segment.end
        try:
            write_all(self._disk, segment.descriptor, record, offset)
        except OSError as error:
            # What was written of it is no whole record, and the next one goes over it.
            raise self._refusal(error, segment.first_sequence, "cannot be written") from error
        segment.end = offset + size
        self._mark = JournalMark(sequence, segment.first_sequence, offset)
        self._last = sequence
        return sequence

    def sync(self) -> int:
        """Make all that was appended so far durable; the last durable sequence number."""
        with self._sync_lock:
            if self._failed is not None:
                raise self._failed
            with self._lock:
                last = self._last
                sealed, self._sealed = self._sealed, []
                active = self._active
            if last == self._durable and not sealed:
                return last
            waiting = sealed if active is None else [*sealed, active]
            for segment in waiting:
                try:
                    self._disk.sync(segment.descriptor)
                except OSError as error:
                    self._sealed = [*sealed, *self._sealed]
                    raise self._fail(error, segment.first_sequence, "cannot be synced") from error
            for segment in sealed:
                self._disk.close(segment.descriptor)
            self._durable = last
            return last

    def read(self, after: int) -> Iterator[tuple[int, list[Change]]]:
        """All records above ``after`` that were appended until now, in order.

        Raises ``StoreDamaged``, also where they were trimmed."""
        last = self._last
        if after >= last:
            return
        with self._lock:
            segments = list(self._segments)
        start = max((i for i, first in enumerate(segments) if first <= after + 1), default=-1)
        if start < 0:
            raise StoreDamaged(f"{self._directory} does not hold record {after + 1} any more")
        expected, offset = segments[start], HEADER_BYTES
        if self._known.segment == expected and self._known.sequence <= after:
            expected, offset = self._known.sequence, self._known.offset
        for first in segments[start:]:
            if first > expected:
                break
            for record in load_segment(self._directory, first).records(offset, expected):
                if record.sequence > last:
                    return
                if record.sequence > after:
                    yield record.sequence, record.changes()
                expected = record.sequence + 1
            offset = HEADER_BYTES
        if expected <= last:
            raise StoreDamaged(f"{self._directory}: record {expected} cannot be read back")

    def trim(self, up_to: int) -> None:
        """Remove segments that hold records up to ``up_to`` only; never the newest."""
        with self._lock:
            count = sum(following <= up_to + 1 for following in self._segments[1:])
            removed, self._segments = self._segments[:count], self._segments[count:]
        self._remove(removed)

    def restart(self, sequence: int) -> None:
        """Forget all records; the next one follows ``sequence``, which the store holds."""
        with self._lock:
            self._close_files()
            removed, self._segments = self._segments, []
            self._mark = JournalMark(sequence, 0, 0)
            self._last = self._durable = sequence
        self._remove(removed)

    def close(self) -> None:
        """Close the files; does not sync."""
        with self._sync_lock, self._lock:
            self._close_files()
            if self._failed is None:
                self._failed = StorageError(f"{self._directory}: the journal was closed")

    # --- within ----------------------------------------------------------------------------

    def _adopt(self, end: JournalEnd) -> None:
        """Cut what is torn, make durable what is there, and go on behind it."""
        for first in reversed(end.superfluous):
            self._disk.unlink(segment_path(self._directory, first))
            self._segments.remove(first)
        if end.superfluous:
            self._disk.sync_directory(self._directory)
        for first in self._segments:
            descriptor = self._disk.open(segment_path(self._directory, first))
            torn = first == end.segment and not end.blank
            try:
                if torn:
                    logger.info(
                        "%s: cut at byte %d, behind record %d; what followed was never durable",
                        segment_path(self._directory, first),
                        end.offset,
                        end.last_sequence,
                    )
                    self._disk.truncate(descriptor, end.offset)
                self._disk.sync(descriptor)
            except OSError:
                self._disk.close(descriptor)
                raise
            if first == end.segment and not torn:
                self._active = _OpenSegment(descriptor, first, end.offset, end.size_bytes, end.salt)
            else:
                self._disk.close(descriptor)

    def _rotate(self, sequence: int, record_size: int) -> _OpenSegment:
        """A new segment, durable itself before a record is written to it."""
        path = segment_path(self._directory, sequence)
        size = max(self._segment_bytes, HEADER_BYTES + record_size)
        salt = secrets.randbits(64)
        header = SegmentHeader(self._store_id, sequence, self._durable, salt)
        descriptor = -1
        try:
            descriptor = self._disk.create(path)
            self._disk.allocate(descriptor, size)
            write_all(self._disk, descriptor, encode_header(header), 0)
            self._disk.sync(descriptor)
            self._disk.sync_directory(self._directory)
        except OSError as error:
            if descriptor >= 0:
                self._disk.close(descriptor)
                with contextlib.suppress(OSError):
                    self._disk.unlink(path)
            raise self._refusal(error, sequence, "cannot be made") from error
        segment = _OpenSegment(descriptor, sequence, HEADER_BYTES, size, salt)
        with self._lock:
            if self._active is not None:
                self._sealed.append(self._active)
            self._active = segment
            self._segments.append(sequence)
        return segment

    def _refusal(self, error: OSError, first_sequence: int, what: str) -> StorageError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(
                f"{segment_path(self._directory, first_sequence)} {what}: "
                "no space is left on its disk; free some"
            )
        return self._fail(error, first_sequence, what)

    def _fail(self, error: OSError, first_sequence: int, what: str) -> StorageError:
        path = segment_path(self._directory, first_sequence)
        self._failed = StorageError(
            f"{path} {what} ({error.strerror or error}); the journal takes no more: "
            "see to the disk and start again"
        )
        return self._failed

    def _remove(self, segments: list[int]) -> None:
        try:
            for first in segments:
                self._disk.unlink(segment_path(self._directory, first))
            if segments:
                self._disk.sync_directory(self._directory)
        except OSError as error:
            raise storage_error(error, self._directory, "cannot be trimmed") from error

    def _close_files(self) -> None:
        for segment in [*self._sealed, self._active]:
            if segment is not None:
                self._disk.close(segment.descriptor)
        self._sealed.clear()
        self._active = None
