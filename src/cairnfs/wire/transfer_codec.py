"""Requests of the data-transfer protocol <-> bytes, one pair of functions for each opcode.

:func:`encode_request` and :func:`parse_request` are what other modules call.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from cairnfs.errors import RemoteProtocolError
from cairnfs.limits import PIPELINE_LENGTH_MAX, TRANSFER_OP_BYTES_MAX
from cairnfs.types import StorageType
from cairnfs.wire import transfer as t
from cairnfs.wire.codec_block import decode_token, encode_token
from cairnfs.wire.codec_node import decode_datanode_info, encode_datanode_info
from cairnfs.wire.message import delimited, delimited_span, parse, signed64, unsigned64
from cairnfs.wire.proto import datatransfer_pb2 as pb
from cairnfs.wire.proto import hdfs_pb2
from cairnfs.wire.sasl_transfer import SASL_MAGIC, SaslNotOffered
from cairnfs.wire.transfer_fields import (
    decode_base,
    decode_caching,
    decode_checksum,
    decode_checksum_options,
    decode_nodes,
    decode_policy,
    decode_slot,
    decode_target_types,
    decode_trace,
    encode_base,
    encode_caching,
    encode_checksum,
    encode_checksum_options,
    encode_policy,
    encode_slot,
    encode_trace,
    not_negative,
)

_HEADER = struct.Struct(">HB")


# --- one pair for each operation -----------------------------------------------------------------


def _encode_read(request: t.ReadBlock) -> pb.OpReadBlockProto:
    return pb.OpReadBlockProto(
        header=pb.ClientOperationHeaderProto(
            baseHeader=encode_base(request.block, request.token, request.trace),
            clientName=request.client_name,
        ),
        offset=request.offset,
        len=request.length,
        sendChecksums=request.send_checksums,
        cachingStrategy=encode_caching(request.caching),
    )


def _decode_read(proto: pb.OpReadBlockProto) -> t.ReadBlock:
    block, token, trace = decode_base(proto.header.baseHeader)
    return t.ReadBlock(
        block=block,
        client_name=proto.header.clientName,
        offset=not_negative(proto.offset, "offset"),
        length=not_negative(proto.len, "length"),
        send_checksums=proto.sendChecksums,
        caching=decode_caching(proto),
        token=token,
        trace=trace,
    )


def _encode_write(request: t.WriteBlock) -> pb.OpWriteBlockProto:
    return pb.OpWriteBlockProto(
        header=pb.ClientOperationHeaderProto(
            baseHeader=encode_base(request.block, request.token, request.trace),
            clientName=request.client_name,
        ),
        targets=map(encode_datanode_info, request.targets),
        source=None if request.source is None else encode_datanode_info(request.source),
        stage=request.stage.value,  # type: ignore[arg-type]
        pipelineSize=request.pipeline_size,
        minBytesRcvd=request.min_bytes_received,
        maxBytesRcvd=request.max_bytes_received,
        latestGenerationStamp=unsigned64(request.latest_generation_stamp),
        requestedChecksum=encode_checksum(request.checksum),
        cachingStrategy=encode_caching(request.caching),
        storageType=request.storage_type.value,  # type: ignore[arg-type]
        targetStorageTypes=map(int, request.target_storage_types),  # type: ignore[arg-type]
        allowLazyPersist=request.allow_lazy_persist,
        pinning=request.pinning,
        targetPinnings=request.target_pinnings,
        storageId=request.storage_id or None,
        targetStorageIds=request.target_storage_ids,
    )


def _decode_write(proto: pb.OpWriteBlockProto) -> t.WriteBlock:
    block, token, trace = decode_base(proto.header.baseHeader)
    targets = decode_nodes(proto.targets)
    # Java sends one pinning (false) where it has none at all, so their number says nothing.
    for name, values in (("ids", proto.targetStorageIds), ("pinnings", proto.targetPinnings)):
        if len(values) > PIPELINE_LENGTH_MAX:
            raise RemoteProtocolError(f"{len(values)} target storage {name} of one block")
    return t.WriteBlock(
        block=block,
        client_name=proto.header.clientName,
        targets=targets,
        stage=t.Stage(proto.stage),
        pipeline_size=proto.pipelineSize,
        min_bytes_received=not_negative(proto.minBytesRcvd, "minBytesRcvd"),
        max_bytes_received=not_negative(proto.maxBytesRcvd, "maxBytesRcvd"),
        latest_generation_stamp=signed64(proto.latestGenerationStamp),
        checksum=decode_checksum(proto.requestedChecksum),
        source=decode_datanode_info(proto.source) if proto.HasField("source") else None,
        caching=decode_caching(proto),
        storage_type=StorageType(proto.storageType),
        target_storage_types=decode_target_types(proto.targetStorageTypes, len(targets)),
        allow_lazy_persist=proto.allowLazyPersist,
        pinning=proto.pinning,
        target_pinnings=tuple(proto.targetPinnings),
        storage_id=proto.storageId,
        target_storage_ids=tuple(proto.targetStorageIds),
        token=token,
        trace=trace,
    )


def _encode_transfer(request: t.TransferBlock) -> pb.OpTransferBlockProto:
    return pb.OpTransferBlockProto(
        header=pb.ClientOperationHeaderProto(
            baseHeader=encode_base(request.block, request.token, request.trace),
            clientName=request.client_name,
        ),
        targets=map(encode_datanode_info, request.targets),
        targetStorageTypes=map(int, request.target_storage_types),  # type: ignore[arg-type]
        targetStorageIds=request.target_storage_ids,
    )


def _decode_transfer(proto: pb.OpTransferBlockProto) -> t.TransferBlock:
    block, token, trace = decode_base(proto.header.baseHeader)
    targets = decode_nodes(proto.targets)
    return t.TransferBlock(
        block=block,
        client_name=proto.header.clientName,
        targets=targets,
        target_storage_types=decode_target_types(proto.targetStorageTypes, len(targets)),
        target_storage_ids=tuple(proto.targetStorageIds),
        token=token,
        trace=trace,
    )


def _encode_replace(request: t.ReplaceBlock) -> pb.OpReplaceBlockProto:
    return pb.OpReplaceBlockProto(
        header=encode_base(request.block, request.token, request.trace),
        delHint=request.delete_hint,
        source=encode_datanode_info(request.source),
        storageType=request.storage_type.value,  # type: ignore[arg-type]
        storageId=request.storage_id or None,
    )


def _decode_replace(proto: pb.OpReplaceBlockProto) -> t.ReplaceBlock:
    block, token, trace = decode_base(proto.header)
    return t.ReplaceBlock(
        block=block,
        delete_hint=proto.delHint,
        source=decode_datanode_info(proto.source),
        storage_type=StorageType(proto.storageType),
        storage_id=proto.storageId,
        token=token,
        trace=trace,
    )


def _encode_copy(request: t.CopyBlock) -> pb.OpCopyBlockProto:
    return pb.OpCopyBlockProto(header=encode_base(request.block, request.token, request.trace))


def _decode_copy(proto: pb.OpCopyBlockProto) -> t.CopyBlock:
    return t.CopyBlock(*decode_base(proto.header))


def _encode_block_checksum(request: t.BlockChecksum) -> pb.OpBlockChecksumProto:
    return pb.OpBlockChecksumProto(
        header=encode_base(request.block, request.token, request.trace),
        blockChecksumOptions=encode_checksum_options(request.kind, request.stripe_length),
    )


def _decode_block_checksum(proto: pb.OpBlockChecksumProto) -> t.BlockChecksum:
    block, token, trace = decode_base(proto.header)
    kind, stripe_length = decode_checksum_options(proto.blockChecksumOptions)
    return t.BlockChecksum(block, kind, stripe_length, token, trace)


def _encode_group_checksum(request: t.BlockGroupChecksum) -> pb.OpBlockGroupChecksumProto:
    return pb.OpBlockGroupChecksumProto(
        header=encode_base(request.block, request.token, request.trace),
        datanodes=hdfs_pb2.DatanodeInfosProto(datanodes=map(encode_datanode_info, request.nodes)),
        blockTokens=map(encode_token, request.node_tokens),
        ecPolicy=encode_policy(request.policy),
        blockIndices=request.block_indices,
        requestedNumBytes=request.requested_bytes,
        blockChecksumOptions=encode_checksum_options(request.kind, request.stripe_length),
    )


def _decode_group_checksum(proto: pb.OpBlockGroupChecksumProto) -> t.BlockGroupChecksum:
    block, token, trace = decode_base(proto.header)
    nodes = decode_nodes(proto.datanodes.datanodes)
    if len(proto.blockTokens) != len(nodes) or len(proto.blockIndices) != len(nodes):
        raise RemoteProtocolError("nodes, tokens and indices of a block group differ in number")
    kind, stripe_length = decode_checksum_options(proto.blockChecksumOptions)
    return t.BlockGroupChecksum(
        block=block,
        nodes=nodes,
        node_tokens=tuple(map(decode_token, proto.blockTokens)),
        policy=decode_policy(proto.ecPolicy),
        block_indices=tuple(proto.blockIndices),
        requested_bytes=not_negative(proto.requestedNumBytes, "requestedNumBytes"),
        kind=kind,
        stripe_length=stripe_length,
        token=token,
        trace=trace,
    )


def _encode_fds(request: t.RequestShortCircuitFds) -> pb.OpRequestShortCircuitAccessProto:
    return pb.OpRequestShortCircuitAccessProto(
        header=encode_base(request.block, request.token, request.trace),
        maxVersion=request.max_version,
        slotId=None if request.slot is None else encode_slot(request.slot),
        supportsReceiptVerification=request.supports_receipt_verification,
    )


def _decode_fds(proto: pb.OpRequestShortCircuitAccessProto) -> t.RequestShortCircuitFds:
    block, token, trace = decode_base(proto.header)
    return t.RequestShortCircuitFds(
        block=block,
        max_version=proto.maxVersion,
        slot=decode_slot(proto.slotId) if proto.HasField("slotId") else None,
        supports_receipt_verification=proto.supportsReceiptVerification,
        token=token,
        trace=trace,
    )


def _encode_release(request: t.ReleaseShortCircuitFds) -> pb.ReleaseShortCircuitAccessRequestProto:
    return pb.ReleaseShortCircuitAccessRequestProto(
        slotId=encode_slot(request.slot), traceInfo=encode_trace(request.trace)
    )


def _decode_release(proto: pb.ReleaseShortCircuitAccessRequestProto) -> t.ReleaseShortCircuitFds:
    return t.ReleaseShortCircuitFds(decode_slot(proto.slotId), decode_trace(proto))


def _encode_shm(request: t.RequestShortCircuitShm) -> pb.ShortCircuitShmRequestProto:
    return pb.ShortCircuitShmRequestProto(
        clientName=request.client_name, traceInfo=encode_trace(request.trace)
    )


def _decode_shm(proto: pb.ShortCircuitShmRequestProto) -> t.RequestShortCircuitShm:
    return t.RequestShortCircuitShm(proto.clientName, decode_trace(proto))


# --- requests in a stream ------------------------------------------------------------------------


class _Codec(NamedTuple):
    op: t.Op
    request: type[t.Request]
    message: type[Message]
    encode: Callable[[Any], Message]
    decode: Callable[[Any], t.Request]


_CODECS = (
    _Codec(t.Op.WRITE_BLOCK, t.WriteBlock, pb.OpWriteBlockProto, _encode_write, _decode_write),
    _Codec(t.Op.READ_BLOCK, t.ReadBlock, pb.OpReadBlockProto, _encode_read, _decode_read),
    _Codec(
        t.Op.REPLACE_BLOCK,
        t.ReplaceBlock,
        pb.OpReplaceBlockProto,
        _encode_replace,
        _decode_replace,
    ),
    _Codec(t.Op.COPY_BLOCK, t.CopyBlock, pb.OpCopyBlockProto, _encode_copy, _decode_copy),
    _Codec(
        t.Op.BLOCK_CHECKSUM,
        t.BlockChecksum,
        pb.OpBlockChecksumProto,
        _encode_block_checksum,
        _decode_block_checksum,
    ),
    _Codec(
        t.Op.TRANSFER_BLOCK,
        t.TransferBlock,
        pb.OpTransferBlockProto,
        _encode_transfer,
        _decode_transfer,
    ),
    _Codec(
        t.Op.REQUEST_SHORT_CIRCUIT_FDS,
        t.RequestShortCircuitFds,
        pb.OpRequestShortCircuitAccessProto,
        _encode_fds,
        _decode_fds,
    ),
    _Codec(
        t.Op.RELEASE_SHORT_CIRCUIT_FDS,
        t.ReleaseShortCircuitFds,
        pb.ReleaseShortCircuitAccessRequestProto,
        _encode_release,
        _decode_release,
    ),
    _Codec(
        t.Op.REQUEST_SHORT_CIRCUIT_SHM,
        t.RequestShortCircuitShm,
        pb.ShortCircuitShmRequestProto,
        _encode_shm,
        _decode_shm,
    ),
    _Codec(
        t.Op.BLOCK_GROUP_CHECKSUM,
        t.BlockGroupChecksum,
        pb.OpBlockGroupChecksumProto,
        _encode_group_checksum,
        _decode_group_checksum,
    ),
)
_BY_REQUEST = {codec.request: codec for codec in _CODECS}
_BY_CODE = {codec.op.value: codec for codec in _CODECS}


def encode_request(request: t.Request) -> bytes:
    """What a client sends to ask for ``request``."""
    codec = _BY_REQUEST[type(request)]
    return _HEADER.pack(t.VERSION, codec.op) + delimited(codec.encode(request))


def parse_request(
    buffer: bytes | bytearray | memoryview, start: int, end: int
) -> tuple[t.Request, int] | None:
    """The request at ``buffer[start:end]`` and the position behind it; None: more is needed.

    Raises ``RemoteProtocolError`` as early as the bytes allow it: for another version, an
    unknown opcode, a length over the limit, and ``SaslNotOffered`` for a client that begins
    to negotiate protection."""
    size = end - start
    if size >= 2:
        version = buffer[start] << 8 | buffer[start + 1]
        if version != t.VERSION:
            if bytes(buffer[start : min(end, start + 4)]) == SASL_MAGIC[:size]:
                if size < len(SASL_MAGIC):
                    return None
                raise SaslNotOffered
            raise RemoteProtocolError(
                f"a peer speaks version {version} of the data-transfer protocol instead of "
                f"{t.VERSION}"
            )
    if size < _HEADER.size:
        return None
    codec = _BY_CODE.get(buffer[start + 2])
    if codec is None:
        raise RemoteProtocolError(
            f"operation {buffer[start + 2]} of the data-transfer protocol is not known here"
        )
    span = delimited_span(buffer, start + _HEADER.size, end, TRANSFER_OP_BYTES_MAX)
    if span is None:
        return None
    message = parse(codec.message, memoryview(buffer)[span[0] : span[1]])
    return codec.decode(message), span[1]
