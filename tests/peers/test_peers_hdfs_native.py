"""hdfs-native (Rust, no Java): every call that it offers for files and directories."""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest
from cluster_processes import ProcessCluster

hdfs_native = pytest.importorskip("hdfs_native")
BLOCK = 1 << 20


@pytest.fixture
def client(cluster: ProcessCluster) -> hdfs_native.Client:
    return hdfs_native.Client(cluster.url)


def write(client: hdfs_native.Client, path: str, data: bytes, **options: object) -> None:
    with client.create(path, hdfs_native.WriteOptions(**options)) as file:
        file.write(data)


# --- bytes ---------------------------------------------------------------------------------------


@pytest.mark.requirement("A01", "F01")
@pytest.mark.parametrize("size", [0, 1, 512, 65_536, 65_537, 3 * BLOCK, 4 * BLOCK + 7])
def test_write_and_read(client: hdfs_native.Client, folder: str, size: int) -> None:
    data = os.urandom(size)
    write(client, f"{folder}/f", data, block_size=BLOCK)
    reader = client.read(f"{folder}/f")
    assert len(reader) == size
    assert reader.read() == data
    status = client.get_file_info(f"{folder}/f")
    assert (status.length, status.blocksize, status.isdir) == (size, BLOCK, False)


@pytest.mark.requirement("A12", "A09")
def test_replication_and_block_size_are_the_files_own(
    client: hdfs_native.Client, folder: str
) -> None:
    write(client, f"{folder}/f", b"x", block_size=2 * BLOCK, replication=2, permission=0o640)
    status = client.get_file_info(f"{folder}/f")
    assert (status.blocksize, status.replication, status.permission) == (2 * BLOCK, 2, 0o640)
    assert client.set_replication(f"{folder}/f", 1)
    assert client.get_file_info(f"{folder}/f").replication == 1


@pytest.mark.requirement("C05")
def test_random_reads(client: hdfs_native.Client, folder: str) -> None:
    data = os.urandom(3 * BLOCK + 1000)
    write(client, f"{folder}/f", data, block_size=BLOCK)
    reader = client.read(f"{folder}/f")
    chance = random.Random(7)
    for _ in range(100):
        start = chance.randrange(len(data))
        length = chance.choice([1, 500, 70_000, 2 * BLOCK])
        length = min(length, len(data) - start)
        assert reader.read_range(start, length) == data[start : start + length]
    reader.seek(BLOCK - 10)
    assert reader.read(20) == data[BLOCK - 10 : BLOCK + 10]
    assert reader.tell() == BLOCK + 10
    assert b"".join(reader.read_range_stream(5, 2 * BLOCK)) == data[5 : 5 + 2 * BLOCK]


def test_many_small_writes(client: hdfs_native.Client, folder: str) -> None:
    parts = [os.urandom(size) for size in (1, 511, 513, 3, 65_536, 100_000, 0, 9) * 5]
    with client.create(f"{folder}/f") as file:
        for part in parts:
            file.write(part)
    assert client.read(f"{folder}/f").read() == b"".join(parts)


@pytest.mark.requirement("C01")
def test_append(client: hdfs_native.Client, folder: str) -> None:
    data = os.urandom(BLOCK - 300)
    write(client, f"{folder}/f", data, block_size=BLOCK)
    for size in (1, 200, 99, 600, BLOCK + 1):
        part = os.urandom(size)
        with client.append(f"{folder}/f") as file:
            file.write(part)
        data += part
        assert client.read(f"{folder}/f").read() == data


@pytest.mark.requirement("A21")
def test_synced_bytes_are_seen_while_the_file_is_open(
    client: hdfs_native.Client, folder: str
) -> None:
    data = os.urandom(BLOCK + 70_000)
    writer = client.create(f"{folder}/f", hdfs_native.WriteOptions(block_size=BLOCK))
    sent = 0
    for size in (1000, 64_000, BLOCK, len(data)):
        part = data[sent : sent + size]
        writer.write(part)
        sent += len(part)
        writer.hsync()
        # This client reads no block that is still being written, but sees its length.
        assert client.get_file_info(f"{folder}/f").length == sent
        whole = sent - sent % BLOCK
        assert client.read(f"{folder}/f").read_range(0, whole) == data[:whole]
    writer.close()
    assert client.read(f"{folder}/f").read() == data


@pytest.mark.requirement("A23")
def test_a_second_writer_is_refused(cluster: ProcessCluster, folder: str) -> None:
    first, second = (hdfs_native.Client(cluster.url) for _ in range(2))
    writer = first.create(f"{folder}/f")
    writer.write(b"mine")
    with pytest.raises(Exception, match="lease is currently owned by"):
        second.append(f"{folder}/f")
    writer.close()
    with second.append(f"{folder}/f") as file:
        file.write(b", yours")
    assert first.read(f"{folder}/f").read() == b"mine, yours"


@pytest.mark.requirement("A21")
def test_a_lease_is_recovered_and_fences_its_writer(cluster: ProcessCluster, folder: str) -> None:
    first, second = (hdfs_native.Client(cluster.url) for _ in range(2))
    writer = first.create(f"{folder}/f")
    writer.write(b"kept")
    writer.hsync()
    deadline = time.monotonic() + 60
    while not second.recover_lease(f"{folder}/f"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert second.read(f"{folder}/f").read() == b"kept"
    writer.write(b"lost")
    with pytest.raises(
        Exception, match=r"LeaseExpired|No lease|not open for writing|Broken pipe|closed|reset"
    ):
        writer.close()
    assert second.read(f"{folder}/f").read() == b"kept"


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.requirement("F01")
def test_directories(client: hdfs_native.Client, folder: str) -> None:
    client.mkdirs(f"{folder}/a", 0o750)
    status = client.get_file_info(f"{folder}/a")
    assert (status.isdir, status.permission) == (True, 0o750)
    with pytest.raises(Exception, match="Parent directory doesn't exist"):
        client.mkdirs(f"{folder}/x/y")
    client.mkdirs(f"{folder}/x/y", create_parent=True)
    with pytest.raises(Exception, match=r"not empty|NotEmpty"):
        client.delete(f"{folder}/x")
    assert client.delete(f"{folder}/x", recursive=True)
    assert not client.delete(f"{folder}/x")
    with pytest.raises(FileNotFoundError):
        client.get_file_info(f"{folder}/x")


def test_create_refuses_what_is_there(client: hdfs_native.Client, folder: str) -> None:
    write(client, f"{folder}/f", b"1")
    with pytest.raises(Exception, match="already exists"):
        client.create(f"{folder}/f")
    write(client, f"{folder}/f", b"22", overwrite=True)
    assert client.read(f"{folder}/f").read() == b"22"
    with pytest.raises(Exception, match="Parent directory doesn't exist"):
        client.create(f"{folder}/no/f", hdfs_native.WriteOptions(create_parent=False))


def test_list_status(client: hdfs_native.Client, folder: str) -> None:
    names = [f"{folder}/{number:04}" for number in range(1100)]
    for name in names:
        client.mkdirs(name)
    write(client, f"{names[3]}/f", b"12345")
    assert [status.path for status in client.list_status(folder)] == names
    assert [s.path for s in client.list_status(folder, recursive=True) if not s.isdir] == [
        f"{names[3]}/f"
    ]
    with pytest.raises(FileNotFoundError):
        list(client.list_status(f"{folder}/none"))
    assert [s.path for s in client.glob_status(f"{folder}/000[1-3]")] == names[1:4]


@pytest.mark.requirement("F01")
def test_rename(client: hdfs_native.Client, folder: str) -> None:
    write(client, f"{folder}/a", b"a")
    write(client, f"{folder}/b", b"b")
    client.rename(f"{folder}/a", f"{folder}/c")
    with pytest.raises(Exception, match=r"AlreadyExists|exists"):
        client.rename(f"{folder}/c", f"{folder}/b")
    client.rename(f"{folder}/c", f"{folder}/b", overwrite=True)
    assert client.read(f"{folder}/b").read() == b"a"
    with pytest.raises(Exception, match=r"FileNotFound|not found"):
        client.rename(f"{folder}/a", f"{folder}/d")


def test_attributes(client: hdfs_native.Client, folder: str) -> None:
    write(client, f"{folder}/f", b"x")
    client.set_times(f"{folder}/f", 1_500_000_000_000, 1_400_000_000_000)
    client.set_owner(f"{folder}/f", "ann", "crew")
    client.set_permission(f"{folder}/f", 0o604)
    status = client.get_file_info(f"{folder}/f")
    assert status.modification_time == 1_500_000_000_000
    assert status.access_time == 1_400_000_000_000
    assert (status.owner, status.group, status.permission) == ("ann", "crew", 0o604)


def test_content_summary(client: hdfs_native.Client, folder: str) -> None:
    client.mkdirs(f"{folder}/d")
    write(client, f"{folder}/d/f", b"x" * 1000, replication=2)
    summary = client.get_content_summary(folder)
    assert (summary.file_count, summary.directory_count) == (1, 2)
    assert (summary.length, summary.space_consumed) == (1000, 2000)


@pytest.mark.requirement("F01")
async def test_many_at_once(cluster: ProcessCluster, folder: str) -> None:
    client = hdfs_native.AsyncClient(cluster.url)
    contents = {f"{folder}/{number}": os.urandom(100_000) for number in range(32)}

    async def round_trip(path: str, data: bytes) -> None:
        async with await client.create(path) as file:
            await file.write(data)
        assert await (await client.read(path)).read() == data

    await asyncio.gather(*(round_trip(path, data) for path, data in contents.items()))
    assert len([status async for status in client.list_status(folder)]) == 32
