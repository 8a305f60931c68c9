"""A whole DataNode: started in order, or stopped by one sentence with nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from datanode_fakes import namenode

from cairnfs.config import Configuration
from cairnfs.datanode.datanode import DataNode
from cairnfs.errors import (
    CairnError,
    ConfigurationError,
    PermissionDenied,
    StartupError,
    StoreLocked,
)
from cairnfs.net.rpc_client import RpcClient
from cairnfs.types import ChecksumType, ExtendedBlock, StorageType
from cairnfs.wire.checksum import DataChecksum
from cairnfs.wire.proto import client_datanode_pb2 as client_pb
from cairnfs.wire.proto import datanode_pb2 as pb


def configuration(tmp_path: Path, port: int = 1, **more: str) -> Configuration:
    return Configuration(
        {
            "fs.defaultFS": f"hdfs://127.0.0.1:{port}",
            "dfs.datanode.data.dir": str(tmp_path / "data"),
            "dfs.datanode.address": "127.0.0.1:0",
            "dfs.datanode.ipc.address": "127.0.0.1:0",
            "dfs.datanode.http.address": "127.0.0.1:0",
            "dfs.heartbeat.interval": "100ms",
        }
        | {name.replace("_", "."): value for name, value in more.items()}
    )


@contextlib.asynccontextmanager
async def datanode(made: Configuration, **more: Any) -> AsyncIterator[DataNode]:
    node = DataNode(made, **more)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def fetch(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


@pytest.mark.requirement("A19")
@pytest.mark.requirement("A02")
async def test_starts_registers_and_keeps_its_identity(tmp_path: Path) -> None:
    async with namenode() as nn:
        uuids = set()
        for _ in range(2):
            async with datanode(configuration(tmp_path, nn.port)) as node:
                who = (await nn.next("registerDatanode")).registration.datanodeID
                assert who.ipAddr == "127.0.0.1"
                assert (who.xferPort, who.ipcPort, who.infoPort) == (
                    node.transfer_port,
                    node.ipc_port,
                    node.http_port,
                )
                uuids.add(who.datanodeUuid)
        assert len(uuids) == 1


async def test_host_name_is_advertised(tmp_path: Path) -> None:
    async with namenode() as nn:
        made = configuration(tmp_path, nn.port, dfs_datanode_hostname="dn7.example.org")
        made.update({"dfs.datanode.address": "0.0.0.0:0"}, "test")
        async with datanode(made):
            who = (await nn.next("registerDatanode")).registration.datanodeID
            assert (who.hostName, who.ipAddr) == ("dn7.example.org", "127.0.0.1")


async def test_written_block_is_reported_before_anything_else_happens(tmp_path: Path) -> None:
    async with namenode() as nn:
        made = configuration(tmp_path, nn.port)
        async with datanode(made) as node:
            await node.events.wait_for("datanode.heartbeat")
            block = ExtendedBlock("BP-1", 1073741825, 1001, 0)
            assert node.dataset is not None
            dataset = node.dataset

            def write() -> None:
                checksum = DataChecksum(ChecksumType.CRC32C, 512)
                writer = dataset.writing.create_rbw(block, StorageType.DISK, "", checksum)
                with contextlib.closing(writer):
                    writer.begin(checksum)
                    finalized, storage = dataset.writing.finalize(writer)
                dataset.table.listener.received("BP-1", finalized, storage)

            await asyncio.to_thread(write)
            report = await nn.next("blockReceivedAndDeleted")
            assert report.blocks[0].blocks[0].block.blockId == 1073741825
        # After a restart the full report has it.
        nn.lease_id = 3
        async with datanode(made):
            full = await nn.next("blockReport")
            assert full.reports[0].numberOfBlocks == 1


@pytest.mark.requirement("A08")
async def test_health_and_metrics(tmp_path: Path) -> None:
    async with namenode() as nn, datanode(configuration(tmp_path, nn.port)) as node:
        await node.events.wait_for("datanode.heartbeat")
        status, body = await fetch(node.http_port, "/health")
        health = json.loads(body)
        assert (status, health["status"]) == (200, "ok")
        assert health["pools"][0]["pool"] == "BP-1"
        assert health["pools"][0]["namenodes"][0]["active"] is True
        assert health["volumes"][0]["path"] == str(tmp_path / "data")
        status, body = await fetch(node.http_port, "/metrics")
        assert status == 200
        assert b'cairn_datanode_registered{namenode="127.0.0.1:' in body
        assert b"cairn_datanode_capacity_bytes{" in body
        assert b"cairn_datanode_connections_parked 0.0" in body


async def test_health_says_what_is_missing(tmp_path: Path) -> None:
    async with datanode(configuration(tmp_path)) as node:
        status, body = await fetch(node.http_port, "/health")
        assert status == 503
        assert json.loads(body)["status"] == "not registered with any NameNode"


def leftover_threads() -> set[str]:
    own = ("asyncio_", "MainThread", "pytest")
    return {one.name for one in threading.enumerate() if not one.name.startswith(own)}


@pytest.mark.requirement("A19")
@pytest.mark.parametrize(
    "key", ["dfs.datanode.address", "dfs.datanode.ipc.address", "dfs.datanode.http.address"]
)
async def test_port_in_use_stops_the_start_and_leaves_nothing(tmp_path: Path, key: str) -> None:
    before = leftover_threads()
    made = configuration(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made.update({key: f"127.0.0.1:{port}"}, "test")
        with pytest.raises(StartupError, match=str(port)) as caught:
            await DataNode(made).start()
        assert "\n" not in str(caught.value)
    assert leftover_threads() == before
    made.update({key: "127.0.0.1:0"}, "test")
    async with datanode(made):  # the directories were let go of
        pass


@pytest.mark.requirement("A19")
async def test_directory_in_use_is_named(tmp_path: Path) -> None:
    async with datanode(configuration(tmp_path)):
        with pytest.raises(StoreLocked, match="in use"):
            await DataNode(configuration(tmp_path)).start()


async def test_foreign_directory_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(CairnError, match=r"data.*holiday\.jpg|holiday\.jpg.*data"):
        await DataNode(configuration(tmp_path)).start()
    assert (tmp_path / "data" / "holiday.jpg").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dfs.heartbeat.interval", "soon"),
        ("dfs.datanode.data.dir", "[TAPE]/x"),
        ("dfs.datanode.http.address", "nowhere:port"),
        ("fs.defaultFS", "s3a://bucket"),
    ],
)
async def test_bad_configuration_is_named_by_key(tmp_path: Path, key: str, value: str) -> None:
    made = configuration(tmp_path)
    made.update({key: value}, "hdfs-site.xml")
    with pytest.raises(ConfigurationError, match=key):
        await DataNode(made).start()
    assert not (tmp_path / "data").exists()


@pytest.mark.requirement("A26")
async def test_other_cluster_ends_the_node_with_one_sentence(tmp_path: Path) -> None:
    async with namenode() as nn:
        async with datanode(configuration(tmp_path, nn.port)) as node:
            await node.events.wait_for("datanode.registered")
        nn.namespace = type(nn.namespace)(7, "CID-2", "BP-2", 0, "", "3.4.2", -66)
        ended: asyncio.Future[StartupError | None] = asyncio.get_running_loop().create_future()
        async with datanode(configuration(tmp_path, nn.port), on_stop=ended.set_result):
            async with asyncio.timeout(10):
                error = await ended
            assert "CID-1" in str(error)
            assert "CID-2" in str(error)


def client(node: DataNode, user: str) -> RpcClient:
    protocol = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol"
    return RpcClient("127.0.0.1", node.ipc_port, protocol, user=user)


@contextlib.asynccontextmanager
async def calling(node: DataNode, user: str = "hdfs") -> AsyncIterator[RpcClient]:
    made = client(node, user)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.requirement("C08")
async def test_operator_orders_reports_and_shutdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HADOOP_USER_NAME", "hdfs")
    ended: asyncio.Future[StartupError | None] = asyncio.get_running_loop().create_future()
    async with (
        namenode() as nn,
        datanode(configuration(tmp_path, nn.port), on_stop=ended.set_result) as node,
        calling(node) as rpc,
    ):
        await node.events.wait_for("datanode.heartbeat")
        await rpc.call(
            "triggerBlockReport", client_pb.TriggerBlockReportRequestProto(incremental=False)
        )
        await nn.next("blockReport")
        await rpc.call("evictWriters", client_pb.EvictWritersRequestProto())
        await rpc.call("shutdownDatanode", client_pb.ShutdownDatanodeRequestProto(forUpgrade=False))
        async with asyncio.timeout(10):
            assert await ended is None


async def test_operators_calls_need_a_superuser(tmp_path: Path) -> None:
    async with datanode(configuration(tmp_path)) as node, calling(node, "mallory") as rpc:
        for method, request in (
            ("shutdownDatanode", client_pb.ShutdownDatanodeRequestProto(forUpgrade=False)),
            ("evictWriters", client_pb.EvictWritersRequestProto()),
            ("deleteBlockPool", client_pb.DeleteBlockPoolRequestProto(blockPool="x", force=True)),
            ("refreshNamenodes", client_pb.RefreshNamenodesRequestProto()),
            ("triggerBlockReport", client_pb.TriggerBlockReportRequestProto(incremental=True)),
            ("getVolumeReport", client_pb.GetVolumeReportRequestProto()),
        ):
            with pytest.raises(PermissionDenied, match="mallory"):
                await rpc.call(method, request)


async def test_what_anybody_may_ask(tmp_path: Path) -> None:
    async with datanode(configuration(tmp_path)) as node, calling(node, "anybody") as rpc:
        info = client_pb.GetDatanodeInfoResponseProto.FromString(
            await rpc.call("getDatanodeInfo", client_pb.GetDatanodeInfoRequestProto())
        )
        assert info.localInfo.softwareVersion.startswith("3.4.2-cairn")
        bandwidth = client_pb.GetBalancerBandwidthResponseProto.FromString(
            await rpc.call("getBalancerBandwidth", client_pb.GetBalancerBandwidthRequestProto())
        )
        assert bandwidth.bandwidth == 100 << 20
        request = client_pb.GetReplicaVisibleLengthRequestProto()
        request.block.poolId, request.block.blockId = "BP-9", 1
        request.block.generationStamp = 1
        with pytest.raises(CairnError, match="BP-9"):
            await rpc.call("getReplicaVisibleLength", request)


async def test_namenodes_are_refreshed_from_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HADOOP_USER_NAME", "hdfs")
    async with namenode() as nn:
        later = configuration(tmp_path, nn.port)
        async with (
            datanode(configuration(tmp_path), reload=lambda: later) as node,
            calling(node) as rpc,
        ):
            await rpc.call("refreshNamenodes", client_pb.RefreshNamenodesRequestProto())
            await nn.next("registerDatanode")


async def test_balancer_bandwidth_is_obeyed(tmp_path: Path) -> None:
    async with namenode() as nn:
        order = pb.DatanodeCommandProto(
            cmdType=pb.DatanodeCommandProto.BalancerBandwidthCommand,
            balancerCmd=pb.BalancerBandwidthCommandProto(bandwidth=12345),
        )
        nn.commands = [order]
        async with datanode(configuration(tmp_path, nn.port)) as node:
            await node.events.wait_for("datanode.heartbeat")
            assert node.balance_bandwidth == 12345


async def test_failed_volume_beyond_what_is_tolerated_ends_the_node(
    tmp_path: Path, our_faults: list[logging.LogRecord]
) -> None:
    ended: asyncio.Future[StartupError | None] = asyncio.get_running_loop().create_future()
    async with namenode() as nn:
        made = configuration(tmp_path, nn.port)
        made.update({"dfs.datanode.data.dir": f"{tmp_path}/a,{tmp_path}/b"}, "test")
        async with datanode(made, on_stop=ended.set_result) as node:
            await node.events.wait_for("datanode.heartbeat")
            assert node.dataset is not None
            await asyncio.to_thread(
                node.dataset.volume_failed, str(tmp_path / "a"), "cannot be read"
            )
            async with asyncio.timeout(10):
                error = await ended
            assert "dfs.datanode.failed.volumes.tolerated" in str(error)
            assert "cannot be read" in (await nn.next("errorReport")).msg
    our_faults.clear()  # a volume that fails is one


_PROGRAM = """
import sys
from cairnfs.config import Configuration
from cairnfs.datanode.main import run
values = dict(item.split("=", 1) for item in sys.argv[1:])
sys.exit(run(Configuration(values)))
"""


@contextlib.contextmanager
def process_of(made: Configuration) -> Iterator[subprocess.Popen[str]]:
    values = [f"{name}={made.text(name)}" for name in made.names()]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *values], stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.requirement("A19")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_stops_cleanly_on_a_signal(tmp_path: Path, number: int) -> None:
    async with namenode() as nn:
        with process_of(configuration(tmp_path, nn.port)) as process:
            await nn.next("sendHeartbeat", timeout_s=60)
            process.send_signal(number)
            _, errors = await asyncio.to_thread(process.communicate, None, 60)
        assert process.returncode == 0, errors
        assert "our fault" not in errors
        assert "Traceback" not in errors


@pytest.mark.requirement("A19")
@pytest.mark.requirement("D03")
async def test_process_that_cannot_start_says_why_and_exits_with_1(tmp_path: Path) -> None:
    made = configuration(tmp_path)
    made.update({"dfs.datanode.address": "203.0.113.1:1"}, "test")
    with process_of(made) as process:
        _, errors = await asyncio.to_thread(process.communicate, None, 60)
    assert process.returncode == 1
    assert "203.0.113.1:1" in errors
    assert "Traceback" not in errors
