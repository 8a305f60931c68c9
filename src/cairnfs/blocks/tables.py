"""How replica locations and DataNodes lie in the replica store.

=====  ============================================  =====================================
table  key after the table's letter                  value
=====  ============================================  =====================================
``R``  block id (8)                                  replicas: (storage u32, flags u8) each
``S``  storage index (4), block id without its last  (last byte u8, fingerprint u32) each,
       byte (7)                                      ascending: up to 256 blocks in one value
``U``  block id (8)                                  an open block: see ``construction.py``
``N``  DataNode uuid                                 its addresses: see ``registry.py``
``T``  storage index (4)                             its uuid, type, DataNode
``M``  name                                          counters
=====  ============================================  =====================================

``S`` exists to walk one storage's blocks and to compare a full report with them. With one
key a replica it took 24 bytes of LMDB's pages for each; grouped it takes 5 to 10. The
fingerprint says which generation stamp and length the replica was last reported with, so
that a report is compared without asking the namespace; 0 never matches.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from cairnfs.store.interface import Reader, Writer

REPLICAS = b"R"
STORAGE_BLOCKS = b"S"
OPEN_BLOCKS = b"U"
DATANODES = b"N"
STORAGES = b"T"
COUNTERS = b"M"

# Flags of a replica.
CORRUPT = 1  # not to be read, to be replaced
DELETING = 2  # its DataNode was told to remove it
UNCONFIRMED = 4  # reported without being expected; no other is deleted on its account
BAD_CONTENT = 8  # with CORRUPT: its bytes were found wrong, so that no report can clear it

# The fingerprint of a replica that every report must look at.
FINGERPRINT_NONE = 0

_ENTRY = struct.Struct("<IB")
_KEY = struct.Struct(">q")
_INDEX = struct.Struct(">I")
_ROW = struct.Struct("<BI")
_ROW_DTYPE = np.dtype([("low", "u1"), ("fingerprint", "<u4")])
_MASK = (1 << 64) - 1
# Odd constants of splitmix64: they spread the bits of counters that differ little.
_SPREAD_1 = 0x9E3779B97F4A7C15
_SPREAD_2 = 0xBF58476D1CE4E5B9
_SPREAD_3 = 0x94D049BB133111EB

Replicas = list[tuple[int, int]]
Uint64s = npt.NDArray[np.uint64]
Uint32s = npt.NDArray[np.uint32]


def fingerprint(generation_stamp: int, num_bytes: int) -> int:
    """32 bits that tell two states of a replica apart; never ``FINGERPRINT_NONE``."""
    x = (generation_stamp * _SPREAD_1 + num_bytes * _SPREAD_2) & _MASK
    x = ((x ^ (x >> 29)) * _SPREAD_3) & _MASK
    return (x >> 32) or 1


def fingerprints(generation_stamps: Uint64s, num_bytes: Uint64s) -> Uint32s:
    """:func:`fingerprint` of whole arrays."""
    x = generation_stamps * np.uint64(_SPREAD_1) + num_bytes * np.uint64(_SPREAD_2)
    x = (x ^ (x >> np.uint64(29))) * np.uint64(_SPREAD_3)
    x >>= np.uint64(32)
    x[x == 0] = 1
    prints: Uint32s = x.astype(np.uint32)
    return prints


def block_key(block_id: int) -> bytes:
    return _KEY.pack(block_id)


def block_id_of(key: bytes) -> int:
    """The block id in the last eight bytes of a key."""
    block_id: int = _KEY.unpack(key[-8:])[0]
    return block_id


def index_key(table: bytes, index: int) -> bytes:
    return table + _INDEX.pack(index)


def index_of(key: bytes) -> int:
    index: int = _INDEX.unpack(key[1:5])[0]
    return index


# --- R: who holds a block ----------------------------------------------------------------------


def replicas_key(block_id: int) -> bytes:
    return REPLICAS + _KEY.pack(block_id)


def read_replicas(tx: Reader, block_id: int) -> Replicas:
    """(storage index, flags) of every replica; empty if none is known."""
    value = tx.get(replicas_key(block_id))
    return unpack_replicas(value) if value else []


def unpack_replicas(value: bytes) -> Replicas:
    return list(_ENTRY.iter_unpack(value))


def write_replicas(tx: Writer, block_id: int, replicas: Replicas) -> None:
    key = replicas_key(block_id)
    if replicas:
        tx.put(key, b"".join([_ENTRY.pack(*replica) for replica in replicas]))
    else:
        tx.delete(key)


# --- S: what a storage holds -------------------------------------------------------------------


def read_fingerprint(tx: Reader, storage: int, block_id: int) -> int | None:
    """What the replica was last reported with; None if the storage does not hold it."""
    key = _KEY.pack(block_id)
    value = tx.get(STORAGE_BLOCKS + _INDEX.pack(storage) + key[:7])
    if value is None:
        return None
    row = value[::5].find(key[7])
    if row < 0:
        return None
    found: int = _ROW.unpack_from(value, row * 5)[1]
    return found


def put_storage_block(tx: Writer, storage: int, block_id: int, print_: int) -> bool:
    """Note that a storage holds a block; False if it did already (the print is renewed)."""
    block = _KEY.pack(block_id)
    key = STORAGE_BLOCKS + _INDEX.pack(storage) + block[:7]
    low = block[7]
    row = _ROW.pack(low, print_)
    value = tx.get(key)
    if value is None:
        tx.put(key, row)
        return True
    lows = value[::5]
    at = lows.find(low)
    if at >= 0:
        if value[at * 5 : at * 5 + 5] != row:
            tx.put(key, value[: at * 5] + row + value[at * 5 + 5 :])
        return False
    # Ids count up, so a new one mostly goes to the end.
    at = len(lows)
    while at and lows[at - 1] > low:
        at -= 1
    tx.put(key, value[: at * 5] + row + value[at * 5 :])
    return True


def delete_storage_block(tx: Writer, storage: int, block_id: int) -> bool:
    """Note that a storage does not hold a block; False if it was not noted."""
    block = _KEY.pack(block_id)
    key = STORAGE_BLOCKS + _INDEX.pack(storage) + block[:7]
    value = tx.get(key)
    if value is None:
        return False
    at = value[::5].find(block[7])
    if at < 0:
        return False
    if len(value) == 5:
        tx.delete(key)
    else:
        tx.put(key, value[: at * 5] + value[at * 5 + 5 :])
    return True


def scan_storage(
    tx: Reader, storage: int, first: int, limit: int
) -> tuple[Uint64s, Uint32s, int | None]:
    """Blocks of a storage from id ``first`` (unsigned) on, with their fingerprints.

    Ids are unsigned and ascending. About ``limit`` of them, always whole groups; the third
    value is where to go on, None at the end."""
    prefix = STORAGE_BLOCKS + _INDEX.pack(storage)
    start = prefix + first.to_bytes(8, "big")[:7]
    stop = prefix + b"\xff" * 8
    values: list[bytes] = []
    bases: list[bytes] = []
    counts: list[int] = []
    taken = 0
    following: int | None = None
    for key, value in tx.scan(start, stop):
        if taken >= limit:
            following = int.from_bytes(key[5:] + b"\0", "big")
            break
        bases.append(key[5:] + b"\0")
        values.append(value)
        counts.append(len(value) // 5)
        taken += counts[-1]
    rows: npt.NDArray[Any] = np.frombuffer(b"".join(values), dtype=_ROW_DTYPE)
    groups = np.frombuffer(b"".join(bases), dtype=">u8").astype(np.uint64)
    ids = np.repeat(groups, counts) + rows["low"]
    prints = rows["fingerprint"].astype(np.uint32)
    if taken and ids[0] < first:
        keep = ids >= np.uint64(first)
        ids, prints = ids[keep], prints[keep]
    return ids, prints, following


def count_storage(tx: Reader, storage: int) -> int:
    """How many blocks a storage holds."""
    prefix = STORAGE_BLOCKS + _INDEX.pack(storage)
    return sum(len(value) for _, value in tx.scan(prefix, prefix + b"\xff" * 8)) // 5


def signed(ids: Uint64s) -> list[int]:
    """Block ids as the rest of the code knows them (Hadoop's are signed)."""
    values: list[int] = ids.view(np.int64).tolist()
    return values


def unsigned(block_id: int) -> int:
    return block_id & _MASK


# --- M: counters -------------------------------------------------------------------------------


def next_index(tx: Writer) -> int:
    """A storage index that was never used before."""
    key = COUNTERS + b"storage"
    value = tx.get(key)
    index = _INDEX.unpack(value)[0] if value else 0
    tx.put(key, _INDEX.pack(index + 1))
    return int(index)
