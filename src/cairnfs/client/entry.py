"""What is at a path, as users of the client see it."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.types import FileStatus, FileType


def name_text(name: bytes) -> str:
    """A name as text; bytes that are no UTF-8 survive as ``os.fsdecode`` has them."""
    return name.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Entry:
    """A path and its status. Times are milliseconds since the epoch."""

    path: str
    status: FileStatus

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_dir(self) -> bool:
        return self.status.file_type is FileType.DIRECTORY

    @property
    def is_file(self) -> bool:
        return self.status.file_type is FileType.FILE

    @property
    def is_symlink(self) -> bool:
        return self.status.file_type is FileType.SYMLINK

    @property
    def size(self) -> int:
        return self.status.length

    @property
    def mode(self) -> int:
        """Permission bits, ``0o1777`` at most."""
        return self.status.mode

    @property
    def owner(self) -> str:
        return self.status.owner

    @property
    def group(self) -> str:
        return self.status.group

    @property
    def modified_ms(self) -> int:
        return self.status.modification_time_ms

    @property
    def accessed_ms(self) -> int:
        return self.status.access_time_ms

    @property
    def replication(self) -> int:
        return self.status.replication

    @property
    def block_size(self) -> int:
        return self.status.block_size

    @property
    def inode_id(self) -> int:
        return self.status.inode_id

    @property
    def target(self) -> str:
        """Where a symlink leads."""
        return name_text(self.status.symlink)
