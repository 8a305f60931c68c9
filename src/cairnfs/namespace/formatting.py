"""The beginning of a namespace: its identity, its root, its counters."""

from __future__ import annotations

import msgspec

from cairnfs.errors import StoreDamaged
from cairnfs.namespace.names import Names
from cairnfs.namespace.records import Counters, new_directory, write_counters
from cairnfs.namespace.tables import IDENTITY_KEY, ROOT_KEY, inode_key, pack_place
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import (
    BLOCK_ID_FIRST,
    GENERATION_STAMP_FIRST,
    INODE_ID_NONE,
    INODE_ID_ROOT,
    NamespaceInfo,
)

ROOT_MODE = 0o755
# What Hadoop 3.4's DataNodes compare with their own storage's version.
LAYOUT_VERSION = -67


class _Identity(msgspec.Struct, array_like=True, frozen=True):
    namespace_id: int
    cluster_id: str
    pool_id: str
    creation_time_ms: int
    layout_version: int


def is_formatted(tx: Reader) -> bool:
    return tx.get(IDENTITY_KEY) is not None


def format_namespace(
    tx: Writer,
    *,
    namespace_id: int,
    cluster_id: str,
    pool_id: str,
    creation_time_ms: int,
    owner: str,
    group: str,
) -> None:
    """Write an empty namespace into an empty store; ids are made up by the caller.

    ``owner`` (the user who runs the NameNode) and ``group`` (the superusers') own ``/``."""
    identity = _Identity(namespace_id, cluster_id, pool_id, creation_time_ms, LAYOUT_VERSION)
    tx.put(IDENTITY_KEY, msgspec.msgpack.encode(identity))
    counters = Counters(
        inode_id=INODE_ID_ROOT,
        block_id=BLOCK_ID_FIRST,
        generation_stamp=GENERATION_STAMP_FIRST,
        directories=1,
    )
    names = Names()
    owner_id = names.intern(tx, counters, owner)
    group_id = names.intern(tx, counters, group)
    root = new_directory(INODE_ID_ROOT, ROOT_MODE, owner_id, group_id, creation_time_ms)
    tx.put(ROOT_KEY, root.pack())
    tx.put(inode_key(INODE_ID_ROOT), pack_place(INODE_ID_NONE, b""))
    write_counters(tx, counters)


def namespace_info(tx: Reader, *, build_version: str, software_version: str) -> NamespaceInfo:
    """What a DataNode binds itself to. Raises ``StoreDamaged`` if nothing was formatted."""
    value = tx.get(IDENTITY_KEY)
    if value is None:
        raise StoreDamaged("the store holds no namespace: it was never formatted")
    identity = msgspec.msgpack.decode(value, type=_Identity)
    return NamespaceInfo(
        namespace_id=identity.namespace_id,
        cluster_id=identity.cluster_id,
        pool_id=identity.pool_id,
        creation_time_ms=identity.creation_time_ms,
        build_version=build_version,
        software_version=software_version,
        layout_version=identity.layout_version,
    )
