"""Block recovery led by one DataNode, over InterDatanodeProtocol to others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from datanode_fakes import FakeNamenode, MemoryDataset, make_node, namenode

from cairnfs.datanode import inter_protocol
from cairnfs.datanode.block_pool import BlockPool
from cairnfs.datanode.block_pools import BlockPools
from cairnfs.datanode.commands import Command, RecoverBlocks, RecoveringBlock
from cairnfs.datanode.node import Node, Ports
from cairnfs.datanode.recovery import RecoveryWorker
from cairnfs.errors import RecoveryImpossible, RecoveryInProgress
from cairnfs.net.rpc_server import RpcServer
from cairnfs.types import (
    Block,
    DatanodeID,
    DatanodeInfo,
    ExtendedBlock,
    Replica,
    ReplicaState,
)

BLOCK = ExtendedBlock("BP-1", 7, 1001, 0)
RECOVERY = 1010


class NoOrders:
    def obey(self, pool: BlockPool, command: Command) -> None:
        raise AssertionError(command)


@dataclass
class Member:
    """A DataNode as far as recoveries see it."""

    node: Node
    dataset: MemoryDataset
    server: RpcServer

    @property
    def info(self) -> DatanodeInfo:
        port = self.server.port
        return DatanodeInfo(
            DatanodeID("127.0.0.1", "localhost", self.dataset.datanode_uuid, 1, 2, port)
        )

    def holds(self, length: int, state: ReplicaState, stamp: int = 1001) -> None:
        self.dataset.replicas[7] = Replica(Block(7, stamp, length), state)


@dataclass
class Group:
    """Three members, the first of which is the primary of ``pool``."""

    members: list[Member]
    pool: BlockPool
    namenode: FakeNamenode
    worker: RecoveryWorker

    def order(self, truncate_to: Block | None = None) -> RecoveringBlock:
        locations = tuple(member.info for member in self.members)
        return RecoveringBlock(BLOCK, RECOVERY, locations, truncate_to)

    async def lead(self, truncate_to: Block | None = None) -> str:
        return await self.worker.lead(self.pool, self.order(truncate_to))


@contextlib.asynccontextmanager
async def member(number: int) -> AsyncIterator[Member]:
    dataset = MemoryDataset()
    dataset.datanode_uuid = f"uuid-{number}"
    node = make_node(dataset)
    server = RpcServer([inter_protocol.service(node)])
    await server.start("127.0.0.1", 0)
    node.ports = Ports("127.0.0.1", 1, server.port, 2)
    try:
        yield Member(node, dataset, server)
    finally:
        await server.close()
        await node.threads.stop()


@contextlib.asynccontextmanager
async def group() -> AsyncIterator[Group]:
    async with namenode() as nn, member(1) as one, member(2) as two, member(3) as three:
        pools = BlockPools(one.node, NoOrders(), lambda reasons: None)
        await pools.serve([nn.address])
        await one.node.events.wait_for("datanode.heartbeat")
        worker = RecoveryWorker(one.node)
        try:
            yield Group([one, two, three], pools.all[0], nn, worker)
        finally:
            await worker.stop()
            await pools.stop()


@pytest.mark.requirement("A21")
async def test_replicas_are_brought_to_the_shortest_and_the_namenode_hears_who_has_it() -> None:
    async with group() as made:
        for one, length in zip(made.members, (300, 200, 250), strict=True):
            one.holds(length, ReplicaState.RBW)
        assert await made.lead() == "3 replicas of 200 bytes"
        report = await made.namenode.next("commitBlockSynchronization")
        assert (report.block.blockId, report.newGenStamp, report.newLength) == (7, RECOVERY, 200)
        assert report.closeFile
        assert not report.deleteBlock
        uuids = [one.datanodeUuid for one in report.newTaragets]
        assert uuids == ["uuid-1", "uuid-2", "uuid-3"]
        assert list(report.newTargetStorages) == ["DS-1"] * 3
        for one in made.members:
            expected = Replica(Block(7, RECOVERY, 200), ReplicaState.FINALIZED)
            assert one.dataset.replicas[7] == expected


async def test_member_that_is_gone_is_left_out() -> None:
    async with group() as made:
        for one in made.members:
            one.holds(100, ReplicaState.RBW)
        order = made.order()
        await made.members[2].server.close()
        assert await made.worker.lead(made.pool, order) == "2 replicas of 100 bytes"
        report = await made.namenode.next("commitBlockSynchronization")
        assert len(report.newTaragets) == 2


async def test_block_that_nobody_has_is_dropped() -> None:
    async with group() as made:
        assert "dropped" in await made.lead()
        report = await made.namenode.next("commitBlockSynchronization")
        assert report.deleteBlock
        assert not report.newTaragets


async def test_newer_recovery_elsewhere_ends_this_one() -> None:
    async with group() as made:
        for one in made.members:
            one.holds(100, ReplicaState.RBW)
        made.members[1].dataset.refuse_recovery = RecoveryInProgress("1011 is at work")
        with pytest.raises(RecoveryInProgress):
            await made.lead()
        assert made.namenode.count("commitBlockSynchronization") == 0


async def test_unsafe_recovery_is_not_reported() -> None:
    async with group() as made:
        order = made.order()
        for one in made.members[1:]:
            await one.server.close()
        with pytest.raises(RecoveryImpossible, match="did not answer"):
            await made.worker.lead(made.pool, order)
        assert made.namenode.count("commitBlockSynchronization") == 0


async def test_truncation_under_a_new_id() -> None:
    async with group() as made:
        for one in made.members:
            one.holds(100, ReplicaState.FINALIZED)
        await made.lead(truncate_to=Block(8, RECOVERY, 60))
        report = await made.namenode.next("commitBlockSynchronization")
        assert (report.block.blockId, report.newLength) == (7, 60)
        for one in made.members:
            assert one.dataset.replicas[8].block == Block(8, RECOVERY, 60)


async def test_ordered_recoveries_run_in_the_background(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with group() as made:
        made.members[0].holds(100, ReplicaState.RBW)
        order = RecoverBlocks((made.order(),))
        made.worker.recover(made.pool, order.blocks)
        assert made.worker.under_way == 1
        await made.namenode.next("commitBlockSynchronization")
        async with asyncio.timeout(10):
            event = await made.members[0].node.events.wait_for("datanode.block_recovered")
        assert event.facts["block"] == BLOCK
