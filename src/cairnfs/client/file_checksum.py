"""The checksum of a whole file, from what its DataNodes say of its blocks."""

from __future__ import annotations

from dataclasses import replace

from cairnfs.client.context import ClientContext
from cairnfs.client.locations import FileBlocks
from cairnfs.errors import CairnError, RemoteProtocolError, ReplicaNotFound, TransportError
from cairnfs.types import ChecksumType, LocatedBlock
from cairnfs.wire.block_checksum import (
    BlockChecksumType,
    FileChecksum,
    file_composite_crc,
    file_md5,
)
from cairnfs.wire.checksum import DataChecksum
from cairnfs.wire.transfer import BlockChecksum
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import BlockChecksumReply, parse_response


async def file_checksum(
    context: ClientContext, path: str, length: int | None = None
) -> FileChecksum:
    """The checksum of the first ``length`` bytes (all by default), as ``-checksum`` shows it.

    ``dfs.checksum.combine.mode`` says which kind. Raises the NameNode's errors, or the last
    DataNode's where none of a block answers."""
    blocks = FileBlocks(context, path)
    await blocks.open()
    end = blocks.length if length is None else min(length, blocks.length)
    kind = (
        BlockChecksumType.COMPOSITE_CRC
        if context.settings.composite_checksum
        else BlockChecksumType.MD5CRC
    )
    offset = 0
    replies: list[BlockChecksumReply] = []
    sizes: list[int] = []
    while offset < end:
        located = await blocks.find(offset)
        size = min(located.block.num_bytes, end - located.offset)
        replies.append(await _ask(context, located, size, kind))
        sizes.append(size)
        offset = located.offset + size
    return _combined(replies, sizes, kind)


def _combined(
    replies: list[BlockChecksumReply], sizes: list[int], kind: BlockChecksumType
) -> FileChecksum:
    if not replies:
        return file_md5(DataChecksum(ChecksumType.CRC32, 0), 0, [])
    first = replies[0]
    if any(reply.crc_type != first.crc_type for reply in replies):
        raise RemoteProtocolError("the blocks of a file have different types of checksums")
    if kind is BlockChecksumType.COMPOSITE_CRC:
        pairs = [(reply.block_checksum, size) for reply, size in zip(replies, sizes, strict=True)]
        return file_composite_crc(first.crc_type, pairs)
    if any(reply.bytes_per_crc != first.bytes_per_crc for reply in replies):
        raise RemoteProtocolError("the blocks of a file have different bytes per checksum")
    crcs_per_block = first.crc_per_block if len(replies) > 1 else 0
    checksum = DataChecksum(first.crc_type, first.bytes_per_crc)
    return file_md5(checksum, crcs_per_block, [reply.block_checksum for reply in replies])


async def _ask(
    context: ClientContext, located: LocatedBlock, size: int, kind: BlockChecksumType
) -> BlockChecksumReply:
    request = BlockChecksum(
        block=replace(located.block, num_bytes=size), kind=kind, token=located.token
    )
    last: CairnError = TransportError(f"no DataNode has block {located.block.block_id}")
    for node in sorted(located.locations, key=lambda node: node in context.dead):
        try:
            sock = await context.connections.connect(node)
            try:
                sock.send(encode_request(request))
                timeout_ms = context.settings.socket_timeout_ms
                reply = await sock.receive(parse_response, timeout_ms, "a block checksum")
            finally:
                sock.close()
            if reply.is_success and reply.checksum_reply is not None:
                return reply.checksum_reply
            last = ReplicaNotFound(
                f"DataNode {node.id.xfer_addr} has no checksum of block "
                f"{located.block.block_id}: {reply.message or reply.status.name}"
            )
        except CairnError as error:
            context.dead.add(node)
            last = error
    raise last
