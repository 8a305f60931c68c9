"""DataNodes coming, speaking and going, and what each is told in answer."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from cairnfs.blocks.background import Background, EvaluateStorage, RemoveStorage
from cairnfs.blocks.commands import (
    BalancerBandwidth,
    DatanodeCommand,
    Invalidate,
    RecoverBlocks,
    Register,
    Transfer,
)
from cairnfs.blocks.full_report import FullReport
from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.notices import (
    DatanodeDead,
    DatanodeRegistered,
    DatanodeStale,
    ReportProcessed,
    StorageFailed,
)
from cairnfs.blocks.parts import Parts
from cairnfs.blocks.registry import Heartbeat
from cairnfs.blocks.replication import Replicator
from cairnfs.blocks.turn import Turn
from cairnfs.errors import DisallowedDatanode, InvalidBlockReportLease
from cairnfs.types import DatanodeID


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """``report_lease_id`` is not 0 when a full report is welcome now."""

    commands: tuple[DatanodeCommand, ...]
    report_lease_id: int = 0


_REGISTER = HeartbeatReply((Register(),))


class Attendance:
    """Who is here. Death and return start the work that follows from them."""

    def __init__(self, parts: Parts, replicator: Replicator, background: Background) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._registry = parts.registry
        self._replicas = parts.replicas
        self._corrupt = parts.corrupt
        self._removals = parts.removals
        self._redundancy = parts.redundancy
        self._pending = parts.pending
        self._recoveries = parts.recoveries
        self._replicator = replicator
        self._safe_mode = parts.safe_mode
        self._background = background
        self._notices = parts.notices
        # Dead nodes by when their blocks are counted without them, and forgotten.
        self._graves: list[tuple[int, str]] = []
        self._forgotten: list[tuple[int, str]] = []
        # Nodes that may send a full report now, with the end of their leases.
        self._leases: dict[str, int] = {}
        self._lease_counter = 0

    # --- coming --------------------------------------------------------------------------------

    def register(
        self, turn: Turn, node_id: DatanodeID, software_version: str
    ) -> DatanodeDescriptor:
        """Take a DataNode in. Raises ``DisallowedDatanode``."""
        node, known, displaced = self._registry.register(
            turn.tx, node_id, software_version, turn.now_ms
        )
        if displaced is not None:
            self._lose(turn, displaced)
            displaced.buried = True
            for storage in displaced.storages.values():
                storage.failed = True
                self._remove_storage(storage)
            displaced.changed()
            if not displaced.storages:
                self._registry.forget(turn.tx, displaced)
        self._leases.pop(node.uuid, None)
        self._removals.order_again(node)
        self._evaluate_all(turn, self._pending.drop_node(node))
        node.transfers.clear()
        self._safe_mode.live_datanodes = self._registry.totals.live_registered
        self._notices.append(DatanodeRegistered(node.uuid, node_id.xfer_addr, known))
        return node

    def heartbeat(self, turn: Turn, beat: Heartbeat, wall_offset_ms: int) -> HeartbeatReply:
        """Take in a node's figures and answer what it shall do.

        Raises ``DisallowedDatanode`` for a node that was struck from the include file."""
        node = self._registry.nodes.get(beat.datanode_uuid)
        if node is None or not node.registered:
            return _REGISTER
        if not self._registry.hosts.included(node.id):
            self._lose(turn, node)
            raise DisallowedDatanode(
                f"datanode {node.id.host_name} ({node.id.xfer_addr}) may not stay: it is no "
                "longer in the include file (dfs.hosts)"
            )
        for storage in self._registry.heartbeat(turn.tx, node, beat, turn.now_ms):
            self._notices.append(StorageFailed(node.uuid, storage.uuid))
            self._remove_storage(storage)
        lease_id = self._lease(node, turn.now_ms) if beat.wants_report_lease else 0
        if self._safe_mode.on:
            return HeartbeatReply((), lease_id)
        return HeartbeatReply(self._commands(turn, node, wall_offset_ms), lease_id)

    def lifeline(self, datanode_uuid: str, now_ms: int) -> None:
        """A node that is too busy for heartbeats says that it lives."""
        node = self._registry.nodes.get(datanode_uuid)
        if node is not None and node.registered:
            self._registry.touch(node, now_ms)

    def _commands(
        self, turn: Turn, node: DatanodeDescriptor, wall_offset_ms: int
    ) -> tuple[DatanodeCommand, ...]:
        commands: list[DatanodeCommand] = []
        if node.recoveries:
            recoveries = self._recoveries.hand_out(turn, node, wall_offset_ms)
            if recoveries:
                commands.append(RecoverBlocks(recoveries))
        if node.transfers:
            orders = self._replicator.hand_out(turn, node)
            if orders:
                commands.append(Transfer(orders))
        if node.invalidate:
            blocks, called_off = self._removals.hand_out(turn, node)
            if blocks:
                commands.append(Invalidate(tuple(blocks)))
            self._evaluate_all(turn, called_off)
        if node.bandwidth is not None:
            commands.append(BalancerBandwidth(node.bandwidth))
            node.bandwidth = None
        return tuple(commands)

    # --- full reports --------------------------------------------------------------------------

    def _lease(self, node: DatanodeDescriptor, now_ms: int) -> int:
        """Permission for one full report; 0 while enough others have one.

        From now on what changes on the node's storages is noted, so that a report which
        is slow to arrive does not undo it."""
        if node.lease_id and now_ms < self._leases.get(node.uuid, 0):
            return node.lease_id
        for uuid in [uuid for uuid, end_ms in self._leases.items() if end_ms <= now_ms]:
            del self._leases[uuid]
            for storage in self._registry.nodes[uuid].storages.values():
                storage.touched = None
        if len(self._leases) >= self._settings.report_leases_max:
            return 0
        self._lease_counter += 1
        node.lease_id = self._lease_counter
        self._leases[node.uuid] = now_ms + self._settings.report_lease_ms
        for storage in node.storages.values():
            storage.touched = set()
        return node.lease_id

    def use_lease(self, node: DatanodeDescriptor, lease_id: int, now_ms: int) -> None:
        """Raise ``InvalidBlockReportLease`` unless a full report may begin now.

        0 stands for a report that an operator asked the node for."""
        if lease_id == 0:
            return
        if lease_id != node.lease_id or now_ms >= self._leases.get(node.uuid, 0):
            raise InvalidBlockReportLease(
                f"block report of {node.id.xfer_addr} under lease {lease_id:#x} was rejected: "
                "the lease is over or of another registration; ask for one by a heartbeat"
            )
        # It must not end while the report is being taken in.
        self._leases[node.uuid] = now_ms + self._settings.report_lease_ms

    def end_lease(self, node: DatanodeDescriptor) -> None:
        """All storages of the node have been reported."""
        node.lease_id = 0
        self._leases.pop(node.uuid, None)

    def report_finished(self, report: FullReport, now_ms: int) -> None:
        """What a node holds is certain now: what waited for that goes on."""
        storage = report.storage
        storage.reported = True
        node = storage.node
        node.last_report_ms = now_ms
        node.changed()
        self._notices.append(
            ReportProcessed(
                node.uuid, storage.uuid, len(report.replicas), report.differing, report.removed
            )
        )
        if node.recount:
            self._background.add(EvaluateStorage(self._redundancy, storage))
            if all(one.reported or one.failed for one in node.storages.values()):
                node.recount = False

    # --- going ---------------------------------------------------------------------------------

    def expire(self, turn: Turn) -> None:
        """Find nodes that have fallen silent; begin to replace what dead ones held."""
        stale, dead = self._registry.expire(turn.now_ms)
        for node in stale:
            self._notices.append(DatanodeStale(node.uuid, node.id.xfer_addr))
        for node in dead:
            self._lose(turn, node)
        while self._graves and self._graves[0][0] <= turn.now_ms:
            self._bury(heapq.heappop(self._graves)[1], turn.now_ms)
        while self._forgotten and self._forgotten[0][0] <= turn.now_ms:
            self._forget(heapq.heappop(self._forgotten)[1], turn.now_ms)

    def _lose(self, turn: Turn, node: DatanodeDescriptor) -> None:
        """The node is gone: nothing is expected of it any more."""
        self._registry.retire(node)
        self._notices.append(DatanodeDead(node.uuid, node.id.xfer_addr))
        self._leases.pop(node.uuid, None)
        node.recount = True
        node.transfers.clear()
        node.recoveries.clear()
        self._removals.drop_node(node)
        due_ms = turn.now_ms + self._settings.redundancy_grace_ms
        heapq.heappush(self._graves, (due_ms, node.uuid))
        self._evaluate_all(turn, self._pending.drop_node(node))
        self._safe_mode.live_datanodes = self._registry.totals.live_registered

    def _bury(self, uuid: str, now_ms: int) -> None:
        """The grace of a dead node is over: its blocks are counted without it."""
        node = self._registry.nodes.get(uuid)
        if node is None or node.alive:
            return
        heapq.heappush(self._forgotten, (now_ms + self._settings.dead_forget_ms, uuid))
        node.buried = True
        for storage in node.storages.values():
            self._background.add(EvaluateStorage(self._redundancy, storage))

    def _forget(self, uuid: str, now_ms: int) -> None:
        """A node has been dead for so long that its replicas need not be remembered."""
        node = self._registry.nodes.get(uuid)
        if node is None or node.alive:
            return
        if now_ms - node.last_heartbeat_ms >= self._settings.dead_forget_ms:
            for storage in node.storages.values():
                self._remove_storage(storage)

    def _remove_storage(self, storage: StorageDescriptor) -> None:
        self._background.add(RemoveStorage(self._parts, storage))

    def _evaluate_all(self, turn: Turn, block_ids: set[int] | list[int]) -> None:
        self._redundancy.evaluate_all(turn, block_ids)
