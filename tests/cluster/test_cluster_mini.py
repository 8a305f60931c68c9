"""The whole system in one process: files go in, come out, and survive."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cairnfs.client import connect_async
from cairnfs.datanode.datanode import DataNode
from cairnfs.errors import NotFound
from cairnfs.testing import MiniCluster

DATA = os.urandom(300_000)


@pytest.mark.requirement("A01")
@pytest.mark.requirement("A05")
@pytest.mark.requirement("A27")
async def test_a_file_goes_in_and_comes_out(cluster: MiniCluster) -> None:
    fs = await connect_async(cluster.url)
    try:
        async with await fs.create("/dir/file", replication=3, block_size=65536) as out:
            await out.write(DATA)
        status = await fs.stat("/dir/file")
        assert status.size == len(DATA)
        async with await fs.open("/dir/file") as back:
            assert await back.read() == DATA
        located = await fs.locations("/dir/file")
        assert [len(block.locations) for block in located] == [3] * 5
    finally:
        await fs.close()


@pytest.mark.requirement("A04")
@pytest.mark.requirement("A06")
@pytest.mark.parametrize("clean", [True, False])
async def test_a_restarted_namenode_knows_everything(cluster: MiniCluster, clean: bool) -> None:
    fs = await connect_async(cluster.url)
    try:
        async with await fs.create("/file", replication=3, block_size=65536) as out:
            await out.write(DATA)
        await cluster.restart_namenode(clean=clean)
        async with await fs.open("/file") as back:
            assert await back.read() == DATA
        async with await fs.create("/second", replication=2) as out:
            await out.write(DATA)
        async with await fs.open("/second") as back:
            assert await back.read() == DATA
    finally:
        await fs.close()


@pytest.mark.requirement("A02")
@pytest.mark.requirement("A03")
async def test_restarted_datanodes_serve_what_they_hold(cluster: MiniCluster) -> None:
    fs = await connect_async(cluster.url)
    try:
        async with await fs.create("/file", replication=3, block_size=65536) as out:
            await out.write(DATA)
        for index in range(3):
            await cluster.restart_datanode(index)
        async with await fs.open("/file") as back:
            assert await back.read() == DATA
    finally:
        await fs.close()


@pytest.mark.requirement("A18")
async def test_deleted_blocks_leave_the_datanodes(cluster: MiniCluster) -> None:
    fs = await connect_async(cluster.url)
    try:
        async with await fs.create("/file", replication=1) as out:
            await out.write(DATA)
        [holder] = [node for node in cluster.datanodes if _replicas(cluster, node)]
        gone = asyncio.ensure_future(
            holder.events.wait_for(
                "datanode.incremental_report_sent", lambda event: not _replicas(cluster, holder)
            )
        )
        await fs.delete("/file")
        await gone
        with pytest.raises(NotFound):
            await fs.open("/file")
    finally:
        await fs.close()


@pytest.mark.requirement("A09")
@pytest.mark.requirement("A11")
async def test_too_few_nodes_are_made_up_for_later(tmp_path: Path) -> None:
    async with MiniCluster(tmp_path, datanodes=1) as cluster:
        fs = await connect_async(cluster.url)
        try:
            async with await fs.create("/file", replication=2) as out:
                await out.write(DATA)
            second = await cluster.add_datanode()
            await second.events.wait_for(
                "datanode.incremental_report_sent", lambda event: bool(_replicas(cluster, second))
            )
            await cluster.stop_datanode(0)
            async with await fs.open("/file") as back:
                assert await back.read() == DATA
        finally:
            await fs.close()


def _replicas(cluster: MiniCluster, node: DataNode) -> list[object]:
    assert node.dataset is not None
    assert cluster.namenode.system is not None
    return list(node.dataset.iter_replicas(cluster.namenode.system.info.pool_id))
