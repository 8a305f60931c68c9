"""Reading from DataNodes that misbehave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from client_fake_datanode import Behaviour, FakeDatanode, FakeNamenode, blocks_of, context_of

from cairnfs.client.context import ClientContext
from cairnfs.client.locations import FileBlocks
from cairnfs.client.reader import FileReader
from cairnfs.errors import (
    ChecksumMismatch,
    FileSystemError,
    NotFound,
    RemoteProtocolError,
    TransportError,
)
from cairnfs.wire.transfer_reply import Status

BLOCK = 40_000
DATA = random.Random(7).randbytes(100_000)


class World:
    def __init__(self, nodes: list[FakeDatanode], namenode: FakeNamenode) -> None:
        self.nodes = nodes
        self.namenode = namenode
        self.context: ClientContext | None = None


@asynccontextmanager
async def reading(
    *behaviours: Behaviour, verify: bool = True, conf: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[FileReader, World]]:
    """A reader of a file of three blocks with one replica on a node for each behaviour."""
    async with AsyncExitStack() as stack:
        nodes = []
        for number, behaviour in enumerate(behaviours):
            node = FakeDatanode(number, blocks_of(DATA, BLOCK), behaviour)
            nodes.append(await stack.enter_async_context(node))
        world = World(nodes, FakeNamenode(DATA, BLOCK, nodes))
        context = context_of(world.namenode, conf or {})
        world.context = context
        stack.callback(context.connections.close)
        blocks = FileBlocks(context, "/file")
        await blocks.open()
        reader = await stack.enter_async_context(FileReader(context, blocks, verify=verify))
        yield reader, world


async def test_a_whole_file_and_any_part_of_it() -> None:
    async with reading(Behaviour()) as (reader, world):
        assert await reader.read() == DATA
        assert await reader.read() == b""
        reader.seek(39_000)
        assert await reader.read(2_000) == DATA[39_000:41_000]
        buffer = bytearray(5_000)
        assert await reader.readinto(buffer) == 5_000
        assert bytes(buffer) == DATA[41_000:46_000]
        assert await reader.pread(79_999, 30_000) == DATA[79_999:]
        assert await reader.pread_into(39_990, buffer) == 5_000
        assert bytes(buffer) == DATA[39_990:44_990]
        assert await reader.pread(100_000, 10) == b""
        assert reader.position == 46_000
        assert set(world.nodes[0].statuses) == {Status.CHECKSUM_OK}


async def test_views_are_the_file_in_order() -> None:
    async with reading(Behaviour(packet_bytes=3 * 512)) as (reader, _):
        got = b""
        while views := await reader.views():
            got += b"".join(views)
        assert got == DATA
        reader.seek(50_000)
        assert b"".join(await reader.views())[:10] == DATA[50_000:50_010]
    async with reading(Behaviour()) as (reader, _):
        assert b"".join([piece async for piece in reader]) == DATA


async def test_packets_of_any_size_fit() -> None:
    for packet_bytes in (512, 4096, 1 << 20):
        async with reading(Behaviour(packet_bytes=packet_bytes)) as (reader, _):
            assert await reader.read() == DATA


@pytest.mark.requirement("C06")
async def test_connections_are_used_again() -> None:
    async with reading(Behaviour()) as (reader, world):
        for offset in range(0, 90_000, 10_000):
            assert await reader.pread(offset, 100) == DATA[offset : offset + 100]
        assert world.nodes[0].connections == 1
        assert world.namenode.asked == 1


@pytest.mark.requirement("C06")
async def test_a_connection_closed_while_idle_says_nothing_about_its_node() -> None:
    async with reading(Behaviour(no_keepalive=True)) as (reader, world):
        for offset in range(0, 50_000, 10_000):
            assert await reader.pread(offset, 100) == DATA[offset : offset + 100]
        assert world.context is not None
        assert world.nodes[0].info not in world.context.dead


async def test_idle_connections_are_closed_in_time() -> None:
    async with reading(Behaviour(), conf={"dfs.client.socketcache.expiryMsec": "20ms"}) as (
        reader,
        world,
    ):
        await reader.pread(0, 10)
        assert world.context is not None
        async with asyncio.timeout(5):
            while world.nodes[0]._tasks:
                await asyncio.wait(world.nodes[0]._tasks, timeout=0.01)
        assert world.context.connections.take_idle(world.nodes[0].info) is None


# --- bad replicas --------------------------------------------------------------------------------


@pytest.mark.requirement("A16")
async def test_wrong_data_is_reported_and_read_elsewhere() -> None:
    async with reading(Behaviour(corrupt_at=20_000), Behaviour()) as (reader, world):
        assert await reader.read() == DATA
        await reader.close()
        reported = world.namenode.bad
        assert {block.block.block_id for block in reported} == {0, 1}
        assert all(block.locations == (world.nodes[0].info,) for block in reported)
        # What came before the bad chunk was good and is not asked for again.
        again = [read for read in world.nodes[1].reads if read[0] == 0]
        assert again[0][1] > 0


@pytest.mark.requirement("A16")
async def test_wrong_data_everywhere_is_an_error() -> None:
    async with reading(Behaviour(corrupt_at=0), Behaviour(corrupt_at=0)) as (reader, world):
        with pytest.raises(ChecksumMismatch, match="cannot be read from any DataNode"):
            await reader.pread(0, 100)
        assert await reader.pread(512, 100) == DATA[512:612]
        # All replicas wrong: it may well be this machine that is.
        assert world.namenode.bad == []
    async with reading(Behaviour(corrupt_at=0)) as (reader, world):
        with pytest.raises(ChecksumMismatch):
            await reader.pread(0, 100)
        assert [block.locations for block in world.namenode.bad] == [(world.nodes[0].info,)]


async def test_a_file_replaced_meanwhile_is_not_read_on() -> None:
    async with reading(Behaviour(close_after_packets=0)) as (reader, world):
        world.namenode.first_block = 100
        with pytest.raises(FileSystemError, match="replaced"):
            await reader.pread(0, 10)


async def test_checksums_may_be_left_alone() -> None:
    async with reading(Behaviour(corrupt_at=0), verify=False) as (reader, world):
        assert await reader.pread(1, 99) == DATA[1:100]
        assert (await reader.pread(0, 1))[0] == DATA[0] ^ 1
        assert set(world.nodes[0].statuses) == {Status.SUCCESS}


@pytest.mark.requirement("C06")
@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(refuse=Status.ERROR),
        Behaviour(refuse=Status.ERROR_ACCESS_TOKEN),
        Behaviour(close_after_packets=0),
        Behaviour(close_after_packets=3),
        Behaviour(end_early=True),
        Behaviour(skip_packet=True),
        Behaviour(garbage=b"\x00" * 64),
        Behaviour(garbage=b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Behaviour(garbage=b"\xff" * 70_000),
        Behaviour(garbage=b""),
    ],
    ids=str,
)
async def test_a_bad_node_costs_nothing_but_a_moment(behaviour: Behaviour) -> None:
    async with reading(behaviour, Behaviour()) as (reader, _):
        assert await reader.read() == DATA
        assert await reader.pread(70_000, 20_000) == DATA[70_000:90_000]
        assert await reader.pread(100, 100) == DATA[100:200]


@pytest.mark.requirement("C06")
async def test_a_node_that_failed_is_asked_last_for_a_while() -> None:
    async with reading(Behaviour(close_after_packets=0), Behaviour()) as (reader, world):
        await reader.pread(0, 100)
        before = len(world.nodes[0].reads)
        for offset in (1_000, 50_000, 90_000):
            await reader.pread(offset, 100)
        assert len(world.nodes[0].reads) == before
        assert world.context is not None
        assert world.nodes[0].info in world.context.dead


@pytest.mark.requirement("C06")
async def test_a_silent_node_is_given_up_after_the_timeout() -> None:
    async with reading(
        Behaviour(silent=True), Behaviour(), conf={"dfs.client.socket-timeout": "100ms"}
    ) as (reader, world):
        assert await reader.pread(5, 100) == DATA[5:105]
        world.nodes[0].go_on.set()


@pytest.mark.requirement("C06")
async def test_when_all_replicas_fail_the_namenode_is_asked_again() -> None:
    async with reading(Behaviour(close_after_packets=0)) as (reader, world):
        # It is well again by the time the NameNode was asked for the second time.
        world.namenode.on_asked = lambda: setattr(
            world.nodes[0].behaviour, "close_after_packets", None
        )
        assert await reader.pread(0, 5_000) == DATA[:5_000]
        assert world.namenode.asked == 2


async def test_without_any_replica_the_error_says_which_block() -> None:
    async with reading() as (reader, _):
        with pytest.raises(TransportError, match="no DataNode has block 0 of /file"):
            await reader.read(10)
    async with reading(Behaviour(garbage=b"\xff" * 100)) as (reader, _):
        with pytest.raises(RemoteProtocolError, match="cannot be read from any DataNode"):
            await reader.read(10)


async def test_a_file_that_is_not_there() -> None:
    async with reading(Behaviour()) as (_, world):
        assert world.context is not None
        with pytest.raises(NotFound):
            await FileBlocks(world.context, "/other").open()


# --- ahead, hedged, closed -----------------------------------------------------------------------


@pytest.mark.requirement("C05")
async def test_reading_in_order_runs_ahead_and_jumping_about_does_not() -> None:
    async with reading(Behaviour()) as (reader, world):
        await reader.read(41_000)
        async with asyncio.timeout(5):
            await asyncio.gather(*[segment.task for segment in reader._segments])
        assert sum(length for _, _, length in world.nodes[0].reads) == len(DATA)
    async with reading(Behaviour()) as (reader, world):
        for offset in (80_000, 0, 60_000):
            reader.seek(offset)
            assert await reader.read(10) == DATA[offset : offset + 10]
        # One segment for each jump, up to the end of its block.
        assert len(world.nodes[0].reads) == 3


@pytest.mark.requirement("C05")
async def test_short_jumps_forward_use_what_is_there() -> None:
    async with reading(Behaviour()) as (reader, world):
        assert await reader.read(10) == DATA[:10]
        await asyncio.gather(reader._segments[0].task)
        reader.seek(30_000)
        assert await reader.read(10) == DATA[30_000:30_010]
        assert len(world.nodes[0].reads) == 1


@pytest.mark.requirement("C05")
async def test_many_read_at_once() -> None:
    async with reading(Behaviour(), Behaviour()) as (reader, _):
        offsets = list(range(0, 99_000, 999))
        found = await asyncio.gather(*[reader.pread(offset, 1_000) for offset in offsets])
        assert found == [DATA[offset : offset + 1_000] for offset in offsets]


HEDGED = {
    "dfs.client.hedged.read.threadpool.size": "2",
    "dfs.client.hedged.read.threshold.millis": "10ms",
}


@pytest.mark.requirement("C05")
async def test_a_hedged_read_does_not_wait_for_a_slow_node() -> None:
    async with reading(Behaviour(silent=True), Behaviour(), conf=HEDGED) as (reader, world):
        async with asyncio.timeout(3):
            assert await reader.pread(39_000, 2_000) == DATA[39_000:41_000]
        assert world.nodes[0].reads
        assert world.context is not None
        assert world.context.hedged_reads == 0
        world.nodes[0].go_on.set()


@pytest.mark.requirement("C05")
async def test_a_hedged_read_fails_only_when_all_attempts_do() -> None:
    async with reading(Behaviour(corrupt_at=0), Behaviour(corrupt_at=0), conf=HEDGED) as (
        reader,
        world,
    ):
        with pytest.raises(ChecksumMismatch):
            await reader.pread(0, 10)
        world.nodes[1].behaviour.corrupt_at = None
        assert await reader.pread(0, 10) == DATA[:10]


async def test_closing_in_mid_read_leaves_nothing_behind() -> None:
    async with reading(Behaviour(silent=True)) as (reader, _):
        task = asyncio.ensure_future(reader.read(10))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await reader.close()
        with pytest.raises(ValueError, match="closed"):
            await reader.read(10)
        with pytest.raises(ValueError, match="closed"):
            await reader.pread(0, 10)


async def test_ranges_that_are_none_are_refused() -> None:
    async with reading(Behaviour()) as (reader, _):
        with pytest.raises(ValueError, match="range"):
            await reader.pread(-1, 10)
        with pytest.raises(ValueError, match="before the start"):
            reader.seek(-1)
