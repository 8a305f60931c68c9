"""What a NameNode orders a DataNode to do: ``DatanodeCommandProto`` (``DatanodeProtocol.proto``)
as dataclasses. Obeying them is :mod:`cairnfs.datanode.obedience`'s business."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import Block, DatanodeInfo, ExtendedBlock, StorageType
from cairnfs.wire.codec import (
    decode_block,
    decode_datanode_info,
    decode_located_block,
    decode_storage_types,
)
from cairnfs.wire.proto.datanode_pb2 import (
    BlockCommandProto,
    BlockIdCommandProto,
    DatanodeCommandProto,
)
from cairnfs.wire.proto.hdfs_server_pb2 import RecoveringBlockProto


@dataclass(frozen=True, slots=True)
class Register:
    """The NameNode does not know this node (any more)."""


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Send a replica to ``targets``, a pipeline in this order."""

    block: ExtendedBlock
    targets: tuple[DatanodeInfo, ...]
    target_storage_types: tuple[StorageType, ...]
    target_storage_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transfer:
    orders: tuple[TransferOrder, ...]


@dataclass(frozen=True, slots=True)
class Invalidate:
    """Delete replicas."""

    pool_id: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop this DataNode."""


@dataclass(frozen=True, slots=True)
class RecoveringBlock:
    """A block to bring to ``recovery_id`` (the new stamp) on all ``locations``.

    ``truncate_to`` is set where a truncation wants a shorter block, perhaps under a new id."""

    block: ExtendedBlock
    recovery_id: int
    locations: tuple[DatanodeInfo, ...]
    truncate_to: Block | None = None
    striped: bool = False


@dataclass(frozen=True, slots=True)
class RecoverBlocks:
    blocks: tuple[RecoveringBlock, ...]


@dataclass(frozen=True, slots=True)
class FinalizeUpgrade:
    """Drop what an upgrade kept for a way back."""

    pool_id: str


@dataclass(frozen=True, slots=True)
class UpdateKeys:
    """New keys for block tokens. ``required`` says whether the cluster uses block tokens."""

    required: bool


@dataclass(frozen=True, slots=True)
class SetBalancerBandwidth:
    bytes_per_s: int


@dataclass(frozen=True, slots=True)
class CacheBlocks:
    """Pin blocks in memory, or (``cache`` False) let go of them."""

    pool_id: str
    block_ids: tuple[int, ...]
    cache: bool


@dataclass(frozen=True, slots=True)
class ReconstructBlocks:
    """Rebuild ``groups`` erasure-coded block groups."""

    groups: int


Command = (
    Register
    | Transfer
    | Invalidate
    | Shutdown
    | RecoverBlocks
    | FinalizeUpgrade
    | UpdateKeys
    | SetBalancerBandwidth
    | CacheBlocks
    | ReconstructBlocks
)


def decode_commands(protos: Iterable[DatanodeCommandProto]) -> list[Command]:
    """All commands of an answer, in order. Raises ``RemoteProtocolError``."""
    return [command for proto in protos for command in (_decode(proto),) if command is not None]


def _decode(proto: DatanodeCommandProto) -> Command | None:
    kinds = DatanodeCommandProto
    match proto.cmdType:
        case kinds.RegisterCommand:
            return Register()
        case kinds.BlockCommand:
            _need(proto, "blkCmd")
            return _block_command(proto.blkCmd)
        case kinds.BlockRecoveryCommand:
            _need(proto, "recoveryCmd")
            return RecoverBlocks(tuple(map(decode_recovering_block, proto.recoveryCmd.blocks)))
        case kinds.FinalizeCommand:
            _need(proto, "finalizeCmd")
            return FinalizeUpgrade(proto.finalizeCmd.blockPoolId)
        case kinds.KeyUpdateCommand:
            _need(proto, "keyUpdateCmd")
            return UpdateKeys(proto.keyUpdateCmd.keys.isBlockTokenEnabled)
        case kinds.BalancerBandwidthCommand:
            _need(proto, "balancerCmd")
            return SetBalancerBandwidth(proto.balancerCmd.bandwidth)
        case kinds.BlockIdCommand:
            _need(proto, "blkIdCmd")
            return CacheBlocks(
                proto.blkIdCmd.blockPoolId,
                tuple(proto.blkIdCmd.blockIds),
                proto.blkIdCmd.action == BlockIdCommandProto.CACHE,
            )
        case kinds.BlockECReconstructionCommand:
            _need(proto, "blkECReconstructionCmd")
            return ReconstructBlocks(len(proto.blkECReconstructionCmd.blockECReconstructioninfo))
    return None  # "nothing to do", in two spellings


def _need(proto: DatanodeCommandProto, field: str) -> None:
    if not proto.HasField(field):  # type: ignore[arg-type]
        raise RemoteProtocolError(f"command of type {proto.cmdType} lacks its {field}")


def _block_command(proto: BlockCommandProto) -> Command:
    match proto.action:
        case BlockCommandProto.TRANSFER:
            return Transfer(_transfer_orders(proto))
        case BlockCommandProto.INVALIDATE:
            return Invalidate(proto.blockPoolId, tuple(map(decode_block, proto.blocks)))
    return Shutdown()


def _transfer_orders(proto: BlockCommandProto) -> tuple[TransferOrder, ...]:
    count = len(proto.blocks)
    if len(proto.targets) != count:
        raise RemoteProtocolError(f"{len(proto.targets)} lists of targets for {count} blocks")
    for name, given in (
        ("storage ids", proto.targetStorageUuids),
        ("storage types", proto.targetStorageTypes),
    ):
        if given and len(given) != count:
            raise RemoteProtocolError(f"{len(given)} lists of {name} for {count} blocks")
    orders = []
    for place in range(count):
        block = decode_block(proto.blocks[place])
        targets = tuple(map(decode_datanode_info, proto.targets[place].datanodes))
        types = proto.targetStorageTypes[place].storageTypes if proto.targetStorageTypes else ()
        ids = (
            tuple(proto.targetStorageUuids[place].storageUuids) if proto.targetStorageUuids else ()
        )
        if ids and len(ids) != len(targets):
            raise RemoteProtocolError(f"{len(ids)} storage ids for {len(targets)} targets")
        orders.append(
            TransferOrder(
                ExtendedBlock(
                    proto.blockPoolId, block.block_id, block.generation_stamp, block.num_bytes
                ),
                targets,
                decode_storage_types(types, len(targets)),
                ids or ("",) * len(targets),
            )
        )
    return tuple(orders)


def decode_recovering_block(proto: RecoveringBlockProto) -> RecoveringBlock:
    """Raises ``RemoteProtocolError``."""
    located = decode_located_block(proto.block)
    return RecoveringBlock(
        located.block,
        proto.newGenStamp,
        located.locations,
        decode_block(proto.truncateBlock) if proto.HasField("truncateBlock") else None,
        proto.HasField("ecPolicy"),
    )
