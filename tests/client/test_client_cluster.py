"""The client with Cairn's own NameNode and DataNodes, all in this process."""

from __future__ import annotations

import asyncio
import io
import random
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

import cairnfs
from cairnfs.client import connect_async
from cairnfs.client.blocking import FileSystem as BlockingFileSystem
from cairnfs.client.filesystem import FileSystem
from cairnfs.client.writer import FileWriter
from cairnfs.config import Configuration
from cairnfs.errors import (
    AlreadyBeingCreated,
    AlreadyExists,
    ConnectFailed,
    InvalidPath,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from cairnfs.testing.mini_cluster import MiniCluster

T = TypeVar("T")
KIB = 1024
QUICK = {"dfs.client.socket-timeout": "5s"}


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[MiniCluster]:
    async with MiniCluster(tmp_path, datanodes=3) as found:
        yield found


@pytest.fixture
async def fs(cluster: MiniCluster) -> AsyncIterator[FileSystem]:
    async with await connect_async(cluster.url, Configuration(QUICK)) as found:
        yield found


# --- writing and reading -------------------------------------------------------------------------


@pytest.mark.requirement("A01")
async def test_files_of_many_sizes(fs: FileSystem) -> None:
    for size, piece, block_size in (
        (0, 1, 8192),
        (1, 1, 8192),
        (8192, 8192, 8192),
        (8193, 100, 8192),
        (100_000, 33_333, 16_384),
        (3 << 20, 3 << 20, 1 << 20),
    ):
        data = noise(size)
        path = f"/sizes/{size}"
        async with await fs.create(path, block_size=block_size) as writer:
            for start in range(0, size, piece):
                assert await writer.write(data[start : start + piece]) > 0
            assert writer.position == size
        assert await fs.read_bytes(path) == data
        assert (await fs.stat(path)).size == size


async def test_what_may_change_is_copied(fs: FileSystem) -> None:
    async with await fs.create("/copied") as writer:
        buffer = bytearray(b"a" * (2 << 20))
        await writer.write(buffer)
        buffer[:] = b"b" * len(buffer)
        await writer.write(memoryview(buffer)[:1000])
        buffer[:] = b"c" * len(buffer)
    assert await fs.read_bytes("/copied") == b"a" * (2 << 20) + b"b" * 1000


@pytest.mark.requirement("C01")
async def test_append_and_flush(fs: FileSystem) -> None:
    whole = b""
    await fs.write_bytes("/growing", b"")
    for number, size in enumerate([100, 412, 1, 700, 9000, 3, 20_000]):
        async with await fs.append("/growing", new_block=number == 4) as writer:
            for part in range(2):
                piece = noise(size, number * 2 + part)
                await writer.write(piece)
                whole += piece
                await (writer.hsync() if part else writer.hflush())
                assert await fs.read_bytes("/growing") == whole
    assert await fs.read_bytes("/growing") == whole


async def test_a_reader_sees_growth_when_it_looks(fs: FileSystem) -> None:
    async with await fs.create("/seen") as writer:
        await writer.write(b"one")
        await writer.hflush()
        async with await fs.open("/seen") as reader:
            assert await reader.read() == b"one"
            await writer.write(b"two")
            await writer.hflush()
            assert await reader.read() == b""
            assert await reader.refresh() == 6
            assert await reader.read() == b"two"


async def test_flushing_nothing_is_nothing(fs: FileSystem) -> None:
    async with await fs.create("/nothing") as writer:
        await writer.hflush()
        await writer.hsync()
        await writer.write(b"x")
        await writer.hsync()
        await writer.hsync()
        await writer.hflush()
    assert await fs.read_bytes("/nothing") == b"x"


async def test_a_closed_writer_takes_nothing(fs: FileSystem) -> None:
    writer = await fs.create("/closed")
    await writer.close()
    await writer.close()
    for again in (writer.write(b"x"), writer.hflush(), writer.hsync()):
        with pytest.raises(ValueError, match="closed"):
            await again


async def test_a_block_size_that_no_chunk_fits_is_refused(fs: FileSystem) -> None:
    with pytest.raises(InvalidRequest, match="multiple"):
        await fs.create("/odd", block_size=10_001)


@pytest.mark.requirement("A23")
async def test_a_second_writer_gets_the_proper_error(cluster: MiniCluster, fs: FileSystem) -> None:
    async with (
        await connect_async(cluster.url, Configuration(QUICK)) as other,
        await fs.create("/mine") as writer,
    ):
        await writer.write(b"x")
        with pytest.raises(AlreadyBeingCreated):
            await other.append("/mine")
    with pytest.raises(AlreadyExists):
        await fs.create("/mine")


# --- nodes that go -------------------------------------------------------------------------------


def node_of(cluster: MiniCluster, writer: FileWriter, position: int) -> int:
    """Which DataNode stands at ``position`` of the pipeline."""
    assert writer.block is not None
    uuid = writer.block.nodes[position].info.id.datanode_uuid
    return next(
        index
        for index, datanode in enumerate(cluster.datanodes)
        if datanode.dataset is not None and datanode.dataset.datanode_uuid == uuid
    )


@pytest.mark.requirement("A05")
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_datanode_stopped_in_mid_write(
    cluster: MiniCluster, fs: FileSystem, position: int
) -> None:
    data = noise(1 << 20)
    async with await fs.create("/going", block_size=256 * KIB) as writer:
        for start in range(0, len(data), 10_000):
            await writer.write(data[start : start + 10_000])
            if start == 300_000:
                await writer.hflush()
                await cluster.stop_datanode(node_of(cluster, writer, position))
    assert await fs.read_bytes("/going") == data


@pytest.mark.requirement("A22")
@pytest.mark.requirement("A11")
async def test_a_write_goes_on_with_the_nodes_that_are_left(
    cluster: MiniCluster, fs: FileSystem
) -> None:
    # The NameNode goes on naming them for a while.
    await cluster.stop_datanode(0)
    await cluster.stop_datanode(1)
    data = noise(100_000)
    async with await fs.create("/left", block_size=32 * KIB) as writer:
        await writer.write(data)
    assert await fs.read_bytes("/left") == data


@pytest.mark.requirement("C05")
async def test_a_datanode_stopped_in_mid_read(cluster: MiniCluster, fs: FileSystem) -> None:
    data = noise(2 << 20)
    async with await fs.create("/reading", block_size=128 * KIB) as writer:
        await writer.write(data)
    got = b""
    async with await fs.open("/reading") as reader:
        while piece := await reader.read(100_000):
            got += piece
            if len(got) == 300_000:
                await cluster.stop_datanode(0)
            if len(got) == 800_000:
                await cluster.stop_datanode(1)
    assert got == data


@pytest.mark.requirement("C06")
async def test_a_namenode_that_restarts_in_mid_write(cluster: MiniCluster, fs: FileSystem) -> None:
    data = noise(500_000)
    async with await fs.create("/restarted", block_size=64 * KIB) as writer:
        await writer.write(data[:200_000])
        await writer.hflush()
        await cluster.restart_namenode()
        await writer.write(data[200_000:])
    assert await fs.read_bytes("/restarted") == data


@pytest.mark.requirement("A21")
async def test_a_file_left_open_is_taken_over(cluster: MiniCluster, fs: FileSystem) -> None:
    writer = await fs.create("/abandoned")
    await writer.write(b"kept")
    await writer.hflush()
    await writer.abort()
    await fs.recover_lease("/abandoned")
    assert await fs.wait_closed("/abandoned")
    async with await fs.append("/abandoned") as second:
        await second.write(b" and more")
    assert await fs.read_bytes("/abandoned") == b"kept and more"


# --- the tree ------------------------------------------------------------------------------------


async def test_the_tree(fs: FileSystem) -> None:
    await fs.mkdirs("/a/b/c")
    with pytest.raises(AlreadyExists):
        await fs.mkdir("/a")
    with pytest.raises(NotFound):
        await fs.mkdir("/x/y")
    await fs.mkdir("/x")
    await fs.write_bytes("/a/one", b"1")
    await fs.write_bytes("/a/two", b"22")
    assert [entry.path for entry in await fs.listdir("/a")] == ["/a/b", "/a/one", "/a/two"]
    assert [entry.path for entry in await fs.glob("/a/{o,t}*")] == ["/a/one", "/a/two"]
    walked = [top async for top, _, _ in fs.walk("/a")]
    assert walked == ["/a", "/a/b", "/a/b/c"]
    # Directories taken out are not gone into.
    pruned = []
    async for top, folders, _ in fs.walk("/a"):
        pruned.append(top)
        folders.clear()
    assert pruned == ["/a"]
    await fs.rename("/a/one", "/a/three")
    with pytest.raises(AlreadyExists):
        await fs.rename("/a/two", "/a/three")
    await fs.rename("/a/two", "/a/three", overwrite=True)
    assert await fs.move("/a/three", "/x")
    assert not await fs.move("/nothing", "/x")
    await fs.chmod("/x/three", 0o640)
    await fs.set_times("/x/three", modified_ms=5000, accessed_ms=6000)
    entry = await fs.stat("/x/three")
    assert (entry.mode, entry.modified_ms, entry.accessed_ms) == (0o640, 5000, 6000)
    assert await fs.set_replication("/x/three", 2)
    assert (await fs.content_summary("/x")).length == 2
    assert (await fs.status()).capacity > 0
    assert len(await fs.datanodes("LIVE")) == 3
    assert await fs.delete("/a", recursive=True)
    assert not await fs.exists("/a")
    assert await fs.is_dir("/x")
    assert await fs.is_file("/x/three")
    for wrong in ("s3://b/x", "/bad\0name"):
        with pytest.raises(InvalidPath):
            await fs.stat(wrong)
    with pytest.raises(InvalidPath):
        await fs.stat("/lone\udc80surrogate")


async def test_the_umask_and_other_users(cluster: MiniCluster, fs: FileSystem) -> None:
    await fs.mkdirs("/shared", 0o777)
    assert (await fs.stat("/shared")).mode == 0o755
    conf = Configuration({**QUICK, "fs.permissions.umask-mode": "077"})
    async with await connect_async(cluster.url, conf) as private:
        await private.write_bytes("/secret", b"x")
    assert (await fs.stat("/secret")).mode == 0o600
    async with await connect_async(cluster.url, Configuration(QUICK), user="bob") as bob:
        assert bob.home == "/user/bob"
        with pytest.raises(PermissionDenied):
            await bob.open("/secret")
        with pytest.raises(PermissionDenied):
            await bob.create("/shared/x")


async def test_checksums_know_the_data(fs: FileSystem) -> None:
    data = noise(50_000)
    await fs.write_bytes("/one", data)
    await fs.write_bytes("/same", data)
    await fs.write_bytes("/other", data[:-1] + b"?")
    one, same, other = [await fs.checksum(path) for path in ("/one", "/same", "/other")]
    assert one == same != other
    assert await fs.checksum("/one", 49_999) == await fs.checksum("/other", 49_999)
    with pytest.raises(NotFound):
        await fs.checksum("/")


# --- without asyncio -----------------------------------------------------------------------------


async def blocking(cluster: MiniCluster, work: Callable[[BlockingFileSystem], T]) -> T:
    """Run ``work`` in a thread with a file system of its own."""

    def run() -> T:
        with cairnfs.connect(cluster.url, Configuration(QUICK)) as fs:
            return work(fs)

    return await asyncio.to_thread(run)


async def test_file_objects(cluster: MiniCluster) -> None:
    data = noise(3 << 20)

    def work(fs: BlockingFileSystem) -> None:
        with fs.open("/file", "wb", block_size=1 << 20) as out:
            assert out.write(data[:100]) == 100
            assert out.write(data[100:]) == len(data) - 100
            assert out.tell() == len(data)
            assert not out.readable()
        with fs.open_read("/file") as file:
            assert file.size == len(data)
            assert file.read(10) == data[:10]
            assert file.seek(1_000_000) == 1_000_000
            assert file.read(2_000_000) == data[1_000_000:3_000_000]
            assert file.pread(5, 10) == data[5:15]
            buffer = bytearray(100)
            assert file.pread_into(7, buffer) == 100
            assert bytes(buffer) == data[7:107]
            assert file.tell() == 3_000_000
            assert file.read() == data[3_000_000:]
            assert file.seek(-5, 2) == len(data) - 5
            assert file.readinto(buffer) == 5
        with pytest.raises(ValueError, match="closed"):
            file.read()
        sink = io.BytesIO()
        told: list[int] = []
        with fs.open_read("/file") as file:
            file.seek(50)
            assert file.copy_to(sink, told.append) == len(data) - 50
        assert sink.getvalue() == data[50:]
        assert sum(told) == len(data) - 50
        with fs.create("/copy") as out:
            assert out.copy_from(io.BytesIO(data), told.append) == len(data)
        assert fs.read_bytes("/copy") == data

    await blocking(cluster, work)


async def test_files_copied_to_local_ones(cluster: MiniCluster, tmp_path: Path) -> None:
    data = noise(5 << 20)
    local = tmp_path / "local"

    def work(fs: BlockingFileSystem) -> None:
        fs.write_bytes("/file", data)
        with fs.open_read("/file") as file, local.open("wb") as target:
            target.write(b"head")
            assert file.copy_to(target) == len(data)
        assert local.read_bytes() == b"head" + data

    await blocking(cluster, work)


async def test_text_and_modes(cluster: MiniCluster) -> None:
    def work(fs: BlockingFileSystem) -> None:
        with fs.open("/text", "w", encoding="latin-1") as out:
            out.write("grüße\n")
        with fs.open("/text", "a", encoding="latin-1") as out:
            out.write("an alle\n")
        with fs.open("/text", "r", encoding="latin-1") as file:
            assert list(file) == ["grüße\n", "an alle\n"]
        with fs.open("/fresh", "ab") as out:
            out.write(b"x")
        with pytest.raises(AlreadyExists):
            fs.open("/text", "x")
        for mode in ("", "rw", "q", "rbt", "wb+"):
            with pytest.raises(ValueError, match="mode"):
                fs.open("/text", mode)
        with pytest.raises(ValueError, match="encoding"):
            fs.open("/text", "rb", encoding="utf-8")
        out = fs.create("/aborted")
        out.write(b"x")
        out.abort()

    await blocking(cluster, work)


async def test_hflush_of_a_file_object_is_seen(cluster: MiniCluster) -> None:
    def work(fs: BlockingFileSystem) -> None:
        with fs.create("/flushed") as out:
            out.write(b"abc")
            out.hflush()
            assert fs.read_bytes("/flushed") == b"abc"
            out.write(b"def")
            out.hsync(update_length=True)
            assert fs.stat("/flushed").size == 6

    await blocking(cluster, work)


async def test_calls_that_only_ask_the_namenode_start_no_thread(cluster: MiniCluster) -> None:
    def work(fs: BlockingFileSystem) -> None:
        fs.mkdirs("/x/y")
        assert [entry.path for entry in fs.list("/x")] == ["/x/y"]
        assert [top for top, _, _ in fs.walk("/")] == ["/", "/x", "/x/y"]
        assert fs.stat("/x").is_dir
        assert [entry.path for entry in fs.glob("/*/y")] == ["/x/y"]
        with pytest.raises(NotFound):
            fs.stat("/nothing")
        with pytest.raises(NotFound):
            list(fs.list("/nothing"))
        names = [thread.name for thread in threading.enumerate()]
        assert "cairn-client" not in names
        fs.write_bytes("/x/file", b"x")
        names = [thread.name for thread in threading.enumerate()]
        assert "cairn-client" in names

    await blocking(cluster, work)


async def test_many_threads_share_one_file_system(cluster: MiniCluster) -> None:
    def work(fs: BlockingFileSystem) -> None:
        def one(number: int) -> bytes:
            fs.mkdirs(f"/many/{number}")
            fs.write_bytes(f"/many/{number}/file", noise(20_000, number))
            assert fs.stat(f"/many/{number}/file").size == 20_000
            return fs.read_bytes(f"/many/{number}/file")

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(one, range(32))) == [noise(20_000, n) for n in range(32)]

    await blocking(cluster, work)


async def test_a_coroutine_of_ones_own(cluster: MiniCluster) -> None:
    async def both(fs: FileSystem) -> tuple[bytes, bytes]:
        await asyncio.gather(fs.write_bytes("/a", b"a"), fs.write_bytes("/b", b"b"))
        one, two = await asyncio.gather(fs.read_bytes("/a"), fs.read_bytes("/b"))
        return one, two

    assert await blocking(cluster, lambda fs: fs.run(both)) == (b"a", b"b")


async def test_any_event_loop_will_do(cluster: MiniCluster) -> None:
    async def work() -> None:
        data = noise(3 << 20)
        async with await connect_async(cluster.url, Configuration(QUICK)) as fs:
            await fs.write_bytes("/uv", data)
            assert await fs.read_bytes("/uv") == data
            async with await fs.append("/uv") as writer:
                await writer.write(b"more")
                await writer.hflush()
            async with await fs.open("/uv") as reader:
                assert await reader.pread(len(data), 10) == b"more"

    await asyncio.to_thread(uvloop.run, work())


async def test_a_program_that_ends_without_closing_ends(cluster: MiniCluster) -> None:
    program = """
import sys, cairnfs
fs = cairnfs.connect(sys.argv[1])
left = fs.create("/left")
left.write(b"x" * 2_000_000)
read = fs.open_read("/file")
assert read.read(1) == b"x"
"""
    await blocking(cluster, lambda fs: fs.write_bytes("/file", b"x" * 100_000))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cluster.url)
    async with asyncio.timeout(30):
        assert await process.wait() == 0


async def test_a_closed_file_system_says_so(cluster: MiniCluster) -> None:
    def work(fs: BlockingFileSystem) -> None:
        fs.close()
        fs.close()
        for call in (
            lambda: fs.stat("/"),
            lambda: fs.read_bytes("/x"),
            lambda: list(fs.list("/")),
        ):
            with pytest.raises(ValueError, match="closed"):
                call()

    await blocking(cluster, work)


# --- a NameNode that is not there ----------------------------------------------------------------


@pytest.mark.requirement("D02")
async def test_a_namenode_that_is_not_up_yet_is_waited_for(tmp_path: Path) -> None:
    found = MiniCluster(tmp_path, datanodes=1)
    await found.start_namenode()
    await found.namenode.stop()
    url = found.url
    waiting = asyncio.ensure_future(connect_async(url, Configuration(QUICK), wait_ms=30_000))
    blocked = asyncio.ensure_future(
        asyncio.to_thread(cairnfs.connect, url, Configuration(QUICK), wait_ms=30_000)
    )
    try:
        await asyncio.wait([waiting, blocked], timeout=0.2)
        await found.restart_namenode()
        async with await waiting as fs:
            assert await fs.listdir("/") == []
        with await blocked as direct:
            assert await asyncio.to_thread(direct.listdir, "/") == []
    finally:
        await found.stop()


@pytest.mark.requirement("D03")
async def test_a_namenode_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    conf = Configuration({"ipc.client.connect.max.retries": "1"})
    async with await connect_async("hdfs://127.0.0.1:1", conf) as fs:
        with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1:1 cannot be reached"):
            await fs.stat("/")
    with (
        cairnfs.connect("hdfs://127.0.0.1:1", conf) as direct,
        pytest.raises(ConnectFailed, match=r"127\.0\.0\.1:1 cannot be reached"),
    ):
        direct.stat("/")
