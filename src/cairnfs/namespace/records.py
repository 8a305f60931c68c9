"""What the tables hold, packed and unpacked.

Inodes and blocks are fixed structs, because they are read far more often than written:
decoding the six fields that a permission check needs takes 0.13 us against 0.22 us for a
msgspec array, all fourteen 0.23 us against 0.40 us (measured together, one run). What is written
seldom is msgspec, which takes new fields at its end.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec

from cairnfs.errors import StoreDamaged
from cairnfs.namespace.tables import COUNTERS_KEY
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Block, BlockFacts, BlockState, FileType

DIRECTORY = int(FileType.DIRECTORY)
FILE = int(FileType.FILE)
SYMLINK = int(FileType.SYMLINK)

# Bits of ``Inode.flags``.
FLAG_UNDER_CONSTRUCTION = 1

# Behind HEAD come the fields that hardly change, and in TAIL those that writers change.
_HEAD = "QBBHII"
_BODY = "HQq"
_TAIL = "qQIIH"
# Big-endian, though that decodes a little slower: the first 8 bytes of a record are then
# what the keys of its children begin with, and a walk need not decode at all.
INODE = struct.Struct(">" + _HEAD + _BODY + _TAIL)
HEAD = struct.Struct(">" + _HEAD)
TAIL = struct.Struct(">" + _TAIL)
TYPE_AT = 8
POLICY_AT = 9
_TAIL_AT = INODE.size - TAIL.size

# (id, type, storage policy, mode, owner id, group id): what a permission check needs.
Head = tuple[int, int, int, int, int, int]
# All fields of an inode in the order of :class:`Inode`, undressed.
InodeRow = tuple[int, ...]

unpack_head = HEAD.unpack_from
unpack_row = INODE.unpack_from


class Inode(NamedTuple):
    """One file or directory. ``entries`` counts the children of a directory or the blocks of a
    file; ``subdirectories`` those children that are directories; ``length`` includes
    what is known of a last block under construction. Times are ms since the epoch."""

    id: int
    type: int
    storage_policy: int
    mode: int
    owner: int
    group: int
    replication: int
    block_size: int
    atime: int
    mtime: int
    length: int
    entries: int
    subdirectories: int
    flags: int

    @property
    def is_directory(self) -> bool:
        return self.type == DIRECTORY

    @property
    def is_file(self) -> bool:
        return self.type == FILE

    @property
    def under_construction(self) -> bool:
        return bool(self.flags & FLAG_UNDER_CONSTRUCTION)

    def pack(self) -> bytes:
        return INODE.pack(*self)


def unpack_inode(value: bytes) -> Inode:
    return Inode._make(INODE.unpack_from(value))


def new_directory(inode_id: int, mode: int, owner: int, group: int, now_ms: int) -> Inode:
    # HDFS keeps no access time of directories.
    return Inode(inode_id, DIRECTORY, 0, mode, owner, group, 0, 0, 0, now_ms, 0, 0, 0, 0)


def entries_of(value: bytes) -> int:
    """How many children the directory with this record has."""
    return int(TAIL.unpack_from(value, _TAIL_AT)[2])


def repack_directory(
    value: bytes, mtime_ms: int, count_delta: int, subdirectories_delta: int
) -> bytes:
    """A directory's record with other children, without decoding the rest of it.

    Its time of change never goes back."""
    old_mtime, length, count, subdirectories, flags = TAIL.unpack_from(value, _TAIL_AT)
    return value[:_TAIL_AT] + TAIL.pack(
        max(old_mtime, mtime_ms),
        length,
        count + count_delta,
        subdirectories + subdirectories_delta,
        flags,
    )


_BLOCK = struct.Struct("<QQQQHBB")


class BlockRecord(NamedTuple):
    """One block of a file: its one home. ``offset`` is where it begins in the file (all
    blocks before it have their final length); ``replication`` follows the file's."""

    block_id: int
    generation_stamp: int
    num_bytes: int
    offset: int
    replication: int
    state: int
    storage_policy: int

    def pack(self) -> bytes:
        return _BLOCK.pack(*self)

    @property
    def is_complete(self) -> bool:
        return self.state == BlockState.COMPLETE

    @property
    def block(self) -> Block:
        return Block(self.block_id, self.generation_stamp, self.num_bytes)

    @property
    def facts(self) -> BlockFacts:
        return BlockFacts(
            self.block_id,
            self.generation_stamp,
            self.num_bytes,
            self.replication,
            BlockState(self.state),
            self.storage_policy,
        )


def unpack_block(value: bytes) -> BlockRecord:
    return BlockRecord._make(_BLOCK.unpack_from(value))


class OpenFile(msgspec.Struct, array_like=True, frozen=True):
    """Who writes a file. While its last block is being recovered, ``recovery_id`` is the
    generation stamp that ends the recovery and ``truncate_bytes`` the length the block is
    to be cut to (-1: no truncate)."""

    holder: str
    client_machine: str
    recovery_id: int = 0
    recovery_started_ms: int = 0
    truncate_bytes: int = -1


_open_encoder = msgspec.msgpack.Encoder()
_open_decoder = msgspec.msgpack.Decoder(OpenFile)


def pack_open(record: OpenFile) -> bytes:
    return _open_encoder.encode(record)


def unpack_open(value: bytes) -> OpenFile:
    return _open_decoder.decode(value)


class Counters(msgspec.Struct, array_like=True):
    """The last ids given out, and the totals. One record: an operation reads it once,
    changes it, and writes it once. ``files`` counts no directory; ``garbage`` counts the
    entries of ``G``."""

    inode_id: int
    block_id: int
    generation_stamp: int
    name_id: int = 0
    files: int = 0
    directories: int = 0
    blocks: int = 0
    complete_blocks: int = 0
    garbage: int = 0


_counters_encoder = msgspec.msgpack.Encoder()
_counters_decoder = msgspec.msgpack.Decoder(Counters)


def read_counters(tx: Reader) -> Counters:
    """Raises ``StoreDamaged`` where no namespace was formatted."""
    value = tx.get(COUNTERS_KEY)
    if value is None:
        raise StoreDamaged("the store holds no namespace: it was never formatted")
    return _counters_decoder.decode(value)


def write_counters(tx: Writer, counters: Counters) -> None:
    tx.put(COUNTERS_KEY, _counters_encoder.encode(counters))
