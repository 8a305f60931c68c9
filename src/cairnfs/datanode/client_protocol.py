"""``ClientDatanodeProtocol`` (``ClientDatanodeProtocol.proto``) and ``ReconfigurationProtocol``:
what clients and ``hdfs dfsadmin`` ask of a DataNode."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from cairnfs.datanode.block_pools import BlockPools
from cairnfs.datanode.messages import SOFTWARE_VERSION
from cairnfs.datanode.node import Node
from cairnfs.errors import InvalidRequest, PermissionDenied, UnsupportedOperation
from cairnfs.net.rpc_server import Handler, RpcService, ServerCall
from cairnfs.types import StorageType
from cairnfs.wire.codec import decode_extended_block, parse
from cairnfs.wire.proto.client_datanode_pb2 import (
    DeleteBlockPoolRequestProto,
    DeleteBlockPoolResponseProto,
    DiskBalancerSettingRequestProto,
    EvictWritersResponseProto,
    GetBalancerBandwidthResponseProto,
    GetDatanodeInfoResponseProto,
    GetReplicaVisibleLengthRequestProto,
    GetReplicaVisibleLengthResponseProto,
    GetVolumeReportResponseProto,
    QueryPlanStatusResponseProto,
    RefreshNamenodesResponseProto,
    ShutdownDatanodeRequestProto,
    ShutdownDatanodeResponseProto,
    TriggerBlockReportRequestProto,
    TriggerBlockReportResponseProto,
)
from cairnfs.wire.proto.reconfiguration_pb2 import (
    GetReconfigurationStatusResponseProto,
    ListReconfigurablePropertiesResponseProto,
)

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol"
RECONFIGURATION_PROTOCOL = "org.apache.hadoop.hdfs.protocol.ReconfigurationProtocol"
_CONFIG_VERSION = "core-3.4,hdfs-3.4"


class Operations(Protocol):
    """What an operator may have done to the whole node."""

    @property
    def uptime_ms(self) -> int: ...

    @property
    def balance_bandwidth(self) -> int:
        """Bytes a second."""
        ...

    def shut_down(self) -> None:
        """Begin to stop; returns at once."""
        ...

    def evict_writers(self) -> None:
        """End the writes under way; clients go on with other nodes."""
        ...

    async def refresh_namenodes(self) -> None:
        """Read the configuration anew. Raises ``ConfigurationError``."""
        ...


def services(node: Node, pools: BlockPools, operations: Operations) -> list[RpcService]:
    """Both protocols as this node serves them."""
    handlers = _Handlers(node, pools, operations)
    reconfiguration: dict[str, Handler] = {
        "getReconfigurationStatus": handlers.reconfiguration_status,
        "startReconfiguration": handlers.start_reconfiguration,
        "listReconfigurableProperties": handlers.reconfigurable_properties,
    }
    client: dict[str, Handler] = {
        "getReplicaVisibleLength": handlers.visible_length,
        "getBlockLocalPathInfo": handlers.local_path,
        "getDatanodeInfo": handlers.datanode_info,
        "getVolumeReport": handlers.volume_report,
        "getBalancerBandwidth": handlers.balance_bandwidth,
        "triggerBlockReport": handlers.trigger_report,
        "refreshNamenodes": handlers.refresh_namenodes,
        "deleteBlockPool": handlers.delete_pool,
        "shutdownDatanode": handlers.shut_down,
        "evictWriters": handlers.evict_writers,
        "submitDiskBalancerPlan": handlers.refuse_plan,
        "cancelDiskBalancerPlan": handlers.refuse_plan,
        "queryDiskBalancerPlan": handlers.plan_status,
        "getDiskBalancerSetting": handlers.balancer_setting,
    }
    return [
        RpcService(PROTOCOL, 1, client | reconfiguration),
        RpcService(RECONFIGURATION_PROTOCOL, 1, reconfiguration),
    ]


class _Handlers:
    """One method a call; see the module."""

    def __init__(self, node: Node, pools: BlockPools, operations: Operations) -> None:
        self._node = node
        self._pools = pools
        self._operations = operations

    # --- for clients -------------------------------------------------------------------------

    def visible_length(self, request: bytes, call: ServerCall) -> Awaitable[bytes]:
        block = decode_extended_block(parse(GetReplicaVisibleLengthRequestProto, request).block)

        async def answer() -> bytes:
            length = await asyncio.to_thread(self._node.dataset.visible_length, block)
            return GetReplicaVisibleLengthResponseProto(
                length=length & 0xFFFFFFFFFFFFFFFF
            ).SerializeToString()

        return answer()

    def local_path(self, request: bytes, call: ServerCall) -> bytes:
        raise PermissionDenied(
            "this DataNode names no paths of block files; read through data transfer"
        )

    # --- for operators -----------------------------------------------------------------------

    def datanode_info(self, request: bytes, call: ServerCall) -> bytes:
        answer = GetDatanodeInfoResponseProto()
        answer.localInfo.softwareVersion = SOFTWARE_VERSION
        answer.localInfo.configVersion = _CONFIG_VERSION
        answer.localInfo.uptime = self._operations.uptime_ms // 1000
        return answer.SerializeToString()

    def volume_report(self, request: bytes, call: ServerCall) -> Awaitable[bytes]:
        _check_superuser(call)

        async def answer() -> bytes:
            dataset = self._node.dataset
            spaces = await asyncio.to_thread(dataset.volume_spaces)
            message = GetVolumeReportResponseProto()
            for space in spaces:
                storage = dataset.storage(space.storage_uuid)
                kind = storage.storage_type if storage is not None else StorageType.DISK
                message.volumeInfo.add(
                    path=space.path,
                    storageType=kind.value,
                    usedSpace=space.dfs_used,
                    freeSpace=space.remaining,
                    reservedSpace=space.reserved,
                    reservedSpaceForReplicas=0,
                    numBlocks=space.replicas,
                )
            return message.SerializeToString()

        return answer()

    def balance_bandwidth(self, request: bytes, call: ServerCall) -> bytes:
        return GetBalancerBandwidthResponseProto(
            bandwidth=self._operations.balance_bandwidth
        ).SerializeToString()

    def trigger_report(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        message = parse(TriggerBlockReportRequestProto, request)
        chosen = [
            service for service in self._pools.services if message.nnAddress in ("", service.name)
        ]
        if not chosen:
            raise InvalidRequest(f"this DataNode serves no NameNode at {message.nnAddress}")
        for service in chosen:
            service.report_now(incremental=message.incremental)
        return TriggerBlockReportResponseProto().SerializeToString()

    def refresh_namenodes(self, request: bytes, call: ServerCall) -> Awaitable[bytes]:
        _check_superuser(call)
        return self._then(
            self._operations.refresh_namenodes, RefreshNamenodesResponseProto().SerializeToString()
        )

    def delete_pool(self, request: bytes, call: ServerCall) -> Awaitable[bytes]:
        _check_superuser(call)
        message = parse(DeleteBlockPoolRequestProto, request)
        if self._pools.find(message.blockPool) is not None:
            raise InvalidRequest(
                f"block pool {message.blockPool} is being served; take its NameNodes out of the "
                "configuration and refresh first (hdfs dfsadmin -refreshNamenodes)"
            )

        async def delete() -> None:
            dataset = self._node.dataset
            await self._node.in_thread(
                lambda: dataset.delete_block_pool(message.blockPool, message.force)
            )

        return self._then(delete, DeleteBlockPoolResponseProto().SerializeToString())

    def shut_down(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        parse(ShutdownDatanodeRequestProto, request)
        self._operations.shut_down()
        return ShutdownDatanodeResponseProto().SerializeToString()

    def evict_writers(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        self._operations.evict_writers()
        return EvictWritersResponseProto().SerializeToString()

    # --- what is not offered, said plainly ---------------------------------------------------

    def reconfigurable_properties(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        return ListReconfigurablePropertiesResponseProto().SerializeToString()

    def reconfiguration_status(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        # No start time: none was ever begun.
        return GetReconfigurationStatusResponseProto(startTime=0).SerializeToString()

    def start_reconfiguration(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        raise UnsupportedOperation(
            "no property of this DataNode can be changed while it runs; restart it"
        )

    def refuse_plan(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        raise UnsupportedOperation(
            "this DataNode takes no disk balancer plans: it spreads blocks over its volumes itself"
        )

    def plan_status(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        return QueryPlanStatusResponseProto(result=0).SerializeToString()  # no plan

    def balancer_setting(self, request: bytes, call: ServerCall) -> bytes:
        _check_superuser(call)
        key = parse(DiskBalancerSettingRequestProto, request).key
        raise UnsupportedOperation(f"this DataNode has no disk balancer and no setting {key!r}")

    async def _then(self, work: Callable[[], Awaitable[None]], answer: bytes) -> bytes:
        await work()
        return answer


def _check_superuser(call: ServerCall) -> None:
    if not call.caller.superuser:
        raise PermissionDenied(
            f"Access denied for user {call.caller.user}. Superuser privilege is required."
        )
