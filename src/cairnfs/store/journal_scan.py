"""Where a journal ends: what is whole, what a power cut tore, what is damaged."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cairnfs.errors import StoreDamaged
from cairnfs.store.disk import storage_error
from cairnfs.store.journal_record import HEADER_BYTES, Segment

_NAME = re.compile(r"[0-9]{20}\.log")


class JournalMark(NamedTuple):
    """Where a record lies: its sequence number, its segment's first one, its offset."""

    sequence: int
    segment: int
    offset: int


# Before the first record.
NO_MARK = JournalMark(0, 0, 0)


def segment_path(directory: Path, first_sequence: int) -> Path:
    return directory / f"{first_sequence:020d}.log"


def list_segments(directory: Path) -> list[int]:
    """First sequence numbers of the segment files, ascending. Raises ``StorageError``."""
    try:
        names = [entry.name for entry in directory.iterdir()]
    except OSError as error:
        raise storage_error(error, directory, "cannot be read") from error
    return sorted(int(name[:20]) for name in names if _NAME.fullmatch(name))


def load_segment(directory: Path, first_sequence: int) -> Segment:
    """Raises ``StorageError``."""
    path = segment_path(directory, first_sequence)
    try:
        with path.open("rb", buffering=0) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            data_bytes = _data_bytes(file.fileno()) + HEADER_BYTES
            data = bytearray(min(size_bytes, data_bytes))
            read = file.readinto(data)
            while read < len(data) and (more := file.readinto(memoryview(data)[read:])):
                read += more
            return Segment(memoryview(data)[:read], size_bytes)
    except OSError as error:
        raise storage_error(error, path, "cannot be read") from error


def _data_bytes(descriptor: int) -> int:
    """Up to where a file may hold anything but zeros: allocated space need not be read."""
    end = 0
    while True:
        try:
            end = os.lseek(descriptor, os.lseek(descriptor, end, os.SEEK_DATA), os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            os.lseek(descriptor, 0, os.SEEK_SET)
            return end


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """What :func:`find_end` found. ``segment`` and ``offset`` say where the next record
    would lie (segment 0: in a new one); ``blank``: only zeros follow there; ``superfluous``
    are segments that hold no record of this journal; ``last`` marks the last whole record
    if one was seen."""

    last_sequence: int
    last: JournalMark
    segment: int
    offset: int
    size_bytes: int
    salt: int
    blank: bool
    superfluous: list[int]


class _Walk:
    """Follows records from segment to segment."""

    def __init__(
        self, directory: Path, store_id: bytes, segments: list[int], mark: JournalMark, floor: int
    ) -> None:
        self.directory = directory
        self.mark = mark
        self.floor = floor
        self.store_id = store_id
        self.segments = segments
        self.index = 0
        self.offset = HEADER_BYTES
        self.expected = 1
        self.last = NO_MARK
        self.segment = Segment(b"")

    def load(self, index: int) -> Segment | None:
        """That segment; None if a crash ended its making, before any record."""
        first = self.segments[index]
        segment = load_segment(self.directory, first)
        path = segment_path(self.directory, first)
        if segment.header is None:
            # A header is durable before the first record is written.
            if not segment.is_blank(HEADER_BYTES):
                raise StoreDamaged(
                    f"{path}: the header is damaged and records follow it; "
                    "restore the directory from a backup"
                )
            return None
        if segment.header.store_id != self.store_id or segment.header.first_sequence != first:
            raise StoreDamaged(f"{path} belongs to another store or was renamed; move it away")
        return segment

    def run(self, index: int, offset: int, expected: int) -> bool:
        """Walk from there to the last whole record; False if not even the header is whole."""
        segment = self.load(index)
        self.index, self.offset, self.expected = index, offset, expected
        if segment is None:
            return False
        while True:
            self.segment = segment
            first = self.segments[self.index]
            for record in segment.records(self.offset, self.expected):
                self.last = JournalMark(record.sequence, first, record.offset)
                self.offset, self.expected = record.end, record.sequence + 1
            following = self.index + 1
            if following == len(self.segments) or self.segments[following] != self.expected:
                return True
            later = self.load(following)
            if later is None:
                return True
            segment, self.index, self.offset = later, following, HEADER_BYTES

    def refuse_damage(self, later: list[int]) -> None:
        """Raise ``StoreDamaged`` if what follows the end proves that it was no end."""
        known = self.floor
        if not self.segment.is_blank(self.offset):
            known = max(known, self.segment.evidence(self.offset, self.expected))
        for first in later:
            segment = self.load(self.segments.index(first))
            if segment is not None and segment.header is not None:
                found = segment.evidence(HEADER_BYTES, first - 1)
                known = max(known, found, segment.header.durable_sequence)
        # What the store holds itself, up to the mark, is no loss.
        if known >= max(self.expected, self.mark.sequence + 1):
            where = self.directory
            if self.segments:
                where = segment_path(self.directory, self.segments[self.index])
            raise StoreDamaged(
                f"{where}: record {self.expected} at byte {self.offset} is damaged or missing, "
                f"yet records up to {known} were made durable; nothing was changed: "
                "restore the directory from a backup or take over from another NameNode"
            )


def find_end(directory: Path, store_id: bytes, mark: JournalMark, floor: int = 0) -> JournalEnd:
    """The end of a journal whose records up to ``mark`` are known from elsewhere, and of
    which at least ``floor`` are known to have been durable.

    Reads from ``mark`` on, or all if its segment is gone. Where the record of ``mark``
    itself is not there the result is behind it: ``last_sequence < mark.sequence``.
    Raises ``StoreDamaged`` where a record that was durable cannot be read, and
    ``StorageError``."""
    segments = list_segments(directory)
    walk = _Walk(directory, store_id, segments, mark, floor)
    holding = [index for index, first in enumerate(segments) if first <= mark.sequence]
    whole = True
    if holding and segments[holding[-1]] == mark.segment:
        whole = walk.run(holding[-1], mark.offset, mark.sequence)
    elif holding:
        whole = walk.run(holding[-1], HEADER_BYTES, segments[holding[-1]])
    elif segments and segments[0] == mark.sequence + 1:
        whole = walk.run(0, HEADER_BYTES, segments[0])
    else:
        # No segment, or only later ones: unless they prove a loss they were never synced.
        walk.expected = mark.sequence + 1
        walk.refuse_damage(segments)
        return JournalEnd(mark.sequence, mark, 0, 0, 0, 0, True, segments)
    later = segments[walk.index + 1 :]
    walk.refuse_damage(later)
    first = segments[walk.index]
    last_sequence = walk.expected - 1
    if not whole or walk.segment.header is None:
        return JournalEnd(last_sequence, walk.last, 0, 0, 0, 0, True, [first, *later])
    blank = walk.segment.is_blank(walk.offset)
    if walk.offset == HEADER_BYTES and not blank:
        # The next segment will have the same name.
        return JournalEnd(last_sequence, walk.last, 0, 0, 0, 0, True, [first, *later])
    return JournalEnd(
        last_sequence,
        walk.last,
        first,
        walk.offset,
        walk.segment.size_bytes,
        walk.segment.header.salt,
        blank,
        later,
    )
