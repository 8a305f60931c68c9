"""This machine's files for verbs: where ``put`` reads, ``get`` writes, and ``file:`` paths."""

from __future__ import annotations

import os
import shutil
import stat as modes
from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO

from cairnfs.errors import AlreadyExists, DirectoryNotEmpty
from cairnfs.shell.face import EXECUTE, READ, WRITE, Face, Output, Progress
from cairnfs.types import ContentSummary, FileStatus, FileType

# What Hadoop tells of local files: fs.local.block.size.
_BLOCK_SIZE = 32 << 20
_COPY_BYTES = 4 << 20
_ACCESS = {READ: os.R_OK, WRITE: os.W_OK, EXECUTE: os.X_OK}


class LocalOutput(Output):
    """A local file being written."""

    def __init__(self, path: str, mode: str) -> None:
        self._file = open(path, mode, buffering=0)  # noqa: SIM115 - closed by close()

    def copy_from(self, source: IO[bytes], progress: Progress) -> int:
        return _copy(source, self._file, progress)

    def take(self, face: Face, source: IO[bytes], progress: Progress) -> None:
        face.pour(source, self._file, progress)

    def close(self) -> None:
        self._file.close()

    def abort(self) -> None:
        self._file.close()


class LocalFace(Face):
    """The local file system."""

    uri = "file://"

    @property
    def directory(self) -> str:
        return os.getcwd()

    # --- looking ---------------------------------------------------------------------------

    def stat(self, path: str) -> FileStatus | None:
        try:
            return _status(os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def children(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        for name in sorted(os.listdir(path)):
            status = self.stat(os.path.join(path, name))
            if status is not None:
                yield name, status

    def glob(self, pattern: str) -> list[tuple[str, FileStatus]]:
        from cairnfs.client import glob
        from cairnfs.client.direct import run_directly
        from cairnfs.client.entry import Entry

        async def stat(path: str) -> Entry | None:
            status = self.stat(path)
            return None if status is None else Entry(path, status)

        async def entries(path: str) -> AsyncIterator[Entry]:
            for name, status in self.children(path):
                yield Entry(os.path.join(path, name), status)

        found = run_directly(glob.find(pattern, stat, entries))
        return [(entry.path, entry.status) for entry in found]

    def summary(self, path: str) -> ContentSummary:
        length = files = folders = 0
        if not os.path.isdir(path):
            length = os.stat(path).st_size
            return ContentSummary(length, 1, 0, length)
        for top, _, names in os.walk(path):
            folders += 1
            files += len(names)
            length += sum(os.lstat(os.path.join(top, name)).st_size for name in names)
        return ContentSummary(length, files, folders, length)

    def space(self) -> tuple[int, int, int]:
        usage = shutil.disk_usage("/")
        return usage.total, usage.used, usage.free

    def may(self, path: str, action: int) -> bool:
        return all(os.access(path, flag) for bit, flag in _ACCESS.items() if action & bit)

    # --- changing the tree -----------------------------------------------------------------

    def mkdirs(self, path: str, mode: int = 0o777) -> None:
        os.makedirs(path, mode, exist_ok=True)

    def delete(self, path: str, recursive: bool = False) -> bool:
        if not os.path.lexists(path):
            return False
        if not os.path.isdir(path) or os.path.islink(path):
            os.unlink(path)
        elif recursive:
            shutil.rmtree(path)
        elif os.listdir(path):
            raise DirectoryNotEmpty(f"Directory {path} is not empty")
        else:
            os.rmdir(path)
        return True

    def rename(self, source: str, target: str) -> bool:
        os.rename(source, target)
        return True

    def rename_exactly(self, source: str, target: str) -> None:
        if os.path.lexists(target):
            raise AlreadyExists(f"{target} is there already")
        os.rename(source, target)

    def replace(self, source: str, target: str) -> None:
        os.replace(source, target)

    def set_mode(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    def set_owner(self, path: str, owner: str | None, group: str | None) -> None:
        try:
            shutil.chown(path, owner or None, group or None)  # type: ignore[arg-type]
        except LookupError as error:
            raise OSError(0, str(error), path) from None

    def set_times(self, path: str, modified_ms: int, accessed_ms: int) -> None:
        now = os.stat(path)
        accessed = now.st_atime_ns if accessed_ms < 0 else accessed_ms * 1_000_000
        modified = now.st_mtime_ns if modified_ms < 0 else modified_ms * 1_000_000
        os.utime(path, ns=(accessed, modified))

    def truncate(self, path: str, length: int) -> bool:
        os.truncate(path, length)
        return True

    # --- data ------------------------------------------------------------------------------

    def open(self, path: str, verify: bool = True) -> IO[bytes]:
        return open(path, "rb", buffering=0)

    def create(self, path: str) -> Output:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return LocalOutput(path, "wb")

    def append(self, path: str, new_block: bool = False) -> Output:
        return LocalOutput(path, "ab")

    def pour(self, source: IO[bytes], target: IO[bytes], progress: Progress) -> None:
        _copy(source, target, progress)

    # --- trash -----------------------------------------------------------------------------

    @property
    def trash_root(self) -> str:
        return os.path.join(os.path.expanduser("~"), ".Trash")


def _copy(source: IO[bytes], target: IO[bytes], progress: Progress) -> int:
    total = 0
    while data := source.read(_COPY_BYTES):
        left = memoryview(data)
        while left:
            # An unbuffered file may take less than it is given.
            left = left[target.write(left) :]
        progress(len(data))
        total += len(data)
    return total


def _status(found: os.stat_result) -> FileStatus:
    is_directory = modes.S_ISDIR(found.st_mode)
    return FileStatus(
        file_type=FileType.DIRECTORY if is_directory else FileType.FILE,
        name=b"",
        length=found.st_size,
        mode=modes.S_IMODE(found.st_mode) & 0o1777,
        owner=_owner(found.st_uid),
        group=_group(found.st_gid),
        modification_time_ms=found.st_mtime_ns // 1_000_000,
        access_time_ms=found.st_atime_ns // 1_000_000,
        replication=1,
        block_size=_BLOCK_SIZE,
        inode_id=found.st_ino,
    )


def _owner(number: int) -> str:
    import pwd

    return _name(lambda: pwd.getpwuid(number).pw_name, number)


def _group(number: int) -> str:
    import grp

    return _name(lambda: grp.getgrgid(number).gr_name, number)


def _name(find: Callable[[], str], number: int) -> str:
    try:
        return find()
    except KeyError:  # an id that nobody named
        return str(number)
