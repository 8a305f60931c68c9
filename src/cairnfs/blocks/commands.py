"""What the NameNode tells a DataNode in the answer to a heartbeat.

Frozen values; the role turns them into the messages of ``DatanodeProtocol.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.types import Block, DatanodeInfo, ExtendedBlock, StorageType

# A length that tells a DataNode not to report the removal (Hadoop's BlockCommand.NO_ACK).
LENGTH_NO_ACK = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Register:
    """This NameNode does not know the sender: register, then report all blocks."""


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Send one finalised replica to new holders, through a pipeline in this order."""

    block: ExtendedBlock
    targets: tuple[DatanodeInfo, ...]
    target_storage_ids: tuple[str, ...]
    target_storage_types: tuple[StorageType, ...]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Copy blocks to other DataNodes (``DNA_TRANSFER``)."""

    orders: tuple[TransferOrder, ...]


@dataclass(frozen=True, slots=True)
class Invalidate:
    """Remove replicas (``DNA_INVALIDATE``); one with another generation stamp stays."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class RecoveringBlock:
    """A block whose replicas are to be made equal under a new generation stamp.

    ``block`` has the old stamp; ``new_length`` is set when a truncate shortens it."""

    block: ExtendedBlock
    new_generation_stamp: int
    locations: tuple[DatanodeInfo, ...]
    storage_ids: tuple[str, ...]
    storage_types: tuple[StorageType, ...]
    new_length: int | None = None


@dataclass(frozen=True, slots=True)
class RecoverBlocks:
    """Lead the recovery of these blocks as their primary (``DNA_RECOVERBLOCK``)."""

    blocks: tuple[RecoveringBlock, ...]


@dataclass(frozen=True, slots=True)
class BalancerBandwidth:
    """Move at most so many bytes a second when balancing."""

    bytes_per_second: int


@dataclass(frozen=True, slots=True)
class FinalizeUpgrade:
    """Forget the state before an upgrade; the usual answer to a full report."""

    pool_id: str


DatanodeCommand = (
    Register | Transfer | Invalidate | RecoverBlocks | BalancerBandwidth | FinalizeUpgrade
)
