"""Moves of the balancer: ``REPLACE_BLOCK`` fetches a replica that ``COPY_BLOCK`` sends."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator

from cairnfs.datanode.connection import Connection, connect
from cairnfs.datanode.open_replica import ReplicaWriter
from cairnfs.datanode.packet_stream import PacketStream, StreamActions, StreamSetup, StreamTimes
from cairnfs.datanode.send import CacheHints
from cairnfs.datanode.send_copy import CopySender
from cairnfs.datanode.transfer_context import TransferContext
from cairnfs.datanode.unreadable import reporting_unreadable
from cairnfs.errors import (
    CairnError,
    RemoteError,
    RemoteProtocolError,
    ServerTooBusy,
    TransportError,
)
from cairnfs.wire import transfer as t
from cairnfs.wire.checksum import DataChecksum
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import (
    BlockOpResponse,
    ReadChecksumInfo,
    Status,
    encode_response,
    parse_response,
)

logger = logging.getLogger(__name__)

# Two bytes after the last packet: the sender has given its place back.
_RELEASED = b"\x00d"


def copy_block(context: TransferContext, connection: Connection, request: t.CopyBlock) -> bool:
    """Send a whole replica to the node that asks for it."""
    with _place(context, connection):
        try:
            context.require_pool(request.block.pool_id)
            reader = context.dataset.open_for_read(request.block)
        except CairnError as error:
            _say(connection, Status.ERROR, str(error))
            raise
        with reader:
            hints = CacheHints(context.settings.readahead_bytes, drop_behind=True)
            sender = CopySender(reader, hints, context.moves.throttle)
            info = ReadChecksumInfo(sender.checksum, sender.start)
            answer = encode_response(BlockOpResponse(Status.SUCCESS, read_checksum=info))
            connection.set_send_timeout(context.settings.write_timeout_ms)
            with reporting_unreadable(context.dataset, request.block):
                context.count("bytes_read", sender.send(connection, answer))
            context.count("blocks_read")
    connection.send(_RELEASED)
    return False


def replace_block(
    context: TransferContext, connection: Connection, request: t.ReplaceBlock
) -> bool:
    """Fetch a replica, or move it to another storage of this node."""
    context.require_pool(request.block.pool_id)
    with _place(context, connection):
        try:
            if request.source.id.datanode_uuid == context.dataset.datanode_uuid:
                context.dataset.move_replica(
                    request.block, request.storage_type, request.storage_id
                )
            else:
                _fetch(context, connection, request)
        except CairnError as error:
            _say(connection, Status.ERROR, str(error))
            raise
    connection.send(encode_response(BlockOpResponse(Status.SUCCESS)))
    return False


@contextlib.contextmanager
def _place(context: TransferContext, connection: Connection) -> Iterator[None]:
    if not context.moves.take():
        message = f"this DataNode moves {context.moves.moves_max} blocks already"
        _say(connection, Status.ERROR, message)
        raise ServerTooBusy(message)
    try:
        yield
    finally:
        context.moves.give_back()


def _say(connection: Connection, status: Status, message: str) -> None:
    try:
        connection.send(encode_response(BlockOpResponse(status, message=message)))
    except TransportError as error:
        logger.debug("not told: %s", error)


def _fetch(context: TransferContext, asker: Connection, request: t.ReplaceBlock) -> None:
    settings = context.settings
    source = request.source.id
    host = source.host_name if settings.use_hostname else source.ip_addr
    proxy = connect(host, source.xfer_port, settings.socket_timeout_ms, settings.write_timeout_ms)
    with contextlib.closing(proxy):
        proxy.send(encode_request(t.CopyBlock(request.block, request.token)))
        answer = proxy.read(parse_response, settings.socket_timeout_ms)
        if not answer.is_success:
            raise RemoteError("java.io.IOException", f"{proxy.peer}: {answer.message}")
        if answer.read_checksum is None:
            raise RemoteProtocolError(f"{proxy.peer} sends a block without saying its checksum")
        checksum = answer.read_checksum.checksum
        block = request.block
        if not block.num_bytes:
            block = dataclasses.replace(block, num_bytes=settings.estimated_block_bytes)
        writer = context.dataset.writing.create_temporary(
            block, request.storage_type, request.storage_id, checksum
        )
        try:
            writer.begin(checksum)
            writer.on_stop(proxy.interrupt)
            _Move(context, asker, proxy, writer, request).run(checksum)
        except CairnError:
            context.dataset.writing.abandon(writer)
            raise
        finally:
            writer.close()
        # Only says that the other node is through; the replica is safe here.
        with contextlib.suppress(TransportError):
            proxy.wait_readable(settings.socket_timeout_ms)


class _Move:
    """One replica that comes in; tells the balancer now and then that it does."""

    def __init__(
        self,
        context: TransferContext,
        asker: Connection,
        proxy: Connection,
        writer: ReplicaWriter,
        request: t.ReplaceBlock,
    ) -> None:
        self._context = context
        self._asker = asker
        self._proxy = proxy
        self._writer = writer
        self._request = request
        self._told = time.monotonic()

    def run(self, checksum: DataChecksum) -> None:
        settings = self._context.settings
        actions = StreamActions(self._finalize, lambda: None, self._corrupt, self._moved)
        times = StreamTimes(
            settings.socket_timeout_ms, settings.socket_timeout_ms, settings.write_timeout_ms
        )
        PacketStream(
            StreamSetup(self._proxy, self._writer, checksum, self._context.buffers, times, actions)
        ).run()

    def _finalize(self, sync: bool) -> None:
        block, storage_uuid = self._context.dataset.writing.finalize(self._writer, sync)
        self._context.count("blocks_written")
        self._context.listener.received(
            self._request.block.pool_id, block, storage_uuid, self._request.delete_hint
        )

    def _corrupt(self) -> None:
        self._context.count("checksum_errors")
        self._context.listener.corrupt_elsewhere(self._request.block, self._request.source)

    def _moved(self, size: int) -> None:
        self._context.count_written(size)
        self._context.moves.throttle.pass_bytes(size)
        now = time.monotonic()
        if now - self._told > self._context.settings.socket_timeout_ms / 2000:
            self._told = now
            self._asker.send(encode_response(BlockOpResponse(Status.IN_PROGRESS)))
