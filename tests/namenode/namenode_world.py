"""A NameNode in this process and calls to it, as any client could make them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cairnfs.namenode.layout import process_user
from cairnfs.net.rpc_client import RpcClient
from cairnfs.testing import MiniCluster, TurnedClock
from cairnfs.wire.proto import client_namenode_pb2 as pb

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
GROUPS = "alice=staff;bob=staff;carol=users;oozie=service;root2=supergroup"
VALUES = {
    "hadoop.user.group.static.mapping.overrides": GROUPS,
    "dfs.ls.limit": "10",
    "cairn.namenode.complete.hold": "150ms",
}


class World:
    """See the module. ``clock`` is the NameNode's and turned by hand if ``turned``."""

    def __init__(
        self,
        directory: Path,
        values: Mapping[str, str] | None = None,
        *,
        datanodes: int = 0,
        turned: bool = True,
    ) -> None:
        self.clock = TurnedClock()
        self.cluster = MiniCluster(
            directory,
            datanodes=datanodes,
            configuration={**VALUES, **(values or {})},
            clock=self.clock if turned else None,
        )
        self._clients: list[RpcClient] = []
        self.superuser = process_user()

    async def start(self) -> None:
        await self.cluster.start()
        self.root = self.client()

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await self.cluster.stop()

    @property
    def port(self) -> int:
        return self.cluster.namenode.rpc_port

    @property
    def system(self) -> Any:
        assert self.cluster.namenode.system is not None
        return self.cluster.namenode.system

    def client(self, user: str | None = None, **keywords: Any) -> RpcClient:
        keywords.setdefault("timeout_ms", 20_000)
        client = RpcClient(
            "127.0.0.1",
            self.port,
            keywords.pop("protocol", PROTOCOL),
            user=user or self.superuser,
            **keywords,
        )
        self._clients.append(client)
        return client

    async def healthy(self) -> None:
        """Fail unless an ordinary client is served."""
        await mkdirs(self.root, "/healthy")
        assert await exists(self.root, "/healthy")

    async def turn(self, duration_ms: int) -> None:
        """Let time pass for the NameNode, and whoever woke do its work."""
        self.clock.turn(duration_ms)
        for _ in range(20):
            await asyncio.sleep(0)


async def mkdirs(client: RpcClient, path: str, mode: int = 0o755) -> None:
    request = pb.MkdirsRequestProto(src=path, masked={"perm": mode}, createParent=True)
    await client.call("mkdirs", request)


def create_request(
    path: str, holder: str = "holder", *, overwrite: bool = False, replication: int = 1
) -> pb.CreateRequestProto:
    return pb.CreateRequestProto(
        src=path,
        masked={"perm": 0o644},
        clientName=holder,
        createFlag=3 if overwrite else 1,
        createParent=True,
        replication=replication,
        blockSize=1 << 20,
    )


async def create(client: RpcClient, path: str, holder: str = "holder", **keywords: Any) -> None:
    await client.call("create", create_request(path, holder, **keywords))


async def complete(client: RpcClient, path: str, holder: str = "holder", **more: Any) -> bool:
    request = pb.CompleteRequestProto(src=path, clientName=holder, **more)
    answer = await client.call("complete", request)
    return bool(pb.CompleteResponseProto.FromString(answer).result)


async def exists(client: RpcClient, path: str) -> bool:
    answer = await client.call("getFileInfo", pb.GetFileInfoRequestProto(src=path))
    return bool(pb.GetFileInfoResponseProto.FromString(answer).HasField("fs"))


async def delete(client: RpcClient, path: str, **keywords: Any) -> bool:
    request = pb.DeleteRequestProto(src=path, recursive=True)
    answer = await client.call("delete", request, **keywords)
    return bool(pb.DeleteResponseProto.FromString(answer).result)
