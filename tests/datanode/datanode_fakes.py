"""A NameNode that says what a test wants, a dataset in memory, a clock that a test turns."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from cairnfs.clock import Clock, SystemClock
from cairnfs.config.nameservices import NamenodeAddress
from cairnfs.datanode import messages
from cairnfs.datanode.control_threads import ControlThreads
from cairnfs.datanode.interface import ReplicaRecoveryInfo, VolumeFailure, VolumeSpace
from cairnfs.datanode.messages import NodeLoad
from cairnfs.datanode.node import Node, Ports
from cairnfs.datanode.service_state import ServiceSettings
from cairnfs.errors import CairnError
from cairnfs.events import EventBus
from cairnfs.net.rpc_server import RpcServer, RpcService, ServerCall
from cairnfs.testing import free_port
from cairnfs.types import (
    Block,
    DatanodeStorage,
    ExtendedBlock,
    NamespaceInfo,
    Replica,
    ReplicaState,
    StorageReport,
)
from cairnfs.wire.codec import encode_namespace_info
from cairnfs.wire.proto import datanode_pb2 as pb
from cairnfs.wire.proto import hdfs_server_pb2 as server_pb

STORAGE = DatanodeStorage("DS-1")
NAMESPACE = NamespaceInfo(7, "CID-1", "BP-1", 0, "", "3.4.2", -66)


class TurnedClock:
    """Time passes when a test says so; what sleeps wakes then."""

    def __init__(self) -> None:
        self._now_ms = 1_000_000
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    steady_ms = now_ms

    async def sleep_ms(self, duration_ms: float) -> None:
        if duration_ms <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now_ms + duration_ms, future))
        await future

    def turn(self, duration_ms: int) -> None:
        self._now_ms += duration_ms
        due = [entry for entry in self._sleepers if entry[0] <= self._now_ms]
        self._sleepers = [entry for entry in self._sleepers if entry[0] > self._now_ms]
        for _, future in due:
            if not future.done():
                future.set_result(None)


class MemoryDataset:
    """Replicas in a dict."""

    def __init__(self, cluster_id: str = "") -> None:
        self.datanode_uuid = "uuid-1"
        self.cluster_id = cluster_id
        self.replicas: dict[int, Replica] = {}
        self.failures: list[VolumeFailure] = []
        self.pools: set[str] = set()
        self.invalidated: list[tuple[str, tuple[Block, ...]]] = []
        self.recoveries: dict[int, int] = {}
        self.refuse_recovery: CairnError | None = None

    def add(self, block_id: int, length: int = 10, stamp: int = 1000) -> Block:
        block = Block(block_id, stamp, length)
        self.replicas[block_id] = Replica(block, ReplicaState.FINALIZED)
        return block

    def storage(self, storage_uuid: str) -> DatanodeStorage | None:
        return STORAGE if storage_uuid == STORAGE.storage_uuid else None

    def storages(self) -> Sequence[DatanodeStorage]:
        return (STORAGE,)

    def add_block_pool(self, pool_id: str, cluster_id: str) -> None:
        self.pools.add(pool_id)
        self.cluster_id = cluster_id

    def remove_block_pool(self, pool_id: str) -> None:
        self.pools.discard(pool_id)

    def delete_block_pool(self, pool_id: str, force: bool) -> None:
        self.pools.discard(pool_id)

    def storage_reports(self, pool_id: str) -> Sequence[StorageReport]:
        used = sum(replica.block.num_bytes for replica in self.replicas.values())
        return (StorageReport(STORAGE, False, 1000, used, 1000 - used, used),)

    def volume_failures(self) -> Sequence[VolumeFailure]:
        return tuple(self.failures)

    def volume_spaces(self) -> Sequence[VolumeSpace]:
        return (VolumeSpace("/data/1", STORAGE.storage_uuid, 1000, 10, 990, 0, 1),)

    def iter_replicas(self, pool_id: str) -> Iterator[tuple[str, Replica]]:
        for replica in self.replicas.values():
            yield STORAGE.storage_uuid, replica

    def invalidate(self, pool_id: str, blocks: Sequence[Block]) -> None:
        self.invalidated.append((pool_id, tuple(blocks)))

    def visible_length(self, block: ExtendedBlock) -> int:
        return self.replicas[block.block_id].block.num_bytes

    def init_replica_recovery(
        self, block: ExtendedBlock, recovery_id: int
    ) -> ReplicaRecoveryInfo | None:
        if self.refuse_recovery is not None:
            raise self.refuse_recovery
        replica = self.replicas.get(block.block_id)
        if replica is None:
            return None
        self.recoveries[block.block_id] = recovery_id
        return ReplicaRecoveryInfo(replica.block, replica.state)

    def update_replica_under_recovery(
        self, block: ExtendedBlock, recovery_id: int, new_length: int, new_block_id: int = 0
    ) -> str:
        assert self.recoveries[block.block_id] == recovery_id
        new_id = new_block_id or block.block_id
        self.replicas[new_id] = Replica(
            Block(new_id, recovery_id, new_length), ReplicaState.FINALIZED
        )
        return STORAGE.storage_uuid


def make_node(
    dataset: MemoryDataset,
    clock: Clock | None = None,
    settings: ServiceSettings | None = None,
    **more: Any,
) -> Node:
    return Node(
        dataset=dataset,
        ports=Ports("127.0.0.1", 9866, 9867, 9864),
        clock=clock or SystemClock(),
        events=EventBus(),
        user="hdfs",
        load=lambda: NodeLoad(0, 0),
        threads=ControlThreads(4),
        service_settings=settings or ServiceSettings(),
        **more,
    )


class FakeNamenode:
    """Answers DatanodeProtocol. ``calls`` has what came, ``on`` what to do about it."""

    def __init__(self, namespace: NamespaceInfo = NAMESPACE) -> None:
        self.namespace = namespace
        self.calls: list[tuple[str, Any]] = []
        self.arrived: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.active = True
        self.transaction_id = 1
        self.lease_id = 0
        self.commands: list[pb.DatanodeCommandProto] = []
        # By method: called with the request; may raise, or return a future to wait for.
        self.on: dict[str, Callable[[Any], Any]] = {}
        self._server: RpcServer | None = None
        self.port = free_port()

    async def start(self) -> None:
        methods = {
            "versionRequest": (server_pb.VersionRequestProto, self._version),
            "registerDatanode": (pb.RegisterDatanodeRequestProto, self._register),
            "sendHeartbeat": (pb.HeartbeatRequestProto, self._heartbeat),
            "blockReport": (pb.BlockReportRequestProto, pb.BlockReportResponseProto),
            "blockReceivedAndDeleted": (
                pb.BlockReceivedAndDeletedRequestProto,
                pb.BlockReceivedAndDeletedResponseProto,
            ),
            "errorReport": (pb.ErrorReportRequestProto, pb.ErrorReportResponseProto),
            "reportBadBlocks": (pb.ReportBadBlocksRequestProto, pb.ReportBadBlocksResponseProto),
            "commitBlockSynchronization": (
                pb.CommitBlockSynchronizationRequestProto,
                pb.CommitBlockSynchronizationResponseProto,
            ),
        }
        handlers = {
            name: self._handler(name, request, answer)
            for name, (request, answer) in methods.items()
        }
        self._server = RpcServer([RpcService(messages.PROTOCOL, 1, handlers)])
        await self._server.start("127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    @property
    def address(self) -> NamenodeAddress:
        return NamenodeAddress("", "", "127.0.0.1", self.port)

    async def next(self, method: str, timeout_s: float = 20) -> Any:
        """The next request of that method; others before it are passed over."""
        async with asyncio.timeout(timeout_s):
            while True:
                name, request = await self.arrived.get()
                if name == method:
                    return request

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    def _handler(self, name: str, request_type: Any, answer: Any) -> Any:
        async def handle(request: bytes, call: ServerCall) -> bytes:
            message = request_type.FromString(request)
            self.calls.append((name, message))
            self.arrived.put_nowait((name, message))
            result = self.on[name](message) if name in self.on else None
            if result is not None:
                result = await result
            if isinstance(result, bytes):
                return result
            made = answer(message) if callable(getattr(answer, "__func__", None)) else answer()
            return bytes(made.SerializeToString())

        return handle

    def _version(self, request: Any) -> Any:
        return server_pb.VersionResponseProto(info=encode_namespace_info(self.namespace, 1))

    def _register(self, request: Any) -> Any:
        return pb.RegisterDatanodeResponseProto(registration=request.registration)

    def _heartbeat(self, request: Any) -> Any:
        commands, self.commands = self.commands, []
        state = server_pb.NNHAStatusHeartbeatProto
        return pb.HeartbeatResponseProto(
            cmds=commands,
            haStatus=state(
                state=state.ACTIVE if self.active else state.STANDBY, txid=self.transaction_id
            ),
            fullBlockReportLeaseId=self.lease_id if request.requestFullBlockReportLease else 0,
        )


@contextlib.asynccontextmanager
async def namenode(namespace: NamespaceInfo = NAMESPACE) -> AsyncIterator[FakeNamenode]:
    fake = FakeNamenode(namespace)
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()
