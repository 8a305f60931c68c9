"""What every operation of the transfer server shares."""

from __future__ import annotations

import threading
from dataclasses import fields

from cairnfs.datanode.buffer_pool import BufferPool
from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.interface import DatasetListener, TransferCounters
from cairnfs.datanode.settings import TransferSettings
from cairnfs.datanode.throttle import MoveSlots
from cairnfs.errors import ReplicaNotFound
from cairnfs.types import DatanodeID


class TransferContext:
    """Thread safe. ``identity`` is this node as clients know it."""

    def __init__(self, dataset: Dataset, settings: TransferSettings, identity: DatanodeID) -> None:
        self.dataset = dataset
        self.settings = settings
        self.identity = identity
        self.buffers = BufferPool()
        self.moves = MoveSlots(settings.balance_moves_max, settings.balance_bytes_per_s)
        self._lock = threading.Lock()
        self._counts = {field.name: 0 for field in fields(TransferCounters)}

    @property
    def listener(self) -> DatasetListener:
        return self.dataset.table.listener

    def require_pool(self, pool_id: str) -> None:
        """Raises ``ReplicaNotFound`` if the pool is not served, after a while of waiting (a
        node that just started has not met all its NameNodes yet)."""
        if not self.dataset.wait_for_pool(pool_id, self.settings.pool_ready_ms / 1000):
            raise ReplicaNotFound(f"this DataNode does not serve block pool {pool_id}")

    @property
    def counters(self) -> TransferCounters:
        """Totals since the start."""
        with self._lock:
            return TransferCounters(**self._counts)

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the fields of :class:`TransferCounters`."""
        with self._lock:
            self._counts[name] += by

    def count_written(self, size: int) -> None:
        self.count("bytes_written", size)
