"""Beginning to write: create and append (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import (
    AlreadyExists,
    FileSystemError,
    InvalidPath,
    NotFound,
    UnsupportedOperation,
)
from cairnfs.namespace.context import Namespace, ReplicaView
from cairnfs.namespace.entries import (
    add_last,
    check_objects_limit,
    detach,
    implicit_mode,
    make_directories,
)
from cairnfs.namespace.file_edit import OpenHandle, reopen
from cairnfs.namespace.leases import check_holder, put_open
from cairnfs.namespace.locations import last_block
from cairnfs.namespace.mkdirs import check_parent
from cairnfs.namespace.paths import (
    RESERVED_PATH,
    check_path_length,
    is_reserved_path,
    is_valid_path,
)
from cairnfs.namespace.permissions import WRITE
from cairnfs.namespace.records import (
    FILE,
    FLAG_UNDER_CONSTRUCTION,
    BlockRecord,
    Counters,
    Inode,
    OpenFile,
    read_counters,
    write_counters,
)
from cairnfs.namespace.recovery import Refused, take_over
from cairnfs.namespace.removal import remove_unlinked
from cairnfs.namespace.resolve import Intent, resolve
from cairnfs.namespace.status import file_status
from cairnfs.namespace.walk import Walk, find_inode
from cairnfs.store.interface import Writer
from cairnfs.types import Block, BlockState, Caller, CreateFlag, FileStatus

# Id of HDFS's LAZY_PERSIST storage policy.
LAZY_PERSIST = 15
_CREATE = int(CreateFlag.CREATE)
_OVERWRITE = int(CreateFlag.OVERWRITE)
_LAZY_PERSIST = int(CreateFlag.LAZY_PERSIST)


@dataclass(frozen=True, slots=True)
class Created:
    """The new file as it is packed, and the storage policy in force; ``removed_blocks`` (of a
    file it replaced) are to be invalidated, and ``garbage`` says that more will come from
    ``collect_garbage``."""

    value: bytes
    storage_policy: int
    removed_blocks: list[Block]
    garbage: bool


@dataclass(frozen=True, slots=True)
class Appended:
    """``block`` is the last block, to be written on (None: it is full, or there is none);
    with ``new_block`` it is complete and only named. ``removed_blocks`` of a writer before,
    who is gone, are to be invalidated."""

    status: FileStatus
    block: BlockRecord | None
    new_block: bool
    removed_blocks: tuple[Block, ...]


def create(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    caller: Caller,
    now_ms: int,
    path: str,
    mode: int,
    holder: str,
    flag: CreateFlag,
    *,
    create_parent: bool,
    replication: int,
    block_size: int,
) -> Created | Refused:
    """Create a file and give ``holder`` its lease; ``caller.address`` is remembered as the
    client's machine. ``mode`` is already masked (the unmasked one of the request matters
    only under a default ACL). Missing parents get the mode of the deepest existing one.

    Raises ``AlreadyExists``, ``AlreadyBeingCreated``, ``RecoveryInProgress``, ``NotFound``,
    ``NotADirectory``, ``PermissionDenied``, ``InvalidPath``, ``FileSystemError`` (block
    size or replication out of bounds)."""
    # An operation on members of an enum costs more than a look-up in the store.
    bits = int(flag)
    overwrite = bool(bits & _OVERWRITE)
    check_path_length(path, "create")
    _check_path(path)
    check_holder(holder)
    walk, checker = resolve(ns, tx, caller, path, Intent.CREATE)
    checker.ancestor(walk, WRITE)
    existing = walk.last
    if existing is not None:
        if existing.is_directory:
            raise AlreadyExists(f"{walk.path} already exists as a directory")
        if overwrite:
            checker.target(walk, WRITE)
    else:
        if not create_parent:
            check_parent(walk)
        if not bits & _CREATE:
            raise NotFound(f"Can't overwrite non-existent {path}")
    _check_block_size(ns, block_size)
    check_replication(ns, path, replication)
    removed: list[Block] = []
    counters = None
    if existing is not None:
        if not overwrite:
            return _refuse_existing(
                ns, tx, replicas, walk, existing, holder, caller.address, now_ms
            )
        detach(tx, walk, now_ms)
        counters = read_counters(tx)
        removed = remove_unlinked(tx, counters, existing, ns.settings.delete_inline_max)
    counters = counters or read_counters(tx)
    check_objects_limit(ns, counters)
    owner = ns.names.intern(tx, counters, caller.user)
    depth = len(walk.names) - 1
    if len(walk.values) <= depth:
        parents_mode = implicit_mode(walk.head(-1)[3])
        make_directories(ns, tx, counters, walk, depth, parents_mode, owner, now_ms)
    policy = LAZY_PERSIST if bits & _LAZY_PERSIST else 0
    inode = _new_file(counters, walk, mode, owner, replication, block_size, policy, now_ms)
    add_last(ns, tx, walk, inode)
    put_open(tx, inode.id, OpenFile(holder, caller.address))
    ns.leases.grant(holder, now_ms)
    write_counters(tx, counters)
    return Created(walk.values[-1], walk.storage_policy, removed, garbage=counters.garbage > 0)


def _check_path(path: str) -> None:
    reserved = path.startswith(RESERVED_PATH + "/")
    known = path.startswith((RESERVED_PATH + "/.inodes", RESERVED_PATH + "/raw"))
    if not is_valid_path(path) or is_reserved_path(path) or (reserved and not known):
        raise InvalidPath(path)


def _check_block_size(ns: Namespace, block_size: int) -> None:
    minimum = ns.settings.block_size_min
    if block_size < minimum:
        raise FileSystemError(
            f"Specified block size {block_size} is less than configured minimum value"
            f" dfs.namenode.fs-limits.min-block-size={minimum}"
        )


def check_replication(ns: Namespace, path: str, replication: int) -> None:
    """Raises ``FileSystemError`` for a replication out of the configured bounds."""
    if replication > ns.settings.replication_max:
        bound = f"exceeds maximum of {ns.settings.replication_max}"
    elif replication < ns.settings.replication_min:
        bound = f"is less than the required minimum of {ns.settings.replication_min}"
    else:
        return
    raise FileSystemError(f"Requested replication factor of {replication} {bound} for {path}")


def _refuse_existing(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    walk: Walk,
    existing: Inode,
    holder: str,
    machine: str,
    now_ms: int,
) -> Refused:
    """A file is there and may not be overwritten; a writer that is gone loses its lease."""
    key = walk.key(len(walk.names))
    outcome = take_over(
        ns, tx, replicas, "CREATE_FILE", key, existing, walk.path, holder, machine, now_ms
    )
    error = AlreadyExists(f"{walk.path} for client {machine} already exists")
    if outcome is None:
        raise error
    return outcome if isinstance(outcome, Refused) else Refused(error, outcome)


def _new_file(
    counters: Counters,
    walk: Walk,
    mode: int,
    owner: int,
    replication: int,
    block_size: int,
    policy: int,
    now_ms: int,
) -> Inode:
    counters.inode_id += 1
    counters.files += 1
    return Inode(
        counters.inode_id,
        FILE,
        policy,
        mode & 0o1777,
        owner,
        walk.head(-1)[5],
        replication,
        block_size,
        now_ms,
        now_ms,
        0,
        0,
        0,
        FLAG_UNDER_CONSTRUCTION,
    )


def append(
    ns: Namespace,
    tx: Writer,
    replicas: ReplicaView,
    caller: Caller,
    now_ms: int,
    path: str,
    holder: str,
    *,
    new_block: bool,
) -> Appended | Refused:
    """Open a file again to write at its end. With ``new_block`` (CreateFlag.NEW_BLOCK) the
    last block stays as it is.

    Raises ``NotFound``, ``AlreadyExists`` (a directory), ``AlreadyBeingCreated``,
    ``RecoveryInProgress``, ``FileSystemError`` (last block without its minimum of
    replicas), ``PermissionDenied``."""
    check_holder(holder)
    machine = caller.address
    walk, checker = resolve(ns, tx, caller, path, Intent.WRITE)
    inode = walk.last
    if inode is not None and inode.is_directory:
        raise AlreadyExists(
            f"Cannot append to directory {walk.path}; already exists as a directory."
        )
    checker.target(walk, WRITE)
    if inode is None:
        raise NotFound(f"Failed to append to non-existent file {walk.path} for client {machine}")
    if inode.storage_policy == LAZY_PERSIST:
        raise UnsupportedOperation(f"Cannot append to lazy persist file {walk.path}")
    key = walk.key(len(walk.names))
    outcome = take_over(
        ns, tx, replicas, "APPEND_FILE", key, inode, walk.path, holder, machine, now_ms
    )
    if isinstance(outcome, Refused):
        return outcome
    if outcome is not None:
        found = find_inode(tx, inode.id)
        assert found is not None, "a file that was just closed is there"
        inode = found[1]
    last = last_block(tx, inode)
    if last is not None:
        _check_appendable(ns, replicas, walk.path, last)
    handle = OpenHandle(key, inode, OpenFile(holder, machine), walk.path)
    edit = reopen(ns, tx, handle, now_ms)
    if last is not None and not new_block:
        if last.num_bytes == inode.block_size:
            last = None
        else:
            last = edit.set_last(last, last._replace(state=BlockState.UNDER_CONSTRUCTION))
    edit.save()
    status = file_status(ns, tx, edit.inode, b"", walk.storage_policy)
    return Appended(status, last, new_block, outcome.removed_blocks if outcome else ())


def _check_appendable(ns: Namespace, replicas: ReplicaView, path: str, last: BlockRecord) -> None:
    assert last.is_complete, "a closed file has complete blocks only"
    live = replicas.live_replicas(last.block_id)
    if live < ns.settings.replication_min and live < replicas.live_datanodes():
        raise FileSystemError(
            f"append: lastBlock={last.block} of src={path} is not sufficiently replicated yet."
        )
