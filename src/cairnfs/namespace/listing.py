"""What is in a directory, page by page: getListing (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import NotFound, StartAfterNotFound
from cairnfs.limits import NAME_BYTES_MAX
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.locations import FileBlocks, blocks_in_range
from cairnfs.namespace.paths import INODES, RAW, RESERVED_PATH, is_reserved_path
from cairnfs.namespace.permissions import READ_EXECUTE
from cairnfs.namespace.records import Inode, InodeRow, unpack_inode, unpack_row
from cairnfs.namespace.resolve import Intent, resolve, resolve_names
from cairnfs.namespace.status import RESERVED_INODE
from cairnfs.namespace.tables import entry_range
from cairnfs.namespace.walk import walk_names
from cairnfs.store.interface import Reader
from cairnfs.types import Caller

_RANGE_ALL = 1 << 62


@dataclass(frozen=True, slots=True)
class DirectoryPage:
    """Children in the order of their bytes: names, and inodes as they are packed, so that
    whoever has encoded the same record before need not decode it. A file lists as itself,
    with an empty name.

    ``remaining`` is exact on the first page and when it is 0, and an upper bound
    otherwise: clients look only whether it is 0. ``storage_policy`` is inherited by
    children whose own is 0. ``blocks`` is there if locations were asked for, with None
    for what is no file."""

    names: list[bytes]
    values: list[bytes]
    remaining: int
    storage_policy: int
    blocks: list[FileBlocks | None] | None = None
    # 0 where it is no directory's.
    directory_id: int = 0

    @property
    def rows(self) -> list[InodeRow]:
        """The inodes undressed: fields of :class:`records.Inode`."""
        return [unpack_row(value) for value in self.values]


def get_listing(
    ns: Namespace,
    tx: Reader,
    caller: Caller,
    path: str,
    start_after: bytes = b"",
    *,
    with_blocks: bool = False,
) -> DirectoryPage | None:
    """Up to ``list_limit`` children behind ``start_after`` (a name, or the inode path of
    the last child seen); None if nothing is at ``path``.

    With blocks a page ends as well when it names ``list_limit`` replicas, as in HDFS.
    Raises ``StartAfterNotFound``, ``PermissionDenied``."""
    walk, checker = resolve(ns, tx, caller, path, Intent.READ)
    if start_after.startswith(b"/"):
        start_after = _name_of_cookie(tx, start_after)
    if is_reserved_path(path):
        return _reserved_page(tx)
    inode = walk.last
    if inode is None:
        return None
    if not inode.is_directory:
        blocks: list[FileBlocks | None] = [blocks_in_range(tx, inode, 0, _RANGE_ALL)]
        return DirectoryPage(
            [b""], [walk.values[-1]], 0, walk.storage_policy, blocks if with_blocks else None
        )
    checker.target(walk, READ_EXECUTE)
    if with_blocks:
        return _page_with_blocks(ns, tx, inode, start_after, walk.storage_policy)
    return _page(ns, tx, inode, start_after, walk.storage_policy)


def _page(
    ns: Namespace, tx: Reader, directory: Inode, start_after: bytes, policy: int
) -> DirectoryPage:
    names: list[bytes] = []
    values: list[bytes] = []
    inode_id = directory.id
    if directory.entries == 0:
        return DirectoryPage(names, values, 0, policy, None, inode_id)
    start, stop = _range(directory, start_after)
    limit = ns.settings.list_limit
    for key, value in tx.scan(start, stop):
        if len(names) == limit:
            remaining = _remaining(directory, start_after, limit)
            return DirectoryPage(names, values, remaining, policy, None, inode_id)
        names.append(key[9:])
        values.append(value)
    return DirectoryPage(names, values, 0, policy, None, inode_id)


def _page_with_blocks(
    ns: Namespace, tx: Reader, directory: Inode, start_after: bytes, policy: int
) -> DirectoryPage:
    start, stop = _range(directory, start_after)
    limit = budget = ns.settings.list_limit
    names: list[bytes] = []
    values: list[bytes] = []
    blocks: list[FileBlocks | None] = []
    more = False
    for key, value in tx.scan(start, stop):
        if len(names) == limit or budget <= 0:
            more = True
            break
        inode = unpack_inode(value)
        names.append(key[9:])
        values.append(value)
        blocks.append(blocks_in_range(tx, inode, 0, _RANGE_ALL) if inode.is_file else None)
        budget -= inode.entries * inode.replication if inode.is_file else 0
    remaining = _remaining(directory, start_after, len(names)) if more else 0
    return DirectoryPage(names, values, remaining, policy, blocks, directory.id)


def _range(directory: Inode, start_after: bytes) -> tuple[bytes, bytes]:
    start, stop = entry_range(directory.id)
    if start_after:
        # No name is longer, so that cutting the cookie changes no comparison.
        start += start_after[:NAME_BYTES_MAX] + b"\0"
    return start, stop


def _remaining(directory: Inode, start_after: bytes, listed: int) -> int:
    return max(1, directory.entries - listed - bool(start_after))


def _name_of_cookie(tx: Reader, start_after: bytes) -> bytes:
    text = start_after.decode("utf-8", "replace")
    if not text.startswith(RESERVED_PATH + "/"):
        return start_after
    try:
        names = resolve_names(tx, text)
    except NotFound:
        raise StartAfterNotFound(f"Can't find startAfter {text}") from None
    return names[-1] if names else b""


def _reserved_page(tx: Reader) -> DirectoryPage:
    group = walk_names(tx, []).head(0)[5]
    shown = RESERVED_INODE._replace(mode=0o770, group=group)
    return DirectoryPage([INODES, RAW], [shown.pack()] * 2, 0, 0)
