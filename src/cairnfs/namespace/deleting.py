"""Deleting: delete (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import DirectoryNotEmpty, InvalidPath
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.entries import detach
from cairnfs.namespace.paths import is_reserved_path
from cairnfs.namespace.permissions import ALL, WRITE
from cairnfs.namespace.records import read_counters, write_counters
from cairnfs.namespace.removal import remove_unlinked
from cairnfs.namespace.resolve import Intent, resolve
from cairnfs.store.interface import Writer
from cairnfs.types import Block, Caller


@dataclass(frozen=True, slots=True)
class Deleted:
    """``deleted`` is the answer. ``removed_blocks`` are to be invalidated; ``garbage``:
    more will come from :func:`removal.collect_garbage`."""

    deleted: bool
    removed_blocks: list[Block]
    garbage: bool


NOT_DELETED = Deleted(deleted=False, removed_blocks=[], garbage=False)


def delete(
    ns: Namespace, tx: Writer, caller: Caller, now_ms: int, path: str, *, recursive: bool
) -> Deleted:
    """Remove a file or directory; not deleted (no error) if nothing is there or it is ``/``.

    A large subtree is unlinked at once and removed later. Raises ``DirectoryNotEmpty``,
    ``PermissionDenied``, ``InvalidPath``."""
    if is_reserved_path(path):
        raise InvalidPath(path)
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    checker.parent(walk, WRITE)
    checker.subtree(walk, ALL, ignore_empty=True)
    inode = walk.last
    if inode is None:
        return NOT_DELETED
    if inode.is_directory and inode.entries and not recursive:
        raise DirectoryNotEmpty(f"{walk.path} is non empty")
    if not walk.names:
        return NOT_DELETED
    detach(tx, walk, now_ms)
    counters = read_counters(tx)
    blocks = remove_unlinked(tx, counters, inode, ns.settings.delete_inline_max)
    write_counters(tx, counters)
    return Deleted(deleted=True, removed_blocks=blocks, garbage=counters.garbage > 0)
