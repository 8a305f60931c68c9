"""Each operation of the data-transfer protocol, as one connection asks for it.

:func:`perform` returns whether the connection may be used for another operation. It raises
``TransportError`` and ``RemoteProtocolError`` (the peer's business), and any other
``CairnError`` after the peer was told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cairnfs.datanode.balancing import copy_block, replace_block
from cairnfs.datanode.block_checksum import block_checksum
from cairnfs.datanode.connection import Connection
from cairnfs.datanode.receive import BlockReceiver
from cairnfs.datanode.send import BlockSender, CacheHints
from cairnfs.datanode.transfer_block import send_for_pipeline
from cairnfs.datanode.transfer_context import TransferContext
from cairnfs.datanode.unreadable import reporting_unreadable
from cairnfs.errors import (
    CairnError,
    TransportError,
)
from cairnfs.log import peer_fault
from cairnfs.types import ExtendedBlock
from cairnfs.wire import transfer as t
from cairnfs.wire.transfer_reply import (
    BlockOpResponse,
    ReadChecksumInfo,
    Status,
    encode_response,
    parse_read_status,
)

logger = logging.getLogger(__name__)


def perform(context: TransferContext, connection: Connection, request: t.Request) -> bool:
    """See the module."""
    match request:
        case t.ReadBlock():
            return _read(context, connection, request)
        case t.WriteBlock():
            BlockReceiver(context, connection, request).run()
            # Clients open a connection for every block; Apache's nodes end it here too.
            return False
        case t.BlockChecksum():
            return _answered(connection, lambda: _checksum(context, request))
        case t.TransferBlock():
            return _answered(connection, lambda: _transfer(context, request))
        case t.CopyBlock():
            return copy_block(context, connection, request)
        case t.ReplaceBlock():
            return replace_block(context, connection, request)
        case _:
            return _unsupported(connection, request)


def refuse(connection: Connection, status: Status, message: str) -> None:
    """Tell a peer why not, if it is still there."""
    try:
        connection.send(encode_response(BlockOpResponse(status, message=message)))
    except TransportError as error:
        logger.debug("not told: %s", error)


def _answered(connection: Connection, compute: Callable[[], BlockOpResponse]) -> bool:
    try:
        response = compute()
    except CairnError as error:
        refuse(connection, Status.ERROR, str(error))
        raise
    connection.send(encode_response(response))
    return True


# --- reading -------------------------------------------------------------------------------------


def _read(context: TransferContext, connection: Connection, request: t.ReadBlock) -> bool:
    settings = context.settings
    try:
        context.require_pool(request.block.pool_id)
        reader = context.dataset.open_for_read(request.block, request.offset, request.length)
    except CairnError as error:
        refuse(connection, Status.ERROR, str(error))
        raise
    with reader:
        caching = request.caching
        readahead = caching.readahead_bytes
        drop_behind = caching.drop_behind
        hints = CacheHints(
            settings.readahead_bytes if readahead is None else readahead,
            settings.drop_behind_reads if drop_behind is None else drop_behind,
        )
        sender = BlockSender(reader, request.offset, request.length, request.send_checksums, hints)
        answer = encode_response(
            BlockOpResponse(
                Status.SUCCESS, read_checksum=ReadChecksumInfo(sender.checksum, sender.start)
            )
        )
        connection.set_send_timeout(settings.write_timeout_ms)
        with reporting_unreadable(context.dataset, request.block):
            context.count("bytes_read", sender.send(connection, answer))
        context.count("blocks_read")
    # The reader says whether it was content, then may ask for more.
    status = connection.read(parse_read_status, settings.socket_timeout_ms)
    if status is Status.ERROR_CHECKSUM:
        peer_fault(
            logger,
            "%s found blk_%d corrupt; it is checked here",
            connection.peer,
            request.block.block_id,
        )
        _check(context, request.block)
    return True


def _check(context: TransferContext, block: ExtendedBlock) -> None:
    try:
        context.dataset.check_replica(block)
    except CairnError as error:
        logger.debug("not checked: %s", error)


# --- the others ----------------------------------------------------------------------------------


def _checksum(context: TransferContext, request: t.BlockChecksum) -> BlockOpResponse:
    context.require_pool(request.block.pool_id)
    return BlockOpResponse(Status.SUCCESS, checksum_reply=block_checksum(context.dataset, request))


def _transfer(context: TransferContext, request: t.TransferBlock) -> BlockOpResponse:
    context.require_pool(request.block.pool_id)
    send_for_pipeline(
        context.dataset,
        context.settings,
        context.identity,
        request.block,
        request.targets,
        request.target_storage_types,
        request.target_storage_ids,
        request.client_name,
    )
    return BlockOpResponse(Status.SUCCESS)


def _unsupported(connection: Connection, request: t.Request) -> bool:
    """What Apache's DataNode answers where short-circuit reads are switched off."""
    what = {
        t.RequestShortCircuitFds: "passing file descriptors",
        t.ReleaseShortCircuitFds: "releasing file descriptors",
        t.RequestShortCircuitShm: "shared memory",
        t.BlockGroupChecksum: "checksums of striped blocks",
    }.get(type(request), "this operation")
    refuse(connection, Status.ERROR_UNSUPPORTED, f"{what}: not offered by this DataNode")
    return True
