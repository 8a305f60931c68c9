"""Does what a write pipeline's machine decides: sockets, timers, calls to the NameNode."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from cairnfs.client.context import ClientContext, is_local
from cairnfs.client.data_socket import DataSocket
from cairnfs.errors import CairnError, ConnectionLost
from cairnfs.replica import pipeline_messages as m
from cairnfs.replica.pipeline import ACK_EXTENSION_MS, WritePipeline
from cairnfs.replica.pipeline_messages import Decision, Event, Packet, PipelineNode, PipelineRules
from cairnfs.types import LocatedBlock, StorageType
from cairnfs.wire.checksum import DataChecksum
from cairnfs.wire.packet import HEARTBEAT_PACKET
from cairnfs.wire.pipeline_ack import parse_acks
from cairnfs.wire.transfer import TransferBlock, WriteBlock
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import BlockOpResponse, parse_response

_ACK_BUFFER_BYTES = 64 * 1024
# A replica is copied to a replacement at 10 MB/s at least.
_COPY_BYTES_PER_MS = 10_000


@dataclass(frozen=True, slots=True)
class WriteTarget:
    """The file that blocks are written for."""

    path: str
    inode_id: int
    replication: int
    block_size: int
    checksum: DataChecksum


def nodes_of(located: LocatedBlock) -> tuple[PipelineNode, ...]:
    """The chain that the NameNode chose."""
    count = len(located.locations)
    ids = located.storage_ids or ("",) * count
    types = located.storage_types or (StorageType.DISK,) * count
    return tuple(map(PipelineNode, located.locations, ids, types))


def rules_of(context: ClientContext) -> PipelineRules:
    settings = context.settings
    return PipelineRules(
        policy=settings.replace_policy,
        best_effort=settings.replace_best_effort,
        min_replication=settings.replace_min_replication,
        recoveries_max=settings.recoveries_max,
        ack_timeout_ms=settings.socket_timeout_ms,
        restart_timeout_ms=settings.restart_timeout_ms,
        is_local=lambda node: is_local(node.info.id.ip_addr),
    )


class BlockWriter:
    """Writes one block. Set up in the background: packets may be sent at once.

    Ends with :attr:`finished`, with :attr:`given_up` (the packets not acknowledged belong
    into another block) or with :attr:`error`. :meth:`changed` waits for any change."""

    def __init__(
        self, context: ClientContext, target: WriteTarget, located: LocatedBlock, *, append: bool
    ) -> None:
        self.acked_seqno = -1
        self.finished: m.Finished | None = None
        self.given_up: m.GiveUpBlock | None = None
        self.error: CairnError | None = None
        self._context = context
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._pipeline = WritePipeline(
            located.block,
            nodes_of(located),
            replication=target.replication,
            rules=rules_of(context),
            token=located.token,
            append=append,
        )
        self._socket: DataSocket | None = None
        self._acks = memoryview(bytearray(_ACK_BUFFER_BYTES))
        self._acks_end = 0
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._changed: asyncio.Future[None] | None = None
        self._events: deque[Event] = deque()
        self._handling = False

    # --- for the file's writer ---------------------------------------------------------------

    def start(self) -> None:
        self._handle(m.Start(self._now_ms()))

    def send(self, packet: Packet) -> None:
        """Send ``packet`` (``payload``: its bytes in pieces), now or when the chain is set up."""
        self._handle(m.Write(packet, self._now_ms()))

    def hflushed(self) -> None:
        self._handle(m.Hflushed())

    @property
    def held_bytes(self) -> int:
        """Data that is kept until all nodes have it."""
        return self._pipeline.held_bytes

    @property
    def bytes_acked(self) -> int:
        return self._pipeline.bytes_acked

    @property
    def nodes(self) -> tuple[PipelineNode, ...]:
        return self._pipeline.nodes

    def held_packets(self) -> list[Packet]:
        return self._pipeline.held_packets()

    async def changed(self) -> None:
        """Return when packets were acknowledged or the block has ended."""
        if self._changed is None:
            self._changed = self._loop.create_future()
        await asyncio.shield(self._changed)

    async def close(self) -> None:
        """Drop everything; what was not acknowledged is lost."""
        if not self._pipeline.ended:
            self._handle(m.ControlFailed(ConnectionLost("the writer was closed")))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._close_link()

    # --- events in, decisions out ------------------------------------------------------------

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def _handle(self, event: Event) -> None:
        # Doing a decision may cause the next event: they queue here, none is nested.
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                for decision in self._pipeline.handle(self._events.popleft()):
                    _DOERS[type(decision)](self, decision)
        finally:
            self._handling = False
        self._set_timer()

    def _set_timer(self) -> None:
        wake_ms = self._pipeline.wake_ms()
        if self._timer is not None:
            # A timer that rings too early costs less than one set anew for each packet.
            if wake_ms is not None and self._timer_ms <= wake_ms:
                return
            self._timer.cancel()
            self._timer = None
        if wake_ms is not None:
            self._timer_ms = wake_ms
            self._timer = self._loop.call_at(wake_ms / 1000 + 0.001, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._handle(m.TimePassed(self._now_ms()))

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # The machine asks for one thing at a time; the one before has answered by now.
        self._task = asyncio.ensure_future(work)

    def _send_packet(self, decision: m.SendPacket) -> None:
        if self._socket is not None:
            self._socket.send(*decision.packet.payload)

    def _send_heartbeat(self, decision: m.SendHeartbeat) -> None:
        if self._socket is not None:
            self._socket.send(HEARTBEAT_PACKET)

    def _progress(self, decision: m.Progress) -> None:
        self.acked_seqno = decision.seqno
        self._wake()

    def _finish(self, decision: m.Finished) -> None:
        self.finished = decision
        self._wake()

    def _give_up(self, decision: m.GiveUpBlock) -> None:
        self.given_up = decision
        self._wake()

    def _fail(self, decision: m.Fail) -> None:
        self.error = decision.error
        self._wake()

    def _close_link(self, decision: m.CloseLink | None = None) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._acks_end = 0

    # --- the link ----------------------------------------------------------------------------

    def _open(self, decision: m.OpenLink) -> None:
        self._spawn(self._open_link(decision))

    async def _open_link(self, asked: m.OpenLink) -> None:
        sock: DataSocket | None = None
        bad, reason = 0, ""
        try:
            sock = await self._context.connections.connect(asked.nodes[0].info)
            sock.send(encode_request(self._request(asked)))
            timeout_ms = self._context.settings.socket_timeout_ms + ACK_EXTENSION_MS * len(
                asked.nodes
            )
            reply = await sock.receive(parse_response, timeout_ms, "a write")
            if reply.is_success:
                self._use_link(sock, asked.attempt)
                sock = None
                return
            bad, reason = _blame(reply, asked.nodes)
        except CairnError as error:
            reason = str(error)
        finally:
            if sock is not None:
                sock.close()
        self._handle(m.LinkRefused(asked.attempt, bad, reason, self._now_ms()))

    def _request(self, asked: m.OpenLink) -> WriteBlock:
        first, *rest = asked.nodes
        block = asked.block
        return WriteBlock(
            # DataNodes take the length here for the room that the block will need.
            block=type(block)(
                block.pool_id, block.block_id, block.generation_stamp, self._target.block_size
            ),
            client_name=self._context.client_name,
            targets=tuple(node.info for node in rest),
            stage=asked.stage,
            pipeline_size=len(asked.nodes),
            min_bytes_received=asked.bytes_acked,
            max_bytes_received=asked.bytes_sent,
            latest_generation_stamp=asked.generation_stamp,
            checksum=self._target.checksum,
            storage_type=first.storage_type,
            target_storage_types=tuple(node.storage_type for node in rest),
            storage_id=first.storage_id,
            target_storage_ids=tuple(node.storage_id for node in rest),
            token=asked.token,
        )

    def _use_link(self, sock: DataSocket, attempt: int) -> None:
        self._socket = sock

        def lost(reason: str) -> None:
            self._handle(m.LinkLost(attempt, reason, self._now_ms()))

        sock.on_lost = lost
        sock.on_readable(lambda: self._receive_acks(sock, attempt, lost))
        self._handle(m.LinkOpened(attempt, self._now_ms()))

    def _receive_acks(self, sock: DataSocket, attempt: int, lost: Callable[[str], None]) -> None:
        try:
            count = sock.recv_into(self._acks[self._acks_end :])
            end = self._acks_end + count
            acks, start = parse_acks(self._acks, 0, end)
        except CairnError as error:
            sock.close()
            lost(str(error))
            return
        if start:
            self._acks[: end - start] = bytes(self._acks[start:end])
        self._acks_end = end - start
        now_ms = self._now_ms()
        for ack in acks:
            self._handle(m.Ack(attempt, ack.seqno, ack.replies, now_ms))

    # --- the NameNode and other nodes --------------------------------------------------------

    def _ask_generation(self, decision: m.AskGeneration) -> None:
        async def ask() -> Event:
            located = await self._context.namenode.update_block_for_pipeline(decision.block)
            return m.GenerationGiven(located.block.generation_stamp, located.token)

        self._spawn(self._answer(ask, m.ControlFailed))

    def _ask_node(self, decision: m.AskNode) -> None:
        async def ask() -> Event:
            located = await self._context.namenode.get_additional_datanode(
                self._target.path,
                self._target.inode_id,
                decision.block,
                [node.info for node in decision.nodes],
                [node.storage_id for node in decision.nodes],
                [node.info for node in decision.excluded],
            )
            return m.NodeGiven(nodes_of(located), located.token)

        self._spawn(self._answer(ask, lambda error: m.NodeRefused(str(error))))

    def _transfer(self, decision: m.TransferReplica) -> None:
        async def ask() -> Event:
            await self._copy(decision)
            return m.TransferDone()

        self._spawn(self._answer(ask, lambda error: m.TransferFailed(str(error))))

    async def _copy(self, asked: m.TransferReplica) -> None:
        request = TransferBlock(
            block=asked.block,
            client_name=self._context.client_name,
            targets=(asked.target.info,),
            target_storage_types=(asked.target.storage_type,),
            target_storage_ids=(asked.target.storage_id,),
            token=asked.token,
        )
        timeout_ms = (
            2 * self._context.settings.socket_timeout_ms
            + asked.block.num_bytes // _COPY_BYTES_PER_MS
        )
        sock = await self._context.connections.connect(asked.source.info)
        try:
            sock.send(encode_request(request))
            reply = await sock.receive(parse_response, timeout_ms, "a copy of a replica")
        finally:
            sock.close()
        if not reply.is_success:
            raise ConnectionLost(
                f"DataNode {asked.source.name} could not copy a replica to "
                f"{asked.target.name}: {reply.message or reply.status.name}"
            )

    def _update_pipeline(self, decision: m.UpdatePipeline) -> None:
        async def ask() -> Event:
            await self._context.namenode.update_pipeline(
                decision.old,
                decision.new,
                [node.info for node in decision.nodes],
                [node.storage_id for node in decision.nodes],
            )
            return m.PipelineUpdated(self._now_ms())

        self._spawn(self._answer(ask, m.ControlFailed))

    async def _answer(
        self,
        ask: Callable[[], Coroutine[Any, Any, Event]],
        refused: Callable[[CairnError], Event],
    ) -> None:
        try:
            event = await ask()
        except CairnError as error:
            event = refused(error)
        self._handle(event)


def _blame(reply: BlockOpResponse, nodes: tuple[PipelineNode, ...]) -> tuple[int, str]:
    """Which node made the set-up fail, and why."""
    reason = reply.message or f"it answered {reply.status.name}"
    for index, node in enumerate(nodes):
        if reply.first_bad_link and reply.first_bad_link == node.name:
            return index, f"it could not be reached by the node before it: {reason}"
    return 0, reason


_DOERS: dict[type, Callable[[BlockWriter, Any], None]] = {
    m.OpenLink: BlockWriter._open,
    m.CloseLink: BlockWriter._close_link,
    m.SendPacket: BlockWriter._send_packet,
    m.SendHeartbeat: BlockWriter._send_heartbeat,
    m.Progress: BlockWriter._progress,
    m.AskGeneration: BlockWriter._ask_generation,
    m.AskNode: BlockWriter._ask_node,
    m.TransferReplica: BlockWriter._transfer,
    m.UpdatePipeline: BlockWriter._update_pipeline,
    m.GiveUpBlock: BlockWriter._give_up,
    m.Finished: BlockWriter._finish,
    m.Fail: BlockWriter._fail,
}
__all__ = ["BlockWriter", "Decision", "WriteTarget", "nodes_of", "rules_of"]
