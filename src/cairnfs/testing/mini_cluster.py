"""A whole cluster in one process, with real sockets and real files.

::

    async with MiniCluster(tmp_path, datanodes=3) as cluster:
        fs = await cairnfs.client.connect_async(cluster.url)
        ...
        await cluster.stop_datanode(0)
        await cluster.namenode.events.wait_for("block.DatanodeDead")

Every role has its own :class:`cairnfs.events.EventBus` and may have its own clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from cairnfs.clock import Clock
from cairnfs.config import Configuration
from cairnfs.datanode.datanode import DataNode
from cairnfs.events import Event, EventBus
from cairnfs.namenode.main import NameNode, format_if_empty
from cairnfs.testing.ports import free_port

# Small enough for files of many blocks, quick enough to see a death within a second.
DEFAULTS: Mapping[str, str] = {
    "dfs.namenode.fs-limits.min-block-size": "512",
    "dfs.heartbeat.interval": "250ms",
    "dfs.namenode.redundancy.interval.seconds": "250ms",
}
REGISTER_TIMEOUT_S = 30.0


class MiniCluster:
    """One NameNode and ``datanodes`` DataNodes below ``directory`` on the running loop.

    ``configuration`` are keys by Hadoop's names, over :data:`DEFAULTS`."""

    def __init__(
        self,
        directory: Path,
        *,
        datanodes: int = 3,
        configuration: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.directory = directory
        self.clock = clock
        self._values = {**DEFAULTS, **(configuration or {})}
        self._count = datanodes
        self._rpc_port = free_port()
        self.namenode = self._new_namenode()
        self.datanodes: list[DataNode] = []

    # --- the whole -------------------------------------------------------------------------

    async def __aenter__(self) -> MiniCluster:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Format what is new, start everything, wait until all DataNodes have registered."""
        await self.start_namenode()
        for _ in range(self._count):
            await self.add_datanode()

    async def stop(self) -> None:
        """DataNodes first, then the NameNode."""
        await asyncio.gather(*(datanode.stop() for datanode in self.datanodes))
        await self.namenode.stop()

    @property
    def url(self) -> str:
        return f"hdfs://127.0.0.1:{self._rpc_port}"

    # --- the NameNode ----------------------------------------------------------------------

    async def start_namenode(self) -> None:
        """Start it, always at the same port."""
        format_if_empty(self.namenode.configuration)
        await self.namenode.start()

    async def restart_namenode(self, *, clean: bool = True) -> None:
        """Stop and start it; without ``clean`` as if its process had been killed."""
        await self.namenode.stop(clean=clean)
        self.namenode = self._new_namenode()
        await self.start_namenode()

    def _new_namenode(self) -> NameNode:
        return NameNode(self._configuration(), clock=self.clock, events=EventBus())

    # --- DataNodes -------------------------------------------------------------------------

    async def add_datanode(self, values: Mapping[str, str] | None = None) -> DataNode:
        """One more DataNode, registered when this returns."""
        datanode = self._new_datanode(len(self.datanodes), values or {})
        self.datanodes.append(datanode)
        await self._start_datanode(datanode)
        return datanode

    async def stop_datanode(self, index: int) -> None:
        """Stop one; the NameNode is not told and finds out by its silence."""
        await self.datanodes[index].stop()

    async def restart_datanode(self, index: int) -> DataNode:
        """Start one again on its directory."""
        await self.datanodes[index].stop()
        self.datanodes[index] = self._new_datanode(index, {})
        await self._start_datanode(self.datanodes[index])
        return self.datanodes[index]

    async def _start_datanode(self, datanode: DataNode) -> None:
        system = self.namenode.system
        assert system is not None, "the NameNode runs before its DataNodes"
        seen: set[str] = set()

        def registered(event: Event) -> bool:
            uuid: str = event.facts["notice"].datanode_uuid
            seen.add(uuid)
            return datanode.dataset is not None and datanode.dataset.datanode_uuid in seen

        waiting = asyncio.ensure_future(
            self.namenode.events.wait_for(
                "block.DatanodeRegistered", registered, REGISTER_TIMEOUT_S
            )
        )
        await asyncio.sleep(0)  # the listener stands before the node can register
        try:
            await datanode.start()
            await waiting
        except BaseException:
            waiting.cancel()
            raise

    def _new_datanode(self, index: int, values: Mapping[str, str]) -> DataNode:
        home = self.directory / f"datanode{index}"
        configuration = self._configuration()
        configuration.update(
            {
                "dfs.datanode.data.dir": str(home / "data"),
                "cairn.datanode.meta.home": str(home / "meta"),
                "dfs.datanode.address": "127.0.0.1:0",
                "dfs.datanode.ipc.address": "127.0.0.1:0",
                "dfs.datanode.http.address": "127.0.0.1:0",
                **values,
            },
            "mini cluster",
        )
        return DataNode(configuration, clock=self.clock, events=EventBus())

    def _configuration(self) -> Configuration:
        address = f"127.0.0.1:{self._rpc_port}"
        return Configuration(
            {
                **self._values,
                "fs.defaultFS": f"hdfs://{address}",
                "dfs.namenode.rpc-address": address,
                "dfs.namenode.name.dir": str(self.directory / "name"),
                "dfs.namenode.http-address": "127.0.0.1:0",
            },
            "mini cluster",
        )
