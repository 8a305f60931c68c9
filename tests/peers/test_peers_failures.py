"""Real processes are killed while real clients work; nobody notices, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from cluster_processes import ProcessCluster, Role
from java_client import JavaClient
from py4j.protocol import Py4JJavaError

import cairnfs

hdfs_native = pytest.importorskip("hdfs_native")
BLOCK = 1 << 20

MakeCluster = Callable[..., ProcessCluster]


def holders(java: JavaClient, file_system: Any, cluster: ProcessCluster, path: str) -> list[int]:
    """Which of the cluster's DataNodes hold replicas of the first block of ``path``."""
    (first, *_) = file_system.getFileBlockLocations(java.path(path), 0, 1)
    ports = {int(name.rpartition(":")[2]) for name in first.getNames()}
    return [n for n, role in enumerate(cluster.datanodes) if ports & listening(role)]


def listening(role: Role) -> set[int]:
    """The ports that a process and its children listen on."""
    parent = psutil.Process(role.pid)
    return {
        link.laddr.port
        for process in (parent, *parent.children(recursive=True))
        for link in process.net_connections("tcp")
        if link.status == psutil.CONN_LISTEN
    }


@pytest.mark.requirement("A05", "A22")
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_datanode_dies_under_a_java_writer(
    java: JavaClient, own_cluster: MakeCluster, position: int
) -> None:
    cluster = own_cluster(4)
    file_system = java.file_system(cluster.url)
    data = os.urandom(3 * BLOCK + 1000)
    stream = file_system.create(java.path("/f"), True, 4096, 3, 16 * BLOCK)
    stream.write(data[:BLOCK])
    stream.hflush()
    victim = holders(java, file_system, cluster, "/f")[position]
    cluster.datanodes[victim].kill()
    stream.write(data[BLOCK:])
    stream.hsync()
    stream.close()
    stream = file_system.open(java.path("/f"))
    assert bytes(stream.readNBytes(len(data) + 1)) == data
    stream.close()
    file_system.close()


@pytest.mark.requirement("A05")
@pytest.mark.parametrize("position", [1, 2])
def test_a_datanode_dies_under_hdfs_native(
    java: JavaClient, own_cluster: MakeCluster, position: int
) -> None:
    """This client (0.14) outlives a death behind the first node of its pipeline; it does not
    turn to another first node, whoever serves it. Now and then it waits for ever inside
    itself when its DataNode closes the connection, and cannot be interrupted then: so it
    writes in a process of its own."""
    cluster = own_cluster(4)
    data = os.urandom(24 * BLOCK)
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("native_writer.py"), cluster.url, str(BLOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write(data[:BLOCK])
        writer.stdin.flush()
        assert writer.stdout.readline() == b"synced\n"
        file_system = java.file_system(cluster.url)
        cluster.datanodes[holders(java, file_system, cluster, "/f")[position]].kill()
        try:
            _, errors = writer.communicate(data[BLOCK:], timeout=60)
        except subprocess.TimeoutExpired:
            writer.kill()
            file_system.close()
            pytest.xfail("hdfs-native waits for ever on a connection that was closed")
    assert writer.returncode == 0, errors
    assert java.fs(cluster.url, "-cat", "/f").output == data
    file_system.close()


@pytest.mark.requirement("A05", "A22")
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_datanode_dies_under_our_own_writer(
    java: JavaClient, own_cluster: MakeCluster, position: int
) -> None:
    cluster = own_cluster(4)
    data = os.urandom(24 * BLOCK)
    file_system = java.file_system(cluster.url)
    with cairnfs.connect(cluster.url) as fs:
        writer = fs.create("/f", block_size=16 * BLOCK)
        writer.write(data[:BLOCK])
        writer.hsync()
        cluster.datanodes[holders(java, file_system, cluster, "/f")[position]].kill()
        for start in range(BLOCK, len(data), BLOCK):
            writer.write(data[start : start + BLOCK])
        writer.close()
    assert java.fs(cluster.url, "-cat", "/f").output == data
    file_system.close()


@pytest.mark.requirement("C05", "A16")
def test_datanodes_die_under_readers(java: JavaClient, own_cluster: MakeCluster) -> None:
    cluster = own_cluster(3)
    data = os.urandom(40 * BLOCK)
    client = hdfs_native.Client(cluster.url)
    with client.create("/f", hdfs_native.WriteOptions(block_size=8 * BLOCK)) as file:
        file.write(data)
    file_system = java.file_system(cluster.url)
    stream = file_system.open(java.path("/f"))
    native = client.read("/f").read_range_stream(0, len(data))
    with cairnfs.connect(cluster.url) as fs, fs.open_read("/f") as ours:
        got = [bytes(stream.readNBytes(BLOCK)), next(native), ours.read(BLOCK)]
        for victim in cluster.datanodes[:2]:
            victim.kill()
        got[0] += bytes(stream.readNBytes(len(data)))
        got[1] += b"".join(native)
        got[2] += ours.read()
    assert [each == data for each in got] == [True] * 3
    stream.close()
    file_system.close()


@pytest.mark.requirement("A21", "A06")
def test_a_writer_outlives_the_namenode(java: JavaClient, own_cluster: MakeCluster) -> None:
    """A lease belongs to the client, not to a connection or to a process."""
    cluster = own_cluster(3)
    file_system = java.file_system(cluster.url)
    data = os.urandom(3 * BLOCK)
    stream = file_system.create(java.path("/f"), True, 4096, 3, BLOCK)
    stream.write(data[: BLOCK // 2])
    stream.hflush()
    cluster.namenode.kill()
    cluster.namenode.start()
    cluster.wait_ready()
    # Without HA this client tries no call twice: the first finds its connection gone.
    with contextlib.suppress(Py4JJavaError):
        file_system.getFileStatus(java.path("/f"))
    stream.write(data[BLOCK // 2 :])
    stream.close()
    assert java.fs(cluster.url, "-cat", "/f").output == data
    file_system.close()


@pytest.mark.requirement("A04", "A06")
@pytest.mark.parametrize("gently", [False, True])
def test_everything_is_killed_and_comes_back(
    java: JavaClient, own_cluster: MakeCluster, gently: bool
) -> None:
    cluster = own_cluster(3)
    data = os.urandom(5 * BLOCK + 3)
    small = {"dfs.blocksize": str(BLOCK)}
    assert java.fs(cluster.url, "-put", "-", "/f", stdin=data, settings=small).code == 0
    assert java.fs(cluster.url, "-mkdir", "-p", "/a/b/c").code == 0
    before = java.fs(cluster.url, "-ls", "-R", "/").text
    for _ in range(2):
        cluster.restart(gently=gently)
        assert java.fs(cluster.url, "-cat", "/f").output == data
        assert java.fs(cluster.url, "-ls", "-R", "/").text == before
        assert java.fs(cluster.url, "-appendToFile", "-", "/f", stdin=b"x").code == 0
        data += b"x"
        before = java.fs(cluster.url, "-ls", "-R", "/").text


@pytest.mark.requirement("A02")
def test_datanodes_may_come_first(java: JavaClient, own_cluster: MakeCluster) -> None:
    cluster = own_cluster(2)
    cluster.kill()
    for role in cluster.datanodes:
        role.start()
    cluster.namenode.start()
    cluster.wait_ready()
    assert java.fs(cluster.url, "-put", "-", "/f", stdin=b"data").code == 0
