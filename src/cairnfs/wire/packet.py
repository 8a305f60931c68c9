"""Packets: how block data travels, in both directions (Hadoop: ``PacketHeader``).

::

    4 bytes  payload length: itself (4) + checksums + data, big-endian
    2 bytes  header length, big-endian
    header   PacketHeaderProto
    checksums, then data

The header's fields are fixed-size, so every known writer produces one of two layouts of 25
and 27 bytes, read and written here with :mod:`struct` (0.5 us against 1.5 us through
protobuf, measured). What looks otherwise goes through protobuf.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from cairnfs.errors import LocalProtocolError, RemoteProtocolError
from cairnfs.limits import PACKET_BYTES_MAX, PACKET_HEADER_BYTES_MAX
from cairnfs.wire.message import parse
from cairnfs.wire.proto.datatransfer_pb2 import PacketHeaderProto

# Between the 6 bytes of both lengths and the checksums, where the header is a usual one.
LENGTHS_BYTES = 6
SEQNO_HEARTBEAT = -1

_LENGTHS = struct.Struct(">IH")
# Tag and value of offsetInBlock, seqno, lastPacketInBlock, dataLen (and syncBlock).
_PLAIN = struct.Struct("<BqBqBBBi")
_WITH_SYNC = struct.Struct("<BqBqBBBiBB")
_OFFSET, _SEQNO, _LAST, _DATA_LEN, _SYNC = 0x09, 0x11, 0x18, 0x25, 0x28


class Packet(NamedTuple):
    """One packet in a buffer. ``sums`` and ``data`` are views into it, valid as long as it
    is; ``start`` and ``stop`` say where the whole packet stands, to forward it unchanged."""

    seqno: int
    offset: int
    is_last: bool
    sync: bool
    sums: memoryview
    data: memoryview
    start: int
    stop: int

    @property
    def is_heartbeat(self) -> bool:
        return self.seqno == SEQNO_HEARTBEAT


def parse_packets(buffer: memoryview, start: int, end: int) -> tuple[list[Packet], int, int]:
    """Every whole packet in ``buffer[start:end]``.

    Returns (packets, where the first byte of what is left stands, how many bytes that rest
    has to have for the next step: its whole packet, or its two lengths). Stops after a
    packet marked as the last of its block: what follows is no packet.
    Raises ``RemoteProtocolError``, for hostile lengths as soon as they are seen."""
    packets: list[Packet] = []
    needed = LENGTHS_BYTES
    while end - start >= LENGTHS_BYTES:
        payload_bytes, header_bytes = _LENGTHS.unpack_from(buffer, start)
        if payload_bytes < 4 or payload_bytes + header_bytes > PACKET_BYTES_MAX:
            raise RemoteProtocolError(
                f"a packet says its payload has {payload_bytes} bytes; "
                f"between 4 and {PACKET_BYTES_MAX} are possible"
            )
        header_start = start + LENGTHS_BYTES
        sums_start = header_start + header_bytes
        stop = sums_start + payload_bytes - 4
        if stop > end:
            if header_bytes > PACKET_HEADER_BYTES_MAX:
                raise _header_too_long(header_bytes)
            needed = stop - start
            break
        if header_bytes == 25:
            tag1, offset, tag2, seqno, tag3, last, tag4, data_bytes = _PLAIN.unpack_from(
                buffer, header_start
            )
            sync = 0
            usual = True
        elif header_bytes == 27:
            tag1, offset, tag2, seqno, tag3, last, tag4, data_bytes, tag5, sync = (
                _WITH_SYNC.unpack_from(buffer, header_start)
            )
            usual = tag5 == _SYNC and sync < 2
        else:
            usual = False
        if not (
            usual
            and tag1 == _OFFSET
            and tag2 == _SEQNO
            and tag3 == _LAST
            and tag4 == _DATA_LEN
            and last < 2
        ):
            offset, seqno, last, data_bytes, sync = _parse_unusual(buffer[header_start:sums_start])
        data_start = stop - data_bytes
        if data_bytes < 0 or data_start < sums_start or offset < 0:
            raise RemoteProtocolError(
                f"packet {seqno} at offset {offset} says it has {data_bytes} bytes of data in "
                f"a payload of {payload_bytes}"
            )
        packets.append(
            Packet(
                seqno,
                offset,
                last == 1,
                sync == 1,
                buffer[sums_start:data_start],
                buffer[data_start:stop],
                start,
                stop,
            )
        )
        start = stop
        if last:
            break
    return packets, start, needed


def _header_too_long(header_bytes: int) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"a packet header of {header_bytes} bytes; at most {PACKET_HEADER_BYTES_MAX} are taken"
    )


def _parse_unusual(header: memoryview) -> tuple[int, int, int, int, int]:
    if len(header) > PACKET_HEADER_BYTES_MAX:
        raise _header_too_long(len(header))
    proto = parse(PacketHeaderProto, header)
    return (
        proto.offsetInBlock,
        proto.seqno,
        int(proto.lastPacketInBlock),
        proto.dataLen,
        int(proto.syncBlock),
    )


def encode_packet_header(
    seqno: int,
    offset: int,
    data_bytes: int,
    sums_bytes: int,
    is_last: bool = False,
    sync: bool = False,
) -> bytes:
    """Both lengths and the header; checksums and data are to follow.

    Raises ``LocalProtocolError`` for a packet that no peer would take."""
    payload_bytes = 4 + sums_bytes + data_bytes
    if payload_bytes > PACKET_BYTES_MAX - PACKET_HEADER_BYTES_MAX or data_bytes < 0:
        raise LocalProtocolError(
            f"a packet of {data_bytes} bytes of data and {sums_bytes} of checksums; "
            f"at most {PACKET_BYTES_MAX - PACKET_HEADER_BYTES_MAX} fit together"
        )
    if sync:
        # Without it the field stays away, as HDFS-3721 wants it.
        return _LENGTHS.pack(payload_bytes, 27) + _WITH_SYNC.pack(
            _OFFSET, offset, _SEQNO, seqno, _LAST, is_last, _DATA_LEN, data_bytes, _SYNC, 1
        )
    return _LENGTHS.pack(payload_bytes, 25) + _PLAIN.pack(
        _OFFSET, offset, _SEQNO, seqno, _LAST, is_last, _DATA_LEN, data_bytes
    )


def encode_packet_prefix(
    seqno: int, offset: int, data_bytes: int, sums: bytes | memoryview, is_last: bool = False
) -> bytes:
    """All of a packet but its data, which ``sendfile`` adds: lengths, header, checksums."""
    return b"".join((encode_packet_header(seqno, offset, data_bytes, len(sums), is_last), sums))


def encode_last_packet(seqno: int, offset: int, sync: bool = False) -> bytes:
    """The empty packet that ends a block of ``offset`` bytes (or a read up to there)."""
    return encode_packet_header(seqno, offset, 0, 0, is_last=True, sync=sync)


# What a writer sends to keep a quiet pipeline open; it is acknowledged as any other.
HEARTBEAT_PACKET = encode_packet_header(SEQNO_HEARTBEAT, 0, 0, 0)
