"""Checksums of whole blocks and files, made of chunk CRCs (``OP_BLOCK_CHECKSUM``).

Two kinds, after ``dfs.checksum.combine.mode``: ``MD5CRC`` is the MD5 over a block's chunk
CRCs (so it depends on bytes-per-checksum), a file's is the MD5 over those of its blocks;
``COMPOSITE_CRC`` is the CRC of the data itself, which depends on neither.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cairnfs.errors import LocalProtocolError, RemoteProtocolError
from cairnfs.types import ChecksumType
from cairnfs.wire import crc_fold
from cairnfs.wire.checksum import (
    CRC_BYTES,
    BlockChecksumType,
    DataChecksum,
    check_sums_length,
    compute,
)
from cairnfs.wire.crc import Buffer, combine

__all__ = [
    "EMPTY_FILE",
    "BlockChecksumType",
    "BlockDigest",
    "FileChecksum",
    "file_composite_crc",
    "file_md5",
]

MD5_BYTES = 16


class BlockDigest:
    """The checksum of one block, fed in order with its data or with its chunk CRCs.

    Fed with data in pieces that are whole chunks (only the last may be short), it computes
    the CRCs; ``add_sums`` takes stored ones, of exactly ``checksum.bytes_per_checksum``."""

    def __init__(self, kind: BlockChecksumType, checksum: DataChecksum) -> None:
        if checksum.type is ChecksumType.NULL:
            raise LocalProtocolError("a block without checksums has no block checksum")
        self.kind = kind
        self.checksum = checksum
        self.chunks = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = 0
        self._ended = False

    def add_data(self, data: Buffer) -> None:
        """The next bytes of the block."""
        if self.kind is BlockChecksumType.COMPOSITE_CRC and len(data):
            # One CRC over the piece: chunks make no difference to it.
            whole = DataChecksum(self.checksum.type, len(data))
            self._add(compute(whole, data), len(data), len(data))
        else:
            self._add(compute(self.checksum, data), len(data), self.checksum.bytes_per_checksum)

    def add_sums(self, sums: Buffer, data_bytes: int) -> None:
        """The next chunk CRCs and how many bytes they cover."""
        check_sums_length(self.checksum, data_bytes, len(sums))
        self._add(sums, data_bytes, self.checksum.bytes_per_checksum)

    def _add(self, sums: Buffer, data_bytes: int, chunk_bytes: int) -> None:
        if self._ended and data_bytes:
            raise LocalProtocolError("a block goes on after its short last chunk")
        step = self.checksum.bytes_per_checksum
        self._ended = self._ended or data_bytes % step != 0
        self.chunks += self.checksum.chunks(data_bytes)
        if self.kind is BlockChecksumType.MD5CRC:
            self._md5.update(sums)
        elif data_bytes:
            crc = _crc_of_sums(self.checksum.type, chunk_bytes, sums, data_bytes)
            self._crc = combine(self.checksum.type, self._crc, crc, data_bytes)

    def digest(self) -> bytes:
        """16 bytes for ``MD5CRC``, 4 (big-endian) for ``COMPOSITE_CRC``."""
        if self.kind is BlockChecksumType.MD5CRC:
            return self._md5.digest()
        return self._crc.to_bytes(CRC_BYTES, "big")


def _crc_of_sums(type_: ChecksumType, chunk_bytes: int, sums: Buffer, data_bytes: int) -> int:
    """The CRC of data from its chunk CRCs; ``data_bytes`` > 0, the last chunk may be short."""
    last_bytes = (data_bytes - 1) % chunk_bytes + 1
    if crc_fold.can_fold(type_, chunk_bytes):
        return crc_fold.fold_with_short(type_, chunk_bytes, sums, last_bytes)
    crc = 0
    last = len(sums) - CRC_BYTES
    for at in range(0, len(sums), CRC_BYTES):
        size = last_bytes if at == last else chunk_bytes
        crc = combine(type_, crc, int.from_bytes(sums[at : at + CRC_BYTES], "big"), size)
    return crc


@dataclass(frozen=True, slots=True)
class FileChecksum:
    """A file's checksum as Hadoop's ``getFileChecksum`` and ``-checksum`` show it."""

    algorithm: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}\t{self.value.hex()}"


def file_md5(
    checksum: DataChecksum, crcs_per_block: int, block_md5s: Iterable[bytes]
) -> FileChecksum:
    """``MD5-of-xMD5-of-yCRC``: 4 bytes bytes-per-CRC, 8 CRCs-per-block, then the MD5.

    ``crcs_per_block`` is that of the first block, 0 for files of one block."""
    joined = bytearray()
    for md5 in block_md5s:
        if len(md5) != MD5_BYTES:
            raise RemoteProtocolError(f"an MD5 of a block has {len(md5)} bytes instead of 16")
        joined += md5
    # Java digests the whole buffer that it gathered the MD5s in, with the zeros behind them:
    # it starts with 32 bytes and doubles. Checksums are compared with those, so ours must too.
    size = 32
    while size < len(joined):
        size *= 2
    joined += bytes(size - len(joined))
    name = f"MD5-of-{crcs_per_block}MD5-of-{checksum.bytes_per_checksum}{checksum.type.name}"
    head = struct.pack(">iq", checksum.bytes_per_checksum, crcs_per_block)
    return FileChecksum(name, head + hashlib.md5(joined, usedforsecurity=False).digest())


# What Java says of a file without blocks, whichever kind it was asked for.
EMPTY_FILE = file_md5(DataChecksum(ChecksumType.CRC32, 0), 0, ())


def file_composite_crc(type_: ChecksumType, blocks: Sequence[tuple[bytes, int]]) -> FileChecksum:
    """``COMPOSITE-CRC32C``: from each block's composite CRC (4 bytes) and length."""
    crc = 0
    for value, size in blocks:
        if len(value) != CRC_BYTES:
            raise RemoteProtocolError(f"a composite CRC has {len(value)} bytes instead of 4")
        crc = combine(type_, crc, int.from_bytes(value, "big"), size)
    return FileChecksum(f"COMPOSITE-{type_.name}", crc.to_bytes(CRC_BYTES, "big"))
