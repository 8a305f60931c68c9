"""Keys and values of the block index.

One flat key space; the first byte names the table. A pool has a short number, a volume too,
so that ten million keys do not repeat their names. Numbers are big-endian: ordered.

==== ======================================== ==================================================
 m   pool (2) block id (8) generation (8)      :class:`ReplicaRecord`
 c   the same, then range (4)                  CRCs, 4 bytes each, of one range of chunks
 p   pool id                                   pool number (2)
 v   volume uuid                               volume number (2)
 u   volume number (2), pool number (2)        bytes (8) and replicas (8) that stand in ``m``
 s   name                                      the index's own state (layout, clean stop)
==== ======================================== ==================================================
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cairnfs.errors import StoreDamaged
from cairnfs.types import Block, ChecksumType, ReplicaState
from cairnfs.wire.checksum import CRC_BYTES, DataChecksum

REPLICA = b"m"
SUMS = b"c"
POOL = b"p"
VOLUME = b"v"
USED = b"u"
STATE = b"s"

# CRCs in one value: four LMDB pages less their header, so nothing is wasted. At 8 KiB a chunk
# one range covers 32 MiB: an append or an update rewrites 16 KiB, not all of a block's CRCs.
RANGE_CRCS = (4 * 4096 - 16) // CRC_BYTES

_KEY = struct.Struct(">cHQQ")
_RANGE = struct.Struct(">I")
_RECORD = struct.Struct(">BBBxHxxQII")
_USED = struct.Struct(">qq")
_NUMBER = struct.Struct(">H")
REPLICA_KEY_BYTES = _KEY.size

# The CRCs were verified against data that came from elsewhere (not recomputed here).
FLAG_VERIFIED = 1
# The file is to be unlinked; nobody may read it any more.
FLAG_DELETING = 2
# The file's bytes up to the length were on disk (fsync) when the record was written.
FLAG_SYNCED = 4


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """What the index holds of one replica.

    ``length`` counts the bytes that the stored CRCs cover; ``checksum`` is that at rest;
    ``writer_bytes_per_checksum`` is what its writer used (block checksums are made of it)."""

    block_id: int
    generation_stamp: int
    length: int
    state: ReplicaState
    volume: int
    checksum: DataChecksum
    writer_bytes_per_checksum: int
    flags: int = 0

    @property
    def block(self) -> Block:
        return Block(self.block_id, self.generation_stamp, self.length)

    @property
    def deleting(self) -> bool:
        return bool(self.flags & FLAG_DELETING)

    @property
    def verified(self) -> bool:
        return bool(self.flags & FLAG_VERIFIED)

    def encode(self) -> bytes:
        return _RECORD.pack(
            self.state,
            self.checksum.type,
            self.flags,
            self.volume,
            self.length,
            self.checksum.bytes_per_checksum,
            self.writer_bytes_per_checksum,
        )


def decode_record(key: bytes, value: bytes) -> ReplicaRecord:
    """Raises ``StoreDamaged`` for bytes that this module never wrote."""
    try:
        _, _, block_id, stamp = _KEY.unpack(key)
        state, type_, flags, volume, length, chunk, writer_chunk = _RECORD.unpack(value)
        return ReplicaRecord(
            block_id,
            stamp,
            length,
            ReplicaState(state),
            volume,
            DataChecksum(ChecksumType(type_), chunk),
            writer_chunk,
            flags,
        )
    except (struct.error, ValueError) as error:
        raise StoreDamaged(f"the index holds a replica record that is none: {error}") from None


def replica_key(pool: int, block_id: int, stamp: int) -> bytes:
    return _KEY.pack(REPLICA, pool, block_id & _U64, stamp)


def replica_bounds(pool: int, block_id: int) -> tuple[bytes, bytes]:
    """All generations of one block: ``first <= key <= last``."""
    return replica_key(pool, block_id, 0), replica_key(pool, block_id, _U64)


def pool_bounds(pool: int) -> tuple[bytes, bytes]:
    """All replicas of one pool: ``first <= key <= last``."""
    return replica_key(pool, 0, 0), replica_key(pool, _U64, _U64)


def sums_key(key: bytes, number: int) -> bytes:
    """Range ``number`` of the CRCs that belong to the replica of ``key``."""
    return SUMS + key[1:] + _RANGE.pack(number)


def ranges(chunks: int) -> int:
    """How many ranges hold the CRCs of ``chunks`` chunks."""
    return -(-chunks // RANGE_CRCS)


def pool_of(key: bytes) -> int:
    number: int = _KEY.unpack(key)[1]
    return number


def block_of(key: bytes) -> int:
    number: int = _KEY.unpack(key)[2]
    return number


def stamp_of(key: bytes) -> int:
    number: int = _KEY.unpack(key)[3]
    return number


def used_key(volume: int, pool: int) -> bytes:
    return USED + _NUMBER.pack(volume) + _NUMBER.pack(pool)


def parse_used_key(key: bytes) -> tuple[int, int]:
    return decode_number(key[1:3]), decode_number(key[3:5])


def encode_used(used_bytes: int, replicas: int) -> bytes:
    return _USED.pack(used_bytes, replicas)


def decode_used(value: bytes) -> tuple[int, int]:
    used_bytes, replicas = _USED.unpack(value)
    return used_bytes, replicas


def encode_number(number: int) -> bytes:
    return _NUMBER.pack(number)


def decode_number(value: bytes) -> int:
    number: int = _NUMBER.unpack(value)[0]
    return number


_U64 = (1 << 64) - 1
