"""Figures of the block layer for ``getStats``, metrics and reports."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cairnfs.blocks.nodes import DatanodeDescriptor
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
