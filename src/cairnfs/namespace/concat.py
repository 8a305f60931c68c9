"""Joining files without moving a byte: concat (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import FileSystemError, IllegalArgument, InvalidRequest
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.entries import change_directory
from cairnfs.namespace.paths import RESERVED_PATH
from cairnfs.namespace.permissions import READ, WRITE
from cairnfs.namespace.records import Inode, read_counters, unpack_block, write_counters
from cairnfs.namespace.resolve import Intent, as_file, resolve
from cairnfs.namespace.tables import (
    block_id_key,
    block_key,
    block_range,
    entry_key,
    inode_key,
    pack_owner,
)
from cairnfs.namespace.walk import Walk
from cairnfs.store.interface import Writer
from cairnfs.types import Caller


@dataclass(frozen=True, slots=True)
class Concatenated:
    """``replication_changed``: some blocks came from files of another replication, so the
    redundancy of the target's blocks is to be checked."""

    inode_id: int
    replication_changed: bool


def concat(
    ns: Namespace, tx: Writer, caller: Caller, now_ms: int, target: str, sources: list[str]
) -> Concatenated:
    """Append the blocks of ``sources``, closed files beside ``target``, to it; they vanish.

    Raises ``InvalidRequest`` or ``IllegalArgument`` (files that do not fit together),
    ``NotFound``, ``PermissionDenied``."""
    _check_paths(target, sources)
    walk, checker = resolve(ns, tx, caller, target, Intent.WRITE)
    checker.target(walk, WRITE)
    inode = as_file(walk, target)
    if inode.under_construction:
        raise InvalidRequest(f"concat: target file {target} is under construction")
    found = [_check_source(ns, tx, caller, path, walk, inode) for path in sources]
    if len({source.id for _, source in found}) < len(found):
        raise InvalidRequest("concat: at least two of the source files are the same")
    index, offset = inode.entries, inode.length
    for name, source in found:
        for position, (key, value) in enumerate(list(tx.scan(*block_range(source.id)))):
            block = unpack_block(value)._replace(offset=offset, replication=inode.replication)
            tx.delete(key)
            tx.put(block_key(inode.id, index + position), block.pack())
            tx.put(block_id_key(block.block_id), pack_owner(inode.id, index + position))
            offset += block.num_bytes
        index += source.entries
        tx.delete(entry_key(walk.head(-2)[0], name))
        tx.delete(inode_key(source.id))
    joined = inode._replace(entries=index, length=offset, mtime=now_ms)
    tx.put(walk.key(len(walk.names)), joined.pack())
    change_directory(tx, walk, len(walk.names) - 1, now_ms, -len(found), 0)
    counters = read_counters(tx)
    counters.files -= len(found)
    write_counters(tx, counters)
    changed = any(source.replication != inode.replication for _, source in found)
    return Concatenated(inode.id, changed)


def _check_paths(target: str, sources: list[str]) -> None:
    if not target:
        raise IllegalArgument("Target file name is empty")
    if not sources:
        raise IllegalArgument("No sources given")
    for path in (target, *sources):
        if path.startswith((f"{RESERVED_PATH}/raw", f"{RESERVED_PATH}/.inodes")):
            raise FileSystemError(
                f"Concat operation doesn't support .reserved relative path : {path}"
            )


def _check_source(
    ns: Namespace, tx: Writer, caller: Caller, path: str, target: Walk, target_inode: Inode
) -> tuple[bytes, Inode]:
    """Name and inode of one source."""
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    checker.target(walk, READ)
    # The source is going to be deleted.
    checker.parent(walk, WRITE)
    inode = as_file(walk, path)
    if walk.head(-2)[0] != target.head(-2)[0]:
        raise InvalidRequest(
            f"Source file {path} is not in the same directory with the target {target.path}"
        )
    if inode.id == target_inode.id:
        raise InvalidRequest(
            f"concat: the src file {path} is the same with the target file {target.path}"
        )
    if inode.under_construction or inode.entries == 0:
        raise InvalidRequest(f"concat: source file {path} is invalid or empty or underConstruction")
    if inode.block_size > target_inode.block_size:
        raise InvalidRequest(
            f"concat: source file {path} has preferred block size {inode.block_size} which is"
            f" greater than the target file's preferred block size {target_inode.block_size}"
        )
    return walk.names[-1], inode
