"""The block layer's orders as messages of DatanodeProtocol.proto."""

from __future__ import annotations

from collections.abc import Iterable

from cairnfs.blocks import commands
from cairnfs.types import LENGTH_UNKNOWN, Block, LocatedBlock
from cairnfs.wire.codec import encode_block, encode_datanode_info, encode_located_block
from cairnfs.wire.proto import datanode_pb2 as pb
from cairnfs.wire.proto import hdfs_pb2, hdfs_server_pb2

Command = pb.DatanodeCommandProto
_Action = pb.BlockCommandProto


def encode_commands(
    orders: Iterable[commands.DatanodeCommand], pool_id: str
) -> list[pb.DatanodeCommandProto]:
    """In the order they are to be carried out."""
    return [_encode(order, pool_id) for order in orders]


def _encode(order: commands.DatanodeCommand, pool_id: str) -> pb.DatanodeCommandProto:
    match order:
        case commands.Register():
            return Command(cmdType=Command.RegisterCommand, registerCmd=pb.RegisterCommandProto())
        case commands.Transfer():
            return _transfer(order, pool_id)
        case commands.Invalidate():
            return _invalidate(order, pool_id)
        case commands.RecoverBlocks():
            recovery = pb.BlockRecoveryCommandProto(
                blocks=[_recovering(block) for block in order.blocks]
            )
            return Command(cmdType=Command.BlockRecoveryCommand, recoveryCmd=recovery)
        case commands.BalancerBandwidth():
            balancer = pb.BalancerBandwidthCommandProto(bandwidth=order.bytes_per_second)
            return Command(cmdType=Command.BalancerBandwidthCommand, balancerCmd=balancer)
        case commands.FinalizeUpgrade():
            return Command(
                cmdType=Command.FinalizeCommand,
                finalizeCmd=pb.FinalizeCommandProto(blockPoolId=order.pool_id),
            )


def _transfer(order: commands.Transfer, pool_id: str) -> pb.DatanodeCommandProto:
    command = pb.BlockCommandProto(action=_Action.TRANSFER, blockPoolId=pool_id)
    for transfer in order.orders:
        command.blocks.append(encode_block(transfer.block.block))
        command.targets.append(
            hdfs_pb2.DatanodeInfosProto(
                datanodes=[encode_datanode_info(node) for node in transfer.targets]
            )
        )
        command.targetStorageUuids.append(
            hdfs_pb2.StorageUuidsProto(storageUuids=transfer.target_storage_ids)
        )
        command.targetStorageTypes.append(
            hdfs_pb2.StorageTypesProto(
                storageTypes=[int(kind) for kind in transfer.target_storage_types]  # type: ignore[misc]
            )
        )
    return Command(cmdType=Command.BlockCommand, blkCmd=command)


def _invalidate(order: commands.Invalidate, pool_id: str) -> pb.DatanodeCommandProto:
    empty = hdfs_pb2.DatanodeInfosProto()
    command = pb.BlockCommandProto(
        action=_Action.INVALIDATE,
        blockPoolId=pool_id,
        blocks=[encode_block(block) for block in order.blocks],
        # Hadoop's DataNode reads as many target lists as there are blocks.
        targets=[empty] * len(order.blocks),
        targetStorageUuids=[hdfs_pb2.StorageUuidsProto()] * len(order.blocks),
    )
    return Command(cmdType=Command.BlockCommand, blkCmd=command)


def _recovering(block: commands.RecoveringBlock) -> hdfs_server_pb2.RecoveringBlockProto:
    located = LocatedBlock(
        block.block,
        LENGTH_UNKNOWN,
        block.locations,
        block.storage_ids,
        block.storage_types,
    )
    message = hdfs_server_pb2.RecoveringBlockProto(
        newGenStamp=block.new_generation_stamp, block=encode_located_block(located)
    )
    if block.new_length is not None:
        truncated = Block(block.block.block_id, block.new_generation_stamp, block.new_length)
        message.truncateBlock.CopyFrom(encode_block(truncated))
    return message
