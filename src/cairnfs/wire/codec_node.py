"""DataNodes, their storages and the namespace they belong to <-> ``hdfs.proto``,
``hdfs_server.proto``."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import (
    AdminState,
    DatanodeID,
    DatanodeInfo,
    DatanodeStorage,
    NamespaceInfo,
    StorageReport,
    StorageState,
    StorageType,
)
from cairnfs.wire.message import signed32, signed64, unsigned32, unsigned64
from cairnfs.wire.proto.hdfs_pb2 import (
    DatanodeIDProto,
    DatanodeInfoProto,
    DatanodeStorageProto,
    StorageReportProto,
)
from cairnfs.wire.proto.hdfs_server_pb2 import (
    NamespaceInfoProto,
    NNHAStatusHeartbeatProto,
    StorageInfoProto,
)

_PORT_MAX = 65535
_DEFAULT_RACK = "/default-rack"


def encode_datanode_id(node: DatanodeID) -> DatanodeIDProto:
    return DatanodeIDProto(
        ipAddr=node.ip_addr,
        hostName=node.host_name,
        datanodeUuid=node.datanode_uuid,
        xferPort=node.xfer_port,
        infoPort=node.info_port,
        ipcPort=node.ipc_port,
        infoSecurePort=node.info_secure_port,
    )


def decode_datanode_id(proto: DatanodeIDProto) -> DatanodeID:
    return DatanodeID(
        ip_addr=proto.ipAddr,
        host_name=proto.hostName,
        datanode_uuid=proto.datanodeUuid,
        xfer_port=_port(proto.xferPort, "xferPort"),
        info_port=_port(proto.infoPort, "infoPort"),
        ipc_port=_port(proto.ipcPort, "ipcPort"),
        info_secure_port=_port(proto.infoSecurePort, "infoSecurePort"),
    )


def _port(value: int, name: str) -> int:
    if value > _PORT_MAX:
        raise RemoteProtocolError(f"{name} {value} of a DataNode is no port")
    return value


def encode_datanode_info(node: DatanodeInfo) -> DatanodeInfoProto:
    return DatanodeInfoProto(
        id=encode_datanode_id(node.id),
        capacity=unsigned64(node.capacity),
        dfsUsed=unsigned64(node.dfs_used),
        remaining=unsigned64(node.remaining),
        blockPoolUsed=unsigned64(node.block_pool_used),
        lastUpdate=unsigned64(node.last_update_ms),
        xceiverCount=node.xceiver_count,
        location=node.location,
        nonDfsUsed=unsigned64(node.non_dfs_used),
        adminState=node.admin_state.value,  # type: ignore[arg-type]
        cacheCapacity=unsigned64(node.cache_capacity),
        cacheUsed=unsigned64(node.cache_used),
        upgradeDomain=node.upgrade_domain,
        lastBlockReportTime=unsigned64(node.last_block_report_ms),
        numBlocks=node.num_blocks,
    )


def decode_datanode_info(proto: DatanodeInfoProto) -> DatanodeInfo:
    """``software_version`` is not on this wire and stays empty."""
    capacity, dfs_used = signed64(proto.capacity), signed64(proto.dfsUsed)
    remaining = signed64(proto.remaining)
    if proto.HasField("nonDfsUsed"):
        non_dfs_used = signed64(proto.nonDfsUsed)
    else:
        non_dfs_used = capacity - dfs_used - remaining
    return DatanodeInfo(
        id=decode_datanode_id(proto.id),
        capacity=capacity,
        dfs_used=dfs_used,
        remaining=remaining,
        block_pool_used=signed64(proto.blockPoolUsed),
        non_dfs_used=non_dfs_used,
        last_update_ms=signed64(proto.lastUpdate),
        xceiver_count=signed32(proto.xceiverCount),
        location=proto.location or _DEFAULT_RACK,
        admin_state=AdminState(proto.adminState),
        cache_capacity=signed64(proto.cacheCapacity),
        cache_used=signed64(proto.cacheUsed),
        last_block_report_ms=signed64(proto.lastBlockReportTime),
        num_blocks=signed32(proto.numBlocks),
        upgrade_domain=proto.upgradeDomain if proto.HasField("upgradeDomain") else None,
    )


def encode_datanode_storage(storage: DatanodeStorage) -> DatanodeStorageProto:
    return DatanodeStorageProto(
        storageUuid=storage.storage_uuid,
        state=storage.state.value,  # type: ignore[arg-type]
        storageType=storage.storage_type.value,  # type: ignore[arg-type]
    )


def decode_datanode_storage(proto: DatanodeStorageProto) -> DatanodeStorage:
    return DatanodeStorage(
        proto.storageUuid, StorageState(proto.state), StorageType(proto.storageType)
    )


def encode_storage_report(report: StorageReport) -> StorageReportProto:
    return StorageReportProto(
        storageUuid=report.storage.storage_uuid,
        failed=report.failed,
        capacity=unsigned64(report.capacity),
        dfsUsed=unsigned64(report.dfs_used),
        remaining=unsigned64(report.remaining),
        blockPoolUsed=unsigned64(report.block_pool_used),
        storage=encode_datanode_storage(report.storage),
        nonDfsUsed=unsigned64(report.non_dfs_used),
    )


def decode_storage_report(proto: StorageReportProto) -> StorageReport:
    capacity, dfs_used = signed64(proto.capacity), signed64(proto.dfsUsed)
    remaining = signed64(proto.remaining)
    if proto.HasField("nonDfsUsed"):
        non_dfs_used = signed64(proto.nonDfsUsed)
    else:
        non_dfs_used = capacity - dfs_used - remaining
    if proto.HasField("storage"):
        storage = decode_datanode_storage(proto.storage)
    else:
        storage = DatanodeStorage(proto.storageUuid)
    return StorageReport(
        storage=storage,
        failed=proto.failed,
        capacity=capacity,
        dfs_used=dfs_used,
        remaining=remaining,
        block_pool_used=signed64(proto.blockPoolUsed),
        non_dfs_used=non_dfs_used,
    )


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """Which namespace a role's storage belongs to: ``StorageInfoProto``.

    ``layout_version`` is negative and counts down, as Hadoop's do."""

    layout_version: int
    namespace_id: int
    cluster_id: str
    creation_time_ms: int


def encode_storage_info(info: StorageInfo) -> StorageInfoProto:
    return StorageInfoProto(
        layoutVersion=unsigned32(info.layout_version),
        namespceID=unsigned32(info.namespace_id),
        clusterID=info.cluster_id,
        cTime=unsigned64(info.creation_time_ms),
    )


def decode_storage_info(proto: StorageInfoProto) -> StorageInfo:
    return StorageInfo(
        layout_version=signed32(proto.layoutVersion),
        namespace_id=signed32(proto.namespceID),
        cluster_id=proto.clusterID,
        creation_time_ms=signed64(proto.cTime),
    )


def encode_namespace_info(
    info: NamespaceInfo,
    capabilities: int = 0,
    state: NNHAStatusHeartbeatProto.State.ValueType | None = None,
) -> NamespaceInfoProto:
    """``capabilities`` are Hadoop's bits (1: takes block reports as buffers)."""
    return NamespaceInfoProto(
        buildVersion=info.build_version,
        unused=0,
        blockPoolID=info.pool_id,
        storageInfo=encode_storage_info(
            StorageInfo(
                info.layout_version, info.namespace_id, info.cluster_id, info.creation_time_ms
            )
        ),
        softwareVersion=info.software_version,
        capabilities=capabilities,
        state=state,
    )


def decode_namespace_info(proto: NamespaceInfoProto) -> NamespaceInfo:
    storage = decode_storage_info(proto.storageInfo)
    return NamespaceInfo(
        namespace_id=storage.namespace_id,
        cluster_id=storage.cluster_id,
        pool_id=proto.blockPoolID,
        creation_time_ms=storage.creation_time_ms,
        build_version=proto.buildVersion,
        software_version=proto.softwareVersion,
        layout_version=storage.layout_version,
    )
