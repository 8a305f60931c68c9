"""The cluster's file system for verbs, over the client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, cast

from cairnfs.client.blocking import FileSystem
from cairnfs.errors import NotFound, PermissionDenied
from cairnfs.shell.face import Face, Output, Progress
from cairnfs.types import ContentSummary, FileStatus

if TYPE_CHECKING:
    from cairnfs.client.file_objects import FileIn, FileOut


class RemoteOutput(Output):
    """A file of the cluster being written."""

    def __init__(self, out: FileOut) -> None:
        self._out = out

    def copy_from(self, source: IO[bytes], progress: Progress) -> int:
        return self._out.copy_from(source, progress)

    def close(self) -> None:
        self._out.close()

    def abort(self) -> None:
        self._out.abort()


class RemoteFace(Face):
    """One cluster and the user who works with it."""

    def __init__(self, fs: FileSystem) -> None:
        self.fs = fs
        self.uri = fs.uri

    @property
    def directory(self) -> str:
        return self.fs.home

    def close(self) -> None:
        self.fs.close()

    # --- looking ---------------------------------------------------------------------------

    def stat(self, path: str) -> FileStatus | None:
        entry = self.fs.stat_or_none(path)
        return None if entry is None else entry.status

    def children(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        for entry in self.fs.list(path):
            yield entry.name, entry.status

    def glob(self, pattern: str) -> list[tuple[str, FileStatus]]:
        return [(entry.path, entry.status) for entry in self.fs.glob(pattern)]

    def summary(self, path: str) -> ContentSummary:
        return self.fs.content_summary(path)

    def space(self) -> tuple[int, int, int]:
        found = self.fs.status()
        return found.capacity, found.used, found.remaining

    def may(self, path: str, action: int) -> bool:
        try:
            self.fs.check_access(path, action)
        except (NotFound, PermissionDenied):
            return False
        return True

    def replica_counts(self, path: str) -> list[int]:
        return [len(block.locations) for block in self.fs.locations(path)]

    def checksum(self, path: str) -> tuple[str, bytes] | None:
        found = self.fs.checksum(path)
        return found.algorithm, found.value

    # --- changing the tree -----------------------------------------------------------------

    def mkdirs(self, path: str, mode: int = 0o777) -> None:
        self.fs.mkdirs(path, mode)

    def delete(self, path: str, recursive: bool = False) -> bool:
        return self.fs.delete(path, recursive)

    def rename(self, source: str, target: str) -> bool:
        return self.fs.move(source, target)

    def rename_exactly(self, source: str, target: str) -> None:
        self.fs.rename(source, target)

    def replace(self, source: str, target: str) -> None:
        self.fs.rename(source, target, overwrite=True)

    def set_mode(self, path: str, mode: int) -> None:
        self.fs.chmod(path, mode)

    def set_owner(self, path: str, owner: str | None, group: str | None) -> None:
        self.fs.chown(path, owner, group)

    def set_times(self, path: str, modified_ms: int, accessed_ms: int) -> None:
        self.fs.set_times(path, modified_ms, accessed_ms)

    def set_replication(self, path: str, replication: int) -> bool:
        return self.fs.set_replication(path, replication)

    def truncate(self, path: str, length: int) -> bool:
        return self.fs.truncate(path, length)

    def concat(self, target: str, sources: Sequence[str]) -> None:
        self.fs.concat(target, sources)

    # --- data ------------------------------------------------------------------------------

    def open(self, path: str, verify: bool = True) -> FileIn:
        return self.fs.open_read(path, verify=verify)

    def create(self, path: str) -> Output:
        return RemoteOutput(self.fs.create(path, overwrite=True))

    def append(self, path: str, new_block: bool = False) -> Output:
        return RemoteOutput(self.fs.append(path, new_block=new_block))

    def pour(self, source: IO[bytes], target: IO[bytes], progress: Progress) -> None:
        # What open() gave hands out received buffers as they are.
        cast("FileIn", source).copy_to(target, progress)

    # --- trash -----------------------------------------------------------------------------

    def trash_interval_min(self) -> int:
        return self.fs.server_defaults().trash_interval_min

    @property
    def trash_root(self) -> str:
        return f"{self.fs.home}/.Trash"
