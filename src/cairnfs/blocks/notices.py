"""What happened inside the block layer that its role may act on or tell others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockReachedMinimum:
    """A committed block has its minimum of finalised replicas: it may be completed."""

    block_id: int


@dataclass(frozen=True, slots=True)
class DatanodeRegistered:
    """``returned`` is True for a node that was known before."""

    datanode_uuid: str
    xfer_addr: str
    returned: bool


@dataclass(frozen=True, slots=True)
class DatanodeStale:
    """A node has been silent so long that readers and writers avoid it."""

    datanode_uuid: str
    xfer_addr: str


@dataclass(frozen=True, slots=True)
class DatanodeDead:
    """A node has been silent so long that its replicas count as lost."""

    datanode_uuid: str
    xfer_addr: str


@dataclass(frozen=True, slots=True)
class StorageFailed:
    """A storage is no longer in its node's heartbeats, or is reported failed."""

    datanode_uuid: str
    storage_uuid: str


@dataclass(frozen=True, slots=True)
class ReplicaCorrupt:
    """A replica will not be read any more, and is replaced."""

    block_id: int
    datanode_uuid: str
    storage_uuid: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportProcessed:
    """A full report of one storage has been taken in: ``differing`` of its replicas were
    not known as they are, ``removed`` were known and are not there."""

    datanode_uuid: str
    storage_uuid: str
    replicas: int
    differing: int
    removed: int


@dataclass(frozen=True, slots=True)
class SafeModeLeft:
    """Changes are allowed from now on."""

    reason: str


@dataclass(frozen=True, slots=True)
class TransferTimedOut:
    """A copy that was ordered did not arrive in time; the block is looked at again."""

    block_id: int
    target_uuid: str


@dataclass(frozen=True, slots=True)
class RecoveryOverdue:
    """A block recovery was not reported in time: begin it anew under a new stamp."""

    block_id: int


Notice = (
    BlockReachedMinimum
    | DatanodeRegistered
    | DatanodeStale
    | DatanodeDead
    | StorageFailed
    | ReplicaCorrupt
    | ReportProcessed
    | SafeModeLeft
    | TransferTimedOut
    | RecoveryOverdue
)
