"""The tables of the namespace in the flat key space of the store.

The first byte of a key names its table; ids are 8 bytes and counts 4 bytes, big-endian,
so that keys sort as numbers do.

======  ==============================  ====================================================
table   key behind the table byte       value
======  ==============================  ====================================================
``D``   parent inode id, name           the inode, whole (:class:`records.Inode`); the root
                                        stands at parent 0 with an empty name
``I``   inode id                        parent inode id, name
``B``   inode id, block index           one block of a file (:class:`records.BlockRecord`)
``K``   block id                        inode id, block index
``O``   inode id                        who writes the file (:class:`records.OpenFile`)
``G``   inode id                        an unlinked inode whose subtree or blocks are still
                                        to be removed (its record)
``U``   user or group id (4)            name
``N``   user or group name              id (4)
``R``   time slot (4), client id,       the answer to one call
        call id (4)
``M``   a word                          counters, identity
======  ==============================  ====================================================

``X`` (inode id, kind) is kept for optional extensions of an inode.
"""

from __future__ import annotations

ROOT_KEY = b"D" + bytes(8)
COUNTERS_KEY = b"Mcounters"
IDENTITY_KEY = b"Midentity"


def entry_key(parent_id: int, name: bytes) -> bytes:
    """``D``: where the inode called ``name`` in directory ``parent_id`` is."""
    return b"D" + parent_id.to_bytes(8, "big") + name


def entry_range(parent_id: int) -> tuple[bytes, bytes]:
    """Start and stop of a scan over the children of a directory (not of parent 0)."""
    return b"D" + parent_id.to_bytes(8, "big"), b"D" + (parent_id + 1).to_bytes(8, "big")


def inode_key(inode_id: int) -> bytes:
    return b"I" + inode_id.to_bytes(8, "big")


def pack_place(parent_id: int, name: bytes) -> bytes:
    """Value of ``I``."""
    return parent_id.to_bytes(8, "big") + name


def unpack_place(value: bytes) -> tuple[int, bytes]:
    return int.from_bytes(value[:8], "big"), value[8:]


def block_key(inode_id: int, index: int) -> bytes:
    return b"B" + inode_id.to_bytes(8, "big") + index.to_bytes(4, "big")


def block_range(inode_id: int, first: int = 0) -> tuple[bytes, bytes]:
    """Start and stop of a scan over the blocks of a file from index ``first`` on."""
    return block_key(inode_id, first), b"B" + (inode_id + 1).to_bytes(8, "big")


def block_id_key(block_id: int) -> bytes:
    # Two's complement: DataNodes may name ids of Hadoop's striped block groups, below 0.
    return b"K" + (block_id & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")


def pack_owner(inode_id: int, index: int) -> bytes:
    """Value of ``K``."""
    return inode_id.to_bytes(8, "big") + index.to_bytes(4, "big")


def unpack_owner(value: bytes) -> tuple[int, int]:
    return int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big")


def open_key(inode_id: int) -> bytes:
    return b"O" + inode_id.to_bytes(8, "big")


def garbage_key(inode_id: int) -> bytes:
    return b"G" + inode_id.to_bytes(8, "big")


def name_key(name_id: int) -> bytes:
    return b"U" + name_id.to_bytes(4, "big")


def name_id_key(name: bytes) -> bytes:
    return b"N" + name


def retry_key(slot: int, call: bytes) -> bytes:
    """``call`` is client id and call id (4 bytes)."""
    return b"R" + slot.to_bytes(4, "big") + call


def table_range(table: bytes) -> tuple[bytes, bytes]:
    """Start and stop of a scan over one whole table."""
    return table, bytes([table[0] + 1])
