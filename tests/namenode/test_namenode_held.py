"""Calls that wait a moment for DataNodes, rather than to be answered "not yet"."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from namenode_world import World, complete, create

from cairnfs.client import connect_async
from cairnfs.wire.proto import client_namenode_pb2 as pb


async def add_block(world: World, path: str) -> pb.AddBlockResponseProto:
    request = pb.AddBlockRequestProto(src=path, clientName="holder")
    return pb.AddBlockResponseProto.FromString(await world.root.call("addBlock", request))


async def test_complete_is_held_until_the_replicas_are_reported(tmp_path: Path) -> None:
    """The report comes 300 ms late, the only `complete` waits for it."""
    values = {
        "dfs.blockreport.incremental.intervalMsec": "300",
        "cairn.namenode.complete.hold": "20s",
    }
    world = World(tmp_path, values, datanodes=1, turned=False)
    await world.start()
    fs = await connect_async(world.cluster.url)
    try:
        async with await fs.create("/file", replication=1) as out:
            await out.write(b"data")
        server = world.cluster.namenode._server
        assert server is not None
        assert server.call_counts()["ClientProtocol.complete"] == 1
        assert (await fs.stat("/file")).size == 4
        assert not len(world.system.held)
    finally:
        await fs.close()
        await world.close()


async def test_complete_is_false_at_its_deadline(tmp_path: Path) -> None:
    world = World(tmp_path, datanodes=1, turned=False)
    await world.start()
    try:
        await create(world.root, "/file")
        block = (await add_block(world, "/file")).block.b
        block.numBytes = 1000
        # Nobody wrote it, so no report ever comes.
        assert not await complete(world.root, "/file", last=block)
        assert not await complete(world.root, "/file", last=block)
        assert not len(world.system.held)
    finally:
        await world.close()


async def test_held_calls_are_answered_when_the_namenode_stops(tmp_path: Path) -> None:
    world = World(tmp_path, {"cairn.namenode.complete.hold": "60s"}, datanodes=1, turned=False)
    await world.start()
    try:
        await create(world.root, "/file")
        block = (await add_block(world, "/file")).block.b
        waiting = asyncio.ensure_future(complete(world.root, "/file", last=block))
        async with asyncio.timeout(10):
            while not len(world.system.held):  # noqa: ASYNC110 - one pass of the loop at a time
                await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await world.cluster.restart_namenode()
            await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.done()
    finally:
        await world.close()


@pytest.mark.requirement("A06")
async def test_a_block_asked_for_right_after_a_restart_waits_for_a_datanode(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, datanodes=1, turned=False)
    await world.start()
    try:
        await create(world.root, "/file")
        await world.cluster.restart_namenode(clean=False)
        assert world.system.blocks.registry.totals.live_registered == 0
        located = await add_block(world, "/file")
        assert len(located.block.locs) == 1
    finally:
        await world.close()
