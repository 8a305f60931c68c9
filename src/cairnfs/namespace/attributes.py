"""Changing what a file is like: setPermission, setOwner, setTimes, setReplication
(ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import InvalidPath, NotFound, PermissionDenied
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.creating import check_replication
from cairnfs.namespace.paths import is_reserved_path
from cairnfs.namespace.permissions import WRITE
from cairnfs.namespace.records import Inode, read_counters, unpack_block, write_counters
from cairnfs.namespace.resolve import Intent, resolve
from cairnfs.namespace.tables import block_range
from cairnfs.namespace.walk import Walk
from cairnfs.store.interface import Writer
from cairnfs.types import Caller


@dataclass(frozen=True, slots=True)
class ReplicationChange:
    """``is_file`` is the answer. Where ``old`` and ``new`` differ the redundancy of the
    file's blocks is to be checked."""

    is_file: bool
    inode_id: int = 0
    old: int = 0
    new: int = 0


def set_permission(ns: Namespace, tx: Writer, caller: Caller, path: str, mode: int) -> bool:
    """Change the mode bits (owner or superuser only); False if they are so already.

    Raises ``NotFound``, ``PermissionDenied``, ``InvalidPath``."""
    walk, inode = _owned(ns, tx, caller, path)
    return _put(tx, walk, inode, inode._replace(mode=mode & 0o1777))


def set_owner(
    ns: Namespace, tx: Writer, caller: Caller, path: str, owner: str | None, group: str | None
) -> bool:
    """Change owner (superuser only) and group (the owner, to one of the groups he is in);
    None leaves as it is. Raises ``NotFound``, ``PermissionDenied``, ``InvalidPath``."""
    walk, inode = _owned(ns, tx, caller, path)
    if not caller.superuser:
        if owner is not None and owner != caller.user:
            raise PermissionDenied(
                f"User {caller.user} is not a super user (non-super user cannot change owner)."
            )
        if group is not None and group not in caller.groups:
            raise PermissionDenied(f"User {caller.user} does not belong to {group}")
    counters = read_counters(tx)
    known = counters.name_id
    new = inode
    if owner is not None:
        new = new._replace(owner=ns.names.intern(tx, counters, owner))
    if group is not None:
        new = new._replace(group=ns.names.intern(tx, counters, group))
    if counters.name_id != known:
        write_counters(tx, counters)
    return _put(tx, walk, inode, new)


def set_times(
    ns: Namespace, tx: Writer, caller: Caller, path: str, mtime_ms: int, atime_ms: int
) -> bool:
    """Set times of change and access; -1 leaves as it is. Raises ``NotFound``,
    ``PermissionDenied``."""
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    checker.target(walk, WRITE)
    inode = walk.last
    if inode is None:
        raise NotFound(f"File/Directory {walk.path} does not exist.")
    new = inode
    if mtime_ms >= 0:
        new = new._replace(mtime=mtime_ms)
    if atime_ms >= 0:
        new = new._replace(atime=atime_ms)
    return _put(tx, walk, inode, new)


def set_replication(
    ns: Namespace, tx: Writer, caller: Caller, path: str, replication: int
) -> ReplicationChange:
    """Change how many replicas a file should have; nothing happens to directories and to
    what does not exist. Raises ``PermissionDenied``, ``FileSystemError`` (out of bounds)."""
    check_replication(ns, path, replication)
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    checker.target(walk, WRITE)
    inode = walk.last
    if inode is None or not inode.is_file:
        return ReplicationChange(is_file=False)
    if inode.replication != replication:
        _put(tx, walk, inode, inode._replace(replication=replication))
        for key, value in list(tx.scan(*block_range(inode.id))):
            tx.put(key, unpack_block(value)._replace(replication=replication).pack())
    return ReplicationChange(True, inode.id, inode.replication, replication)


def _owned(ns: Namespace, tx: Writer, caller: Caller, path: str) -> tuple[Walk, Inode]:
    if is_reserved_path(path):
        raise InvalidPath(path)
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    return walk, checker.owner(walk)


def _put(tx: Writer, walk: Walk, old: Inode, new: Inode) -> bool:
    if new == old:
        return False
    tx.put(walk.key(len(walk.names)), new.pack())
    return True
