"""What the storage and transfer half of a DataNode and its control plane say to each other.

The control plane implements :class:`DatasetListener`; the dataset and the transfer
server call it from their own threads, so an implementation must be thread safe, must
not block and must not raise (hand over to the event loop and return).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cairnfs.types import Block, DatanodeInfo, ExtendedBlock, ReplicaState


class DatasetListener(Protocol):
    """Told what happens to replicas, at once, in the thread where it happens."""

    def receiving(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        """A client began to write (or append to) a replica: report RECEIVING."""
        ...

    def received(
        self, pool_id: str, block: Block, storage_uuid: str, delete_hint: str = ""
    ) -> None:
        """A replica is finalized: report RECEIVED now. Called before the writer's last ack."""
        ...

    def deleted(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        """A replica is gone and its space is back: report DELETED."""
        ...

    def corrupt(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        """A replica of this node has wrong or unreadable data: report the bad block."""
        ...

    def corrupt_elsewhere(self, block: ExtendedBlock, source: DatanodeInfo) -> None:
        """``source`` sent wrong data for ``block``: report its replica as bad."""
        ...

    def volume_failed(self, storage_uuid: str, path: str, reason: str) -> None:
        """A volume was taken out of its storage; the replicas on it are no longer listed."""
        ...


class SilentListener:
    """A listener that does nothing (tools, tests)."""

    def receiving(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        return None

    def received(
        self, pool_id: str, block: Block, storage_uuid: str, delete_hint: str = ""
    ) -> None:
        return None

    def deleted(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        return None

    def corrupt(self, pool_id: str, block: Block, storage_uuid: str) -> None:
        return None

    def corrupt_elsewhere(self, block: ExtendedBlock, source: DatanodeInfo) -> None:
        return None

    def volume_failed(self, storage_uuid: str, path: str, reason: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class ReplicaRecoveryInfo:
    """Answer of ``init_replica_recovery``: the replica's own stamp and length, and the state
    that it had before recovery began."""

    block: Block
    original_state: ReplicaState


@dataclass(frozen=True, slots=True)
class VolumeFailure:
    """A volume that was taken out."""

    path: str
    storage_uuid: str
    failed_at_ms: int
    capacity_lost: int
    reason: str


@dataclass(frozen=True, slots=True)
class VolumeSpace:
    """Space of one volume, in bytes."""

    path: str
    storage_uuid: str
    capacity: int
    dfs_used: int
    remaining: int
    reserved: int
    replicas: int


@dataclass(frozen=True, slots=True)
class BlocksInMotion:
    """Which blocks are touched right now, as (pool id, block id): no scanner may judge them."""

    receiving: frozenset[tuple[str, int]]
    deleting: frozenset[tuple[str, int]]
    checking: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class TransferCounters:
    """Totals since start of a transfer server."""

    blocks_read: int = 0
    blocks_written: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    connections: int = 0
    connections_refused: int = 0
    checksum_errors: int = 0
