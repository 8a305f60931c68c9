"""Commands of a NameNode: understood, obeyed, refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from datanode_fakes import FakeNamenode, MemoryDataset, make_node, namenode
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.datanode.block_pool import BlockPool
from cairnfs.datanode.block_pools import BlockPools
from cairnfs.datanode.commands import (
    CacheBlocks,
    Command,
    FinalizeUpgrade,
    Invalidate,
    ReconstructBlocks,
    RecoverBlocks,
    RecoveringBlock,
    Register,
    SetBalancerBandwidth,
    Shutdown,
    Transfer,
    TransferOrder,
    UpdateKeys,
    decode_commands,
)
from cairnfs.datanode.obedience import Obedience
from cairnfs.datanode.recovery import RecoveryWorker
from cairnfs.errors import RemoteProtocolError, ReplicaNotFound
from cairnfs.types import (
    Block,
    DatanodeID,
    DatanodeInfo,
    ExtendedBlock,
    LocatedBlock,
    StorageType,
)
from cairnfs.wire.codec import (
    encode_block,
    encode_datanode_info,
    encode_located_block,
    parse,
)
from cairnfs.wire.proto import datanode_pb2 as pb

Kind = pb.DatanodeCommandProto
TARGET = DatanodeInfo(DatanodeID("10.0.0.2", "b", "uuid-2", 1, 2, 3))


def decoded(proto: pb.DatanodeCommandProto) -> list[Command]:
    return decode_commands([parse(pb.DatanodeCommandProto, proto.SerializeToString())])


def transfer() -> pb.DatanodeCommandProto:
    command = Kind(cmdType=Kind.BlockCommand)
    command.blkCmd.action = pb.BlockCommandProto.TRANSFER
    command.blkCmd.blockPoolId = "BP-1"
    command.blkCmd.blocks.append(encode_block(Block(7, 1001, 50)))
    command.blkCmd.targets.add().datanodes.append(encode_datanode_info(TARGET))
    return command


def test_transfer_with_and_without_storages() -> None:
    command = transfer()
    block = ExtendedBlock("BP-1", 7, 1001, 50)
    assert decoded(command) == [
        Transfer((TransferOrder(block, (TARGET,), (StorageType.DISK,), ("",)),))
    ]
    command.blkCmd.targetStorageUuids.add().storageUuids.append("DS-9")
    command.blkCmd.targetStorageTypes.add().storageTypes.append(StorageType.SSD)
    assert decoded(command) == [
        Transfer((TransferOrder(block, (TARGET,), (StorageType.SSD,), ("DS-9",)),))
    ]


def test_transfer_that_does_not_add_up() -> None:
    command = transfer()
    command.blkCmd.targets.add()
    with pytest.raises(RemoteProtocolError, match="2 lists of targets for 1 blocks"):
        decoded(command)
    command = transfer()
    command.blkCmd.targetStorageUuids.add().storageUuids.extend(("a", "b"))
    with pytest.raises(RemoteProtocolError, match="2 storage ids for 1 targets"):
        decoded(command)


def test_recovery_with_truncation() -> None:
    command = Kind(cmdType=Kind.BlockRecoveryCommand)
    located = LocatedBlock(ExtendedBlock("BP-1", 7, 1001, 50), 0, (TARGET,))
    recovering = command.recoveryCmd.blocks.add(
        newGenStamp=1010, block=encode_located_block(located)
    )
    plain = RecoveringBlock(located.block, 1010, (TARGET,))
    assert decoded(command) == [RecoverBlocks((plain,))]
    recovering.truncateBlock.CopyFrom(encode_block(Block(8, 1010, 20)))
    (recover,) = decoded(command)
    assert isinstance(recover, RecoverBlocks)
    assert recover.blocks[0].truncate_to == Block(8, 1010, 20)


def test_simple_commands() -> None:
    finalize = Kind(cmdType=Kind.FinalizeCommand)
    finalize.finalizeCmd.blockPoolId = "BP-1"
    assert decoded(finalize) == [FinalizeUpgrade("BP-1")]
    bandwidth = Kind(cmdType=Kind.BalancerBandwidthCommand)
    bandwidth.balancerCmd.bandwidth = 9
    assert decoded(bandwidth) == [SetBalancerBandwidth(9)]
    cache = Kind(cmdType=Kind.BlockIdCommand)
    cache.blkIdCmd.action = pb.BlockIdCommandProto.UNCACHE
    cache.blkIdCmd.blockPoolId = "BP-1"
    cache.blkIdCmd.blockIds.extend((1, 2))
    assert decoded(cache) == [CacheBlocks("BP-1", (1, 2), cache=False)]
    assert decoded(Kind(cmdType=Kind.RegisterCommand)) == [Register()]
    assert decoded(Kind(cmdType=Kind.NullDatanodeCommand)) == []
    assert decoded(Kind(cmdType=Kind.UnusedUpgradeCommand)) == []


@pytest.mark.parametrize(
    "kind",
    [
        Kind.BlockCommand,
        Kind.BlockRecoveryCommand,
        Kind.FinalizeCommand,
        Kind.KeyUpdateCommand,
        Kind.BalancerBandwidthCommand,
        Kind.BlockIdCommand,
        Kind.BlockECReconstructionCommand,
    ],
)
def test_command_without_its_content(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match="lacks"):
        decoded(Kind(cmdType=kind))  # type: ignore[arg-type]


@pytest.mark.requirement("A26")
@given(st.binary(max_size=200))
def test_any_bytes_are_commands_or_the_peers_fault(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode_commands(parse(pb.HeartbeatResponseProto, data).cmds)


@given(st.data())
def test_damaged_commands_are_commands_or_the_peers_fault(data: st.DataObject) -> None:
    whole = bytearray(transfer().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RemoteProtocolError):
        decode_commands([parse(pb.DatanodeCommandProto, bytes(whole))])


@dataclass
class FakeTransfers:
    sent: list[TransferOrder] = field(default_factory=list)
    bandwidth: int = 0

    def send_replica(self, order: TransferOrder) -> None:
        if order.block.block_id == 404:
            raise ReplicaNotFound("no such replica here")
        self.sent.append(order)

    def set_balance_bandwidth(self, bytes_per_s: int) -> None:
        self.bandwidth = bytes_per_s


@dataclass
class Servant:
    """A node that obeys, and everything it does so with."""

    dataset: MemoryDataset
    transfers: FakeTransfers
    obedience: Obedience
    pool: BlockPool
    namenode: FakeNamenode
    stopped: list[bool]

    async def obey(self, command: Command) -> None:
        """And wait until it is done."""
        self.obedience.obey(self.pool, command)
        await asyncio.gather(*self.obedience._tasks)


@contextlib.asynccontextmanager
async def servant() -> AsyncIterator[Servant]:
    dataset, transfers, stopped = MemoryDataset(), FakeTransfers(), list[bool]()
    node = make_node(dataset)
    worker = RecoveryWorker(node)
    obedience = Obedience(node, transfers, worker, lambda: stopped.append(True))
    pools = BlockPools(node, obedience, lambda reasons: None)
    async with namenode() as nn:
        await pools.serve([nn.address])
        await node.events.wait_for("datanode.heartbeat")
        try:
            yield Servant(dataset, transfers, obedience, pools.all[0], nn, stopped)
        finally:
            await pools.stop()
            await obedience.stop()
            await worker.stop()
            await node.threads.stop()


def order(block_id: int) -> TransferOrder:
    block = ExtendedBlock("BP-1", block_id, 1001, 50)
    return TransferOrder(block, (TARGET,), (StorageType.DISK,), ("",))


@pytest.mark.requirement("C08")
async def test_replicates_removes_and_shuts_down() -> None:
    async with servant() as made:
        await made.obey(Transfer((order(1), order(2))))
        assert {one.block.block_id for one in made.transfers.sent} == {1, 2}
        await made.obey(Invalidate("BP-1", (Block(3, 1001, 5),)))
        assert made.dataset.invalidated == [("BP-1", (Block(3, 1001, 5),))]
        await made.obey(SetBalancerBandwidth(77))
        assert made.transfers.bandwidth == 77
        await made.obey(SetBalancerBandwidth(0))
        assert made.transfers.bandwidth == 77
        await made.obey(Shutdown())
        assert made.stopped == [True]


async def test_order_that_fails_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with servant() as made:
        await made.obey(Transfer((order(404), order(1))))
        assert [one.block.block_id for one in made.transfers.sent] == [1]
        assert "no such replica here" in caplog.text
        assert made.obedience.sending == 0


async def test_erasure_coding_is_refused_at_both_ends(caplog: pytest.LogCaptureFixture) -> None:
    async with servant() as made:
        await made.obey(ReconstructBlocks(4))
        message = await made.namenode.next("errorReport")
        assert message.errorCode == pb.ErrorReportRequestProto.NOTIFY
        assert "4 erasure-coded block groups" in message.msg
        assert "4 erasure-coded block groups" in caplog.text


async def test_commands_that_need_nothing_done() -> None:
    async with servant() as made:
        for command in (
            FinalizeUpgrade("BP-1"),
            UpdateKeys(required=False),
            CacheBlocks("BP-1", (1,), cache=True),
        ):
            await made.obey(command)
        assert not made.transfers.sent
        assert not made.dataset.invalidated
