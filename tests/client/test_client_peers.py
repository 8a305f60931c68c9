"""The client against a real Apache HDFS: the proof that it speaks Hadoop's protocols."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator

import pytest
from client_apache_hdfs import ApacheHdfs

import cairnfs
from cairnfs.client import connect_async
from cairnfs.client.filesystem import FileSystem
from cairnfs.client.writer import FileWriter
from cairnfs.config import Configuration
from cairnfs.errors import (
    AlreadyBeingCreated,
    AlreadyExists,
    DirectoryNotEmpty,
    NotFound,
    PermissionDenied,
)

pytestmark = [pytest.mark.peers, pytest.mark.timeout(180)]

MIB = 1 << 20


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
async def fs(apache_hdfs: ApacheHdfs) -> AsyncIterator[FileSystem]:
    conf = Configuration({"dfs.client.socket-timeout": "10s"})
    async with await connect_async(apache_hdfs.url, conf, user="root", wait_ms=60_000) as found:
        # DataNodes come up a little after the NameNode, and after the test that killed them.
        while {node.id.xfer_port for node in await found.datanodes("LIVE")} != apache_hdfs.ports:
            await found.clock.sleep_ms(100)
        yield found


# --- bytes in, bytes out -------------------------------------------------------------------------


@pytest.mark.requirement("A01")
@pytest.mark.parametrize(
    ("size", "piece", "block_size"),
    [
        (0, 1, MIB),
        (1, 1, MIB),
        (511, 100, 512),
        (512, 512, 512),
        (10_000, 777, 4096),
        (4096 * 3, 5000, 4096),
        (3 * MIB, MIB, MIB),
        (7 * MIB + 13, 300_001, 2 * MIB),
        (20 * MIB + 1, 20 * MIB + 1, 128 * MIB),
    ],
)
async def test_what_is_written_is_read(
    fs: FileSystem, size: int, piece: int, block_size: int
) -> None:
    data = noise(size)
    path = f"/sizes/{size}-{piece}"
    async with await fs.create(path, block_size=block_size) as writer:
        for start in range(0, size, piece):
            await writer.write(data[start : start + piece])
    entry = await fs.stat(path)
    assert (entry.size, entry.block_size, entry.replication) == (size, block_size, 3)
    assert await fs.read_bytes(path) == data
    blocks = await fs.locations(path)
    assert len(blocks) == -(-size // block_size)
    assert all(len(block.locations) >= 1 for block in blocks)


@pytest.mark.requirement("C05")
async def test_reads_at_any_offset(fs: FileSystem) -> None:
    data = noise(5 * MIB + 77)
    await fs.write_bytes("/random", data)
    rng = random.Random(4)
    async with await fs.open("/random") as reader:
        for _ in range(40):
            offset = rng.randrange(len(data))
            size = rng.choice([1, 100, 70_000, 3 * MIB])
            assert await reader.pread(offset, size) == data[offset : offset + size]
            reader.seek(offset)
            assert await reader.read(size) == data[offset : offset + size]
        many = [rng.randrange(len(data)) for _ in range(16)]
        found = await asyncio.gather(*[reader.pread(offset, 65536) for offset in many])
        assert found == [data[offset : offset + 65536] for offset in many]
        reader.seek(len(data))
        assert await reader.read(10) == b""


@pytest.mark.requirement("C05")
async def test_hedged_reads_give_the_same_bytes(apache_hdfs: ApacheHdfs, fs: FileSystem) -> None:
    data = noise(MIB)
    await fs.write_bytes("/hedged", data)
    conf = Configuration(
        {
            "dfs.client.hedged.read.threadpool.size": "4",
            "dfs.client.hedged.read.threshold.millis": "1",
        }
    )
    async with (
        await connect_async(apache_hdfs.url, conf, user="root") as hedging,
        await hedging.open("/hedged") as reader,
    ):
        for offset in range(0, MIB, 100_000):
            assert await reader.pread(offset, 50_000) == data[offset : offset + 50_000]


@pytest.mark.requirement("F01")
async def test_hadoops_own_shell_reads_what_we_write_and_we_what_it_writes(
    apache_hdfs: ApacheHdfs, fs: FileSystem
) -> None:
    data = noise(3 * MIB + 5)
    async with await fs.create("/ours", block_size=MIB) as writer:
        await writer.write(data)
    assert await asyncio.to_thread(apache_hdfs.shell, "-cat", "/ours") == data
    local = apache_hdfs.folder / "local"
    local.write_bytes(data)
    await asyncio.to_thread(apache_hdfs.shell, "-put", str(local), "/theirs")
    assert await fs.read_bytes("/theirs") == data
    said = await asyncio.to_thread(apache_hdfs.shell, "-checksum", "/ours")
    assert str(await fs.checksum("/ours")) in said.decode()


# --- appending and flushing ----------------------------------------------------------------------


@pytest.mark.requirement("C01")
@pytest.mark.parametrize("new_block", [False, True])
async def test_append_goes_on_in_mid_chunk(fs: FileSystem, new_block: bool) -> None:
    path = f"/append-{new_block}"
    whole = b""
    await fs.write_bytes(path, b"")
    for number, size in enumerate([100, 412, 1, 700, 5000, 3, 4096, 200_000]):
        piece = noise(size, number)
        async with await fs.append(path, new_block=new_block and number > 0) as writer:
            assert writer.position == len(whole)
            await writer.write(piece)
        whole += piece
        assert await fs.read_bytes(path) == whole


@pytest.mark.requirement("A05")
async def test_flushed_bytes_are_visible_to_others(apache_hdfs: ApacheHdfs, fs: FileSystem) -> None:
    whole = b""
    async with (
        await connect_async(apache_hdfs.url, Configuration(), user="root") as other,
        await fs.create("/growing", block_size=4096) as writer,
    ):
        for number, size in enumerate([10, 502, 1, 3000, 700, 9000, 17]):
            piece = noise(size, number)
            await writer.write(piece)
            whole += piece
            await (writer.hsync() if number % 2 else writer.hflush())
            async with await other.open("/growing") as reader:
                assert reader.size == len(whole)
                assert await reader.read() == whole
        await writer.hsync(update_length=True)
        assert (await fs.stat("/growing")).size == len(whole)
    assert await fs.read_bytes("/growing") == whole


async def test_append_flushes_inside_its_first_chunk(fs: FileSystem) -> None:
    await fs.write_bytes("/partly", noise(100))
    whole = noise(100)
    async with await fs.append("/partly") as writer:
        for number in range(8):
            piece = noise(90, number)
            await writer.write(piece)
            await writer.hflush()
            whole += piece
            assert await fs.read_bytes("/partly") == whole
    assert await fs.read_bytes("/partly") == whole


# --- failing DataNodes ---------------------------------------------------------------------------


async def kill_one(apache_hdfs: ApacheHdfs, writer: FileWriter, position: int) -> int:
    """Kill the node at ``position`` of the pipeline; which of the processes it was."""
    await writer.hflush()
    assert writer.block is not None
    victim = apache_hdfs.datanode_of(writer.block.nodes[position].info.id.xfer_port)
    await asyncio.to_thread(apache_hdfs.kill_datanode, victim)
    return victim


@pytest.mark.requirement("A05")
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_datanode_killed_in_mid_write_does_not_fail_it(
    apache_hdfs: ApacheHdfs, fs: FileSystem, position: int
) -> None:
    data = noise(24 * MIB)
    path = f"/killed-{position}"
    victim = -1
    try:
        async with await fs.create(path, block_size=16 * MIB) as writer:
            for start in range(0, len(data), 100_000):
                await writer.write(data[start : start + 100_000])
                if start == 5_000_000:
                    victim = await kill_one(apache_hdfs, writer, position)
        assert hashlib.md5(await fs.read_bytes(path)).digest() == hashlib.md5(data).digest()
    finally:
        apache_hdfs.start_datanode(victim)


@pytest.mark.requirement("A22")
async def test_datanodes_that_are_down_are_not_asked_again(
    apache_hdfs: ApacheHdfs, fs: FileSystem
) -> None:
    data = noise(64 * 1024)
    # The NameNode does not know it yet and goes on naming them.
    for victim in (0, 1):
        await asyncio.to_thread(apache_hdfs.kill_datanode, victim)
    try:
        async with await fs.create("/others", block_size=8192, replication=2) as writer:
            await writer.write(data)
        assert await fs.read_bytes("/others") == data
    finally:
        for victim in (0, 1):
            apache_hdfs.start_datanode(victim)


@pytest.mark.requirement("C05")
async def test_a_datanode_killed_in_mid_read_does_not_fail_it(
    apache_hdfs: ApacheHdfs, fs: FileSystem
) -> None:
    data = noise(40 * MIB)
    async with await fs.create("/read-on", block_size=8 * MIB) as writer:
        await writer.write(data)
    blocks = await fs.locations("/read-on")
    victim = apache_hdfs.datanode_of(blocks[2].locations[0].id.xfer_port)
    got = bytearray()
    try:
        async with await fs.open("/read-on") as reader:
            while piece := await reader.read(500_000):
                got += piece
                if len(got) == 5_000_000:
                    await asyncio.to_thread(apache_hdfs.kill_datanode, victim)
        assert bytes(got) == data
    finally:
        apache_hdfs.start_datanode(victim)


# --- the tree ------------------------------------------------------------------------------------


async def test_the_tree(fs: FileSystem) -> None:
    await fs.mkdirs("/tree/a/b")
    with pytest.raises(AlreadyExists):
        await fs.mkdir("/tree/a")
    with pytest.raises(NotFound):
        await fs.mkdir("/tree/x/y")
    for name in ("one", "two", "three"):
        await fs.write_bytes(f"/tree/a/{name}", name.encode())
    assert [entry.name for entry in await fs.listdir("/tree/a")] == ["b", "one", "three", "two"]
    assert [entry.path for entry in await fs.listdir("/tree/a/one")] == ["/tree/a/one"]
    assert [entry.path for entry in await fs.glob("/tree/{a,x}/t*")] == [
        "/tree/a/three",
        "/tree/a/two",
    ]
    walked = [(top, len(dirs), len(files)) async for top, dirs, files in fs.walk("/tree")]
    assert walked == [("/tree", 1, 0), ("/tree/a", 1, 3), ("/tree/a/b", 0, 0)]
    summary = await fs.content_summary("/tree")
    assert (summary.file_count, summary.directory_count, summary.length) == (3, 3, 11)
    with pytest.raises(DirectoryNotEmpty):
        await fs.delete("/tree")
    await fs.rename("/tree/a/one", "/tree/1")
    with pytest.raises(AlreadyExists):
        await fs.rename("/tree/1", "/tree/a/two")
    await fs.rename("/tree/1", "/tree/a/two", overwrite=True)
    assert await fs.read_bytes("/tree/a/two") == b"one"
    assert await fs.move("/tree/a/two", "/tree/a/b")
    assert await fs.exists("/tree/a/b/two")
    await fs.chmod("/tree/a/b/two", 0o600)
    await fs.chown("/tree/a/b/two", "alice", "staff")
    await fs.set_times("/tree/a/b/two", modified_ms=1_000_000)
    assert await fs.set_replication("/tree/a/b/two", 1)
    entry = await fs.stat("/tree/a/b/two")
    assert (entry.mode, entry.owner, entry.group) == (0o600, "alice", "staff")
    assert (entry.modified_ms, entry.replication) == (1_000_000, 1)
    assert await fs.delete("/tree", recursive=True)
    assert not await fs.delete("/tree", recursive=True)
    with pytest.raises(NotFound):
        await fs.stat("/tree")
    with pytest.raises(NotFound):
        await fs.open("/tree")


async def test_a_large_directory_is_listed_page_by_page(fs: FileSystem) -> None:
    await asyncio.gather(*[fs.mkdirs(f"/many/{number:04}") for number in range(1500)])
    names = [entry.name async for entry in fs.list("/many")]
    assert names == [f"{number:04}" for number in range(1500)]


async def test_truncate_and_concat(fs: FileSystem) -> None:
    data = noise(10_000)
    for name in ("x", "y", "z"):
        async with await fs.create(f"/cut/{name}", block_size=1024) as writer:
            await writer.write(data)
    assert await fs.truncate("/cut/x", 2048)
    assert not await fs.truncate("/cut/x", 1500)
    assert await fs.wait_closed("/cut/x")
    assert await fs.read_bytes("/cut/x") == data[:1500]
    await fs.truncate("/cut/y", 1024 * 9)
    await fs.concat("/cut/y", ["/cut/z"])
    assert await fs.read_bytes("/cut/y") == data[: 1024 * 9] + data


@pytest.mark.requirement("A23")
async def test_one_writer_at_a_time(apache_hdfs: ApacheHdfs, fs: FileSystem) -> None:
    writer = await fs.create("/mine")
    await writer.write(b"kept")
    await writer.hflush()
    async with await connect_async(apache_hdfs.url, Configuration(), user="root") as other:
        with pytest.raises(AlreadyBeingCreated):
            await other.append("/mine")
        with pytest.raises(AlreadyBeingCreated):
            await other.create("/mine")
        # Taken away: the writer's bytes stay, and another may go on.
        await other.recover_lease("/mine")
        assert await other.wait_closed("/mine")
        async with await other.append("/mine") as second:
            await second.write(b" and more")
    await writer.abort()
    assert await fs.read_bytes("/mine") == b"kept and more"


async def test_permissions_are_the_namenodes(apache_hdfs: ApacheHdfs, fs: FileSystem) -> None:
    await fs.write_bytes("/private", b"x")
    await fs.chmod("/private", 0o600)
    async with await connect_async(apache_hdfs.url, Configuration(), user="bob") as bob:
        with pytest.raises(PermissionDenied):
            await bob.open("/private")
        with pytest.raises(PermissionDenied):
            await bob.mkdirs("/bobs")


def test_without_asyncio(apache_hdfs: ApacheHdfs) -> None:
    data = noise(3 * MIB)
    with cairnfs.connect(apache_hdfs.url, Configuration(), user="root", wait_ms=60_000) as fs:
        with fs.open("/blocking", "wb") as out:
            for start in range(0, len(data), 70_001):
                out.write(data[start : start + 70_001])
        with fs.open_read("/blocking") as file:
            assert file.read() == data
            assert file.seek(-10, 2) == len(data) - 10
            assert file.read(100) == data[-10:]
            assert file.pread(MIB, 5) == data[MIB : MIB + 5]
        copy = apache_hdfs.folder / "copy"
        with fs.open_read("/blocking") as source, copy.open("wb") as target:
            assert source.copy_to(target) == len(data)
        assert copy.read_bytes() == data
        with copy.open("rb") as source, fs.create("/copied") as out:
            assert out.copy_from(source) == len(data)
        assert fs.read_bytes("/copied") == data
        with fs.open("/lines", "w") as text:
            text.write("grüße\nan alle\n")
        with fs.open("/lines", "a") as text:
            text.write("nochmals\n")
        with fs.open("/lines", "r") as text:
            assert list(text) == ["grüße\n", "an alle\n", "nochmals\n"]
        with pytest.raises(AlreadyExists):
            fs.open("/lines", "xb")
        assert [entry.path for entry in fs.list("/lines")] == ["/lines"]
