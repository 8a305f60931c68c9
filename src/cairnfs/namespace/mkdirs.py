"""Making directories: mkdirs (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import AlreadyExists, NotADirectory, NotFound
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.entries import check_objects_limit, implicit_mode, make_directories
from cairnfs.namespace.paths import check_path_length, join_path
from cairnfs.namespace.permissions import WRITE
from cairnfs.namespace.records import read_counters, write_counters
from cairnfs.namespace.resolve import Intent, resolve
from cairnfs.namespace.walk import Walk
from cairnfs.store.interface import Writer
from cairnfs.types import Caller


@dataclass(frozen=True, slots=True)
class Made:
    """``created`` is False if the directory was there already, which is no error."""

    inode_id: int
    created: bool


def mkdirs(
    ns: Namespace,
    tx: Writer,
    caller: Caller,
    now_ms: int,
    path: str,
    mode: int,
    *,
    create_parent: bool,
) -> Made:
    """Make ``path`` a directory, and with ``create_parent`` those above it.

    ``mode`` is already masked by the client; parents get it with u+wx. The group comes
    from the directory above (BSD). Raises ``AlreadyExists`` (a file is there),
    ``NotADirectory``, ``NotFound`` (no parent), ``PermissionDenied``, ``InvalidPath``,
    ``NameTooLong``, ``TooManyEntries``."""
    check_path_length(path, "mkdirs")
    walk, checker = resolve(ns, tx, caller, path, Intent.CREATE)
    if walk.exists:
        if not walk.is_directory(-1):
            raise AlreadyExists(f"Path is not a directory: {path}")
        return Made(walk.head(-1)[0], created=False)
    checker.ancestor(walk, WRITE)
    if not create_parent:
        check_parent(walk)
    counters = read_counters(tx)
    check_objects_limit(ns, counters)
    owner = ns.names.intern(tx, counters, caller.user)
    depth = len(walk.names)
    make_directories(ns, tx, counters, walk, depth - 1, implicit_mode(mode), owner, now_ms)
    make_directories(ns, tx, counters, walk, depth, mode & 0o1777, owner, now_ms)
    write_counters(tx, counters)
    return Made(counters.inode_id, created=True)


def check_parent(walk: Walk) -> None:
    """Raises ``NotFound`` or ``NotADirectory`` unless the parent is an existing directory."""
    depth = len(walk.names)
    if depth < 2:
        return
    parent = join_path(walk.names[:-1])
    if len(walk.values) < depth:
        raise NotFound(f"Parent directory doesn't exist: {parent}")
    if not walk.is_directory(depth - 1):
        raise NotADirectory(f"Parent path is not a directory: {parent}")
