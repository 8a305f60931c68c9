"""The bytes of the journal: segment headers, records, packed changes. No I/O.

All integers are little-endian. A segment file is a header and records behind it, each at a
multiple of 8 bytes; what follows the last record is zeros::

    header   64 bytes   magic "CAIRNJ01", store id (16), sequence of the first record (u64),
                        durable sequence when it was made (u64), salt (u64), crc32c (u32)
    record              crc32c (u32), payload length (u32), sequence xor salt (u64),
                        durable sequence when it was appended (u64), payload, zeros up to 8

The checksum of a record covers all that follows it and starts from the salt, a random
number that nobody outside knows: bytes that a user stores, say as an attribute, cannot
pass for a record, nor seem one, when a damaged segment is searched for later records.

The *durable sequence* in a record says which records were synced, so acknowledged, before
it was written. It tells a torn tail (unsynced records of which a power cut left some) from
damage (records that were synced and cannot be read): see :meth:`Segment.evidence`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from crc32c import crc32c

from cairnfs.errors import StoreDamaged
from cairnfs.limits import JOURNAL_RECORD_BYTES_MAX
from cairnfs.store.interface import Change

MAGIC = b"CAIRNJ01"
ALIGNMENT = 8
HEADER_BYTES = 64
_HEADER = struct.Struct("<8s16sQQQ")
_RECORD = struct.Struct("<IIQQ")
_RECORD_REST = struct.Struct("<IQQ")
_CRC = struct.Struct("<I")
_CRC_MASK = 0xFFFFFFFF

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]]).decode


def pack_changes(changes: list[Change]) -> bytes:
    """A MessagePack array of ``[key, value or nil]`` (60 ns each, 110 ns back)."""
    return _encode(changes)


def unpack_changes(data: bytes | memoryview) -> list[Change]:
    """The way back. Raises ``StoreDamaged`` for anything else."""
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"a journal record holds no list of changes: {error}") from error


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself."""

    store_id: bytes
    first_sequence: int
    durable_sequence: int
    salt: int


@dataclass(frozen=True, slots=True)
class Record:
    """One whole record; ``offset`` and ``end`` are where it lies in its segment."""

    offset: int
    end: int
    sequence: int
    durable_sequence: int
    payload: memoryview

    def changes(self) -> list[Change]:
        """Raises ``StoreDamaged``."""
        return unpack_changes(self.payload)


def encode_header(header: SegmentHeader) -> bytes:
    body = _HEADER.pack(
        MAGIC, header.store_id, header.first_sequence, header.durable_sequence, header.salt
    )
    return (body + _CRC.pack(crc32c(body))).ljust(HEADER_BYTES, b"\0")


def decode_header(data: bytes | memoryview) -> SegmentHeader | None:
    """The header at the start of a segment; None if it is not whole."""
    if len(data) < HEADER_BYTES:
        return None
    magic, store_id, first, durable, salt = _HEADER.unpack_from(data)
    (checksum,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != MAGIC or checksum != crc32c(data[: _HEADER.size]):
        return None
    return SegmentHeader(store_id, first, durable, salt)


def encode_record(salt: int, sequence: int, durable_sequence: int, payload: bytes) -> bytes:
    """A record, padded so that the next one may follow."""
    rest = _RECORD_REST.pack(len(payload), sequence ^ salt, durable_sequence) + payload
    padding = bytes(-(len(rest) + 4) % ALIGNMENT)
    return _CRC.pack(crc32c(rest, salt & _CRC_MASK)) + rest + padding


def record_bytes(payload_bytes: int) -> int:
    """Room that a record takes in its segment."""
    return _RECORD.size + payload_bytes + -(_RECORD.size + payload_bytes) % ALIGNMENT


class Segment:
    """A segment's bytes, to be read from. Decoding never raises: a record is whole or None.

    ``size_bytes`` is the file's length where ``data`` leaves out zeros at its end."""

    __slots__ = ("_view", "header", "size_bytes")

    def __init__(self, data: bytes | memoryview, size_bytes: int = 0) -> None:
        self._view = memoryview(data)
        self.size_bytes = max(size_bytes, len(data))
        self.header = decode_header(data)

    def record(self, offset: int, sequence: int) -> Record | None:
        """The whole record with that sequence number at ``offset``."""
        view = self._view
        if self.header is None or offset + _RECORD.size > len(view):
            return None
        salt = self.header.salt
        checksum, length, found, durable = _RECORD.unpack_from(view, offset)
        if found ^ salt != sequence or not 0 < length <= JOURNAL_RECORD_BYTES_MAX:
            return None
        start = offset + _RECORD.size
        end = offset + record_bytes(length)
        if end > self.size_bytes:
            return None
        body = view[offset + 4 : start + length]
        if start + length > len(view):
            # A file system that does not store zeros left them out.
            body = memoryview(bytes(body).ljust(start + length - offset - 4, b"\0"))
        if checksum != crc32c(body, salt & _CRC_MASK):
            return None
        return Record(offset, end, sequence, durable, body[_RECORD_REST.size :])

    def records(self, offset: int, sequence: int) -> Iterator[Record]:
        """Whole records one behind the other, from that one on."""
        while (record := self.record(offset, sequence)) is not None:
            yield record
            offset, sequence = record.end, sequence + 1

    def is_blank(self, offset: int) -> bool:
        """Whether nothing but zeros follows."""
        rest = self._view[offset:]
        return not rest or not np.frombuffer(rest, dtype=np.uint8).any()

    def evidence(self, offset: int, sequence: int) -> int:
        """The highest durable sequence that any whole record at or behind ``offset`` tells.

        Looks for records numbered above ``sequence`` at every place one may start."""
        usable = (len(self._view) - offset) // ALIGNMENT * ALIGNMENT
        if self.header is None or usable <= 0:
            return 0
        words = np.frombuffer(self._view[offset : offset + usable], dtype="<u8") ^ np.uint64(
            self.header.salt
        )
        # The sequence number is a record's second word; each record takes four at least.
        likely = (words > sequence) & (words <= sequence + len(words))
        highest = 0
        for word in np.flatnonzero(likely[1:]).tolist():
            record = self.record(offset + word * ALIGNMENT, int(words[word + 1]))
            if record is not None:
                highest = max(highest, record.durable_sequence)
        return highest
