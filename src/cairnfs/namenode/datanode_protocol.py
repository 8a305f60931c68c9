"""DatanodeProtocol (DatanodeProtocol.proto): what DataNodes tell and are told."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable

from cairnfs.blocks import report
from cairnfs.blocks.incremental import ChangeStatus, ReplicaChange
from cairnfs.blocks.registry import Heartbeat
from cairnfs.errors import IncorrectVersion
from cairnfs.log import peer_fault
from cairnfs.namenode.datanode_commands import encode_commands
from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.held import DATANODE
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namenode.turn import Turn
from cairnfs.namespace import synchronization
from cairnfs.types import Caller, DatanodeStorage
from cairnfs.wire.codec import (
    decode_block,
    decode_datanode_id,
    decode_datanode_storage,
    decode_extended_block,
    decode_located_block,
    decode_storage_report,
    encode_namespace_info,
)
from cairnfs.wire.message import signed64
from cairnfs.wire.proto import datanode_pb2 as pb
from cairnfs.wire.proto import hdfs_server_pb2
from cairnfs.wire.proto.hdfs_pb2 import LocatedBlockProto

logger = logging.getLogger(__name__)

TABLE = MethodTable("org.apache.hadoop.hdfs.server.protocol.DatanodeProtocol")

# Bit of NamespaceInfoProto.capabilities: full reports may come as buffers of varints.
REPORTS_AS_BUFFERS = 1


@TABLE.read("versionRequest", hdfs_server_pb2.VersionRequestProto)
def version_request(
    system: Namesystem, request: hdfs_server_pb2.VersionRequestProto, caller: Caller
) -> hdfs_server_pb2.VersionResponseProto:
    return hdfs_server_pb2.VersionResponseProto(
        info=encode_namespace_info(system.info, capabilities=REPORTS_AS_BUFFERS)
    )


@TABLE.change("registerDatanode", pb.RegisterDatanodeRequestProto, volatile=True, in_safe_mode=True)
def register_datanode(
    system: Namesystem, request: pb.RegisterDatanodeRequestProto, caller: Caller, turn: Turn
) -> pb.RegisterDatanodeResponseProto:
    registration = request.registration
    storage = registration.storageInfo
    info = system.info
    if storage.clusterID and storage.clusterID != info.cluster_id:
        raise IncorrectVersion(
            f"datanode {registration.datanodeID.hostName} belongs to cluster "
            f"{storage.clusterID}, this NameNode to {info.cluster_id}"
        )
    if storage.namespceID and storage.namespceID != info.namespace_id:
        raise IncorrectVersion(
            f"datanode {registration.datanodeID.hostName} belongs to namespace "
            f"{storage.namespceID}, this NameNode has {info.namespace_id}"
        )
    node = decode_datanode_id(registration.datanodeID)
    # The address that the connection came from is the one that is known to work.
    node = dataclasses.replace(node, ip_addr=caller.address)
    system.blocks.register(system.block_turn(turn), node, registration.softwareVersion)
    system.upkeep.spread_notices()
    registration.datanodeID.ipAddr = caller.address
    return pb.RegisterDatanodeResponseProto(registration=registration)


# Not volatile: what a node is told to remove must have been deleted durably first.
@TABLE.change("sendHeartbeat", pb.HeartbeatRequestProto, in_safe_mode=True)
def send_heartbeat(
    system: Namesystem, request: pb.HeartbeatRequestProto, caller: Caller, turn: Turn
) -> pb.HeartbeatResponseProto:
    node = decode_datanode_id(request.registration.datanodeID)
    beat = Heartbeat(
        datanode_uuid=node.datanode_uuid,
        storage_reports=tuple(decode_storage_report(each) for each in request.reports),
        xceiver_count=request.xceiverCount,
        xmits_in_progress=request.xmitsInProgress,
        failed_volumes=request.failedVolumes,
        cache_capacity=request.cacheCapacity,
        cache_used=request.cacheUsed,
        wants_report_lease=request.requestFullBlockReportLease,
    )
    answer = system.blocks.heartbeat(system.block_turn(turn), beat)
    system.held.ready(DATANODE)
    return pb.HeartbeatResponseProto(
        cmds=encode_commands(answer.commands, system.info.pool_id),
        haStatus=hdfs_server_pb2.NNHAStatusHeartbeatProto(
            state=hdfs_server_pb2.NNHAStatusHeartbeatProto.ACTIVE,
            txid=system.store.last_sequence,
        ),
        fullBlockReportLeaseId=answer.report_lease_id,
    )


@TABLE.task("blockReport", pb.BlockReportRequestProto)
async def block_report(
    system: Namesystem, request: pb.BlockReportRequestProto, caller: Caller
) -> pb.BlockReportResponseProto:
    """Taken in slices between other calls, so that a large one stops nobody."""
    system.check_pool(request.blockPoolId)
    uuid = request.registration.datanodeID.datanodeUuid
    context = request.context
    last = not request.HasField("context") or context.curRpc + 1 >= context.totalRpcs
    for position, each in enumerate(request.reports):
        if each.blocksBuffers or each.HasField("numberOfBlocks"):
            replicas = report.decode_buffers(each.blocksBuffers, each.numberOfBlocks)
        else:
            replicas = report.decode_longs([signed64(value) for value in each.blocks])
        await system.upkeep.full_report(
            uuid,
            decode_datanode_storage(each.storage),
            replicas,
            lease_id=context.leaseId,
            last_of_node=last and position + 1 == len(request.reports),
        )
    return pb.BlockReportResponseProto()


@TABLE.change(
    "blockReceivedAndDeleted",
    pb.BlockReceivedAndDeletedRequestProto,
    volatile=True,
    in_safe_mode=True,
)
def block_received_and_deleted(
    system: Namesystem, request: pb.BlockReceivedAndDeletedRequestProto, caller: Caller, turn: Turn
) -> pb.BlockReceivedAndDeletedResponseProto:
    system.check_pool(request.blockPoolId)
    block_turn = system.block_turn(turn)
    for each in request.blocks:
        if each.HasField("storage"):
            storage = decode_datanode_storage(each.storage)
        else:
            storage = DatanodeStorage(each.storageUuid)
        changes = [
            ReplicaChange(decode_block(info.block), ChangeStatus(info.status), info.deleteHint)
            for info in each.blocks
        ]
        system.blocks.incremental_report(
            block_turn, request.registration.datanodeID.datanodeUuid, storage, changes
        )
    system.upkeep.spread_notices()
    return pb.BlockReceivedAndDeletedResponseProto()


@TABLE.read("cacheReport", pb.CacheReportRequestProto)
def cache_report(
    system: Namesystem, request: pb.CacheReportRequestProto, caller: Caller
) -> pb.CacheReportResponseProto:
    # Nothing is ever asked to be cached, so that every list is empty.
    return pb.CacheReportResponseProto()


@TABLE.read("errorReport", pb.ErrorReportRequestProto)
def error_report(
    system: Namesystem, request: pb.ErrorReportRequestProto, caller: Caller
) -> pb.ErrorReportResponseProto:
    peer_fault(
        logger,
        "datanode %s reports error %d: %s",
        request.registartion.datanodeID.hostName,
        request.errorCode,
        request.msg,
    )
    return pb.ErrorReportResponseProto()


@TABLE.change("reportBadBlocks", pb.ReportBadBlocksRequestProto, volatile=True, in_safe_mode=True)
def report_bad_blocks(
    system: Namesystem, request: pb.ReportBadBlocksRequestProto, caller: Caller, turn: Turn
) -> pb.ReportBadBlocksResponseProto:
    report_bad_replicas(system, turn, request.blocks, f"reported by a datanode at {caller.address}")
    return pb.ReportBadBlocksResponseProto()


@TABLE.change("commitBlockSynchronization", pb.CommitBlockSynchronizationRequestProto)
def commit_block_synchronization(
    system: Namesystem,
    request: pb.CommitBlockSynchronizationRequestProto,
    caller: Caller,
    turn: Turn,
) -> pb.CommitBlockSynchronizationResponseProto:
    block = decode_extended_block(request.block)
    system.check_pool(block.pool_id)
    targets = [decode_datanode_id(node) for node in request.newTaragets]
    result = synchronization.commit_block_synchronization(
        system.namespace,
        turn.namespace,
        system.replica_view(turn),
        turn.now_ms,
        block.block,
        request.newGenStamp,
        request.newLength,
        close_file=request.closeFile,
        delete_block=request.deleteBlock,
    )
    if result is not None:
        system.effects.synchronized(turn, result, targets, list(request.newTargetStorages))
    return pb.CommitBlockSynchronizationResponseProto()


def report_bad_replicas(
    system: Namesystem, turn: Turn, blocks: Iterable[LocatedBlockProto], reason: str
) -> None:
    """Replicas that a client or a DataNode found corrupt; unknown ones are passed over."""
    for message in blocks:
        located = decode_located_block(message)
        system.check_pool(located.block.pool_id)
        for node in located.locations:
            system.blocks.report_bad_replica(
                system.block_turn(turn), located.block.block, node.id.datanode_uuid, reason
            )
    system.upkeep.spread_notices()
