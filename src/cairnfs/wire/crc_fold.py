"""Many CRCs into few through numpy tables: the CRC of 8 KiB from sixteen of 512 bytes.

``fold(c) = xor over i of shift(c[i], bytes after chunk i)``. For chunks of equal length each
shift is a linear function of 32 bits, so it is the xor of four table entries, one for each
byte of ``c[i]``: one gather and one ``xor.reduce`` for the whole array. Input and output are
CRCs as they stand on the wire (4 bytes, big-endian); the tables hold their entries in that
same byte order, so nothing is swapped.

Measured (one core, 2.5 GHz): 126 CRCs of a 64,512-byte packet into one, 6 us, where a CRC
call for each chunk takes 40 us; the 128 CRCs of 8 KiB in 1 MiB from 2,048 of 512 bytes, 30 us.
A call costs 4 us however little it folds: fold the CRCs of many packets at once.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from cairnfs.errors import LocalProtocolError
from cairnfs.types import ChecksumType
from cairnfs.wire.crc import Buffer, combine, multiply, shift_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Chunks that one table folds at once: a 64 KiB packet of 512-byte chunks. Its table is
# 128 * 4 * 256 entries of 4 bytes = 512 KiB, which the second-level cache holds.
POSITIONS = 128
# Odd chunk sizes would each build a table of their own: only powers of two are folded here.
CHUNK_BYTES_MIN = 128


def can_fold(type_: ChecksumType, chunk_bytes: int) -> bool:
    """Whether there are (or may be) tables for chunks of this size."""
    return (
        type_ is not ChecksumType.NULL
        and chunk_bytes >= CHUNK_BYTES_MIN
        and chunk_bytes & (chunk_bytes - 1) == 0
    )


def _byte_tables(type_: ChecksumType, factor: int) -> NDArray[np.uint32]:
    """``factor * v`` for every ``v`` with one byte set: shape (4, 256), first byte = highest."""
    tables = np.zeros((4, 256), np.uint32)
    for byte in range(4):
        for bit in range(8):
            product = multiply(type_, factor, 1 << (8 * (3 - byte) + bit))
            tables[byte, 1 << bit : 2 << bit] = tables[byte, : 1 << bit] ^ np.uint32(product)
    return tables


def _apply(tables: NDArray[np.uint32], values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    result: NDArray[np.uint32] = (
        tables[0][values >> 24]
        ^ tables[1][(values >> 16) & 255]
        ^ tables[2][(values >> 8) & 255]
        ^ tables[3][values & 255]
    )
    return result


# CRC32 and CRC32C in 512-byte and 8 KiB chunks and what folds out of them: 16 x 512 KiB at most.
@functools.lru_cache(maxsize=16)
def _table(type_: ChecksumType, chunk_bytes: int) -> NDArray[np.uint32]:
    """Flat entries [position, byte, value]; the last position shifts by nothing."""
    # Doubling: the tables of positions k..2k-1 are those of 0..k-1 shifted by k chunks (2 ms).
    table = _byte_tables(type_, shift_factor(type_, 0))[np.newaxis]
    while len(table) < POSITIONS:
        shift = _byte_tables(type_, shift_factor(type_, chunk_bytes * len(table)))
        table = np.concatenate([_apply(shift, table), table])
    flat = table.astype(">u4").view(np.uint32).ravel()
    flat.flags.writeable = False
    return flat


_ROWS = np.arange(POSITIONS * 4, dtype=np.intp) * 256


def _fold_rows(
    type_: ChecksumType, chunk_bytes: int, words: NDArray[np.uint8], group: int
) -> NDArray[np.uint32]:
    """One CRC for each ``group`` of CRCs; ``words`` are whole groups, flat bytes."""
    table = _table(type_, chunk_bytes)
    rows = _ROWS[-4 * group :]
    if len(words) == 4 * group:
        single: NDArray[np.uint32] = np.bitwise_xor.reduce(table[rows + words], keepdims=True)
        return single
    folded: NDArray[np.uint32] = np.bitwise_xor.reduce(
        table[rows + words.reshape(-1, 4 * group)], axis=1
    )
    return folded


def fold_groups(type_: ChecksumType, chunk_bytes: int, sums: Buffer, group: int) -> bytes:
    """CRCs of ``group`` chunks each, from CRCs of ``chunk_bytes`` each (whole groups only).

    ``group`` is at most ``POSITIONS`` and ``can_fold`` holds, else ``LocalProtocolError``."""
    if group == 1:
        return bytes(sums)
    if not 1 <= group <= POSITIONS or len(sums) % (4 * group) or not can_fold(type_, chunk_bytes):
        raise LocalProtocolError(
            f"{len(sums)} bytes of CRCs of {chunk_bytes} bytes do not fold by {group}"
        )
    if not len(sums):
        return b""
    words = np.frombuffer(sums, np.uint8)
    return _fold_rows(type_, chunk_bytes, words, group).tobytes()


def fold_all(type_: ChecksumType, chunk_bytes: int, sums: Buffer) -> int:
    """The CRC of all data from the CRCs of its chunks, each of exactly ``chunk_bytes``."""
    count, odd = divmod(len(sums), 4)
    if odd or not can_fold(type_, chunk_bytes):
        raise LocalProtocolError(f"{len(sums)} bytes of CRCs of {chunk_bytes} bytes do not fold")
    if count == 0:
        return 0
    if count == 1:
        return int.from_bytes(sums, "big")
    words = np.frombuffer(sums, np.uint8)
    if count <= POSITIONS:
        return int.from_bytes(_fold_rows(type_, chunk_bytes, words, count).tobytes(), "big")
    tail = count % POSITIONS
    whole = memoryview(sums)[: 4 * (count - tail)]
    head = fold_all(
        type_, chunk_bytes * POSITIONS, fold_groups(type_, chunk_bytes, whole, POSITIONS)
    )
    if not tail:
        return head
    last = fold_all(type_, chunk_bytes, memoryview(sums)[4 * (count - tail) :])
    return combine(type_, head, last, tail * chunk_bytes)


def fold_with_short(type_: ChecksumType, chunk_bytes: int, sums: Buffer, last_bytes: int) -> int:
    """As :func:`fold_all`, where the last chunk has only ``last_bytes`` bytes."""
    view = memoryview(sums)
    head = fold_all(type_, chunk_bytes, view[:-4])
    return combine(type_, head, int.from_bytes(view[-4:], "big"), last_bytes)
