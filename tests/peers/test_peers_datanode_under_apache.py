"""Cairn's DataNode under Apache's NameNode: registration, reports, commands, a restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_processes import ProcessCluster
from hadoop import Hadoop
from java_client import JavaClient, Outcome

from cairnfs.config import Configuration
from cairnfs.datanode.commands import Invalidate, Transfer
from cairnfs.datanode.datanode import DataNode
from cairnfs.events import Event

WAIT_S = 60.0


@pytest.fixture
def apache(hadoop: Hadoop, tmp_path: Path) -> Iterator[ProcessCluster]:
    """Apache's NameNode alone."""
    with ProcessCluster(tmp_path / "apache", hadoop, "apache", [], {"dfs.replication": "3"}) as nn:
        yield nn


@contextlib.asynccontextmanager
async def datanodes(apache: ProcessCluster, count: int) -> AsyncIterator[list[DataNode]]:
    """Cairn's DataNodes in this process, each registered and having reported."""
    started: list[DataNode] = []
    try:
        for number in range(count):
            values = {
                "fs.defaultFS": apache.url,
                "dfs.datanode.data.dir": str(apache.directory / f"cairn{number}" / "data"),
                "dfs.datanode.address": "127.0.0.1:0",
                "dfs.datanode.ipc.address": "127.0.0.1:0",
                "dfs.datanode.http.address": "127.0.0.1:0",
                "dfs.heartbeat.interval": "500ms",
            }
            node = DataNode(Configuration(values))
            reported = asyncio.ensure_future(
                node.events.wait_for("datanode.block_report_sent", timeout_s=WAIT_S)
            )
            await node.start()
            started.append(node)
            await reported
        yield started
    finally:
        await asyncio.gather(*(node.stop() for node in started))


class Shell:
    """Hadoop's FsShell against one NameNode, without blocking the DataNodes' loop."""

    def __init__(self, java: JavaClient, url: str) -> None:
        self._run: Callable[..., Outcome] = lambda *words: java.fs(url, *words)

    async def __call__(self, *words: str) -> Outcome:
        outcome = await asyncio.to_thread(self._run, *words)
        assert outcome.code == 0, outcome
        return outcome


def commanded(kind: type) -> Callable[[Event], bool]:
    return lambda event: isinstance(event.facts["command"], kind)


def first_command(nodes: list[DataNode], kind: type) -> asyncio.Future[Any]:
    """Settles when one of the nodes is given a command of that kind."""
    waits = [
        asyncio.ensure_future(
            node.events.wait_for("datanode.command", commanded(kind), timeout_s=WAIT_S)
        )
        for node in nodes
    ]

    async def first() -> Any:
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return done.pop().result()

    return asyncio.ensure_future(first())


@pytest.mark.requirement("E01")
async def test_apaches_namenode_gives_our_datanodes_work(
    apache: ProcessCluster, java: JavaClient, tmp_path: Path
) -> None:
    content = os.urandom(3_000_000)
    local, back = tmp_path / "local", tmp_path / "back"
    local.write_bytes(content)
    shell = Shell(java, apache.url)
    async with datanodes(apache, 3) as nodes:
        await shell("-D", "dfs.replication=2", "-put", str(local), "/file")
        await shell("-get", "/file", str(back))
        assert back.read_bytes() == content
        # One more replica: some node is told to send one to the third.
        transfer = first_command(nodes, Transfer)
        await shell("-setrep", "-w", "3", "/file")
        await transfer
        replicas = [
            replica
            for node in nodes
            if node.dataset is not None
            for pool_id in node.dataset.pools()
            for _, replica in node.dataset.iter_replicas(pool_id)
        ]
        assert [one.block.num_bytes for one in replicas] == [len(content)] * 3
        removal = first_command(nodes, Invalidate)
        await shell("-rm", "-skipTrash", "/file")
        await removal


@pytest.mark.requirement("E01")
@pytest.mark.requirement("A06")
async def test_apaches_restarted_namenode_is_found_and_told_everything(
    apache: ProcessCluster, java: JavaClient, tmp_path: Path
) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"here to stay")
    shell = Shell(java, apache.url)
    async with datanodes(apache, 1) as nodes:
        await shell("-D", "dfs.replication=1", "-put", str(local), "/file")
        reported = asyncio.ensure_future(
            nodes[0].events.wait_for("datanode.block_report_sent", timeout_s=WAIT_S)
        )
        apache.namenode.kill()
        apache.namenode.start()
        await reported
        await asyncio.to_thread(apache.wait_ready, 1)
        assert (await shell("-cat", "/file")).text == "here to stay"
