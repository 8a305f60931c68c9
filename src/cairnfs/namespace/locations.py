"""The blocks of a range of a file: getBlockLocations (ClientNamenodeProtocol.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import IllegalArgument
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.permissions import READ, Checker
from cairnfs.namespace.records import BlockRecord, Inode, unpack_block, unpack_inode
from cairnfs.namespace.resolve import Intent, as_file, resolve
from cairnfs.namespace.tables import block_key, block_range
from cairnfs.namespace.walk import find_inode
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Caller

_GETS_MAX = 4
# Later than any clock says.
ACCESS_TIME_NEVER = 1 << 63


@dataclass(frozen=True, slots=True)
class FileBlocks:
    """Blocks of a file, each with its ``offset``.

    ``file_length`` leaves out a last block that is not complete, as HDFS answers it;
    ``last`` is the file's last block whether or not it is in the range.
    A read after ``access_time_due_ms`` calls :func:`touch_access_time` in a write."""

    inode_id: int
    file_length: int
    under_construction: bool
    blocks: list[BlockRecord]
    last: BlockRecord | None
    access_time_due_ms: int = ACCESS_TIME_NEVER

    @property
    def is_last_complete(self) -> bool:
        return self.last is not None and self.last.is_complete


def get_block_locations(
    ns: Namespace, tx: Reader, caller: Caller, path: str, offset: int, length: int
) -> FileBlocks:
    """The blocks that hold bytes ``offset`` to ``offset + length`` of the file.

    Raises ``IllegalArgument``, ``NotFound``, ``PermissionDenied``."""
    if offset < 0:
        raise IllegalArgument(f"Negative offset is not supported. File: {path}")
    if length < 0:
        raise IllegalArgument(f"Negative length is not supported. File: {path}")
    walk, checker = resolve(ns, tx, caller, path, Intent.OPEN)
    inode = as_file(walk, walk.path)
    checker.traverse(walk)
    checker.target(walk, READ)
    return blocks_in_range(tx, inode, offset, length, _access_time_due_ms(ns, inode))


def known_file_blocks(
    ns: Namespace, tx: Reader, caller: Caller, value: bytes, offset: int, length: int
) -> FileBlocks | None:
    """The same of a packed inode whose directory is known to be open to the caller.

    None if it is no file, or not to be read by the caller: :func:`get_block_locations`
    says why."""
    inode = unpack_inode(value)
    if not inode.is_file:
        return None
    checker = Checker(ns, tx, caller)
    if checker.enabled and not checker.permits(inode[:6], READ):
        return None
    return blocks_in_range(tx, inode, offset, length, _access_time_due_ms(ns, inode))


def _access_time_due_ms(ns: Namespace, inode: Inode) -> int:
    precision_ms = ns.settings.access_time_precision_ms
    return inode.atime + precision_ms if precision_ms > 0 else ACCESS_TIME_NEVER


def blocks_in_range(
    tx: Reader, inode: Inode, offset: int, length: int, due_ms: int = ACCESS_TIME_NEVER
) -> FileBlocks:
    """The same of an inode that is at hand."""
    entries = inode.entries
    if entries == 0:
        return FileBlocks(inode.id, 0, inode.under_construction, [], None, due_ms)
    blocks: list[BlockRecord] = []
    found = _block_at(tx, inode, offset)
    if found is not None:
        index, block = found
        end = offset + length
        blocks.append(block)
        # A get costs a third of beginning a scan, and most files have few blocks.
        while len(blocks) <= _GETS_MAX and block.offset + block.num_bytes < end:
            if (index := index + 1) == entries:
                break
            block = get_block(tx, inode.id, index)
            blocks.append(block)
        if len(blocks) > _GETS_MAX:
            for _, value in tx.scan(*block_range(inode.id, index + 1)):
                block = unpack_block(value)
                if block.offset >= end:
                    break
                blocks.append(block)
                index += 1
    last = blocks[-1] if found and index + 1 >= entries else get_block(tx, inode.id, entries - 1)
    file_length = inode.length if last.is_complete else inode.length - last.num_bytes
    return FileBlocks(inode.id, file_length, inode.under_construction, blocks, last, due_ms)


def _block_at(tx: Reader, inode: Inode, offset: int) -> tuple[int, BlockRecord] | None:
    """The first block that ends behind ``offset``; None at the end of the file.

    Blocks are full but for appends with a new block and concat, so the first guess hits."""
    low, high = 0, inode.entries
    index = min(offset // inode.block_size, inode.entries - 1) if inode.block_size else 0
    found = None
    while low < high:
        block = get_block(tx, inode.id, index)
        if block.offset + block.num_bytes <= offset:
            low = index + 1
        else:
            found = index, block
            if block.offset <= offset:
                break
            high = index
        index = (low + high) // 2
    # HDFS names the block of a file that has just begun, though nothing of it is known.
    if found is None and inode.entries == 1 and inode.length == 0:
        return 0, get_block(tx, inode.id, 0)
    return found


def get_block(tx: Reader, inode_id: int, index: int) -> BlockRecord:
    """A block that the file's record says is there."""
    value = tx.get(block_key(inode_id, index))
    assert value is not None, f"inode {inode_id} has a block {index}"
    return unpack_block(value)


def last_block(tx: Reader, inode: Inode) -> BlockRecord | None:
    return get_block(tx, inode.id, inode.entries - 1) if inode.entries else None


def touch_access_time(ns: Namespace, tx: Writer, inode_id: int, now_ms: int) -> bool:
    """Set the access time if it is older than its precision; False if not, or if gone."""
    found = find_inode(tx, inode_id)
    if found is None:
        return False
    key, inode = found
    if now_ms <= inode.atime + ns.settings.access_time_precision_ms:
        return False
    tx.put(key, inode._replace(atime=now_ms).pack())
    return True
