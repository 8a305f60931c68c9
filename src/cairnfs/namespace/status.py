"""What ``stat`` tells: getFileInfo, isFileClosed, getPreferredBlockSize, checkAccess
(ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from cairnfs.errors import NotFound, PermissionDenied
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.paths import is_reserved_path
from cairnfs.namespace.records import DIRECTORY, Inode, InodeRow, unpack_row
from cairnfs.namespace.resolve import Intent, as_file, resolve
from cairnfs.store.interface import Reader
from cairnfs.types import Caller, FileStatus, FileType

_TYPES = {int(file_type): file_type for file_type in FileType}
# What is shown for /.reserved itself; it belongs to nobody and is no inode.
RESERVED_INODE = Inode(0, DIRECTORY, 0, 0o1770, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def stat_value(ns: Namespace, tx: Reader, caller: Caller, path: str) -> tuple[bytes, int] | None:
    """The inode at ``path`` as it is packed, and the storage policy in force; None if there
    is none. For an encoder that may know the record already: nothing is decoded.

    Raises ``InvalidPath``, ``PermissionDenied``, ``NotFound`` (an inode path)."""
    if is_reserved_path(path):
        return RESERVED_INODE.pack(), 0
    try:
        walk, _ = resolve(ns, tx, caller, path, Intent.READ)
    except PermissionDenied:
        # As HDFS: below a file there is, for a superuser, simply nothing.
        if caller.superuser:
            return None
        raise
    if not walk.exists:
        return None
    return walk.values[-1], walk.storage_policy


def stat_row(ns: Namespace, tx: Reader, caller: Caller, path: str) -> tuple[InodeRow, int] | None:
    """The same undressed: fields of :class:`records.Inode`."""
    found = stat_value(ns, tx, caller, path)
    return None if found is None else (unpack_row(found[0]), found[1])


def get_file_info(ns: Namespace, tx: Reader, caller: Caller, path: str) -> FileStatus | None:
    """The same as a :class:`FileStatus` with an empty name."""
    found = stat_row(ns, tx, caller, path)
    if found is None:
        return None
    return file_status(ns, tx, Inode._make(found[0]), b"", found[1])


def file_status(
    ns: Namespace, tx: Reader, inode: Inode, name: bytes, storage_policy: int
) -> FileStatus:
    """Dress an inode for an answer."""
    return FileStatus(
        file_type=_TYPES[inode.type],
        name=name,
        length=inode.length,
        mode=inode.mode,
        owner=ns.names.name(tx, inode.owner),
        group=ns.names.name(tx, inode.group),
        modification_time_ms=inode.mtime,
        access_time_ms=inode.atime,
        replication=inode.replication,
        block_size=inode.block_size,
        inode_id=inode.id,
        children=inode.entries if inode.is_directory else -1,
        storage_policy=storage_policy,
    )


def is_file_closed(ns: Namespace, tx: Reader, caller: Caller, path: str) -> bool:
    """Whether nobody writes the file. Raises ``NotFound``, ``PermissionDenied``."""
    walk, _ = resolve(ns, tx, caller, path, Intent.READ)
    return not as_file(walk, path).under_construction


def get_preferred_block_size(ns: Namespace, tx: Reader, caller: Caller, path: str) -> int:
    """The block size the file was created with. Raises ``NotFound``, ``PermissionDenied``."""
    walk, _ = resolve(ns, tx, caller, path, Intent.READ)
    return as_file(walk, walk.path).block_size


def check_access(ns: Namespace, tx: Reader, caller: Caller, path: str, access: int) -> None:
    """The caller may use what is at ``path`` as the bits of ``access`` say (READ 4, WRITE 2,
    EXECUTE 1). Raises ``NotFound``, ``PermissionDenied``."""
    walk, checker = resolve(ns, tx, caller, path, Intent.READ)
    if not walk.exists:
        raise NotFound(f"File/Directory does not exist: {walk.path}")
    checker.target(walk, access)
