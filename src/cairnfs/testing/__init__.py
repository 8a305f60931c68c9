"""Public tools for tests: a cluster in one process, clocks that are turned, faulty disks."""

from __future__ import annotations

from cairnfs.testing.mini_cluster import MiniCluster
from cairnfs.testing.turned_clock import TurnedClock

__all__ = ["MiniCluster", "TurnedClock"]
