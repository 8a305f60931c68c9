"""Cutting a file: truncate (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import AlreadyBeingCreated, InvalidRequest, UnsupportedOperation
from cairnfs.namespace.context import Namespace, ReplicaView
from cairnfs.namespace.creating import LAZY_PERSIST
from cairnfs.namespace.file_edit import FileEdit, OpenHandle, reopen
from cairnfs.namespace.leases import check_holder, get_open
from cairnfs.namespace.locations import last_block
from cairnfs.namespace.permissions import WRITE
from cairnfs.namespace.records import Inode, OpenFile
from cairnfs.namespace.recovery import BlockRecovery, Refused, take_over
from cairnfs.namespace.resolve import Intent, as_file, resolve
from cairnfs.namespace.walk import find_inode
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Block, BlockState, Caller


@dataclass(frozen=True, slots=True)
class Truncated:
    """``done`` is the answer. If not done, the last block is cut by ``recovery`` (None if
    that has begun before), and the file is under construction until then."""

    done: bool
    inode_id: int
    removed_blocks: list[Block]
    recovery: BlockRecovery | None = None


def truncate(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    caller: Caller,
    now_ms: int,
    path: str,
    new_length: int,
    holder: str,
) -> Truncated | Refused:
    """Cut a closed file to ``new_length`` bytes: at once where a block ends there, else by
    a recovery of the block that holds that byte.

    Raises ``NotFound``, ``PermissionDenied``, ``InvalidRequest`` (longer, or negative),
    ``AlreadyBeingCreated``, ``RecoveryInProgress``."""
    check_holder(holder)
    if new_length < 0:
        raise InvalidRequest(f"Cannot truncate to a negative file size: {new_length}.")
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    checker.target(walk, WRITE)
    inode = as_file(walk, walk.path)
    if inode.storage_policy == LAZY_PERSIST:
        raise UnsupportedOperation(f"Cannot truncate lazy persist file {walk.path}")
    machine = caller.address
    if _is_being_truncated(
        tx,
        inode,
        new_length,
        f"Failed to TRUNCATE_FILE {walk.path} for"
        f" {holder} on {machine} because {walk.path} is being truncated.",
    ):
        return Truncated(done=False, inode_id=inode.id, removed_blocks=[])
    key = walk.key(len(walk.names))
    outcome = take_over(
        ns, tx, replicas, "TRUNCATE_FILE", key, inode, walk.path, holder, machine, now_ms
    )
    if isinstance(outcome, Refused):
        return outcome
    removed: list[Block] = []
    if outcome is not None:
        removed.extend(outcome.removed_blocks)
        found = find_inode(tx, inode.id)
        assert found is not None, "a file that was just closed is there"
        inode = found[1]
    if inode.length == new_length:
        return Truncated(done=True, inode_id=inode.id, removed_blocks=removed)
    if inode.length < new_length:
        raise InvalidRequest(
            f"Cannot truncate to a larger file size. Current size: {inode.length},"
            f" truncate size: {new_length}."
        )
    inode = inode._replace(mtime=now_ms)
    edit = FileEdit(tx, OpenHandle(key, inode, OpenFile(holder, machine), walk.path))
    last = edit.last()
    while last is not None and last.offset >= new_length:
        removed.append(edit.remove_last(last))
        last = edit.last()
    if last is None or edit.inode.length == new_length:
        edit.save()
        return Truncated(done=True, inode_id=inode.id, removed_blocks=removed)
    opened = reopen(ns, tx, edit, now_ms)
    cut = new_length - last.offset
    recovery_id = opened.begin_recovery(last, holder, now_ms, cut)
    opened.save()
    recovery = BlockRecovery(last.block, recovery_id, cut)
    return Truncated(False, inode.id, removed, recovery)


def _is_being_truncated(tx: Reader, inode: Inode, new_length: int, refusal: str) -> bool:
    """Whether a truncate to that very length is under way; raises for another one."""
    if not inode.under_construction:
        return False
    record = get_open(tx, inode.id)
    last = last_block(tx, inode)
    if record is None or last is None or record.truncate_bytes < 0:
        return False
    if last.state != BlockState.UNDER_RECOVERY:
        return False
    if last.offset + record.truncate_bytes != new_length:
        raise AlreadyBeingCreated(refusal)
    return True
