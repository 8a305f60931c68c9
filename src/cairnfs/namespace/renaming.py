"""Moving files and directories: rename and rename2 (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cairnfs.errors import (
    AlreadyExists,
    FileSystemError,
    InvalidPath,
    NotADirectory,
    NotFound,
)
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.entries import attach, check_room, detach
from cairnfs.namespace.paths import RESERVED, check_new_name, check_path_length
from cairnfs.namespace.permissions import ALL, WRITE, Checker
from cairnfs.namespace.records import Inode, read_counters, write_counters
from cairnfs.namespace.removal import remove_unlinked
from cairnfs.namespace.resolve import Intent, resolve
from cairnfs.namespace.walk import Walk, walk_names
from cairnfs.store.interface import Writer
from cairnfs.types import Block, Caller


class RenameOption(enum.Flag):
    """What rename2 may be asked for."""

    NONE = 0
    OVERWRITE = enum.auto()
    TO_TRASH = enum.auto()


@dataclass(frozen=True, slots=True)
class Renamed:
    """``renamed`` is the answer of the old call. ``removed_blocks`` (of what was
    overwritten) are to be invalidated; ``garbage``: more will come."""

    renamed: bool
    path: str
    removed_blocks: list[Block]
    garbage: bool


def rename(
    ns: Namespace, tx: Writer, caller: Caller, now_ms: int, source: str, destination: str
) -> Renamed:
    """The old call: into ``destination`` if that is a directory, and False instead of an
    error for most of what cannot be.

    Raises ``PermissionDenied``, ``InvalidPath``, ``NotADirectory``, ``NameTooLong``,
    ``TooManyEntries``."""
    check_path_length(destination, "rename")
    src, checker = resolve(ns, tx, caller, source, Intent.WRITE)
    dst, _ = resolve(ns, tx, caller, destination, Intent.CREATE)
    if dst.exists and dst.is_directory(-1) and src.names:
        dst = walk_names(tx, [*dst.names, src.names[-1]])
    _check_permissions(checker, src, dst, RenameOption.NONE)
    refused = Renamed(renamed=False, path=dst.path, removed_blocks=[], garbage=False)
    if not src.exists or not src.names:
        return refused
    if src.names == dst.names:
        return Renamed(renamed=True, path=dst.path, removed_blocks=[], garbage=False)
    if _is_below(src.names, dst.names):
        return refused
    _check_reserved(src, dst)
    if dst.exists or len(dst.values) < len(dst.names):
        return refused
    _check_limits(ns, src, dst)
    _move(tx, src, dst, now_ms)
    return Renamed(renamed=True, path=dst.path, removed_blocks=[], garbage=False)


def rename2(
    ns: Namespace,
    tx: Writer,
    caller: Caller,
    now_ms: int,
    source: str,
    destination: str,
    options: RenameOption = RenameOption.NONE,
) -> Renamed:
    """The new call: to exactly ``destination``, and with OVERWRITE over a file or an empty
    directory there. It succeeds or raises.

    Raises ``NotFound``, ``AlreadyExists``, ``NotADirectory``, ``FileSystemError``
    (source or destination is the root, below itself, or not empty), and what
    :func:`rename` raises."""
    check_path_length(destination, "rename")
    src, checker = resolve(ns, tx, caller, source, Intent.WRITE)
    dst, _ = resolve(ns, tx, caller, destination, Intent.CREATE)
    _check_permissions(checker, src, dst, options)
    inode = src.last
    if inode is None:
        raise NotFound(f"rename source {src.path} is not found.")
    if not src.names:
        raise FileSystemError("rename source cannot be the root")
    _check_destination(src, dst, inode, options)
    _check_limits(ns, src, dst)
    removed: list[Block] = []
    counters = read_counters(tx)
    if dst.exists:
        replaced = detach(tx, dst, now_ms)
        removed = remove_unlinked(tx, counters, replaced, ns.settings.delete_inline_max)
        write_counters(tx, counters)
        # The directory that was just changed may be on the way to the source as well.
        src = walk_names(tx, src.names)
    _move(tx, src, dst, now_ms)
    return Renamed(True, dst.path, removed, garbage=counters.garbage > 0)


def _check_permissions(checker: Checker, src: Walk, dst: Walk, options: RenameOption) -> None:
    checker.parent(src, WRITE)
    if options & RenameOption.TO_TRASH:
        # A move to the trash is a delete in disguise.
        checker.subtree(src, ALL, ignore_empty=True)
    checker.traverse(dst)
    checker.ancestor(dst, WRITE)


def _check_destination(src: Walk, dst: Walk, inode: Inode, options: RenameOption) -> None:
    if src.names == dst.names:
        raise AlreadyExists(f"The source {src.path} and destination {dst.path} are the same")
    if _is_below(src.names, dst.names):
        raise FileSystemError(
            f"Rename destination {dst.path} is a directory or file under source {src.path}"
        )
    _check_reserved(src, dst)
    if not dst.names:
        raise FileSystemError("rename destination cannot be the root")
    existing = dst.last
    if existing is not None:
        _check_overwrite(src, dst, inode, existing, options)
        return
    if len(dst.values) < len(dst.names):
        raise NotFound(f"rename destination parent {dst.path} not found.")
    if not dst.is_directory(-1):
        raise NotADirectory(f"rename destination parent {dst.path} is a file.")


def _check_overwrite(
    src: Walk, dst: Walk, inode: Inode, existing: Inode, options: RenameOption
) -> None:
    if existing.is_directory != inode.is_directory:
        raise FileSystemError(
            f"Source {src.path} and destination {dst.path} must both be directories"
        )
    if not options & RenameOption.OVERWRITE:
        raise AlreadyExists(f"rename destination {dst.path} already exists")
    if existing.is_directory and existing.entries:
        raise FileSystemError(f"rename destination directory is not empty: {dst.path}")


def _is_below(names: list[bytes], other: list[bytes]) -> bool:
    return len(other) > len(names) and other[: len(names)] == names


def _check_reserved(src: Walk, dst: Walk) -> None:
    if [RESERVED] in (src.names, dst.names):
        raise InvalidPath("Cannot rename to or from /.reserved")


def _check_limits(ns: Namespace, src: Walk, dst: Walk) -> None:
    index = len(dst.names) - 1
    check_new_name(ns.settings, dst.names[:index], dst.names[index])
    if src.head(len(src.names) - 1)[0] != dst.head(index)[0]:
        check_room(ns, dst, index)


def _move(tx: Writer, src: Walk, dst: Walk, now_ms: int) -> None:
    """``dst`` ends at an existing directory with one name to go."""
    inode = detach(tx, src, now_ms)
    # Its parent may be the source's, whose record has just changed.
    attach(tx, walk_names(tx, dst.names), inode, now_ms)
