"""Changing directories: entries come and go, and the parent's record follows."""

from __future__ import annotations

from cairnfs.errors import FileSystemError, TooManyEntries
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.paths import check_new_name, join_path
from cairnfs.namespace.records import (
    DIRECTORY,
    Counters,
    Inode,
    entries_of,
    new_directory,
    repack_directory,
)
from cairnfs.namespace.tables import entry_key, inode_key, pack_place
from cairnfs.namespace.walk import Walk
from cairnfs.store.interface import Writer


def check_objects_limit(ns: Namespace, counters: Counters) -> None:
    """Raises ``FileSystemError`` where the namespace holds as much as it may."""
    limit = ns.settings.objects_max
    held = counters.files + counters.directories + counters.blocks
    if limit and held >= limit:
        raise FileSystemError(
            f"Exceeded the configured number of objects {limit} in the filesystem."
        )


def check_room(ns: Namespace, walk: Walk, index: int) -> None:
    """Raises ``TooManyEntries`` if directory ``walk.names[:index]`` is full."""
    count = entries_of(walk.values[index])
    limit = ns.settings.directory_items_max
    if count >= limit:
        raise TooManyEntries(
            f"The directory item limit of {join_path(walk.names[:index])} is exceeded:"
            f" limit={limit} items={count}"
        )


def add_last(ns: Namespace, tx: Writer, walk: Walk, inode: Inode) -> None:
    """Put a new ``inode`` below the deepest existing directory of ``walk``, under the next
    name, and extend the walk by it. Raises for a bad name or a full directory."""
    index = len(walk.values) - 1
    check_new_name(ns.settings, walk.names[:index], walk.names[index])
    check_room(ns, walk, index)
    attach(tx, walk, inode, inode.mtime)


def attach(tx: Writer, walk: Walk, inode: Inode, now_ms: int) -> None:
    """The same without checks, for an inode that may have been elsewhere before."""
    index = len(walk.values) - 1
    name = walk.names[index]
    parent_id = walk.head(index)[0]
    value = inode.pack()
    tx.put(entry_key(parent_id, name), value)
    tx.put(inode_key(inode.id), pack_place(parent_id, name))
    change_directory(tx, walk, index, now_ms, 1, int(inode.type == DIRECTORY))
    walk.values.append(value)


def change_directory(
    tx: Writer, walk: Walk, index: int, mtime_ms: int, count: int, subdirectories: int
) -> None:
    """Add to the counts of directory ``walk.names[:index]``."""
    value = repack_directory(walk.values[index], mtime_ms, count, subdirectories)
    tx.put(walk.key(index), value)
    walk.values[index] = value


def make_directories(
    ns: Namespace,
    tx: Writer,
    counters: Counters,
    walk: Walk,
    depth: int,
    mode: int,
    owner: int,
    now_ms: int,
) -> None:
    """Create what is missing of the first ``depth`` names; the group comes from above."""
    while len(walk.values) <= depth:
        counters.inode_id += 1
        counters.directories += 1
        group = walk.head(-1)[5]
        add_last(ns, tx, walk, new_directory(counters.inode_id, mode, owner, group, now_ms))


def detach(tx: Writer, walk: Walk, now_ms: int) -> Inode:
    """Take what stands at the end of ``walk`` out of its directory, and return it.

    Its blocks, its lease and, for a directory, what is below it stay: the caller moves
    or removes them."""
    inode = walk.last
    assert inode is not None, "only what exists is detached"
    assert walk.names, "the root stays"
    tx.delete(walk.key(len(walk.names)))
    tx.delete(inode_key(inode.id))
    change_directory(tx, walk, len(walk.names) - 1, now_ms, -1, -int(inode.is_directory))
    walk.values.pop()
    return inode


def implicit_mode(mode: int) -> int:
    """The mode of a parent that is created on the way: its owner may write and enter."""
    return mode & 0o777 | 0o300
