"""``WRITE_BLOCK``: this node as a stage of a pipeline, or as the target of a copy.

Connects to the next node and passes the request on, opens the replica as the stage of the
request wants it while the nodes behind do the same, answers with the first bad link if there
is one, then lets a :mod:`~cairnfs.datanode.packet_stream` take the packets. A replica that a
client was writing stays as it is when the connection breaks: the client comes back with a
recovery stage.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import NoReturn

from cairnfs.datanode.connection import Connection, connect
from cairnfs.datanode.open_replica import ReplicaWriter
from cairnfs.datanode.packet_stream import (
    CopyStream,
    PacketStream,
    RelayStream,
    StreamActions,
    StreamSetup,
    StreamTimes,
    TailStream,
)
from cairnfs.datanode.transfer_context import TransferContext
from cairnfs.errors import (
    CairnError,
    ConnectionLost,
    RemoteProtocolError,
    TransportError,
    VolumeFailed,
)
from cairnfs.log import peer_fault
from cairnfs.types import DatanodeInfo, ExtendedBlock
from cairnfs.wire.transfer import Stage, WriteBlock
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import BlockOpResponse, Status, encode_response, parse_response

logger = logging.getLogger(__name__)

# Each node of a pipeline waits so much longer for the next than that one does for its own.
_HOP_MS = 5_000


class BlockReceiver:
    """One ``WRITE_BLOCK``. Not thread safe."""

    def __init__(self, context: TransferContext, upstream: Connection, request: WriteBlock) -> None:
        self._context = context
        self._up = upstream
        self._request = request
        self._mirror: Connection | None = None
        # Whether the sender waits for an answer before it sends packets.
        self._answers = not request.is_datanode and not request.is_transfer

    def run(self) -> None:
        """Return when the block is complete. Raises ``CairnError`` (the sender has been told
        if there was a way); the connection cannot be used again then."""
        request = self._request
        if request.is_transfer and request.targets:
            raise RemoteProtocolError(f"{request.stage.name} with {len(request.targets)} targets")
        self._context.require_pool(request.block.pool_id)
        try:
            if request.stage is Stage.PIPELINE_CLOSE_RECOVERY and not request.is_datanode:
                self._recover_close()
            else:
                self._receive()
        finally:
            if self._mirror is not None:
                self._mirror.close()

    # --- setting up --------------------------------------------------------------------------

    def _recover_close(self) -> None:
        request = self._request
        try:
            block, storage_uuid = self._context.dataset.writing.recover_close(
                request.block, request.latest_generation_stamp, request.min_bytes_received
            )
        except CairnError as error:
            self._refuse(error)
            raise
        self._begin_mirror()
        self._await_mirror()
        self._context.listener.received(request.block.pool_id, block, storage_uuid)
        self._answer(Status.SUCCESS, "")

    def _receive(self) -> None:
        self._begin_mirror()
        try:
            writer = self._open()
        except CairnError as error:
            self._refuse(error)
            raise
        try:
            writer.begin(self._request.checksum)
            self._await_mirror()
            if self._answers:
                self._answer(Status.SUCCESS, "")
            writer.on_stop(self._interrupt)
            try:
                self._stream(writer).run()
            except VolumeFailed as error:
                self._context.dataset.table.fail_volume(writer.replica.volume, str(error))
                raise
            if self._request.is_transfer:
                self._answer(Status.SUCCESS, None)
        except CairnError:
            # A copy that failed is worth nothing; what a client wrote stays for its recovery.
            self._context.dataset.writing.abandon(writer)
            raise
        finally:
            writer.close()

    def _open(self) -> ReplicaWriter:
        request = self._request
        block = request.block
        writing = self._context.dataset.writing
        stamp = request.latest_generation_stamp
        sized = block
        if not block.num_bytes:
            room = self._context.settings.estimated_block_bytes
            sized = ExtendedBlock(block.pool_id, block.block_id, block.generation_stamp, room)
        if request.is_datanode or request.is_transfer:
            return writing.create_temporary(
                sized,
                request.storage_type,
                request.storage_id,
                request.checksum,
                request.is_transfer,
            )
        if request.stage is Stage.PIPELINE_SETUP_STREAMING_RECOVERY:
            return writing.recover_rbw(
                block, stamp, request.min_bytes_received, request.max_bytes_received
            )
        if request.stage is Stage.PIPELINE_SETUP_CREATE:
            writer = writing.create_rbw(
                sized, request.storage_type, request.storage_id, request.checksum, stamp
            )
        elif request.stage is Stage.PIPELINE_SETUP_APPEND:
            writer = writing.append(block, stamp, request.min_bytes_received)
        elif request.stage is Stage.PIPELINE_SETUP_APPEND_RECOVERY:
            writer = writing.recover_append(block, stamp, request.min_bytes_received)
        else:
            raise RemoteProtocolError(f"a block cannot be received in stage {request.stage.name}")
        self._context.listener.receiving(
            block.pool_id, writer.life.block, writer.replica.volume.storage_uuid
        )
        return writer

    def _refuse(self, error: CairnError) -> None:
        """Tell the client that this node is the bad one, and why. Only that, for a node of a
        pipeline; where nobody waits for an answer the connection just ends."""
        own = self._context.identity.xfer_addr
        if self._answers and own:
            self._try_answer(BlockOpResponse(Status.ERROR, message=str(error), first_bad_link=own))
        elif self._request.is_transfer:
            self._try_answer(BlockOpResponse(Status.ERROR, message=str(error)))

    def _answer(self, status: Status, first_bad_link: str | None) -> None:
        self._up.send(encode_response(BlockOpResponse(status, first_bad_link=first_bad_link)))

    def _try_answer(self, response: BlockOpResponse) -> None:
        try:
            self._up.send(encode_response(response))
        except TransportError as error:
            logger.debug("not told: %s", error)

    # --- the node behind ---------------------------------------------------------------------

    def _begin_mirror(self) -> None:
        """Connect to the next target and pass the request on.

        Raises ``ConnectionLost`` after the client was told which link is bad."""
        targets = self._request.targets
        if not targets:
            return
        try:
            self._mirror = self._connect_mirror(targets[0])
        except TransportError as error:
            self._mirror_failed(error)

    def _await_mirror(self) -> None:
        """Read the answer of the next target if it gives one. Raises as :meth:`_begin_mirror`."""
        if self._mirror is None or not self._answers:
            return
        try:
            answer = self._mirror.read(parse_response, self._mirror_ms)
        except (TransportError, RemoteProtocolError) as error:
            self._mirror_failed(error)
        else:
            if not answer.is_success:
                self._refuse_for(answer)

    def _mirror_failed(self, error: CairnError) -> None:
        if not self._answers:
            peer_fault(logger, "a copy goes on without the nodes behind: %s", error)
            return
        bad = self._request.targets[0].id.xfer_addr
        self._refuse_for(BlockOpResponse(Status.ERROR, message=str(error), first_bad_link=bad))

    def _refuse_for(self, answer: BlockOpResponse) -> NoReturn:
        """The pipeline ends here, as a node behind is bad: tell the client which."""
        self._try_answer(answer)
        raise ConnectionLost(
            f"pipeline of blk_{self._request.block.block_id}: "
            f"{answer.first_bad_link or 'a node'} behind this one is bad: "
            f"{answer.message or answer.status.name}"
        )

    def _connect_mirror(self, target: DatanodeInfo) -> Connection:
        settings = self._context.settings
        hops = _HOP_MS * len(self._request.targets)
        host = target.id.host_name if settings.use_hostname else target.id.ip_addr
        mirror = connect(
            host, target.id.xfer_port, self._mirror_ms, settings.write_timeout_ms + hops
        )
        try:
            mirror.send(encode_request(_for_next(self._request)))
        except TransportError:
            mirror.close()
            raise
        return mirror

    @property
    def _mirror_ms(self) -> int:
        return self._context.settings.socket_timeout_ms + _HOP_MS * len(self._request.targets)

    def _interrupt(self) -> None:
        self._up.interrupt()
        if self._mirror is not None:
            self._mirror.interrupt()

    # --- the packets -------------------------------------------------------------------------

    def _stream(self, writer: ReplicaWriter) -> PacketStream:
        context, request = self._context, self._request
        settings = context.settings
        source = request.checksum
        # Checksums of another type cannot be folded: data is what the new ones are made of, so
        # it must be right here.
        translates = source.type is not writer.replica.checksum.type
        setup = StreamSetup(
            self._up,
            writer,
            source,
            context.buffers,
            StreamTimes(settings.socket_timeout_ms, self._mirror_ms, settings.write_timeout_ms),
            StreamActions(
                lambda sync: self._finalize(writer, sync),
                lambda: context.dataset.writing.hsync(writer),
                self._corrupt,
                context.count_written,
            ),
            verify=self._mirror is None or not self._answers or translates,
            sync_on_close=context.dataset.table.settings.sync_on_close,
        )
        if not self._answers:
            return PacketStream(setup) if self._mirror is None else CopyStream(setup, self._mirror)
        if self._mirror is None:
            return TailStream(setup)
        return RelayStream(setup, self._mirror)

    def _finalize(self, writer: ReplicaWriter, sync: bool) -> None:
        request, context = self._request, self._context
        if request.stage is Stage.TRANSFER_RBW and not request.is_datanode:
            joined = dataclasses.replace(request.block, num_bytes=writer.life.on_disk)
            context.dataset.writing.convert_temporary(writer, joined)
            return
        block, storage_uuid = context.dataset.writing.finalize(writer, sync)
        context.count("blocks_written")
        if not request.is_transfer:
            # Before the last ack: when the client completes the file the NameNode knows.
            context.listener.received(request.block.pool_id, block, storage_uuid)

    def _corrupt(self) -> None:
        context, request = self._context, self._request
        context.count("checksum_errors")
        if request.is_datanode and request.source is not None:
            context.listener.corrupt_elsewhere(request.block, request.source)


def _for_next(request: WriteBlock) -> WriteBlock:
    """The request as the first of its targets gets it."""
    types, ids, pinnings = (
        request.target_storage_types,
        request.target_storage_ids,
        request.target_pinnings,
    )
    return dataclasses.replace(
        request,
        targets=request.targets[1:],
        storage_type=types[0] if types else request.storage_type,
        target_storage_types=types[1:],
        storage_id=ids[0] if ids else "",
        target_storage_ids=ids[1:],
        pinning=pinnings[0] if pinnings else False,
        target_pinnings=pinnings[1:],
    )
