"""Changing one file under construction: its blocks, its record, its lease."""

from __future__ import annotations

import msgspec

from cairnfs.errors import FileSystemError, LeaseExpired, NotFound
from cairnfs.namespace.context import Namespace, ReplicaView
from cairnfs.namespace.leases import delete_open, describe_lease, get_open, put_open
from cairnfs.namespace.locations import get_block
from cairnfs.namespace.records import (
    FLAG_UNDER_CONSTRUCTION,
    BlockRecord,
    Counters,
    Inode,
    OpenFile,
    read_counters,
    write_counters,
)
from cairnfs.namespace.resolve import Intent, resolve
from cairnfs.namespace.tables import block_id_key, block_key, pack_owner, unpack_owner
from cairnfs.namespace.walk import find_inode, path_of
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import INODE_ID_NONE, Block, BlockState, Caller


class OpenHandle:
    """A file under construction as it was found: its key, its inode, its writer."""

    __slots__ = ("inode", "key", "path", "record")

    def __init__(self, key: bytes, inode: Inode, record: OpenFile, path: str) -> None:
        self.key = key
        self.inode = inode
        self.record = record
        self.path = path


def locate(
    ns: Namespace, tx: Reader, caller: Caller, path: str, file_id: int
) -> tuple[bytes, Inode] | None:
    """Key and record of a file by id, or by path from clients that do not know ids.

    None if nothing is there, also if it is in a deleted subtree."""
    if file_id == INODE_ID_NONE:
        walk, _ = resolve(ns, tx, caller, path, Intent.WRITE)
        inode = walk.last
        return None if inode is None else (walk.key(len(walk.names)), inode)
    return find_live(tx, file_id)


def find_live(tx: Reader, inode_id: int) -> tuple[bytes, Inode] | None:
    """Key and record of an inode that can be reached from the root."""
    found = find_inode(tx, inode_id)
    # Only where garbage is left can an inode have a place and no path.
    if found is not None and read_counters(tx).garbage and path_of(tx, inode_id) is None:
        return None
    return found


def check_lease(
    ns: Namespace, tx: Reader, caller: Caller, path: str, file_id: int, holder: str
) -> OpenHandle:
    """The file that ``holder`` is writing.

    Raises ``NotFound`` (no such file any more) or ``LeaseExpired`` (closed, or another's)."""
    found = locate(ns, tx, caller, path, file_id)
    if found is None:
        raise NotFound(f"File does not exist: {_of_lease(tx, path, file_id, holder)}")
    key, inode = found
    if not inode.is_file:
        raise LeaseExpired(f"INode is not a regular file: {_of_lease(tx, path, file_id, holder)}")
    record = get_open(tx, inode.id) if inode.under_construction else None
    if record is None:
        raise LeaseExpired(f"File is not open for writing: {_of_lease(tx, path, file_id, holder)}")
    if record.holder != holder:
        raise LeaseExpired(
            f"Client (={holder}) is not the lease owner (={record.holder}:"
            f" {_of_lease(tx, path, file_id, holder)}"
        )
    return OpenHandle(key, inode, record, path)


def _of_lease(tx: Reader, path: str, file_id: int, holder: str) -> str:
    return f"{path} (inode {file_id}) {describe_lease(tx, holder)}"


def find_block(tx: Reader, block_id: int) -> tuple[int, int, BlockRecord] | None:
    """Inode id, index and record of a block that a file holds."""
    owner = tx.get(block_id_key(block_id))
    if owner is None:
        return None
    inode_id, index = unpack_owner(owner)
    return inode_id, index, get_block(tx, inode_id, index)


class FileEdit:
    """Changes of one open file. The blocks are written at once; :meth:`save` writes the
    inode and the counters at the end."""

    __slots__ = ("_counters", "_tx", "inode", "key", "path", "record")

    def __init__(self, tx: Writer, handle: OpenHandle, counters: Counters | None = None) -> None:
        self._tx = tx
        self._counters = counters
        self.key = handle.key
        self.inode = handle.inode
        self.record = handle.record
        self.path = handle.path

    @property
    def counters(self) -> Counters:
        if self._counters is None:
            self._counters = read_counters(self._tx)
        return self._counters

    def save(self) -> None:
        self._tx.put(self.key, self.inode.pack())
        if self._counters is not None:
            write_counters(self._tx, self._counters)

    # --- blocks ------------------------------------------------------------------------------

    def last(self) -> BlockRecord | None:
        return self._block(1)

    def penultimate(self) -> BlockRecord | None:
        return self._block(2)

    def _block(self, from_end: int) -> BlockRecord | None:
        index = self.inode.entries - from_end
        return get_block(self._tx, self.inode.id, index) if index >= 0 else None

    def set_block(self, index: int, old: BlockRecord, new: BlockRecord) -> BlockRecord:
        """Write a block whose facts changed, and let length and totals follow."""
        self._tx.put(block_key(self.inode.id, index), new.pack())
        if new.num_bytes != old.num_bytes:
            length = self.inode.length + new.num_bytes - old.num_bytes
            self.inode = self.inode._replace(length=length)
        if new.is_complete != old.is_complete:
            self.counters.complete_blocks += 1 if new.is_complete else -1
        return new

    def set_last(self, old: BlockRecord, new: BlockRecord) -> BlockRecord:
        return self.set_block(self.inode.entries - 1, old, new)

    def add_block(self, storage_policy: int) -> BlockRecord:
        """A new last block, under construction, of a new id and generation."""
        counters = self.counters
        counters.block_id += 1
        counters.generation_stamp += 1
        counters.blocks += 1
        inode = self.inode
        block = BlockRecord(
            counters.block_id,
            counters.generation_stamp,
            0,
            inode.length,
            inode.replication,
            BlockState.UNDER_CONSTRUCTION,
            storage_policy,
        )
        self._tx.put(block_key(inode.id, inode.entries), block.pack())
        self._tx.put(block_id_key(block.block_id), pack_owner(inode.id, inode.entries))
        self.inode = inode._replace(entries=inode.entries + 1)
        return block

    def remove_last(self, last: BlockRecord) -> Block:
        """The file no longer holds its last block; returns it, to be invalidated."""
        index = self.inode.entries - 1
        self._tx.delete(block_key(self.inode.id, index))
        self._tx.delete(block_id_key(last.block_id))
        self.counters.blocks -= 1
        self.counters.complete_blocks -= last.is_complete
        self.inode = self.inode._replace(entries=index, length=self.inode.length - last.num_bytes)
        return last.block

    def complete_if_replicated(
        self, ns: Namespace, replicas: ReplicaView, from_end: int
    ) -> BlockRecord | None:
        """The last (1) or last but one (2) block, made COMPLETE if it is COMMITTED and has
        its minimum of replicas."""
        block = self._block(from_end)
        if block is None or block.state != BlockState.COMMITTED:
            return block
        if replicas.live_replicas(block.block_id) < ns.settings.replication_min:
            return block
        complete = block._replace(state=BlockState.COMPLETE)
        return self.set_block(self.inode.entries - from_end, block, complete)

    def commit_last(
        self, ns: Namespace, replicas: ReplicaView, commit: Block | None
    ) -> BlockRecord | None:
        """The writer says that the last block ends as ``commit``: COMMITTED, or COMPLETE
        where its minimum of replicas is there already. Returns the last block.

        Raises ``FileSystemError`` for another block, generation or a shorter length."""
        last = self.last()
        if commit is None or last is None or last.is_complete:
            return last
        if last.state == BlockState.UNDER_RECOVERY:
            raise FileSystemError(
                f"Commit or complete block {commit}, whereas it is under recovery."
            )
        if last.state != BlockState.COMMITTED:
            _check_commit(last, commit)
            live = replicas.live_replicas(last.block_id)
            enough = live >= ns.settings.replication_min
            state = BlockState.COMPLETE if enough else BlockState.COMMITTED
            new = last._replace(num_bytes=commit.num_bytes, state=state)
            return self.set_last(last, new)
        return self.complete_if_replicated(ns, replicas, 1)

    # --- the lease ---------------------------------------------------------------------------

    def set_record(self, record: OpenFile) -> None:
        put_open(self._tx, self.inode.id, record)
        self.record = record

    def begin_recovery(
        self, last: BlockRecord, holder: str, now_ms: int, truncate_bytes: int
    ) -> int:
        """The last block is recovered from now on; returns the recovery id, a new
        generation stamp."""
        self.counters.generation_stamp += 1
        self.set_last(last, last._replace(state=BlockState.UNDER_RECOVERY))
        self.set_record(
            msgspec.structs.replace(
                self.record,
                holder=holder,
                recovery_id=self.counters.generation_stamp,
                recovery_started_ms=now_ms,
                truncate_bytes=truncate_bytes,
            )
        )
        return self.counters.generation_stamp

    def close(self, now_ms: int) -> None:
        """The file is finished: nobody holds its lease any more."""
        delete_open(self._tx, self.inode.id)
        flags = self.inode.flags & ~FLAG_UNDER_CONSTRUCTION
        self.inode = self.inode._replace(flags=flags, mtime=now_ms)


def reopen(ns: Namespace, tx: Writer, handle: OpenHandle | FileEdit, now_ms: int) -> FileEdit:
    """Put a closed file under construction by ``handle.record.holder``."""
    inode = handle.inode
    put_open(tx, inode.id, handle.record)
    ns.leases.grant(handle.record.holder, now_ms)
    opened = inode._replace(flags=inode.flags | FLAG_UNDER_CONSTRUCTION)
    counters = handle.counters if isinstance(handle, FileEdit) else None
    return FileEdit(tx, OpenHandle(handle.key, opened, handle.record, handle.path), counters)


def _check_commit(last: BlockRecord, commit: Block) -> None:
    if commit.block_id != last.block_id:
        raise FileSystemError(
            f"Trying to commit inconsistent block: id = {commit.block_id},"
            f" expected id = {last.block_id}"
        )
    if commit.generation_stamp != last.generation_stamp:
        raise FileSystemError(
            f"Commit block with mismatching GS. NN has {last.block}, client submits {commit}"
        )
    if commit.num_bytes < last.num_bytes:
        raise FileSystemError(
            f"Commit block of {commit.num_bytes} bytes, but {last.num_bytes} bytes of it"
            f" are known to be written: {last.block}"
        )
