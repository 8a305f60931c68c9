"""Blocks, their tokens and locations <-> ``hdfs.proto`` and ``hdfs_server.proto``.

``decode_*`` take a message that :func:`cairnfs.wire.message.parse` returned (or a part of
it) and raise ``RemoteProtocolError`` on values that make no sense.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import (
    TOKEN_NONE,
    Block,
    ExtendedBlock,
    LocatedBlock,
    LocatedBlocks,
    StorageType,
    Token,
)
from cairnfs.wire.codec_node import decode_datanode_info, encode_datanode_info
from cairnfs.wire.message import signed64, unsigned64
from cairnfs.wire.proto.hdfs_pb2 import (
    BlockProto,
    ExtendedBlockProto,
    LocatedBlockProto,
    LocatedBlocksProto,
)
from cairnfs.wire.proto.security_pb2 import TokenProto

_TOKEN_NONE_PROTO = TokenProto(identifier=b"", password=b"", kind="", service="")


def encode_block(block: Block) -> BlockProto:
    return BlockProto(
        blockId=unsigned64(block.block_id),
        genStamp=unsigned64(block.generation_stamp),
        numBytes=unsigned64(block.num_bytes),
    )


def decode_block(proto: BlockProto) -> Block:
    return Block(signed64(proto.blockId), signed64(proto.genStamp), signed64(proto.numBytes))


def encode_extended_block(block: ExtendedBlock) -> ExtendedBlockProto:
    return ExtendedBlockProto(
        poolId=block.pool_id,
        blockId=unsigned64(block.block_id),
        generationStamp=unsigned64(block.generation_stamp),
        numBytes=unsigned64(block.num_bytes),
    )


def decode_extended_block(proto: ExtendedBlockProto) -> ExtendedBlock:
    return ExtendedBlock(
        proto.poolId,
        signed64(proto.blockId),
        signed64(proto.generationStamp),
        signed64(proto.numBytes),
    )


def encode_token(token: Token) -> TokenProto:
    if token is TOKEN_NONE:
        return _TOKEN_NONE_PROTO
    return TokenProto(
        identifier=token.identifier,
        password=token.password,
        kind=token.kind,
        service=token.service,
    )


def decode_token(proto: TokenProto) -> Token:
    if not (proto.identifier or proto.password or proto.kind or proto.service):
        return TOKEN_NONE
    return Token(proto.identifier, proto.password, proto.kind, proto.service)


def decode_storage_types(numbers: Sequence[int], expected: int) -> tuple[StorageType, ...]:
    """One type for each of ``expected`` places; peers that send none mean ``DISK``."""
    if not numbers:
        return (StorageType.DISK,) * expected
    if len(numbers) != expected:
        raise RemoteProtocolError(f"{len(numbers)} storage types came for {expected} places")
    return tuple(map(StorageType, numbers))


def encode_located_block(located: LocatedBlock) -> LocatedBlockProto:
    return LocatedBlockProto(
        b=encode_extended_block(located.block),
        offset=unsigned64(located.offset),
        locs=map(encode_datanode_info, located.locations),
        corrupt=located.corrupt,
        blockToken=encode_token(located.token),
        isCached=located.cached or (False,) * len(located.locations),
        # Enum classes of the generated code are plain numbers at run time.
        storageTypes=map(int, located.storage_types),  # type: ignore[arg-type]
        storageIDs=located.storage_ids,
    )


def decode_located_block(proto: LocatedBlockProto) -> LocatedBlock:
    count = len(proto.locs)
    if proto.storageIDs and len(proto.storageIDs) != count:
        raise RemoteProtocolError(
            f"{len(proto.storageIDs)} storage ids came for {count} locations of a block"
        )
    if len(proto.isCached) > count:
        raise RemoteProtocolError("a block is cached in more places than it has locations")
    return LocatedBlock(
        block=decode_extended_block(proto.b),
        offset=_offset(proto.offset, "offset", least=-1),
        locations=tuple(map(decode_datanode_info, proto.locs)),
        storage_ids=tuple(proto.storageIDs),
        storage_types=decode_storage_types(proto.storageTypes, count),
        corrupt=proto.corrupt,
        token=decode_token(proto.blockToken),
        cached=tuple(proto.isCached),
    )


def encode_located_blocks(located: LocatedBlocks) -> LocatedBlocksProto:
    return LocatedBlocksProto(
        fileLength=unsigned64(located.file_length),
        blocks=map(encode_located_block, located.blocks),
        underConstruction=located.under_construction,
        lastBlock=None if located.last_block is None else encode_located_block(located.last_block),
        isLastBlockComplete=located.is_last_block_complete,
    )


def decode_located_blocks(proto: LocatedBlocksProto) -> LocatedBlocks:
    return LocatedBlocks(
        file_length=_offset(proto.fileLength, "fileLength"),
        blocks=tuple(map(decode_located_block, proto.blocks)),
        under_construction=proto.underConstruction,
        last_block=decode_located_block(proto.lastBlock) if proto.HasField("lastBlock") else None,
        is_last_block_complete=proto.isLastBlockComplete,
    )


def encode_blocks(blocks: Iterable[Block]) -> list[BlockProto]:
    return [encode_block(block) for block in blocks]


def _offset(value: int, name: str, least: int = 0) -> int:
    # A block apart from its file has the offset -1 (answers of updateBlockForPipeline).
    number = signed64(value)
    if number < least:
        raise RemoteProtocolError(f"{name} {number} is negative")
    return number
