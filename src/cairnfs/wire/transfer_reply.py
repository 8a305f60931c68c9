"""Answers of the data-transfer protocol (Hadoop: ``datatransfer.proto``).

All are varint-delimited messages. ``parse_*(buffer, start, end)`` return the answer and the
position behind it, or None if more bytes are needed, and raise ``RemoteProtocolError``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from cairnfs.errors import RemoteProtocolError
from cairnfs.limits import TRANSFER_OP_BYTES_MAX
from cairnfs.types import ChecksumType
from cairnfs.wire.checksum import BlockChecksumType, DataChecksum
from cairnfs.wire.crc import Buffer
from cairnfs.wire.message import delimited, delimited_span, parse, signed64
from cairnfs.wire.proto import datatransfer_pb2 as pb
from cairnfs.wire.transfer_fields import (
    decode_checksum,
    decode_checksum_options,
    encode_checksum,
    encode_checksum_options,
)

M = TypeVar("M", bound=Message)


class Status(enum.IntEnum):
    """Outcome of an operation or of one packet at one node."""

    SUCCESS = 0
    ERROR = 1
    ERROR_CHECKSUM = 2
    ERROR_INVALID = 3
    ERROR_EXISTS = 4
    ERROR_ACCESS_TOKEN = 5
    CHECKSUM_OK = 6
    ERROR_UNSUPPORTED = 7
    OOB_RESTART = 8
    OOB_RESERVED1 = 9
    OOB_RESERVED2 = 10
    OOB_RESERVED3 = 11
    IN_PROGRESS = 12
    ERROR_BLOCK_PINNED = 13


@dataclass(frozen=True, slots=True)
class ReadChecksumInfo:
    """How the packets of a read are checksummed, and where the first of them starts: at
    ``chunk_offset``, the chunk boundary at or before the offset that was asked for."""

    checksum: DataChecksum
    chunk_offset: int


@dataclass(frozen=True, slots=True)
class BlockChecksumReply:
    """Answer to ``BLOCK_CHECKSUM``. ``crc_per_block`` counts the chunks of this block."""

    bytes_per_crc: int
    crc_per_block: int
    block_checksum: bytes
    crc_type: ChecksumType
    kind: BlockChecksumType = BlockChecksumType.MD5CRC
    stripe_length: int = 0


@dataclass(frozen=True, slots=True)
class BlockOpResponse:
    """First answer to every operation. ``first_bad_link`` names the address (ip:port) of
    the pipeline node that could not be reached; empty in an answer to ``WRITE_BLOCK`` if all
    could, None in answers to other operations."""

    status: Status
    message: str = ""
    first_bad_link: str | None = None
    read_checksum: ReadChecksumInfo | None = None
    checksum_reply: BlockChecksumReply | None = None
    short_circuit_version: int | None = None

    @property
    def is_success(self) -> bool:
        return self.status is Status.SUCCESS


def _encode_checksum_reply(reply: BlockChecksumReply) -> pb.OpBlockChecksumResponseProto:
    return pb.OpBlockChecksumResponseProto(
        bytesPerCrc=reply.bytes_per_crc,
        crcPerBlock=reply.crc_per_block,
        blockChecksum=reply.block_checksum,
        crcType=reply.crc_type.value,  # type: ignore[arg-type]
        blockChecksumOptions=encode_checksum_options(reply.kind, reply.stripe_length),
    )


def _decode_checksum_reply(proto: pb.OpBlockChecksumResponseProto) -> BlockChecksumReply:
    kind, stripe_length = decode_checksum_options(proto.blockChecksumOptions)
    return BlockChecksumReply(
        bytes_per_crc=proto.bytesPerCrc,
        crc_per_block=signed64(proto.crcPerBlock),
        block_checksum=proto.blockChecksum,
        crc_type=ChecksumType(proto.crcType),
        kind=kind,
        stripe_length=stripe_length,
    )


def encode_response(response: BlockOpResponse) -> bytes:
    read_checksum = None
    if response.read_checksum is not None:
        read_checksum = pb.ReadOpChecksumInfoProto(
            checksum=encode_checksum(response.read_checksum.checksum),
            chunkOffset=response.read_checksum.chunk_offset,
        )
    checksum_reply = None
    if response.checksum_reply is not None:
        checksum_reply = _encode_checksum_reply(response.checksum_reply)
    return delimited(
        pb.BlockOpResponseProto(
            status=response.status.value,  # type: ignore[arg-type]
            firstBadLink=response.first_bad_link,
            checksumResponse=checksum_reply,
            readOpChecksumInfo=read_checksum,
            message=response.message or None,
            shortCircuitAccessVersion=response.short_circuit_version,
        )
    )


def _next(message: type[M], buffer: Buffer, start: int, end: int) -> tuple[M, int] | None:
    span = delimited_span(buffer, start, end, TRANSFER_OP_BYTES_MAX)
    if span is None:
        return None
    return parse(message, memoryview(buffer)[span[0] : span[1]]), span[1]


def parse_response(buffer: Buffer, start: int, end: int) -> tuple[BlockOpResponse, int] | None:
    found = _next(pb.BlockOpResponseProto, buffer, start, end)
    if found is None:
        return None
    proto, stop = found
    read_checksum = None
    if proto.HasField("readOpChecksumInfo"):
        info = proto.readOpChecksumInfo
        if info.chunkOffset >> 63:
            raise RemoteProtocolError(f"a read begins at {signed64(info.chunkOffset)}")
        read_checksum = ReadChecksumInfo(decode_checksum(info.checksum), info.chunkOffset)
    checksum_reply = None
    if proto.HasField("checksumResponse"):
        checksum_reply = _decode_checksum_reply(proto.checksumResponse)
    version = None
    if proto.HasField("shortCircuitAccessVersion"):
        version = proto.shortCircuitAccessVersion
    return (
        BlockOpResponse(
            status=Status(proto.status),
            message=proto.message,
            first_bad_link=proto.firstBadLink if proto.HasField("firstBadLink") else None,
            read_checksum=read_checksum,
            checksum_reply=checksum_reply,
            short_circuit_version=version,
        ),
        stop,
    )


def encode_read_status(status: Status) -> bytes:
    """What a reader sends after the last packet: ``CHECKSUM_OK`` if it verified all,
    ``SUCCESS`` if it did not look, ``ERROR_CHECKSUM`` otherwise."""
    return delimited(pb.ClientReadStatusProto(status=status.value))  # type: ignore[arg-type]


def parse_read_status(buffer: Buffer, start: int, end: int) -> tuple[Status, int] | None:
    found = _next(pb.ClientReadStatusProto, buffer, start, end)
    return None if found is None else (Status(found[0].status), found[1])


def encode_transfer_ack(status: Status) -> bytes:
    """What ends a copy between DataNodes that a client asked for (``DNTransferAckProto``)."""
    return delimited(pb.DNTransferAckProto(status=status.value))  # type: ignore[arg-type]


def parse_transfer_ack(buffer: Buffer, start: int, end: int) -> tuple[Status, int] | None:
    found = _next(pb.DNTransferAckProto, buffer, start, end)
    return None if found is None else (Status(found[0].status), found[1])
