"""What the requests and answers of the data-transfer protocol are made of <-> protobuf."""

from __future__ import annotations

from typing import Any

from cairnfs.errors import RemoteProtocolError
from cairnfs.limits import BYTES_PER_CHECKSUM_MAX, PIPELINE_LENGTH_MAX
from cairnfs.types import ChecksumType, DatanodeInfo, ExtendedBlock, StorageType, Token
from cairnfs.wire import transfer as t
from cairnfs.wire.checksum import BlockChecksumType, DataChecksum
from cairnfs.wire.codec_block import (
    decode_extended_block,
    decode_storage_types,
    decode_token,
    encode_extended_block,
    encode_token,
)
from cairnfs.wire.codec_node import decode_datanode_info
from cairnfs.wire.message import signed64, unsigned64
from cairnfs.wire.proto import datatransfer_pb2 as pb
from cairnfs.wire.proto import hdfs_pb2


def encode_trace(trace: t.TraceInfo | None) -> pb.DataTransferTraceInfoProto | None:
    if trace is None:
        return None
    return pb.DataTransferTraceInfoProto(
        traceId=unsigned64(trace.trace_id) if trace.trace_id else None,
        parentId=unsigned64(trace.parent_id) if trace.parent_id else None,
        spanContext=trace.span_context or None,
    )


def decode_trace(
    proto: pb.BaseHeaderProto
    | pb.ReleaseShortCircuitAccessRequestProto
    | pb.ShortCircuitShmRequestProto,
) -> t.TraceInfo | None:
    if not proto.HasField("traceInfo"):
        return None
    trace = proto.traceInfo
    return t.TraceInfo(signed64(trace.traceId), signed64(trace.parentId), trace.spanContext)


def encode_base(
    block: ExtendedBlock, token: Token, trace: t.TraceInfo | None
) -> pb.BaseHeaderProto:
    return pb.BaseHeaderProto(
        block=encode_extended_block(block),
        token=encode_token(token),
        traceInfo=encode_trace(trace),
    )


def decode_base(proto: pb.BaseHeaderProto) -> tuple[ExtendedBlock, Token, t.TraceInfo | None]:
    return decode_extended_block(proto.block), decode_token(proto.token), decode_trace(proto)


def encode_caching(caching: t.CachingStrategy) -> pb.CachingStrategyProto:
    return pb.CachingStrategyProto(
        dropBehind=caching.drop_behind, readahead=caching.readahead_bytes
    )


def decode_caching(proto: pb.OpReadBlockProto | pb.OpWriteBlockProto) -> t.CachingStrategy:
    caching = proto.cachingStrategy
    drop_behind = caching.dropBehind if caching.HasField("dropBehind") else None
    readahead = caching.readahead if caching.HasField("readahead") else None
    if drop_behind is None and readahead is None:
        return t.CACHING_DEFAULT
    if readahead is not None and readahead < 0:
        raise RemoteProtocolError(f"a readahead of {readahead} bytes is negative")
    return t.CachingStrategy(drop_behind, readahead)


def encode_checksum(checksum: DataChecksum) -> pb.ChecksumProto:
    return pb.ChecksumProto(
        type=checksum.type.value,  # type: ignore[arg-type]
        bytesPerChecksum=checksum.bytes_per_checksum,
    )


def decode_checksum(proto: pb.ChecksumProto) -> DataChecksum:
    if not 1 <= proto.bytesPerChecksum <= BYTES_PER_CHECKSUM_MAX:
        raise RemoteProtocolError(
            f"{proto.bytesPerChecksum} bytes per checksum; between 1 and "
            f"{BYTES_PER_CHECKSUM_MAX} are possible"
        )
    return DataChecksum(ChecksumType(proto.type), proto.bytesPerChecksum)


def decode_nodes(protos: Any) -> tuple[DatanodeInfo, ...]:
    if len(protos) > PIPELINE_LENGTH_MAX:
        raise RemoteProtocolError(
            f"{len(protos)} targets of one block; at most {PIPELINE_LENGTH_MAX} are taken"
        )
    return tuple(map(decode_datanode_info, protos))


def decode_target_types(numbers: Any, targets: int) -> tuple[StorageType, ...]:
    return decode_storage_types(numbers, targets) if numbers else ()


def not_negative(value: int, name: str) -> int:
    if value >> 63:
        raise RemoteProtocolError(f"{name} {signed64(value)} of a request is negative")
    return value


def encode_checksum_options(
    kind: BlockChecksumType, stripe_length: int
) -> hdfs_pb2.BlockChecksumOptionsProto:
    return hdfs_pb2.BlockChecksumOptionsProto(
        blockChecksumType=kind.value,  # type: ignore[arg-type]
        stripeLength=stripe_length,
    )


def decode_checksum_options(
    proto: hdfs_pb2.BlockChecksumOptionsProto,
) -> tuple[BlockChecksumType, int]:
    return (
        BlockChecksumType(proto.blockChecksumType),
        not_negative(proto.stripeLength, "stripeLength"),
    )


def encode_policy(policy: t.ErasureCodingPolicy) -> hdfs_pb2.ErasureCodingPolicyProto:
    return hdfs_pb2.ErasureCodingPolicyProto(
        name=policy.name,
        schema=hdfs_pb2.ECSchemaProto(
            codecName=policy.codec, dataUnits=policy.data_units, parityUnits=policy.parity_units
        ),
        cellSize=policy.cell_size,
        id=policy.id,
    )


def decode_policy(proto: hdfs_pb2.ErasureCodingPolicyProto) -> t.ErasureCodingPolicy:
    return t.ErasureCodingPolicy(
        id=proto.id,
        name=proto.name,
        codec=proto.schema.codecName,
        data_units=proto.schema.dataUnits,
        parity_units=proto.schema.parityUnits,
        cell_size=proto.cellSize,
    )


def encode_slot(slot: t.ShmSlot) -> pb.ShortCircuitShmSlotProto:
    return pb.ShortCircuitShmSlotProto(
        shmId=pb.ShortCircuitShmIdProto(hi=slot.shm_id_hi, lo=slot.shm_id_lo), slotIdx=slot.index
    )


def decode_slot(proto: pb.ShortCircuitShmSlotProto) -> t.ShmSlot:
    return t.ShmSlot(proto.shmId.hi, proto.shmId.lo, proto.slotIdx)
