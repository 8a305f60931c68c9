"""One write pipeline as its writer sees it: events in, decisions out.

A block is written through a chain of DataNodes. The writer sends packets to the first,
acknowledgements of the whole chain come back, and when a node fails the writer repairs the
chain: without the bad node, perhaps with another one, under a new generation stamp, and
sends again what was not acknowledged. Hadoop's rules for this (``DataStreamer``) stand
here without any I/O: :meth:`WritePipeline.handle` takes what happened and returns what to
do next, in order.

The promise: a byte counts as acknowledged only when every node of the chain has it, and
every chain that follows starts from nodes that hold all acknowledged bytes.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cairnfs.errors import ConnectionLost
from cairnfs.replica import pipeline_messages as m
from cairnfs.replica.pipeline_messages import Decision, Event, Packet, PipelineNode, PipelineRules
from cairnfs.types import TOKEN_NONE, ExtendedBlock, Token
from cairnfs.wire.transfer import Stage
from cairnfs.wire.transfer_reply import Status

# Sequence number of heartbeats; Hadoop's DFSPacket.HEART_BEAT_SEQNO.
HEARTBEAT_SEQNO = -1
# How many replacements are tried one after another for one lost node (Hadoop: 3).
REPLACEMENTS_MAX = 3
# A restarting DataNode is tried again this often (Hadoop: 4 s).
RESTART_RETRY_MS = 4_000
# Each node of a chain may take so much longer to answer (Hadoop's READ_TIMEOUT_EXTENSION).
ACK_EXTENSION_MS = 5_000


class Phase(enum.Enum):
    """What the pipeline waits for."""

    NEW = enum.auto()
    CONNECTING = enum.auto()
    STREAMING = enum.auto()
    RESTART_WAIT = enum.auto()
    NODE_WAIT = enum.auto()
    TRANSFER_WAIT = enum.auto()
    GENERATION_WAIT = enum.auto()
    UPDATE_WAIT = enum.auto()
    FINISHED = enum.auto()
    GIVEN_UP = enum.auto()
    FAILED = enum.auto()


_ENDED = (Phase.FINISHED, Phase.GIVEN_UP, Phase.FAILED)
_RECOVERY_STAGE = {
    Stage.PIPELINE_SETUP_APPEND: Stage.PIPELINE_SETUP_APPEND_RECOVERY,
    Stage.DATA_STREAMING: Stage.PIPELINE_SETUP_STREAMING_RECOVERY,
    Stage.PIPELINE_CLOSE: Stage.PIPELINE_CLOSE_RECOVERY,
}


class WritePipeline:
    """The pipeline of one block.

    ``block`` is as the NameNode gave it: empty for a new block, with the length and
    generation stamp of the stored one for an ``append``. Packets carry offsets in the
    block; they may overlap what was sent before (a chunk that grows)."""

    def __init__(
        self,
        block: ExtendedBlock,
        nodes: Sequence[PipelineNode],
        *,
        replication: int,
        rules: PipelineRules,
        token: Token = TOKEN_NONE,
        append: bool = False,
    ) -> None:
        self.block = block if append else replace(block, num_bytes=0)
        self.nodes = tuple(nodes)
        self.token = token
        self.phase = Phase.NEW
        self.stage = Stage.PIPELINE_SETUP_APPEND if append else Stage.PIPELINE_SETUP_CREATE
        self.attempt = 0
        self.bytes_sent = self.block.num_bytes
        self.held_bytes = 0
        self.failed: list[PipelineNode] = []
        self._rules = rules
        self._replication = replication
        self._append = append
        self._flushed = False
        self._waiting: deque[Packet] = deque()
        self._unacked: deque[Packet] = deque()
        self._recovering = False
        self._recoveries = 0
        self._bad: int | None = None
        self._reason = ""
        self._lost_early = ""
        self._new_stamp = 0
        # Replacing a node: how often tried, and who was tried in vain.
        self._tried = 0
        self._refused: list[PipelineNode] = []
        self._candidate: tuple[PipelineNode, tuple[PipelineNode, ...]] | None = None
        self._restarting: PipelineNode | None = None
        self._restart_deadline_ms = 0
        self._retry_at_ms = 0
        self._now_ms = 0
        self._last_sent_ms = 0
        self._last_heard_ms = 0
        self._beat_unanswered = False

    # --- what a driver may look at -----------------------------------------------------------

    @property
    def bytes_acked(self) -> int:
        """Length of the block up to which every node of the chain has it."""
        return self.block.num_bytes

    @property
    def ended(self) -> bool:
        return self.phase in _ENDED

    def held_packets(self) -> list[Packet]:
        """Packets that are not acknowledged, in order: what another pipeline must send."""
        return [*self._unacked, *self._waiting]

    def wake_ms(self) -> int | None:
        """When :class:`TimePassed` is wanted next, or None."""
        if self.phase is Phase.RESTART_WAIT:
            return self._retry_at_ms
        if self.phase is not Phase.STREAMING:
            return None
        beat_ms = self._last_sent_ms + self._rules.ack_timeout_ms // 2
        if not self._unacked and not self._beat_unanswered:
            return beat_ms
        return min(beat_ms, self._last_heard_ms + self._ack_limit_ms())

    # --- the one door ------------------------------------------------------------------------

    def handle(self, event: Event) -> list[Decision]:
        """Take ``event``; what to do now, in order. Events of an older link are ignored.

        A packet written after the block was given up, before its writer looked, is kept for
        the next block like those before it."""
        if self.phase is Phase.GIVEN_UP and isinstance(event, m.Write):
            self._hold(event.packet)
            return []
        if self.ended or getattr(event, "attempt", self.attempt) != self.attempt:
            return []
        self._now_ms = getattr(event, "now_ms", self._now_ms)
        phases, handler = _HANDLERS[type(event)]
        if phases and self.phase not in phases:
            return []
        return handler(self, event)

    # --- data --------------------------------------------------------------------------------

    def _on_write(self, event: m.Write) -> list[Decision]:
        self._hold(event.packet)
        return self._send_waiting()

    def _hold(self, packet: Packet) -> None:
        self._waiting.append(packet)
        self.held_bytes += packet.length

    def _on_hflushed(self, event: m.Hflushed) -> list[Decision]:
        self._flushed = True
        return []

    def _send_waiting(self) -> list[Decision]:
        decisions: list[Decision] = []
        while self.phase is Phase.STREAMING and self._waiting:
            packet = self._waiting[0]
            if packet.last:
                # The end goes out only when all data is acknowledged: from then on nodes
                # finalise their replicas, and nothing could be sent to them again.
                if self._unacked:
                    break
                self.stage = Stage.PIPELINE_CLOSE
            if not self._unacked and not self._beat_unanswered:
                self._last_heard_ms = self._now_ms
            self._unacked.append(self._waiting.popleft())
            self.bytes_sent = max(self.bytes_sent, packet.end)
            self._last_sent_ms = self._now_ms
            decisions.append(m.SendPacket(packet))
        return decisions

    def _on_ack(self, event: m.Ack) -> list[Decision]:
        self._last_heard_ms = self._now_ms
        if len(event.statuses) > len(self.nodes):
            return self._broken(f"{len(event.statuses)} nodes answered of {len(self.nodes)}")
        # The node furthest down the chain that complains is the bad one: those before it
        # only pass on that their successor failed.
        for index in range(len(event.statuses) - 1, -1, -1):
            if event.statuses[index] == Status.OOB_RESTART:
                return self._node_restarts(index)
            if event.statuses[index] != Status.SUCCESS:
                return self._broken(f"it answered {_status_name(event.statuses[index])}", index)
        if event.seqno == HEARTBEAT_SEQNO:
            self._beat_unanswered = False
            return []
        if not self._unacked or self._unacked[0].seqno != event.seqno:
            expected = self._unacked[0].seqno if self._unacked else "none"
            return self._broken(f"it acknowledged packet {event.seqno}, expected was {expected}")
        return self._acknowledged(self._unacked.popleft())

    def _acknowledged(self, packet: Packet) -> list[Decision]:
        self._recoveries = 0
        self.held_bytes -= packet.length
        if packet.end > self.block.num_bytes:
            self.block = replace(self.block, num_bytes=packet.end)
        progress: list[Decision] = [m.Progress(packet.seqno, self.bytes_acked)]
        return progress + (self._finish() if packet.last else self._send_waiting())

    def _finish(self) -> list[Decision]:
        self.phase = Phase.FINISHED
        return [m.CloseLink(), m.Finished(self.block)]

    # --- time --------------------------------------------------------------------------------

    def _ack_limit_ms(self) -> int:
        return self._rules.ack_timeout_ms + ACK_EXTENSION_MS * len(self.nodes)

    def _on_time(self, event: m.TimePassed) -> list[Decision]:
        if self.phase is Phase.RESTART_WAIT:
            return self._ask_generation() if self._now_ms >= self._retry_at_ms else []
        limit_ms = self._ack_limit_ms()
        awaited = bool(self._unacked) or self._beat_unanswered
        if awaited and self._now_ms - self._last_heard_ms >= limit_ms:
            return self._broken(f"it acknowledged nothing for {limit_ms} ms")
        if self._now_ms - self._last_sent_ms < self._rules.ack_timeout_ms // 2:
            return []
        if not awaited:
            self._last_heard_ms = self._now_ms
        self._last_sent_ms = self._now_ms
        self._beat_unanswered = True
        return [m.SendHeartbeat()]

    # --- setting up --------------------------------------------------------------------------

    def _on_start(self, event: m.Start) -> list[Decision]:
        # A chain to append to is made like one that is repaired: whole, and newly stamped.
        return self._replace_or_go_on() if self._append else self._open(0)

    def _open(self, stamp: int) -> list[Decision]:
        self.phase = Phase.CONNECTING
        self.attempt += 1
        return [
            m.OpenLink(
                attempt=self.attempt,
                block=self.block,
                nodes=self.nodes,
                stage=_RECOVERY_STAGE[self.stage] if self._recovering else self.stage,
                generation_stamp=stamp,
                bytes_acked=self.bytes_acked,
                bytes_sent=self.bytes_sent,
                token=self.token,
            )
        ]

    def _on_opened(self, event: m.LinkOpened) -> list[Decision]:
        self._restarting = None
        self._lost_early = ""
        if self.stage is Stage.PIPELINE_SETUP_CREATE:
            return self._stream()
        self.phase = Phase.UPDATE_WAIT
        renewed = replace(self.block, generation_stamp=self._new_stamp)
        return [m.UpdatePipeline(self.block, renewed, self.nodes)]

    def _on_updated(self, event: m.PipelineUpdated) -> list[Decision]:
        self.block = replace(self.block, generation_stamp=self._new_stamp)
        if self.stage is Stage.PIPELINE_CLOSE:
            # The nodes finalised their replicas when the link was set up: the end of the
            # block is acknowledged without having been sent to them.
            return self._acknowledged(self._waiting.popleft())
        decisions = self._stream()
        return self._broken(self._lost_early) if self._lost_early else decisions

    def _stream(self) -> list[Decision]:
        self.phase = Phase.STREAMING
        self.stage = Stage.DATA_STREAMING
        self._recovering = False
        self._beat_unanswered = False
        self._last_sent_ms = self._last_heard_ms = self._now_ms
        return [] if self._lost_early else self._send_waiting()

    def _on_refused(self, event: m.LinkRefused) -> list[Decision]:
        bad = event.bad_index if 0 <= event.bad_index < len(self.nodes) else 0
        if self.stage is Stage.PIPELINE_SETUP_CREATE:
            self.failed.append(self.nodes[bad])
            return self._give_up(f"{self.nodes[bad].name}: {event.reason}")
        if self._restarting == self.nodes[bad] and self._now_ms < self._restart_deadline_ms:
            return self._wait_for_restart()
        self._restarting = None
        self._recovering = True
        return self._remove(bad, event.reason)

    # --- failing and repairing ---------------------------------------------------------------

    def _on_lost(self, event: m.LinkLost) -> list[Decision]:
        if self.phase is Phase.UPDATE_WAIT:
            # Repaired once the NameNode has noted this chain; a closing one needs no link.
            self._lost_early = event.reason
            return []
        return self._broken(event.reason)

    def _broken(self, reason: str, bad: int = 0) -> list[Decision]:
        """The link is of no use any more and node ``bad`` is to blame."""
        decisions = self._stop_link()
        self._recoveries += 1
        if self._recoveries > self._rules.recoveries_max:
            return decisions + self._fail(
                f"the pipeline was repaired {self._rules.recoveries_max} times "
                f"without one packet acknowledged; last {self.nodes[bad].name}: {reason}"
            )
        return decisions + self._remove(bad, reason)

    def _stop_link(self) -> list[Decision]:
        self._recovering = True
        self._waiting.extendleft(reversed(self._unacked))
        self._unacked.clear()
        return [m.CloseLink()]

    def _remove(self, bad: int, reason: str) -> list[Decision]:
        node = self.nodes[bad]
        self.failed.append(node)
        if len(self.nodes) == 1:
            if not self._append and self.bytes_acked == 0:
                return self._give_up(f"{node.name}: {reason}")
            return self._fail(f"no DataNode is left that has its data; last {node.name}: {reason}")
        self.nodes = self.nodes[:bad] + self.nodes[bad + 1 :]
        return self._replace_or_go_on()

    def _give_up(self, reason: str) -> list[Decision]:
        self.phase = Phase.GIVEN_UP
        return [m.CloseLink(), m.GiveUpBlock(self.block, tuple(self.failed), reason)]

    def _fail(self, what: str) -> list[Decision]:
        block = self.block
        return self._on_control_failed(
            m.ControlFailed(
                ConnectionLost(f"block {block.block_id} cannot be written further: {what}")
            )
        )

    def _on_control_failed(self, event: m.ControlFailed) -> list[Decision]:
        self.phase = Phase.FAILED
        return [m.CloseLink(), m.Fail(event.error)]

    # --- a node that restarts ----------------------------------------------------------------

    def _node_restarts(self, index: int) -> list[Decision]:
        node = self.nodes[index]
        # Worth waiting for only where it is the last one, or its data is next door.
        if len(self.nodes) > 1 and not self._rules.is_local(node):
            return self._broken("it restarts", index)
        self._restarting = node
        self._restart_deadline_ms = self._now_ms + self._rules.restart_timeout_ms
        return self._stop_link() + self._wait_for_restart()

    def _wait_for_restart(self) -> list[Decision]:
        self.phase = Phase.RESTART_WAIT
        self._retry_at_ms = self._now_ms + min(self._rules.restart_timeout_ms, RESTART_RETRY_MS)
        return []

    # --- another node ------------------------------------------------------------------------

    def _replace_or_go_on(self) -> list[Decision]:
        self._tried = 0
        self._refused = []
        wanted = self._rules.wants_replacement(
            self._replication, len(self.nodes), appended=self._append, flushed=self._flushed
        )
        return self._ask_node() if wanted else self._ask_generation()

    def _ask_node(self) -> list[Decision]:
        self.phase = Phase.NODE_WAIT
        excluded = (*self.failed, *self._refused)
        return [m.AskNode(self.block, self.nodes, excluded)]

    def _on_node(self, event: m.NodeGiven) -> list[Decision]:
        known = {node.info.id.datanode_uuid for node in self.nodes}
        new = [node for node in event.nodes if node.info.id.datanode_uuid not in known]
        if len(new) != 1 or len(event.nodes) != len(self.nodes) + 1:
            return self._without_node("the NameNode knows no further DataNode")
        self._candidate = (new[0], event.nodes)
        self.phase = Phase.TRANSFER_WAIT
        source = self.nodes[self._tried % len(self.nodes)]
        return [m.TransferReplica(self.block, source, new[0], event.token)]

    def _on_node_refused(self, event: m.NodeRefused) -> list[Decision]:
        return self._without_node(event.reason)

    def _on_transferred(self, event: m.TransferDone) -> list[Decision]:
        assert self._candidate is not None
        self.nodes = self._candidate[1]
        return self._ask_generation()

    def _on_transfer_failed(self, event: m.TransferFailed) -> list[Decision]:
        assert self._candidate is not None
        self._refused.append(self._candidate[0])
        self._tried += 1
        if self._tried < REPLACEMENTS_MAX:
            return self._ask_node()
        return self._without_node(event.reason)

    def _without_node(self, reason: str) -> list[Decision]:
        enough = 0 < self._rules.min_replication <= len(self.nodes)
        if enough or self._rules.best_effort:
            return self._ask_generation()
        return self._fail(
            f"no DataNode replaces a lost one ({reason}); "
            "dfs.client.block.write.replace-datanode-on-failure.best-effort lets it go on without"
        )

    # --- a new generation --------------------------------------------------------------------

    def _ask_generation(self) -> list[Decision]:
        self.phase = Phase.GENERATION_WAIT
        return [m.AskGeneration(self.block)]

    def _on_generation(self, event: m.GenerationGiven) -> list[Decision]:
        self._new_stamp = event.stamp
        self.token = event.token
        return self._open(event.stamp)


def _status_name(status: int) -> str:
    try:
        return Status(status).name
    except ValueError:
        return f"status {status}"


_Handler = Callable[[WritePipeline, Any], list[Decision]]
# In which phases an event matters (none named: in all), and what is then done.
_HANDLERS: dict[type, tuple[tuple[Phase, ...], _Handler]] = {
    m.Start: ((Phase.NEW,), WritePipeline._on_start),
    m.Write: ((), WritePipeline._on_write),
    m.Hflushed: ((), WritePipeline._on_hflushed),
    m.LinkOpened: ((Phase.CONNECTING,), WritePipeline._on_opened),
    m.LinkRefused: ((Phase.CONNECTING,), WritePipeline._on_refused),
    m.LinkLost: ((Phase.STREAMING, Phase.UPDATE_WAIT), WritePipeline._on_lost),
    m.Ack: ((Phase.STREAMING,), WritePipeline._on_ack),
    m.TimePassed: ((Phase.STREAMING, Phase.RESTART_WAIT), WritePipeline._on_time),
    m.GenerationGiven: ((Phase.GENERATION_WAIT,), WritePipeline._on_generation),
    m.NodeGiven: ((Phase.NODE_WAIT,), WritePipeline._on_node),
    m.NodeRefused: ((Phase.NODE_WAIT,), WritePipeline._on_node_refused),
    m.TransferDone: ((Phase.TRANSFER_WAIT,), WritePipeline._on_transferred),
    m.TransferFailed: ((Phase.TRANSFER_WAIT,), WritePipeline._on_transfer_failed),
    m.PipelineUpdated: ((Phase.UPDATE_WAIT,), WritePipeline._on_updated),
    m.ControlFailed: ((), WritePipeline._on_control_failed),
}
