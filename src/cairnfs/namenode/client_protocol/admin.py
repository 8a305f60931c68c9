"""The cluster as clients and operators see it: space, DataNodes, safe mode, bad blocks."""

from __future__ import annotations

from cairnfs.blocks.statistics import ReportType
from cairnfs.namenode.client_protocol import PROTOCOL
from cairnfs.namenode.datanode_protocol import report_bad_replicas
from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namenode.turn import Turn
from cairnfs.namespace import open_files
from cairnfs.namespace.permissions import check_superuser
from cairnfs.types import Caller
from cairnfs.wire.codec import encode_datanode_info, encode_storage_report
from cairnfs.wire.namenode_answers import EMPTY
from cairnfs.wire.proto import client_namenode_pb2 as pb

TABLE = MethodTable(PROTOCOL)


@TABLE.read("getFsStats", pb.GetFsStatusRequestProto)
def get_fs_stats(
    system: Namesystem, request: pb.GetFsStatusRequestProto, caller: Caller
) -> pb.GetFsStatsResponseProto:
    stats = system.blocks.statistics()
    return pb.GetFsStatsResponseProto(
        capacity=stats.capacity,
        used=stats.dfs_used,
        remaining=stats.remaining,
        under_replicated=stats.under_replicated,
        corrupt_blocks=stats.corrupt_blocks,
        missing_blocks=stats.missing_blocks,
        missing_repl_one_blocks=0,
        blocks_in_future=system.blocks.safe_mode.future_bytes,
        pending_deletion_blocks=stats.pending_deletion,
    )


@TABLE.read("getFsReplicatedBlockStats", pb.GetFsReplicatedBlockStatsRequestProto)
def get_replicated_block_stats(
    system: Namesystem, request: pb.GetFsReplicatedBlockStatsRequestProto, caller: Caller
) -> pb.GetFsReplicatedBlockStatsResponseProto:
    stats = system.blocks.statistics()
    return pb.GetFsReplicatedBlockStatsResponseProto(
        low_redundancy=stats.under_replicated,
        corrupt_blocks=stats.corrupt_blocks,
        missing_blocks=stats.missing_blocks,
        missing_repl_one_blocks=0,
        blocks_in_future=system.blocks.safe_mode.future_bytes,
        pending_deletion_blocks=stats.pending_deletion,
        highest_prio_low_redundancy_blocks=stats.low_redundancy_highest,
    )


@TABLE.read("getFsECBlockGroupStats", pb.GetFsECBlockGroupStatsRequestProto)
def get_ec_block_group_stats(
    system: Namesystem, request: pb.GetFsECBlockGroupStatsRequestProto, caller: Caller
) -> pb.GetFsECBlockGroupStatsResponseProto:
    # No block group exists, so that every count is true.
    return pb.GetFsECBlockGroupStatsResponseProto(
        low_redundancy=0,
        corrupt_blocks=0,
        missing_blocks=0,
        blocks_in_future=0,
        pending_deletion_blocks=0,
    )


@TABLE.read("getDatanodeReport", pb.GetDatanodeReportRequestProto)
def get_datanode_report(
    system: Namesystem, request: pb.GetDatanodeReportRequestProto, caller: Caller
) -> pb.GetDatanodeReportResponseProto:
    nodes = system.blocks.datanodes(ReportType(request.type))
    return pb.GetDatanodeReportResponseProto(di=map(encode_datanode_info, nodes))


@TABLE.read("getDatanodeStorageReport", pb.GetDatanodeStorageReportRequestProto)
def get_datanode_storage_report(
    system: Namesystem, request: pb.GetDatanodeStorageReportRequestProto, caller: Caller
) -> pb.GetDatanodeStorageReportResponseProto:
    check_superuser(caller)
    response = pb.GetDatanodeStorageReportResponseProto()
    kind = ReportType(request.type)
    for node in system.blocks.registry.nodes.values():
        if not kind.wants(node):
            continue
        entry = response.datanodeStorageReports.add()
        entry.datanodeInfo.CopyFrom(encode_datanode_info(node.info(system.wall_offset_ms)))
        entry.storageReports.extend(
            encode_storage_report(storage.report()) for storage in node.storages.values()
        )
    return response


@TABLE.change("reportBadBlocks", pb.ReportBadBlocksRequestProto, volatile=True)
def report_bad_blocks(
    system: Namesystem, request: pb.ReportBadBlocksRequestProto, caller: Caller, turn: Turn
) -> bytes:
    report_bad_replicas(system, turn, request.blocks, f"reported by a client at {caller.address}")
    return EMPTY


@TABLE.read("setSafeMode", pb.SetSafeModeRequestProto)
def set_safe_mode(
    system: Namesystem, request: pb.SetSafeModeRequestProto, caller: Caller
) -> pb.SetSafeModeResponseProto:
    if request.action != pb.SAFEMODE_GET:
        check_superuser(caller)
        if request.action == pb.SAFEMODE_ENTER:
            system.blocks.enter_safe_mode()
        else:
            system.blocks.leave_safe_mode(force=request.action == pb.SAFEMODE_FORCE_EXIT)
    return pb.SetSafeModeResponseProto(result=system.blocks.safe_mode.on)


@TABLE.task("saveNamespace", pb.SaveNamespaceRequestProto)
async def save_namespace(
    system: Namesystem, request: pb.SaveNamespaceRequestProto, caller: Caller
) -> pb.SaveNamespaceResponseProto:
    check_superuser(caller)
    await system.upkeep.checkpoint()
    return pb.SaveNamespaceResponseProto(saved=True)


@TABLE.task("refreshNodes", pb.RefreshNodesRequestProto)
async def refresh_nodes(
    system: Namesystem, request: pb.RefreshNodesRequestProto, caller: Caller
) -> pb.RefreshNodesResponseProto:
    check_superuser(caller)
    await system.upkeep.refresh_nodes()
    return pb.RefreshNodesResponseProto()


@TABLE.read("setBalancerBandwidth", pb.SetBalancerBandwidthRequestProto)
def set_balancer_bandwidth(
    system: Namesystem, request: pb.SetBalancerBandwidthRequestProto, caller: Caller
) -> pb.SetBalancerBandwidthResponseProto:
    check_superuser(caller)
    system.blocks.set_balancer_bandwidth(request.bandwidth)
    return pb.SetBalancerBandwidthResponseProto()


@TABLE.read("listOpenFiles", pb.ListOpenFilesRequestProto)
def list_open_files(
    system: Namesystem, request: pb.ListOpenFilesRequestProto, caller: Caller
) -> pb.ListOpenFilesResponseProto:
    page = open_files.list_open_files(
        system.namespace, system.views.namespace, caller, request.id, request.path or "/"
    )
    return pb.ListOpenFilesResponseProto(
        entries=[
            pb.OpenFilesBatchResponseProto(
                id=entry.inode_id,
                path=entry.path,
                clientName=entry.client_name,
                clientMachine=entry.client_machine,
            )
            for entry in page.entries
        ],
        hasMore=page.has_more,
        types=list(request.types),
    )


@TABLE.read("getCurrentEditLogTxid", pb.GetCurrentEditLogTxidRequestProto)
def get_current_edit_log_txid(
    system: Namesystem, request: pb.GetCurrentEditLogTxidRequestProto, caller: Caller
) -> pb.GetCurrentEditLogTxidResponseProto:
    check_superuser(caller)
    return pb.GetCurrentEditLogTxidResponseProto(txid=system.store.last_sequence)
