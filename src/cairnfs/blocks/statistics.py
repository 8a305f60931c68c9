"""Figures of the block layer for ``getStats``, metrics and reports."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cairnfs.blocks.needed import Priority
from cairnfs.blocks.nodes import DatanodeDescriptor
from cairnfs.blocks.parts import Parts
from cairnfs.types import AdminState


@dataclass(frozen=True, slots=True)
class ClusterStatistics:
    """Bytes over the live DataNodes, and how many blocks are in what trouble."""

    capacity: int
    dfs_used: int
    remaining: int
    block_pool_used: int
    non_dfs_used: int
    under_replicated: int
    low_redundancy_highest: int
    badly_distributed: int
    corrupt_blocks: int
    missing_blocks: int
    pending_replication: int
    pending_deletion: int
    postponed: int
    open_blocks: int
    recovering_blocks: int
    xceivers: int
    live_datanodes: int
    stale_datanodes: int
    dead_datanodes: int
    decommissioning_datanodes: int
    decommissioned_datanodes: int
    background_tasks: int


class ReportType(enum.Enum):
    """Which DataNodes ``getDatanodeReport`` asks for (``DatanodeReportTypeProto``)."""

    ALL = 1
    LIVE = 2
    DEAD = 3
    DECOMMISSIONING = 4
    ENTERING_MAINTENANCE = 5
    IN_MAINTENANCE = 6

    def wants(self, node: DatanodeDescriptor) -> bool:
        if self is ReportType.ALL:
            return True
        if self is ReportType.LIVE:
            return node.alive
        if self is ReportType.DEAD:
            return not node.alive
        state = {
            ReportType.DECOMMISSIONING: AdminState.DECOMMISSION_INPROGRESS,
            ReportType.ENTERING_MAINTENANCE: AdminState.ENTERING_MAINTENANCE,
            ReportType.IN_MAINTENANCE: AdminState.IN_MAINTENANCE,
        }[self]
        return node.alive and node.admin_state == state


def gather(parts: Parts, deleted_blocks: int, background_tasks: int) -> ClusterStatistics:
    """The figures of this moment. ``deleted_blocks`` still wait to be looked at."""
    totals, needed = parts.registry.totals, parts.redundancy.needed
    missing = needed.count(Priority.CORRUPT_OR_MISSING)
    states = [node.admin_state for node in parts.registry.nodes.values()]
    return ClusterStatistics(
        capacity=totals.capacity,
        dfs_used=totals.dfs_used,
        remaining=totals.remaining,
        block_pool_used=totals.block_pool_used,
        non_dfs_used=totals.non_dfs_used,
        under_replicated=len(needed) - missing,
        low_redundancy_highest=needed.count(Priority.HIGHEST),
        badly_distributed=needed.count(Priority.BADLY_DISTRIBUTED),
        corrupt_blocks=len(parts.corrupt),
        missing_blocks=missing,
        pending_replication=len(parts.pending),
        pending_deletion=parts.removals.queued + deleted_blocks,
        postponed=len(parts.redundancy.postponed),
        open_blocks=len(parts.open_blocks),
        recovering_blocks=len(parts.recoveries),
        xceivers=totals.xceivers,
        live_datanodes=totals.live,
        stale_datanodes=totals.stale,
        dead_datanodes=len(parts.registry.nodes) - totals.live,
        decommissioning_datanodes=states.count(AdminState.DECOMMISSION_INPROGRESS),
        decommissioned_datanodes=states.count(AdminState.DECOMMISSIONED),
        background_tasks=background_tasks,
    )
