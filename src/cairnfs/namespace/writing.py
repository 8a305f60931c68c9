"""Writing a file: addBlock, abandonBlock, complete, fsync, getAdditionalDatanode
(ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import FileSystemError, LeaseExpired, NotReplicatedYet
from cairnfs.namespace.context import Namespace, ReplicaView
from cairnfs.namespace.entries import check_objects_limit
from cairnfs.namespace.file_edit import FileEdit, OpenHandle, check_lease, locate
from cairnfs.namespace.locations import get_block, last_block
from cairnfs.namespace.records import BlockRecord, Inode, read_counters
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Block, Caller


@dataclass(frozen=True, slots=True)
class WriterFacts:
    """What placement needs of a file that is written."""

    inode_id: int
    block_size: int
    replication: int
    storage_policy: int
    client_machine: str


@dataclass(frozen=True, slots=True)
class AddBlockPlan:
    """``retry``: the request came again, and this block was its answer; give it back with
    the targets that were chosen then, or choose some if none are known."""

    facts: WriterFacts
    retry: BlockRecord | None


@dataclass(frozen=True, slots=True)
class AddedBlock:
    """The new last block (its ``offset`` is where it begins). ``previous`` is the block
    that was committed by this; ``retry`` as in :class:`AddBlockPlan`."""

    inode_id: int
    block: BlockRecord
    previous: BlockRecord | None
    retry: bool


@dataclass(frozen=True, slots=True)
class Completed:
    """``done``: the file is closed. If not, ``waiting_for`` are the committed blocks that
    lack replicas: ask again when they have them."""

    done: bool
    inode_id: int
    waiting_for: tuple[Block, ...]


def writer_facts(
    ns: Namespace, tx: Reader, caller: Caller, path: str, file_id: int, holder: str
) -> WriterFacts:
    """For getAdditionalDatanode. Raises ``NotFound``, ``LeaseExpired``."""
    return _facts(check_lease(ns, tx, caller, path, file_id, holder))


def check_add_block(
    ns: Namespace,
    tx: Reader,
    caller: Caller,
    path: str,
    file_id: int,
    holder: str,
    previous: Block | None,
) -> AddBlockPlan:
    """First step of addBlock: may the file get another block, and of what kind.

    The pool of ``previous`` was checked by the caller. Raises ``NotFound``,
    ``LeaseExpired``, ``NotReplicatedYet``, ``FileSystemError`` (another block is the last,
    too many blocks)."""
    handle = check_lease(ns, tx, caller, path, file_id, holder)
    check_objects_limit(ns, read_counters(tx))
    retry = _check_previous(tx, handle.inode, path, previous)
    if retry is None:
        _check_progress(ns, tx, handle.inode, path)
    return AddBlockPlan(_facts(handle), retry)


def add_block(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    caller: Caller,
    path: str,
    file_id: int,
    holder: str,
    previous: Block | None,
) -> AddedBlock:
    """Second step: targets were found. Commit ``previous`` and append a block.

    Checks all that :func:`check_add_block` checks again, and raises the same."""
    handle = check_lease(ns, tx, caller, path, file_id, holder)
    edit = FileEdit(tx, handle)
    check_objects_limit(ns, edit.counters)
    retry = _check_previous(tx, handle.inode, path, previous)
    if retry is not None:
        return AddedBlock(handle.inode.id, retry, None, retry=True)
    _check_progress(ns, tx, handle.inode, path)
    committed = edit.commit_last(ns, replicas, previous)
    block = edit.add_block(handle.inode.storage_policy)
    edit.save()
    return AddedBlock(handle.inode.id, block, committed, retry=False)


def _facts(handle: OpenHandle) -> WriterFacts:
    inode = handle.inode
    return WriterFacts(
        inode.id,
        inode.block_size,
        inode.replication,
        inode.storage_policy,
        handle.record.client_machine,
    )


def _same(previous: Block | None, block: BlockRecord | None) -> bool:
    """Whether both are none, or id and generation agree."""
    if previous is None or block is None:
        return previous is None and block is None
    return (
        previous.block_id == block.block_id and previous.generation_stamp == block.generation_stamp
    )


def _check_previous(
    tx: Reader, inode: Inode, path: str, previous: Block | None
) -> BlockRecord | None:
    """The last block if the request for it came again, else None: ``previous`` is last."""
    last = last_block(tx, inode)
    if _same(previous, last):
        return None
    assert last is not None or previous is not None, "two nothings are the same"
    # An append to a file whose last block is full names no previous block.
    full = last is not None and last.is_complete and last.num_bytes >= inode.block_size
    if previous is None and full:
        return None
    penultimate = get_block(tx, inode.id, inode.entries - 2) if inode.entries > 1 else None
    if last is not None and _same(previous, penultimate):
        if last.num_bytes:
            raise FileSystemError(
                f"Request looked like a retry to allocate block {last.block} but it already"
                f" contains {last.num_bytes} bytes"
            )
        return last
    raise FileSystemError(
        f"Cannot allocate block in {path}: passed 'previous' block {previous} does not match"
        f" actual last block in file {last.block if last else None}"
    )


def _check_progress(ns: Namespace, tx: Reader, inode: Inode, path: str) -> None:
    if inode.entries > 1 and not get_block(tx, inode.id, inode.entries - 2).is_complete:
        raise NotReplicatedYet(f"Not replicated yet: {path}")
    limit = ns.settings.blocks_per_file_max
    if inode.entries >= limit:
        raise FileSystemError(
            "File has reached the limit on maximum number of blocks"
            f" (dfs.namenode.fs-limits.max-blocks-per-file): {inode.entries} >= {limit}"
        )


def abandon_block(
    ns: Namespace, tx: Writer, caller: Caller, path: str, file_id: int, holder: str, block: Block
) -> Block | None:
    """The writer gives its last block up; returns it, to be invalidated (None if ``block``
    is not the last, which a retry brings about). Raises ``NotFound``, ``LeaseExpired``."""
    edit = FileEdit(tx, check_lease(ns, tx, caller, path, file_id, holder))
    last = edit.last()
    if last is None or last.block_id != block.block_id:
        return None
    removed = edit.remove_last(last)
    edit.save()
    return removed


def complete(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    caller: Caller,
    now_ms: int,
    path: str,
    file_id: int,
    holder: str,
    last: Block | None,
) -> Completed:
    """The writer is done: commit the last block, and close the file if all blocks have
    their minimum of replicas. To be asked again otherwise (the commit stays).

    Raises ``NotFound``, ``LeaseExpired``, ``FileSystemError``."""
    try:
        handle = check_lease(ns, tx, caller, path, file_id, holder)
    except LeaseExpired:
        # The answer to the same request was lost: the file ends with that very block.
        found = locate(ns, tx, caller, path, file_id)
        if found is None or not found[1].is_file or found[1].under_construction:
            raise
        if not _same(last, last_block(tx, found[1])):
            raise
        return Completed(done=True, inode_id=found[1].id, waiting_for=())
    edit = FileEdit(tx, handle)
    blocks = [edit.complete_if_replicated(ns, replicas, 2)]
    if blocks[0] is None or blocks[0].is_complete:
        blocks.append(edit.commit_last(ns, replicas, last))
    waiting = tuple(block.block for block in blocks if block and not block.is_complete)
    if not waiting:
        edit.close(now_ms)
    edit.save()
    return Completed(done=not waiting, inode_id=handle.inode.id, waiting_for=waiting)


def fsync(
    ns: Namespace,
    tx: Writer,
    caller: Caller,
    path: str,
    file_id: int,
    holder: str,
    last_block_length: int,
) -> None:
    """So much of the last block is on its DataNodes (-1: not said). Raises ``NotFound``,
    ``LeaseExpired``."""
    edit = FileEdit(tx, check_lease(ns, tx, caller, path, file_id, holder))
    last = edit.last()
    if last_block_length <= 0 or last is None or last.is_complete:
        return
    edit.set_last(last, last._replace(num_bytes=last_block_length))
    edit.save()
