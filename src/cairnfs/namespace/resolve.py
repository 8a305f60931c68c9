"""A path as a client gave it, checked and followed: the first step of every operation."""

from __future__ import annotations

import enum

from cairnfs.errors import (
    InvalidPath,
    NotADirectory,
    NotFound,
    PermissionDenied,
    UnsupportedOperation,
)
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.paths import INODES, RAW, RESERVED, is_valid_path, join_path, split_path
from cairnfs.namespace.permissions import Checker
from cairnfs.namespace.records import Inode
from cairnfs.namespace.walk import Walk, names_of, walk_names
from cairnfs.store.interface import Reader
from cairnfs.types import INODE_ID_ROOT, Caller

_INODE_ID_MAX = (1 << 63) - 1


class Intent(enum.Enum):
    """What a path is resolved for; only a created one must be a valid name."""

    READ = enum.auto()
    # To read a file: HDFS tells whether it exists before it asks for permission.
    OPEN = enum.auto()
    WRITE = enum.auto()
    CREATE = enum.auto()


def resolve_names(tx: Reader, path: str) -> list[bytes]:
    """The names of ``path``, with ``/.reserved/.inodes/ID/...`` replaced by where ID is.

    Raises ``InvalidPath``, ``NotFound`` (no such inode) or ``UnsupportedOperation``
    (``/.reserved/raw``, which belongs to encryption zones)."""
    names = split_path(path)
    if len(names) < 2 or names[0] != RESERVED:
        return names
    if names[1] == RAW:
        raise UnsupportedOperation(
            f"{path}: /.reserved/raw shows encrypted files as they are stored, and this"
            " namespace has no encryption zones; use the path without /.reserved/raw"
        )
    if names[1] != INODES or len(names) == 2:
        return names
    return _resolve_inode_path(tx, names)


def _resolve_inode_path(tx: Reader, names: list[bytes]) -> list[bytes]:
    digits = names[2]
    if not digits.isdigit() or len(digits) > 19 or int(digits) > _INODE_ID_MAX:
        raise NotFound(f"Invalid inode path: {join_path(names)}")
    inode_id = int(digits)
    found = names_of(tx, inode_id)
    if found is None:
        raise NotFound(f"File for given inode path does not exist: {join_path(names)}")
    rest = names[3:]
    if rest and rest[0] == b"..":
        # HDFS answers the parent alone, whatever follows: NFS asks for nothing else.
        return found[:-1]
    if inode_id == INODE_ID_ROOT:
        return rest
    return found + rest


def resolve(
    ns: Namespace, tx: Reader, caller: Caller, path: str, intent: Intent
) -> tuple[Walk, Checker]:
    """Follow ``path`` for ``caller``; the path need not exist.

    Raises ``InvalidPath``, ``NotFound``, ``PermissionDenied``; a file in the middle is
    ``NotADirectory`` when creating and, as in HDFS, ``PermissionDenied`` otherwise."""
    if intent is Intent.CREATE and not is_valid_path(path):
        raise InvalidPath(f"Invalid file name: {path}")
    walk = walk_names(tx, resolve_names(tx, path))
    checker = Checker(ns, tx, caller)
    if intent is not Intent.OPEN:
        checker.traverse(walk)
    depth = len(walk.values)
    if depth <= len(walk.names) and not walk.is_directory(-1):
        message = f"{join_path(walk.names[: depth - 1])} (is not a directory)"
        raise NotADirectory(message) if intent is Intent.CREATE else PermissionDenied(message)
    return walk, checker


def as_file(walk: Walk, path: str) -> Inode:
    """The file at the end of a walk. Raises ``NotFound``."""
    inode = walk.last
    if inode is None:
        raise NotFound(f"File does not exist: {path}")
    if not inode.is_file:
        raise NotFound(f"Path is not a file: {path}")
    return inode
