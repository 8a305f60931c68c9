"""The calls of ``DatanodeProtocol`` (``DatanodeProtocol.proto``) that a DataNode makes:
values in, request messages out, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cairnfs.datanode.block_list import BlockList
from cairnfs.datanode.commands import Command, decode_commands
from cairnfs.datanode.incremental import FactBatch
from cairnfs.datanode.interface import VolumeFailure
from cairnfs.types import (
    DatanodeID,
    DatanodeInfo,
    DatanodeStorage,
    ExtendedBlock,
    LocatedBlock,
    NamespaceInfo,
    StorageReport,
)
from cairnfs.version import VERSION
from cairnfs.wire.codec import (
    StorageInfo,
    decode_namespace_info,
    encode_block,
    encode_datanode_id,
    encode_datanode_storage,
    encode_extended_block,
    encode_located_block,
    encode_storage_info,
    encode_storage_report,
    parse,
)
from cairnfs.wire.proto.datanode_pb2 import (
    BlockReceivedAndDeletedRequestProto,
    BlockReportContextProto,
    BlockReportRequestProto,
    BlockReportResponseProto,
    CommitBlockSynchronizationRequestProto,
    DatanodeRegistrationProto,
    ErrorReportRequestProto,
    HeartbeatRequestProto,
    HeartbeatResponseProto,
    RegisterDatanodeRequestProto,
    RegisterDatanodeResponseProto,
    ReportBadBlocksRequestProto,
    StorageBlockReportProto,
    StorageReceivedDeletedBlocksProto,
)
from cairnfs.wire.proto.hdfs_server_pb2 import (
    BlockKeyProto,
    ExportedBlockKeysProto,
    NNHAStatusHeartbeatProto,
    VersionRequestProto,
    VersionResponseProto,
)

PROTOCOL = "org.apache.hadoop.hdfs.server.protocol.DatanodeProtocol"
# Hadoop's layout of a DataNode's storage that has block ids in 32x32 directories. Cairn's
# own layout is its own business; a NameNode only wants a number it knows.
LAYOUT_VERSION = -57
# A NameNode refuses what is older than its dfs.namenode.min.supported.datanode.version.
SOFTWARE_VERSION = f"3.4.2-cairn-{VERSION}"


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """``active`` is None where the NameNode does not say."""

    namespace: NamespaceInfo
    active: bool | None


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    commands: tuple[Command, ...]
    active: bool
    transaction_id: int
    report_lease_id: int


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What a heartbeat tells besides space: transfers to other nodes, transfers at all."""

    transmits: int
    transceivers: int


def version_request() -> VersionRequestProto:
    return VersionRequestProto()


def version_answer(body: bytes) -> VersionAnswer:
    """Raises ``RemoteProtocolError``."""
    info = parse(VersionResponseProto, body).info
    active = info.state == NNHAStatusHeartbeatProto.ACTIVE if info.HasField("state") else None
    return VersionAnswer(decode_namespace_info(info), active)


def registration(node: DatanodeID, namespace: NamespaceInfo) -> DatanodeRegistrationProto:
    """Who we are. It comes with every call, and must name the NameNode's own namespace."""
    return DatanodeRegistrationProto(
        datanodeID=encode_datanode_id(node),
        storageInfo=encode_storage_info(
            StorageInfo(
                LAYOUT_VERSION,
                namespace.namespace_id,
                namespace.cluster_id,
                namespace.creation_time_ms,
            )
        ),
        keys=ExportedBlockKeysProto(
            isBlockTokenEnabled=False,
            keyUpdateInterval=0,
            tokenLifeTime=0,
            currentKey=BlockKeyProto(keyId=0, expiryDate=0),
        ),
        softwareVersion=SOFTWARE_VERSION,
    )


def register_request(who: DatanodeRegistrationProto) -> RegisterDatanodeRequestProto:
    return RegisterDatanodeRequestProto(registration=who)


def block_tokens_required(body: bytes) -> bool:
    """What the answer to registerDatanode demands. Raises ``RemoteProtocolError``."""
    answer = parse(RegisterDatanodeResponseProto, body)
    return answer.registration.keys.isBlockTokenEnabled


def heartbeat_request(
    who: DatanodeRegistrationProto,
    reports: Iterable[StorageReport],
    failures: Sequence[VolumeFailure],
    load: NodeLoad,
    want_lease: bool,
) -> HeartbeatRequestProto:
    request = HeartbeatRequestProto(
        registration=who,
        reports=map(encode_storage_report, reports),
        xmitsInProgress=load.transmits,
        xceiverCount=load.transceivers,
        failedVolumes=len(failures),
        cacheCapacity=0,
        cacheUsed=0,
        requestFullBlockReportLease=want_lease,
    )
    if failures:
        summary = request.volumeFailureSummary
        summary.failedStorageLocations.extend(failure.path for failure in failures)
        summary.lastVolumeFailureDate = max(failure.failed_at_ms for failure in failures)
        summary.estimatedCapacityLostTotal = sum(failure.capacity_lost for failure in failures)
    return request


def heartbeat_answer(body: bytes) -> HeartbeatAnswer:
    """Raises ``RemoteProtocolError``."""
    answer = parse(HeartbeatResponseProto, body)
    return HeartbeatAnswer(
        commands=tuple(decode_commands(answer.cmds)),
        active=answer.haStatus.state == NNHAStatusHeartbeatProto.ACTIVE,
        transaction_id=answer.haStatus.txid,
        report_lease_id=answer.fullBlockReportLeaseId,
    )


def facts_request(
    who: DatanodeRegistrationProto, pool_id: str, batch: FactBatch
) -> BlockReceivedAndDeletedRequestProto:
    """The incremental report, grouped by storage, in the order in which things happened."""
    request = BlockReceivedAndDeletedRequestProto(registration=who, blockPoolId=pool_id)
    storages: dict[str, StorageReceivedDeletedBlocksProto] = {}
    for fact in batch.facts:
        storage_uuid = fact.storage.storage_uuid
        group = storages.get(storage_uuid)
        if group is None:
            group = request.blocks.add(
                storageUuid=storage_uuid, storage=encode_datanode_storage(fact.storage)
            )
            storages[storage_uuid] = group
        group.blocks.add(
            block=encode_block(fact.block),
            status=fact.status.value,
            deleteHint=fact.delete_hint or None,
        )
    return request


def report_requests(
    who: DatanodeRegistrationProto,
    pool_id: str,
    lists: Mapping[DatanodeStorage, BlockList],
    *,
    report_id: int,
    lease_id: int,
    split_threshold: int,
) -> list[BlockReportRequestProto]:
    """A full report: one message, or one for each storage from ``split_threshold`` blocks on."""
    storages = [
        StorageBlockReportProto(
            storage=encode_datanode_storage(storage),
            numberOfBlocks=len(block_list),
            blocksBuffers=block_list.buffers(),
        )
        for storage, block_list in lists.items()
    ]
    whole = sum(map(len, lists.values())) < split_threshold
    parts = [storages] if whole else [[storage] for storage in storages]
    return [
        BlockReportRequestProto(
            registration=who,
            blockPoolId=pool_id,
            reports=part,
            context=BlockReportContextProto(
                totalRpcs=len(parts), curRpc=number, id=report_id, leaseId=lease_id
            ),
        )
        for number, part in enumerate(parts)
    ]


def report_answer(body: bytes) -> tuple[Command, ...]:
    """Raises ``RemoteProtocolError``."""
    answer = parse(BlockReportResponseProto, body)
    return tuple(decode_commands((answer.cmd,))) if answer.HasField("cmd") else ()


def bad_block_request(
    block: ExtendedBlock, holder: DatanodeInfo, storage: DatanodeStorage | None = None
) -> ReportBadBlocksRequestProto:
    """``holder`` has a corrupt replica of ``block`` (on ``storage``, where it is known)."""
    located = LocatedBlock(
        block,
        0,
        (holder,),
        (storage.storage_uuid,) if storage else (),
        (storage.storage_type,) if storage else (),
    )
    return ReportBadBlocksRequestProto(blocks=[encode_located_block(located)])


def disk_error_request(who: DatanodeRegistrationProto, message: str) -> ErrorReportRequestProto:
    """A volume failed; the DataNode goes on with the others."""
    return ErrorReportRequestProto(
        registartion=who, errorCode=ErrorReportRequestProto.DISK_ERROR, msg=message
    )


def notice_request(who: DatanodeRegistrationProto, message: str) -> ErrorReportRequestProto:
    """Something that the NameNode's operator should read."""
    return ErrorReportRequestProto(
        registartion=who, errorCode=ErrorReportRequestProto.NOTIFY, msg=message
    )


def synchronization_request(
    block: ExtendedBlock,
    new_stamp: int,
    new_length: int,
    holders: Sequence[tuple[DatanodeID, str]],
) -> CommitBlockSynchronizationRequestProto:
    """The end of a block recovery: who holds the block now (node, storage id). Without
    holders the block is to be deleted."""
    return CommitBlockSynchronizationRequestProto(
        block=encode_extended_block(block),
        newGenStamp=new_stamp,
        newLength=new_length,
        closeFile=True,
        deleteBlock=not holders,
        newTaragets=[encode_datanode_id(node) for node, _ in holders],
        newTargetStorages=[storage for _, storage in holders],
    )
