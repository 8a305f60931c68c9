"""Checksums of block data as they stand on the wire: one big-endian CRC for each chunk.

Importing this is cheap: numpy comes in with the first packet that is verified.
"""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import ChecksumType
from cairnfs.wire.crc import Buffer, crc_function, short_crc_function

CRC_BYTES = 4
# Up to this many chunks a CRC call for each beats folding (10 us at least, measured).
_LOOP_CHUNKS_MAX = 24
# Small chunks are split off by struct, which copies them: with their CRCs 40 us for 64 KiB of
# 512 bytes, where slices of a memoryview take 66 us (measured).
_COPY_BYTES_MAX = 2048
_SPLIT_CHUNKS = 128


class BlockChecksumType(enum.IntEnum):
    """How a block's checksum is made of its chunks' (``BlockChecksumTypeProto``)."""

    MD5CRC = 1
    COMPOSITE_CRC = 2


@dataclass(frozen=True, slots=True)
class DataChecksum:
    """How data is checksummed: ``ChecksumProto``. ``NULL`` has no checksums at all."""

    type: ChecksumType
    bytes_per_checksum: int

    @property
    def crc_bytes(self) -> int:
        """Bytes of one checksum: 4, or 0 for ``NULL``."""
        return 0 if self.type is ChecksumType.NULL else CRC_BYTES

    def chunks(self, data_bytes: int) -> int:
        """Chunks that ``data_bytes`` bytes make, a last short one included."""
        return -(-data_bytes // self.bytes_per_checksum)

    def sums_bytes(self, data_bytes: int) -> int:
        """Bytes of all checksums of ``data_bytes`` bytes."""
        return self.chunks(data_bytes) * self.crc_bytes


@functools.lru_cache(maxsize=512)
def _splitter(step: int, count: int) -> struct.Struct:
    return struct.Struct(f"{step}s" * count)


def _chunk_crcs(checksum: DataChecksum, data: Buffer) -> list[int]:
    step = checksum.bytes_per_checksum
    crc = short_crc_function(checksum.type)
    view = memoryview(data)
    if step > _COPY_BYTES_MAX:
        return [crc(view[start : start + step]) for start in range(0, len(view), step)]
    whole, short = divmod(len(view), step)
    sums: list[int] = []
    for first in range(0, whole, _SPLIT_CHUNKS):
        splitter = _splitter(step, min(whole - first, _SPLIT_CHUNKS))
        sums += map(crc, splitter.unpack_from(view, first * step))
    if short:
        sums.append(crc(view[-short:]))
    return sums


def compute(checksum: DataChecksum, data: Buffer) -> bytes:
    """The CRC of each chunk of ``data``, counted from its start, 4 bytes each."""
    if checksum.type is ChecksumType.NULL:
        return b""
    sums = _chunk_crcs(checksum, data)
    return struct.pack(f">{len(sums)}I", *sums)


def check_sums_length(checksum: DataChecksum, data_bytes: int, sums_bytes: int) -> None:
    """Raises ``RemoteProtocolError`` unless there is one checksum for each chunk."""
    if sums_bytes != checksum.sums_bytes(data_bytes):
        raise RemoteProtocolError(
            f"{data_bytes} bytes in chunks of {checksum.bytes_per_checksum} came with "
            f"{sums_bytes} bytes of checksums instead of {checksum.sums_bytes(data_bytes)}"
        )


def _first_bad(checksum: DataChecksum, data: Buffer, sums: Buffer) -> int | None:
    good = compute(checksum, data)
    if good == sums:
        return None
    for start in range(0, len(good), CRC_BYTES):
        if good[start : start + CRC_BYTES] != sums[start : start + CRC_BYTES]:
            return start // CRC_BYTES * checksum.bytes_per_checksum
    return None


def verify(checksum: DataChecksum, data: Buffer, sums: Buffer) -> int | None:
    """None if every chunk of ``data`` has its CRC in ``sums``; else where the first bad one
    starts (an offset into ``data``).

    Raises ``RemoteProtocolError`` if the number of checksums does not fit the data.
    One CRC over all data is compared with the chunks' CRCs folded together, so good data
    costs one call; single chunks are looked at only to find the bad one."""
    size = len(data)
    step = checksum.bytes_per_checksum
    check_sums_length(checksum, size, len(sums))
    if checksum.type is ChecksumType.NULL:
        return None
    if size <= step * _LOOP_CHUNKS_MAX:
        return _first_bad(checksum, data, sums)
    from cairnfs.wire import crc_fold

    if not crc_fold.can_fold(checksum.type, step):
        return _first_bad(checksum, data, sums)
    short = size % step
    if short:
        folded = crc_fold.fold_with_short(checksum.type, step, sums, short)
    else:
        folded = crc_fold.fold_all(checksum.type, step, sums)
    if crc_function(checksum.type)(data, 0) == folded:
        return None
    return _first_bad(checksum, data, sums)


def verify_packets(
    checksum: DataChecksum, packets: Sequence[tuple[Buffer, Buffer]]
) -> tuple[int, int] | None:
    """Verify the (data, sums) of many packets, folding the CRCs of equal ones in one go.

    None if all are good, else (index of the packet, offset of the bad chunk in its data).
    Raises as :func:`verify` does. For 64 packets of 126 chunks: 6 us each (half of it the
    CRC of the data) where :func:`verify` takes 13 us."""
    first = 0
    while first < len(packets):
        size = len(packets[first][0])
        behind = first + 1
        while behind < len(packets) and len(packets[behind][0]) == size:
            behind += 1
        if behind == first + 1 or not _are_good(checksum, size, packets[first:behind]):
            for index in range(first, behind):
                bad = verify(checksum, *packets[index])
                if bad is not None:
                    return index, bad
        first = behind
    return None


def _are_good(checksum: DataChecksum, size: int, packets: Sequence[tuple[Buffer, Buffer]]) -> bool:
    """Whether equally long packets are all good, as far as folding can tell."""
    from cairnfs.wire import crc_fold

    chunks, short = divmod(size, checksum.bytes_per_checksum)
    if (
        short
        or not 1 < chunks <= crc_fold.POSITIONS
        or not crc_fold.can_fold(checksum.type, checksum.bytes_per_checksum)
    ):
        return False
    all_sums = [sums for _, sums in packets]
    if any(len(sums) != chunks * CRC_BYTES for sums in all_sums):
        return False
    crc = crc_function(checksum.type)
    found = struct.pack(f">{len(packets)}I", *[crc(data, 0) for data, _ in packets])
    folded = crc_fold.fold_groups(
        checksum.type, checksum.bytes_per_checksum, b"".join(all_sums), chunks
    )
    return found == folded
