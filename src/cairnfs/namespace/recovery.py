"""Closing a file in its writer's stead: lease release and block recovery.

What a release does follows from the file's last block (HDFS's ``internalReleaseLease``):

==================  =======================================================================
none, or COMPLETE   close the file
COMMITTED           enough replicas: complete it and close; else recover it
UNDER_CONSTRUCTION  nobody holds a byte of it: remove it and close; else recover it
UNDER_RECOVERY      wait, or begin anew if nothing was heard for too long
==================  =======================================================================

Recovery is done by a DataNode under a new generation stamp, the recovery id; it ends with
:func:`synchronization.commit_block_synchronization`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import msgspec

from cairnfs.errors import (
    AlreadyBeingCreated,
    FileSystemError,
    InvalidRequest,
    RecoveryInProgress,
)
from cairnfs.namespace.context import Namespace, ReplicaView
from cairnfs.namespace.file_edit import FileEdit, OpenHandle, find_live
from cairnfs.namespace.leases import get_open, open_files
from cairnfs.namespace.permissions import WRITE
from cairnfs.namespace.records import BlockRecord, Inode
from cairnfs.namespace.resolve import Intent, as_file, resolve
from cairnfs.namespace.walk import path_of
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Block, BlockState, Caller


class Outcome(enum.Enum):
    """What a release came to."""

    CLOSED = enum.auto()
    RECOVER = enum.auto()
    WAIT = enum.auto()


@dataclass(frozen=True, slots=True)
class BlockRecovery:
    """A recovery to begin now: ``block`` as the namespace knows it, the generation stamp
    it will get, and the length to cut it to (-1: the longest that is safe)."""

    block: Block
    recovery_id: int
    truncate_bytes: int = -1


@dataclass(frozen=True, slots=True)
class LeaseRelease:
    """``recovery`` goes with RECOVER; ``removed_blocks`` are to be invalidated."""

    outcome: Outcome
    inode_id: int
    path: str
    recovery: BlockRecovery | None = None
    removed_blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation that is not granted although it changed something: keep the change (no
    rollback), act on ``release``, and answer ``error``."""

    error: FileSystemError
    release: LeaseRelease


def release_lease(
    ns: Namespace, edit: FileEdit, replicas: ReplicaView, new_holder: str | None, now_ms: int
) -> LeaseRelease:
    """Close the file, or begin (or await) the recovery of its last block in the name of
    ``new_holder`` (None: the lease stays with its holder and is renewed).

    Raises ``AlreadyBeingCreated`` while the block before the last lacks replicas."""
    inode_id = edit.inode.id
    penultimate = edit.complete_if_replicated(ns, replicas, 2)
    last = edit.complete_if_replicated(ns, replicas, 1)
    if penultimate is not None and not penultimate.is_complete:
        raise AlreadyBeingCreated(
            f"Failed to release lease for file {edit.path}."
            " Committed blocks are waiting to be minimally replicated."
        )
    removed: tuple[Block, ...] = ()
    if last is not None and _is_empty(replicas, last):
        removed = (edit.remove_last(last),)
        last = None
    if last is None or last.is_complete:
        edit.close(now_ms)
        edit.save()
        return LeaseRelease(Outcome.CLOSED, inode_id, edit.path, removed_blocks=removed)
    holder = new_holder or edit.record.holder
    ns.leases.grant(holder, now_ms)
    age_ms = now_ms - edit.record.recovery_started_ms
    recovery = None
    if (
        last.state == BlockState.UNDER_RECOVERY
        and 0 <= age_ms < ns.settings.block_recovery_timeout_ms
    ):
        edit.set_record(msgspec.structs.replace(edit.record, holder=holder))
    else:
        truncate_bytes = edit.record.truncate_bytes
        recovery_id = edit.begin_recovery(last, holder, now_ms, truncate_bytes)
        recovery = BlockRecovery(last.block, recovery_id, truncate_bytes)
    edit.save()
    outcome = Outcome.WAIT if recovery is None else Outcome.RECOVER
    return LeaseRelease(outcome, inode_id, edit.path, recovery)


def _is_empty(replicas: ReplicaView, last: BlockRecord) -> bool:
    """Nobody is known to hold a byte of a block that was just begun."""
    return (
        not last.is_complete
        and last.num_bytes == 0
        and replicas.expected_locations(last.block_id) == 0
    )


def recover_lease(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    caller: Caller,
    now_ms: int,
    path: str,
    holder: str,
) -> LeaseRelease:
    """recoverLease (ClientNamenodeProtocol.proto): take the file from its writer, whoever
    that is; answered with whether the outcome is CLOSED.

    Raises ``NotFound``, ``PermissionDenied``, ``AlreadyBeingCreated``."""
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    inode = as_file(walk, walk.path)
    if not inode.under_construction:
        return LeaseRelease(Outcome.CLOSED, inode.id, walk.path)
    checker.target(walk, WRITE)
    if not holder:
        raise InvalidRequest(f"Cannot recover the lease of {path} for a client without a name")
    edit = FileEdit(tx, _handle(tx, walk.key(len(walk.names)), inode, walk.path))
    return release_lease(ns, edit, replicas, holder, now_ms)


def take_over(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    operation: str,
    key: bytes,
    inode: Inode,
    path: str,
    holder: str,
    client_machine: str,
    now_ms: int,
) -> LeaseRelease | Refused | None:
    """Before a client writes to a file that exists: None if nobody else does, the release
    if it could be closed because its writer's soft limit has passed.

    ``operation`` (CREATE_FILE, APPEND_FILE, TRUNCATE_FILE) is named in messages. Raises
    ``AlreadyBeingCreated`` or ``RecoveryInProgress``."""
    if not inode.under_construction:
        return None
    handle = _handle(tx, key, inode, path)
    owner = handle.record.holder
    begin = f"Failed to {operation} {path} for {holder} on {client_machine} because"
    if owner == holder:
        raise AlreadyBeingCreated(f"{begin} {holder} is already the current lease holder.")
    edit = FileEdit(tx, handle)
    if ns.leases.soft_expired(owner, now_ms):
        release = release_lease(ns, edit, replicas, None, now_ms)
        if release.outcome is Outcome.CLOSED:
            return release
        error = RecoveryInProgress(f"{begin} lease recovery is in progress. Try again later.")
        return Refused(error, release)
    last = edit.last()
    by = f"{owner} on {handle.record.client_machine}"
    if last is not None and last.state == BlockState.UNDER_RECOVERY:
        raise RecoveryInProgress(f"{begin} another recovery is in progress by {by}")
    raise AlreadyBeingCreated(f"{begin} this file lease is currently owned by {by}")


def expired_files(ns: Namespace, tx: Reader, now_ms: int, limit: int) -> list[int]:
    """Inode ids of up to ``limit`` files whose writers' hard limit has passed: call
    :func:`release_expired` for each, in a write of its own."""
    found: list[int] = []
    expired = set(ns.leases.hard_expired(now_ms))
    if not expired:
        return found
    idle = set(expired)
    for inode_id, record in open_files(tx):
        if record.holder not in expired:
            continue
        idle.discard(record.holder)
        found.append(inode_id)
        if len(found) == limit:
            return found
    for holder in idle:
        ns.leases.forget(holder)
    return found


def release_expired(
    ns: Namespace, tx: Writer, replicas: ReplicaView, inode_id: int, now_ms: int
) -> LeaseRelease | None:
    """Close or recover one file whose writer is gone; None if meanwhile it was closed,
    deleted or written to. Raises ``AlreadyBeingCreated``: try again later."""
    found = find_live(tx, inode_id)
    path = path_of(tx, inode_id)
    if found is None or path is None or not found[1].under_construction:
        return None
    handle = _handle(tx, found[0], found[1], path)
    if not ns.leases.is_hard_expired(handle.record.holder, now_ms):
        return None
    holder = ns.leases.internal_holder(now_ms)
    return release_lease(ns, FileEdit(tx, handle), replicas, holder, now_ms)


def recover_again(
    ns: Namespace, tx: Writer, replicas: ReplicaView, inode_id: int, now_ms: int
) -> LeaseRelease | None:
    """The recovery of a file's last block came to nothing: begin another, under a new
    stamp and for the same holder; None if the file is not being recovered any more.

    Raises ``AlreadyBeingCreated`` while the block before the last lacks replicas."""
    found = find_live(tx, inode_id)
    path = path_of(tx, inode_id)
    if found is None or path is None or not found[1].under_construction:
        return None
    edit = FileEdit(tx, _handle(tx, found[0], found[1], path))
    last = edit.last()
    if last is None or last.state != BlockState.UNDER_RECOVERY:
        return None
    edit.set_record(msgspec.structs.replace(edit.record, recovery_started_ms=0))
    return release_lease(ns, edit, replicas, None, now_ms)


def _handle(tx: Reader, key: bytes, inode: Inode, path: str) -> OpenHandle:
    record = get_open(tx, inode.id)
    assert record is not None, f"inode {inode.id} is under construction, so somebody writes it"
    return OpenHandle(key, inode, record, path)
