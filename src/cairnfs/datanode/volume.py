"""One volume: a directory on one file system that holds block files.

::

    <dir>/in_use.lock                     held while a DataNode uses the directory
    <dir>/VERSION                         whose it is (:class:`VolumeIdentity`)
    <dir>/current/<pool>/finalized/subdirXX/subdirYY/blk_<id>_<generation>
    <dir>/current/<pool>/rbw/blk_<id>_<generation>      being written
    <dir>/current/<pool>/tmp/blk_<id>_<generation>      being copied; worthless after a restart

Directories are 0700, files 0600. Names carry all that a lost index needs. Methods raise
``DiskFull`` and ``VolumeFailed`` instead of ``OSError`` (:func:`disk_errors`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from cairnfs.errors import DiskFull, StartupError, StorageError, VolumeFailed
from cairnfs.types import StorageType

LAYOUT_VERSION = 1
FINALIZED, RBW, TMP = "finalized", "rbw", "tmp"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILED = (errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.EUCLEAN, errno.ESTALE)
_POOL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\[\]%-]{0,254}")
_BLOCK_FILE = re.compile(r"blk_(-?\d+)_(\d+)")
_VERSION_FILE = "VERSION"
# What a new file system may bring along; anything else in an unformatted directory is somebody's.
_IGNORED = frozenset({"lost+found", "in_use.lock"})
# chattr +T: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_TOPDIR_FL of linux/fs.h (64 bit).
_GET_FLAGS, _SET_FLAGS, _TOP_OF_HIERARCHIES = 0x80086601, 0x40086602, 0x00020000
_FLAGS = struct.Struct("@i")


class disk_errors:  # noqa: N801 (used like contextlib's own)
    """Turn ``OSError`` into ``DiskFull``, ``VolumeFailed`` or ``StorageError``.

    A class, as a generator costs three times as much and every replica passes several."""

    __slots__ = ("_doing", "_path")

    def __init__(self, doing: str, path: Path | str) -> None:
        self._doing = doing
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        what = f"{self._path}: {self._doing}: {error.strerror or error}"
        if error.errno in _FULL:
            raise DiskFull(f"{what}; free space on this volume or add another") from error
        if error.errno in _FAILED:
            raise VolumeFailed(f"{what}; replace the drive and restart the DataNode") from error
        raise StorageError(what) from error


@dataclass(frozen=True, slots=True)
class VolumeIdentity:
    """The ``VERSION`` file. ``cluster_id`` is empty until a NameNode was met."""

    layout_version: int
    datanode_uuid: str
    cluster_id: str
    storage_uuid: str
    volume_uuid: str

    def text(self) -> str:
        return "".join(f"{field.name}={getattr(self, field.name)}\n" for field in fields(self))


def _parse_identity(text: str, path: Path) -> VolumeIdentity:
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        identity = VolumeIdentity(
            int(values["layout_version"]),
            *(values[f.name] for f in fields(VolumeIdentity)[1:]),
        )
    except (KeyError, ValueError) as error:
        raise StartupError(
            f"{path} is not a Cairn volume's VERSION file ({error}); point "
            f"dfs.datanode.data.dir at an empty directory or at one of this DataNode"
        ) from None
    if identity.layout_version != LAYOUT_VERSION:
        raise StartupError(
            f"{path} has layout version {identity.layout_version}, this program knows "
            f"{LAYOUT_VERSION}; use the program that wrote it"
        )
    return identity


@dataclass(frozen=True, slots=True)
class BlockFile:
    """A block file found by a walk."""

    path: str
    block_id: int
    generation_stamp: int
    length: int


class Volume:
    """An open, locked volume. Thread safe."""

    def __init__(
        self, path: Path, storage_type: StorageType, reserved_bytes: int, lock_fd: int
    ) -> None:
        self.path = path
        self.storage_type = storage_type
        self.reserved_bytes = reserved_bytes
        self.identity: VolumeIdentity | None = None
        # Its number in the index; set when the index is open.
        self.number = 0
        self.failure: str | None = None
        self._lock_fd = lock_fd
        self._lock = threading.Lock()
        self._promised_bytes = 0
        # Strings for what every replica needs: a pathlib operation costs 5-10 us.
        self._current = f"{path}/current"
        self._made: set[str] = set()

    # --- identity ----------------------------------------------------------------------------

    @property
    def storage_uuid(self) -> str:
        assert self.identity is not None
        return self.identity.storage_uuid

    @property
    def uuid(self) -> str:
        assert self.identity is not None
        return self.identity.volume_uuid

    def read_identity(self) -> VolumeIdentity | None:
        """What ``VERSION`` says; None for an empty directory.

        Raises ``StartupError`` for a directory that holds something else."""
        file = self.path / _VERSION_FILE
        with disk_errors("reading the identity", file):
            if file.exists():
                self.identity = _parse_identity(file.read_text(encoding="utf-8"), file)
                return self.identity
            foreign = sorted(set(os.listdir(self.path)) - _IGNORED)
        if foreign:
            raise StartupError(
                f"{self.path} is not a Cairn volume and not empty (it holds {foreign[0]!r}); "
                f"point dfs.datanode.data.dir at an empty directory"
            )
        return None

    def write_identity(self, identity: VolumeIdentity) -> None:
        """Durably. Raises ``DiskFull``, ``VolumeFailed``, ``StorageError``."""
        file = self.path / _VERSION_FILE
        with disk_errors("writing the identity", file):
            write_synced(file, identity.text())
        self.identity = identity

    def bind(self, cluster_id: str) -> None:
        assert self.identity is not None
        self.write_identity(replace(self.identity, cluster_id=cluster_id))

    def close(self) -> None:
        os.close(self._lock_fd)

    # --- space -------------------------------------------------------------------------------

    def capacity(self) -> int:
        """Bytes of the file system less those reserved for others."""
        with disk_errors("asking for its size", self.path):
            stat = os.statvfs(self.path)
        return max(0, stat.f_blocks * stat.f_frsize - self.reserved_bytes)

    def remaining(self) -> int:
        """Bytes that new replicas may take: free, not reserved, not promised to writers."""
        with disk_errors("asking for its free space", self.path):
            stat = os.statvfs(self.path)
        return max(0, stat.f_bavail * stat.f_frsize - self.reserved_bytes - self._promised_bytes)

    def promise(self, size: int) -> None:
        """Keep ``size`` bytes for a replica about to be written; negative gives them back."""
        with self._lock:
            self._promised_bytes += size

    # --- files -------------------------------------------------------------------------------

    def pool_directory(self, pool_id: str) -> Path:
        if not _POOL_ID.fullmatch(pool_id):
            raise StorageError(f"{pool_id!r} cannot be the name of a block pool")
        return self.path / "current" / pool_id

    def make_pool(self, pool_id: str) -> None:
        """Make the pool's directories, durably."""
        root = self.pool_directory(pool_id)
        with disk_errors("making a block pool", root):
            make_directories(root)
            _spread_below(root)
            for name in (FINALIZED, RBW, TMP):
                make_directories(root / name)
            for directory in (root, root.parent, self.path):
                sync_directory(directory)

    def remove_pool(self, pool_id: str) -> None:
        """Remove the pool's directories and all that is in them."""
        root = self.pool_directory(pool_id)
        with disk_errors("removing a block pool", root), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(root)
        self._made.clear()

    def open_path(self, pool_id: str, kind: str, block_id: int, stamp: int) -> str:
        """Where an unfinished replica lies; ``kind`` is ``RBW`` or ``TMP``."""
        return f"{self._current}/{pool_id}/{kind}/blk_{block_id}_{stamp}"

    def finalized_path(self, pool_id: str, block_id: int, stamp: int) -> str:
        """Where a finalized replica lies (its directory may not be there yet)."""
        # 256 neighbours share a directory, so a burst of new blocks touches few of them; ids
        # count up, so 32 x 32 directories fill evenly.
        first, second = (block_id >> 13) & 31, (block_id >> 8) & 31
        return (
            f"{self._current}/{pool_id}/{FINALIZED}/subdir{first}/subdir{second}/"
            f"blk_{block_id}_{stamp}"
        )

    def make_parent(self, path: str) -> None:
        """Make the directory that ``path`` will lie in, if need be."""
        parent = path.rpartition("/")[0]
        if parent not in self._made:
            with disk_errors("making a directory", parent):
                make_directories(Path(parent))
            self._made.add(parent)

    def move(self, source: str, target: str) -> None:
        """Rename within the volume, making the target's directory if need be."""
        self.make_parent(target)
        with disk_errors("renaming a block file", source):
            os.rename(source, target)

    def walk(self, pool_id: str, kind: str) -> Iterator[BlockFile]:
        """All block files of one kind, in no order. Raises ``VolumeFailed``."""
        root = self.pool_directory(pool_id) / kind
        pending = [str(root)]
        with disk_errors("listing block files", root):
            while pending:
                directory = pending.pop()
                try:
                    entries = list(os.scandir(directory))
                except FileNotFoundError:
                    continue
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif match := _BLOCK_FILE.fullmatch(entry.name):
                        yield BlockFile(
                            entry.path,
                            int(match[1]),
                            int(match[2]),
                            entry.stat(follow_symlinks=False).st_size,
                        )

    def pools(self) -> list[str]:
        """Pools that have a directory here."""
        root = self.path / "current"
        with disk_errors("listing block pools", root):
            if not root.exists():
                return []
            return sorted(e.name for e in os.scandir(root) if e.is_dir(follow_symlinks=False))


def make_directories(path: Path) -> None:
    """Make a directory and those above it, all for this user only. Raises ``OSError``."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)


def _spread_below(path: Path) -> None:
    """Ask the file system to lay directories made in ``path`` far from each other; one that
    cannot is as good.

    ext4 puts a new file near its directory, and a directory near the one above: all volumes
    (and the rest) of a drive then fill the same groups of inodes, and without a journal a file
    costs 260 us to create instead of 10 where many were deleted lately (measured)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flags = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(_FLAGS.size))
            (found,) = _FLAGS.unpack(flags)
            fcntl.ioctl(descriptor, _SET_FLAGS, _FLAGS.pack(found | _TOP_OF_HIERARCHIES))
        finally:
            os.close(descriptor)


def sync_directory(path: Path | str) -> None:
    """Make the names in a directory durable. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, text: str) -> None:
    """Replace a small file, durably: it has the old or the new text. Raises ``OSError``."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def unlink_quietly(path: str) -> None:
    """Unlink; a file that is gone already is as good."""
    with disk_errors("unlinking a block file", path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)
