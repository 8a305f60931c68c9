"""Public tools for tests: a cluster in one process, clocks that are turned, faulty disks, ports."""

from __future__ import annotations

from cairnfs.testing.mini_cluster import MiniCluster
from cairnfs.testing.ports import free_port
from cairnfs.testing.turned_clock import TurnedClock

__all__ = ["MiniCluster", "TurnedClock", "free_port"]
