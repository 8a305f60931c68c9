"""A writer's pipeline lost a DataNode: updateBlockForPipeline, updatePipeline
(ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cairnfs.errors import FileSystemError, LeaseExpired
from cairnfs.namespace.file_edit import FileEdit, OpenHandle, find_block, find_live
from cairnfs.namespace.leases import get_open
from cairnfs.namespace.records import BlockRecord, read_counters, write_counters
from cairnfs.namespace.walk import path_of
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Block, BlockState


@dataclass(frozen=True, slots=True)
class UpdatedPipeline:
    """The block under its new generation: replicas of older ones are stale."""

    inode_id: int
    block: BlockRecord


def update_block_for_pipeline(tx: Writer, block: Block, holder: str) -> Block:
    """``block`` with a new generation stamp for the pipeline to come.

    Raises ``FileSystemError`` (not under construction), ``LeaseExpired``."""
    _check_under_construction(tx, block, holder)
    counters = read_counters(tx)
    counters.generation_stamp += 1
    write_counters(tx, counters)
    return replace(block, generation_stamp=counters.generation_stamp)


def update_pipeline(tx: Writer, holder: str, old: Block, new: Block) -> UpdatedPipeline:
    """The writer goes on with another pipeline, under the generation it was given.

    Raises ``FileSystemError`` (other block, no newer generation, shorter),
    ``LeaseExpired``."""
    if new.block_id != old.block_id:
        raise FileSystemError(f"{new} and {old} have different block identifiers")
    handle, last = _check_under_construction(tx, old, holder)
    if new.generation_stamp <= last.generation_stamp:
        raise FileSystemError(
            f"Update {old} but the new block {new} does not have a larger generation stamp"
            f" than the last block {last.block}"
        )
    if new.generation_stamp > read_counters(tx).generation_stamp:
        raise FileSystemError(
            f"Update {old} to generation stamp {new.generation_stamp}, which was never given out"
        )
    if new.num_bytes < last.num_bytes:
        raise FileSystemError(
            f"Update {old} (size={last.num_bytes}) to a smaller size block {new}"
            f" (size={new.num_bytes})"
        )
    edit = FileEdit(tx, handle)
    updated = last._replace(generation_stamp=new.generation_stamp, num_bytes=new.num_bytes)
    edit.set_last(last, updated)
    edit.save()
    return UpdatedPipeline(handle.inode.id, updated)


def _check_under_construction(
    tx: Reader, block: Block, holder: str
) -> tuple[OpenHandle, BlockRecord]:
    found = find_block(tx, block.block_id)
    if found is None:
        raise FileSystemError(f"{block} does not exist.")
    inode_id, index, stored = found
    if stored.state != BlockState.UNDER_CONSTRUCTION:
        raise FileSystemError(
            f"Unexpected BlockUCState: {block} is {BlockState(stored.state).name}"
            " but not UNDER_CONSTRUCTION"
        )
    live = find_live(tx, inode_id)
    record = get_open(tx, inode_id) if live and live[1].under_construction else None
    if live is None or record is None or index != live[1].entries - 1:
        raise FileSystemError(
            f"The file {stored.block} belonged to does not exist or it is not under construction."
        )
    if record.holder != holder:
        raise LeaseExpired(f"Lease mismatch: {block} is accessed by a non lease holder {holder}")
    return OpenHandle(live[0], live[1], record, path_of(tx, inode_id) or ""), stored
