"""The end of a block recovery: commitBlockSynchronization (DatanodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from cairnfs.errors import FileSystemError, NotFound
from cairnfs.namespace.context import Namespace, ReplicaView
from cairnfs.namespace.file_edit import FileEdit, OpenHandle, find_block, find_live
from cairnfs.namespace.leases import get_open
from cairnfs.namespace.records import BlockRecord
from cairnfs.namespace.walk import path_of
from cairnfs.store.interface import Writer
from cairnfs.types import Block, BlockState


@dataclass(frozen=True, slots=True)
class Synchronized:
    """``block`` is the recovered block (None if it was removed: ``removed``); replicas of
    it with another generation or length are stale. ``closed``: check the redundancy of
    the file's blocks."""

    inode_id: int
    path: str
    block: Block | None
    removed: Block | None
    closed: bool


def commit_block_synchronization(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    now_ms: int,
    block: Block,
    new_generation_stamp: int,
    new_length: int,
    *,
    close_file: bool,
    delete_block: bool,
) -> Synchronized | None:
    """A DataNode has recovered ``block``; None if that was known already.

    Raises ``FileSystemError`` (unknown block, other recovery id) or ``NotFound``."""
    found = find_block(tx, block.block_id)
    if found is None:
        if delete_block:
            return None
        raise FileSystemError(f"Block (={block}) not found")
    inode_id, index, stored = found
    live = find_live(tx, inode_id)
    path = path_of(tx, inode_id)
    if live is None or path is None:
        raise NotFound(f"File not found: inode {inode_id}, likely due to delayed block removal")
    key, inode = live
    record = get_open(tx, inode_id) if inode.under_construction else None
    if record is None or stored.is_complete:
        return None
    awaited = stored.state == BlockState.UNDER_RECOVERY and index == inode.entries - 1
    if not awaited or record.recovery_id != new_generation_stamp:
        raise FileSystemError(
            f"The recovery id {new_generation_stamp} does not match current recovery id"
            f" {record.recovery_id} for block {block}"
        )
    edit = FileEdit(tx, OpenHandle(key, inode, record, path))
    edit.set_record(
        msgspec.structs.replace(record, recovery_id=0, recovery_started_ms=0, truncate_bytes=-1)
    )
    removed = None
    new: Block | None = None
    if delete_block:
        removed = edit.remove_last(stored)
    else:
        state = BlockState.COMPLETE if close_file else BlockState.UNDER_CONSTRUCTION
        recovered = stored._replace(
            generation_stamp=new_generation_stamp, num_bytes=new_length, state=state
        )
        new = edit.set_last(stored, recovered).block
    if close_file:
        _check_closable(edit.complete_if_replicated(ns, replicas, 1), path)
        _check_closable(edit.complete_if_replicated(ns, replicas, 2), path)
        edit.close(now_ms)
    edit.save()
    return Synchronized(inode_id, path, new, removed, closed=close_file)


def _check_closable(block: BlockRecord | None, path: str) -> None:
    if block is not None and not block.is_complete:
        raise FileSystemError(
            f"Cannot close {path} after its recovery: its block {block.block} has not"
            " reached its minimum replication; the recovery is tried again"
        )
