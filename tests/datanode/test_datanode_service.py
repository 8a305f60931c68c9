"""A DataNode's control plane towards NameNodes over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from datanode_fakes import (
    NAMESPACE,
    STORAGE,
    FakeNamenode,
    MemoryDataset,
    TurnedClock,
    make_node,
    namenode,
)

from cairnfs.config.nameservices import NamenodeAddress
from cairnfs.datanode.block_pool import BlockPool
from cairnfs.datanode.block_pools import BlockPools, Reporter
from cairnfs.datanode.commands import Command, Invalidate
from cairnfs.datanode.interface import VolumeFailure
from cairnfs.datanode.node import Node
from cairnfs.datanode.service_state import Phase, ServiceSettings
from cairnfs.errors import ChecksumMismatch, IncorrectVersion, UnregisteredNode
from cairnfs.types import (
    Block,
    DatanodeID,
    DatanodeInfo,
    ExtendedBlock,
    NamespaceInfo,
)
from cairnfs.wire.codec import encode_block
from cairnfs.wire.proto import datanode_pb2 as pb


class Obeying:
    """Remembers what was ordered."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, Command]] = []

    def obey(self, pool: BlockPool, command: Command) -> None:
        self.orders.append((pool.pool_id, command))


class Plane:
    """Block pools, what they obeyed, why they gave up, and the threads' door to them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.obeying = Obeying()
        self.given_up: list[str] = []
        self.failed_volumes = 0
        self.pools = BlockPools(node, self.obeying, self.given_up.extend)
        self.reporter = Reporter(asyncio.get_running_loop(), self._volume_failed)
        self.reporter.pools = self.pools
        node.tell_rest = self.reporter.drain

    def _volume_failed(self) -> None:
        self.failed_volumes += 1


@contextlib.asynccontextmanager
async def plane(
    *addresses: NamenodeAddress, dataset: MemoryDataset | None = None, **more: Any
) -> AsyncIterator[Plane]:
    made = Plane(make_node(dataset or MemoryDataset(), **more))
    await made.pools.serve(addresses)
    try:
        yield made
    finally:
        await made.pools.stop()
        await made.node.threads.stop()


def received_ids(request: Any) -> list[tuple[int, int]]:
    """(Block id, status) of an incremental report."""
    return [(one.block.blockId, one.status) for group in request.blocks for one in group.blocks]


@pytest.mark.requirement("A02")
@pytest.mark.requirement("A03")
async def test_registers_and_reports_all_blocks() -> None:
    dataset = MemoryDataset()
    dataset.add(1073741825, 100)
    async with namenode() as nn, plane(nn.address, dataset=dataset) as made:
        nn.lease_id = 99
        registration = (await nn.next("registerDatanode")).registration
        assert registration.datanodeID.datanodeUuid == "uuid-1"
        assert registration.datanodeID.ipAddr == "127.0.0.1"
        assert registration.datanodeID.xferPort == 9866
        assert registration.storageInfo.clusterID == "CID-1"
        heartbeat = await nn.next("sendHeartbeat")
        assert heartbeat.requestFullBlockReportLease
        report = await nn.next("blockReport")
        assert report.blockPoolId == "BP-1"
        assert report.context.leaseId == 99
        assert (report.context.totalRpcs, report.context.curRpc) == (1, 0)
        (storage,) = report.reports
        assert storage.storage.storageUuid == STORAGE.storage_uuid
        assert storage.numberOfBlocks == 1
        assert dataset.pools == {"BP-1"}
        await made.node.events.wait_for("datanode.block_report_sent")


@pytest.mark.requirement("A08")
async def test_heartbeat_tells_space_load_and_failures() -> None:
    dataset = MemoryDataset()
    dataset.add(1, 100)
    dataset.failures.append(VolumeFailure("/data/2", "DS-2", 5, 777, "gone"))
    async with namenode() as nn, plane(nn.address, dataset=dataset):
        heartbeat = await nn.next("sendHeartbeat")
        (report,) = heartbeat.reports
        assert (report.capacity, report.dfsUsed, report.remaining) == (1000, 100, 900)
        assert heartbeat.failedVolumes == 1
        assert list(heartbeat.volumeFailureSummary.failedStorageLocations) == ["/data/2"]
        assert heartbeat.volumeFailureSummary.estimatedCapacityLostTotal == 777


@pytest.mark.requirement("A02")
async def test_namenode_may_come_later() -> None:
    fake = FakeNamenode()
    await fake.start()
    await fake.stop()  # the port is known now, and nobody is there
    settings = ServiceSettings(heartbeat_interval_ms=100)
    async with plane(fake.address, settings=settings) as made:
        await made.node.events.wait_for("datanode.namenode_lost")
        await fake.start()
        try:
            await fake.next("registerDatanode")
        finally:
            await fake.stop()


@pytest.mark.requirement("A06")
async def test_restarted_namenode_asks_for_registration_and_gets_it() -> None:
    settings = ServiceSettings(heartbeat_interval_ms=50)
    async with namenode() as nn, plane(nn.address, settings=settings):
        await nn.next("sendHeartbeat")
        await nn.stop()
        await nn.start()
        nn.commands = [
            pb.DatanodeCommandProto(
                cmdType=pb.DatanodeCommandProto.RegisterCommand,
                registerCmd=pb.RegisterCommandProto(),
            )
        ]
        await nn.next("versionRequest")
        await nn.next("registerDatanode")
        assert (await nn.next("sendHeartbeat")).requestFullBlockReportLease


async def test_unknown_node_registers_again() -> None:
    settings = ServiceSettings(heartbeat_interval_ms=50)
    async with namenode() as nn, plane(nn.address, settings=settings):
        await nn.next("sendHeartbeat")

        def forget(request: Any) -> None:
            del nn.on["sendHeartbeat"]
            raise UnregisteredNode("who are you?")

        nn.on["sendHeartbeat"] = forget
        await nn.next("registerDatanode")


@pytest.mark.requirement("A26")
async def test_namenode_of_another_cluster_is_refused_and_nothing_is_told() -> None:
    dataset = MemoryDataset(cluster_id="CID-other")
    async with namenode() as nn, plane(nn.address, dataset=dataset) as made:
        event = await made.node.events.wait_for("datanode.refused")
        assert "CID-other" in event.facts["reason"]
        assert made.given_up == [event.facts["reason"]]
        assert nn.count("registerDatanode") == 0
        assert not dataset.pools


async def test_refusal_by_the_namenode_is_final() -> None:
    def refuse(request: Any) -> None:
        raise IncorrectVersion("you are too old")

    async with namenode() as nn:
        nn.on["registerDatanode"] = refuse
        async with plane(nn.address) as made:
            await made.node.events.wait_for("datanode.refused")
            assert made.given_up == ["you are too old"]


async def test_namenode_that_wants_block_tokens_is_refused() -> None:
    async def with_tokens(request: Any) -> bytes:
        answer = pb.RegisterDatanodeResponseProto(registration=request.registration)
        answer.registration.keys.isBlockTokenEnabled = True
        return answer.SerializeToString()

    async with namenode() as nn:
        nn.on["registerDatanode"] = with_tokens
        async with plane(nn.address) as made:
            await made.node.events.wait_for("datanode.refused")
            assert "dfs.block.access.token.enable" in made.given_up[0]


@pytest.mark.requirement("A25")
async def test_one_of_two_nameservices_is_refused_and_the_other_goes_on() -> None:
    foreign = NamespaceInfo(8, "CID-2", "BP-2", 0, "", "3.4.2", -66)
    async with namenode() as nn, namenode(foreign) as other:
        addresses = (
            NamenodeAddress("one", "", "127.0.0.1", nn.port),
            NamenodeAddress("two", "", "127.0.0.1", other.port),
        )
        dataset = MemoryDataset(cluster_id="CID-1")
        async with plane(*addresses, dataset=dataset) as made:
            await made.node.events.wait_for("datanode.refused")
            await nn.next("sendHeartbeat")
            assert made.given_up == []


@pytest.mark.requirement("A25")
async def test_two_pools_are_told_of_their_own_blocks_only() -> None:
    second = NamespaceInfo(8, "CID-1", "BP-2", 0, "", "3.4.2", -66)
    async with namenode() as one, namenode(second) as two:
        addresses = (
            NamenodeAddress("one", "", "127.0.0.1", one.port),
            NamenodeAddress("two", "", "127.0.0.1", two.port),
        )
        async with plane(*addresses) as made:
            await one.next("sendHeartbeat")
            await two.next("sendHeartbeat")
            made.reporter.received("BP-2", Block(5, 1000, 1), "DS-1")
            report = await two.next("blockReceivedAndDeleted")
            assert report.blockPoolId == "BP-2"
            assert one.count("blockReceivedAndDeleted") == 0


async def settled(nn: FakeNamenode, made: Plane) -> None:
    """Wait until the first heartbeat was answered."""
    if not any(service.phase is Phase.SERVING for service in made.pools.services):
        await made.node.events.wait_for("datanode.heartbeat")


async def test_received_replica_is_reported_from_its_thread_at_once() -> None:
    clock = TurnedClock()  # no heartbeat will ever come by itself
    async with namenode() as nn, plane(nn.address, clock=clock) as made:
        await settled(nn, made)

        def write() -> None:
            for block_id in range(5):
                made.reporter.receiving("BP-1", Block(block_id, 1000, 0), "DS-1")
                made.reporter.received("BP-1", Block(block_id, 1000, 7), "DS-1", "hint")

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        report = await nn.next("blockReceivedAndDeleted")
        assert received_ids(report) == [(block_id, 2) for block_id in range(5)]
        assert report.blocks[0].blocks[0].deleteHint == "hint"
        assert report.blocks[0].storage.storageUuid == "DS-1"


async def test_that_a_replica_is_being_received_is_told_with_the_next_heartbeat() -> None:
    clock = TurnedClock()
    async with namenode() as nn, plane(nn.address, clock=clock) as made:
        await settled(nn, made)
        made.reporter.receiving("BP-1", Block(1, 1000, 0), "DS-1")
        await asyncio.sleep(0.01)
        assert nn.count("blockReceivedAndDeleted") == 0
        clock.turn(made.node.service_settings.heartbeat_interval_ms)
        assert received_ids(await nn.next("blockReceivedAndDeleted")) == [(1, 1)]


async def test_reports_do_not_wait_for_each_other() -> None:
    clock = TurnedClock()
    async with namenode() as nn, plane(nn.address, clock=clock) as made:
        await settled(nn, made)
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        nn.on["blockReceivedAndDeleted"] = lambda request: gate
        for block_id in range(3):
            made.reporter.received("BP-1", Block(block_id, 1000, 7), "DS-1")
            assert received_ids(await nn.next("blockReceivedAndDeleted")) == [(block_id, 2)]
        gate.set_result(None)


async def test_failed_report_is_repeated_with_newer_facts() -> None:
    clock = TurnedClock()
    async with namenode() as nn, plane(nn.address, clock=clock) as made:
        await settled(nn, made)

        def fail(request: Any) -> None:
            raise ChecksumMismatch("not now")

        nn.on["blockReceivedAndDeleted"] = fail
        made.reporter.received("BP-1", Block(1, 1000, 7), "DS-1")
        await made.node.events.wait_for("datanode.incremental_report_failed")
        await nn.next("blockReceivedAndDeleted")
        del nn.on["blockReceivedAndDeleted"]
        made.reporter.received("BP-1", Block(2, 1000, 7), "DS-1")
        clock.turn(1_000)
        report = await nn.next("blockReceivedAndDeleted")
        assert sorted(received_ids(report)) == [(1, 2), (2, 2)]


async def test_facts_of_a_pool_that_no_namenode_serves_yet_are_left_to_the_full_report() -> None:
    async with plane(NamenodeAddress("", "", "127.0.0.1", 9)) as made:
        made.reporter.received("BP-1", Block(1, 1000, 7), "DS-1")
        await made.node.events.wait_for("datanode.namenode_lost")
        assert len(made.pools.services[0].state.pending) == 0


@pytest.mark.requirement("A24")
async def test_both_of_a_pair_are_told_and_only_the_active_is_obeyed() -> None:
    async with namenode() as active, namenode() as standby:
        standby.active = False
        addresses = (
            NamenodeAddress("ns", "a", "127.0.0.1", active.port),
            NamenodeAddress("ns", "b", "127.0.0.1", standby.port),
        )
        delete = pb.DatanodeCommandProto(cmdType=pb.DatanodeCommandProto.BlockCommand)
        delete.blkCmd.action = pb.BlockCommandProto.INVALIDATE
        delete.blkCmd.blockPoolId = "BP-1"
        for nn, block_id in ((active, 1), (standby, 2)):
            command = pb.DatanodeCommandProto()
            command.CopyFrom(delete)
            command.blkCmd.blocks.append(encode_block(Block(block_id, 1000, 1)))
            nn.commands = [command]
        settings = ServiceSettings(heartbeat_interval_ms=50)
        async with plane(*addresses, settings=settings) as made:
            heard = set()
            while len(heard) < 2:
                event = await made.node.events.wait_for("datanode.heartbeat")
                heard.add(event.facts["namenode"])
            assert made.obeying.orders == [
                ("BP-1", Invalidate("BP-1", (Block(1, 1000, 1),))),
            ]
            made.reporter.received("BP-1", Block(3, 1000, 7), "DS-1")
            for nn in (active, standby):
                assert received_ids(await nn.next("blockReceivedAndDeleted")) == [(3, 2)]
            assert made.pools.all[0].active is made.pools.services[0]


@pytest.mark.requirement("A16")
async def test_bad_blocks_are_told_again_after_the_namenode_was_away() -> None:
    settings = ServiceSettings(heartbeat_interval_ms=50)
    async with namenode() as nn, plane(nn.address, settings=settings) as made:
        await settled(nn, made)
        await nn.stop()
        await made.node.events.wait_for("datanode.namenode_lost")
        other = DatanodeInfo(DatanodeID("10.0.0.9", "h", "uuid-9", 1, 2, 3))
        made.reporter.corrupt("BP-1", Block(1, 1000, 7), "DS-1")
        made.reporter.corrupt_elsewhere(ExtendedBlock("BP-1", 2, 1000, 7), other)
        await nn.start()
        first = (await nn.next("reportBadBlocks")).blocks[0]
        assert (first.b.blockId, first.locs[0].id.datanodeUuid) == (1, "uuid-1")
        assert list(first.storageIDs) == ["DS-1"]
        second = (await nn.next("reportBadBlocks")).blocks[0]
        assert (second.b.blockId, second.locs[0].id.datanodeUuid) == (2, "uuid-9")


async def test_failed_volume_is_told_and_followed_by_a_full_report() -> None:
    clock = TurnedClock()
    async with namenode() as nn, plane(nn.address, clock=clock) as made:
        await settled(nn, made)
        made.reporter.volume_failed("DS-1", "/data/1", "I/O error")
        message = await nn.next("errorReport")
        assert message.errorCode == pb.ErrorReportRequestProto.DISK_ERROR
        assert "/data/1" in message.msg
        while nn.count("blockReport") == 0:
            await nn.next("blockReport")
        assert made.failed_volumes == 1


@pytest.mark.requirement("E05")
async def test_large_reports_are_sent_storage_by_storage() -> None:
    dataset = MemoryDataset()
    dataset.add(1)
    async with (
        namenode() as nn,
        plane(nn.address, dataset=dataset, report_split_threshold=1) as made,
    ):
        nn.lease_id = 5
        await settled(nn, made)
        report = await nn.next("blockReport")
        assert len(report.reports) == report.context.totalRpcs == 1


async def test_namenodes_can_be_exchanged_while_running() -> None:
    second = NamespaceInfo(8, "CID-1", "BP-2", 0, "", "3.4.2", -66)
    async with namenode() as one, namenode(second) as two:
        first_address = NamenodeAddress("one", "", "127.0.0.1", one.port)
        async with plane(first_address) as made:
            await one.next("sendHeartbeat")
            kept = made.pools.services[0]
            second_address = NamenodeAddress("two", "", "127.0.0.1", two.port)
            await made.pools.serve([first_address, second_address])
            await two.next("sendHeartbeat")
            assert made.pools.services[0] is kept
            await made.pools.serve([second_address])
            assert [service.address for service in made.pools.services] == [second_address]
            assert made.node.dataset.pools == {"BP-2"}  # type: ignore[attr-defined]


async def test_half_open_connection_is_given_up_after_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cairnfs.datanode.service.CALL_TIMEOUT_MS", 50)
    settings = ServiceSettings(heartbeat_interval_ms=50)
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with namenode() as nn:
        nn.on["versionRequest"] = lambda request: never
        async with plane(nn.address, settings=settings) as made:
            await made.node.events.wait_for("datanode.namenode_lost")
            del nn.on["versionRequest"]
            await nn.next("registerDatanode")
        never.cancel()


async def test_namespace_of_a_pool_may_not_change() -> None:
    settings = ServiceSettings(heartbeat_interval_ms=50)
    async with namenode() as nn, plane(nn.address, settings=settings) as made:
        await settled(nn, made)
        nn.namespace = NamespaceInfo(9, "CID-1", "BP-9", 0, "", "3.4.2", -66)
        nn.commands = [pb.DatanodeCommandProto(cmdType=pb.DatanodeCommandProto.RegisterCommand)]
        event = await made.node.events.wait_for("datanode.refused")
        assert "formatted anew" in event.facts["reason"]
        assert made.pools.all[0].namespace == NAMESPACE
