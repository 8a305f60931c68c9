"""Sums over the live DataNodes, kept by difference so that nobody adds them up."""

from __future__ import annotations

from cairnfs.blocks.nodes import DatanodeDescriptor


class ClusterTotals:
    """Bytes and counts over the live nodes; a node is taken off, changed and put back."""

    __slots__ = (
        "block_pool_used",
        "capacity",
        "dfs_used",
        "in_service",
        "live",
        "live_registered",
        "non_dfs_used",
        "remaining",
        "stale",
        "xceivers",
        "xceivers_in_service",
    )

    def __init__(self) -> None:
        self.live = 0
        # Of the live ones: those that have spoken to this process.
        self.live_registered = 0
        self.stale = 0
        self.in_service = 0
        self.capacity = 0
        self.dfs_used = 0
        self.remaining = 0
        self.block_pool_used = 0
        self.non_dfs_used = 0
        self.xceivers = 0
        self.xceivers_in_service = 0

    @property
    def mean_load(self) -> float:
        """Transfers that a node in service has open, on average."""
        return self.xceivers_in_service / self.in_service if self.in_service else 0.0

    def add(self, node: DatanodeDescriptor) -> None:
        self._apply(node, 1)

    def remove(self, node: DatanodeDescriptor) -> None:
        self._apply(node, -1)

    def _apply(self, node: DatanodeDescriptor, sign: int) -> None:
        if not node.alive:
            return
        self.live += sign
        self.live_registered += sign * node.registered
        self.stale += sign * node.stale
        self.capacity += sign * node.capacity
        self.dfs_used += sign * node.dfs_used
        self.remaining += sign * node.remaining
        self.block_pool_used += sign * node.block_pool_used
        self.non_dfs_used += sign * node.non_dfs_used
        self.xceivers += sign * node.xceivers
        if node.in_service:
            self.in_service += sign
            self.xceivers_in_service += sign * node.xceivers
