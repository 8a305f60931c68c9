"""The control plane between Cairn's own NameNode, client and DataNodes, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cairnfs.client import connect_async
from cairnfs.datanode.commands import Invalidate, Transfer
from cairnfs.datanode.datanode import DataNode
from cairnfs.errors import CairnError
from cairnfs.events import Event
from cairnfs.testing.mini_cluster import MiniCluster
from cairnfs.types import Replica, ReplicaState


def replicas(node: DataNode) -> list[Replica]:
    assert node.dataset is not None
    return [
        replica
        for pool_id in node.dataset.pools()
        for _, replica in node.dataset.iter_replicas(pool_id)
    ]


def all_replicas(cluster: MiniCluster) -> list[Replica]:
    return [replica for node in cluster.datanodes for replica in replicas(node)]


class Heard:
    """Events of all DataNodes, from the moment it is made."""

    def __init__(self, cluster: MiniCluster) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        for node in cluster.datanodes:
            node.events.listen(lambda event: loop.call_soon_threadsafe(self._take, event) and None)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, enough: Callable[[list[Event]], bool]) -> None:
        async with asyncio.timeout(30):
            while not enough(self.events):
                self._changed.clear()
                await self._changed.wait()


def commands(kind: type) -> Callable[[list[Event]], bool]:
    return lambda events: any(
        event.name == "datanode.command" and isinstance(event.facts["command"], kind)
        for event in events
    )


def named(name: str) -> Callable[[list[Event]], bool]:
    return lambda events: any(event.name == name for event in events)


@pytest.mark.requirement("A21")
async def test_block_of_a_writer_that_vanished_is_brought_to_one_length(tmp_path: Path) -> None:
    async with MiniCluster(tmp_path) as cluster, await connect_async(cluster.url) as fs:
        heard = Heard(cluster)
        async with await connect_async(cluster.url) as other:
            writer = await other.create("/left", replication=3)
            await writer.write(os.urandom(100_000))
            await writer.hflush()
            await fs.recover_lease("/left")
            assert await fs.wait_closed("/left")
            with contextlib.suppress(CairnError):  # it has lost its lease
                await writer.close()
        await heard.until(named("datanode.block_recovered"))
        assert (await fs.stat("/left")).size == 100_000
        found = all_replicas(cluster)
        assert len(found) == 3
        assert {one.state for one in found} == {ReplicaState.FINALIZED}
        assert len({one.block for one in found}) == 1


@pytest.mark.requirement("A09")
@pytest.mark.requirement("C08")
async def test_replication_orders_are_obeyed_up_and_down(tmp_path: Path) -> None:
    async with MiniCluster(tmp_path) as cluster, await connect_async(cluster.url) as fs:
        heard = Heard(cluster)
        async with await fs.create("/file", replication=1) as writer:
            await writer.write(b"x" * 10_000)
        await fs.set_replication("/file", 3)
        await heard.until(
            lambda events: commands(Transfer)(events) and len(all_replicas(cluster)) == 3
        )
        await fs.set_replication("/file", 1)
        await heard.until(
            lambda events: commands(Invalidate)(events) and len(all_replicas(cluster)) == 1
        )
        assert await fs.read_bytes("/file") == b"x" * 10_000


@pytest.mark.requirement("A06")
@pytest.mark.requirement("A02")
async def test_restarted_namenode_serves_what_is_reported_to_it(tmp_path: Path) -> None:
    async with MiniCluster(tmp_path, datanodes=1) as cluster:
        async with (
            await connect_async(cluster.url) as fs,
            await fs.create("/file", replication=1) as writer,
        ):
            await writer.write(b"still here")
        heard = Heard(cluster)
        await cluster.restart_namenode(clean=False)
        await heard.until(named("datanode.heartbeat"))
        async with await connect_async(cluster.url) as fs:
            assert await fs.read_bytes("/file") == b"still here"


async def test_reports_of_small_files_do_not_wait_for_heartbeats(tmp_path: Path) -> None:
    """A client that is told "not yet" waits 400 ms and more before it asks again."""
    async with (
        MiniCluster(tmp_path, configuration={"dfs.heartbeat.interval": "60s"}) as cluster,
        await connect_async(cluster.url) as fs,
    ):
        async with asyncio.timeout(20 * 0.4):
            for number in range(20):
                await fs.write_bytes(f"/f{number}", b"x" * 1000)
