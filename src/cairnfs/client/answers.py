"""What calls to the NameNode answer, beside the values of :mod:`cairnfs.types`."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.types import FileStatus


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a directory; ``remaining`` entries follow (0: this was the last page)."""

    entries: tuple[FileStatus, ...]
    remaining: int


@dataclass(frozen=True, slots=True)
class FsStatus:
    """Space of the whole file system, in bytes, and blocks in need."""

    capacity: int
    used: int
    remaining: int
    under_replicated: int
    corrupt_blocks: int
    missing_blocks: int
