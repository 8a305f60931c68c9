"""File status, totals and server defaults <-> ``hdfs.proto``.

The NameNode's hot answers are assembled by :mod:`cairnfs.wire.namenode_answers` instead.
"""

from __future__ import annotations

from cairnfs.errors import RemoteProtocolError
from cairnfs.types import (
    ChecksumType,
    ContentSummary,
    FileStatus,
    FileType,
    FsServerDefaults,
    LocatedBlocks,
)
from cairnfs.wire.codec_block import encode_located_blocks
from cairnfs.wire.message import signed64, unsigned64
from cairnfs.wire.proto.acl_pb2 import FsPermissionProto
from cairnfs.wire.proto.hdfs_pb2 import (
    ContentSummaryProto,
    FsServerDefaultsProto,
    HdfsFileStatusProto,
)

# Above the mode is what Hadoop passes over: marks for ACLs, encryption and erasure coding of
# old clients and servers, Go's bit for directories in the mkdirs of its client.
MODE_MASK = 0o1777
# HdfsConstants: the storage policy of what has none of its own.
_POLICY_HOT = 7


def encode_permission(mode: int) -> FsPermissionProto:
    return FsPermissionProto(perm=mode & MODE_MASK)


def decode_permission(proto: FsPermissionProto) -> int:
    return proto.perm & MODE_MASK


def encode_file_status(
    status: FileStatus, locations: LocatedBlocks | None = None
) -> HdfsFileStatusProto:
    """``locations`` come along where a listing was asked for with them."""
    return HdfsFileStatusProto(
        fileType=status.file_type.value,  # type: ignore[arg-type]
        path=status.name,
        length=unsigned64(status.length),
        permission=encode_permission(status.mode),
        owner=status.owner,
        group=status.group,
        modification_time=unsigned64(status.modification_time_ms),
        access_time=unsigned64(status.access_time_ms),
        symlink=status.symlink if status.file_type is FileType.SYMLINK else None,
        block_replication=status.replication,
        blocksize=unsigned64(status.block_size),
        locations=None if locations is None else encode_located_blocks(locations),
        fileId=unsigned64(status.inode_id),
        childrenNum=status.children,
        storagePolicy=status.storage_policy,
        flags=status.flags,
    )


def decode_file_status(proto: HdfsFileStatusProto) -> FileStatus:
    """Without ``locations``: where the message has them, decode them by themselves."""
    length = signed64(proto.length)
    if length < 0:
        raise RemoteProtocolError(f"a file's length {length} is negative")
    return FileStatus(
        file_type=FileType(proto.fileType),
        name=proto.path,
        length=length,
        mode=decode_permission(proto.permission),
        owner=proto.owner,
        group=proto.group,
        modification_time_ms=signed64(proto.modification_time),
        access_time_ms=signed64(proto.access_time),
        replication=proto.block_replication,
        block_size=signed64(proto.blocksize),
        inode_id=signed64(proto.fileId),
        children=proto.childrenNum,
        symlink=proto.symlink,
        storage_policy=proto.storagePolicy,
        flags=proto.flags,
    )


def encode_content_summary(summary: ContentSummary) -> ContentSummaryProto:
    return ContentSummaryProto(
        length=summary.length,
        fileCount=summary.file_count,
        directoryCount=summary.directory_count,
        quota=unsigned64(summary.quota),
        spaceConsumed=summary.space_consumed,
        spaceQuota=unsigned64(summary.space_quota),
        snapshotLength=summary.snapshot_length,
        snapshotFileCount=summary.snapshot_file_count,
        snapshotDirectoryCount=summary.snapshot_directory_count,
        snapshotSpaceConsumed=summary.snapshot_space_consumed,
        erasureCodingPolicy="",
    )


def decode_content_summary(proto: ContentSummaryProto) -> ContentSummary:
    return ContentSummary(
        length=signed64(proto.length),
        file_count=signed64(proto.fileCount),
        directory_count=signed64(proto.directoryCount),
        space_consumed=signed64(proto.spaceConsumed),
        quota=signed64(proto.quota),
        space_quota=signed64(proto.spaceQuota),
        snapshot_length=signed64(proto.snapshotLength),
        snapshot_file_count=signed64(proto.snapshotFileCount),
        snapshot_directory_count=signed64(proto.snapshotDirectoryCount),
        snapshot_space_consumed=signed64(proto.snapshotSpaceConsumed),
    )


def encode_server_defaults(defaults: FsServerDefaults) -> FsServerDefaultsProto:
    return FsServerDefaultsProto(
        blockSize=defaults.block_size,
        bytesPerChecksum=defaults.bytes_per_checksum,
        writePacketSize=defaults.write_packet_size,
        replication=defaults.replication,
        fileBufferSize=defaults.file_buffer_size,
        encryptDataTransfer=defaults.encrypt_data_transfer,
        trashInterval=defaults.trash_interval_min,
        checksumType=defaults.checksum_type.value,  # type: ignore[arg-type]
        keyProviderUri="",
        policyId=_POLICY_HOT,
        snapshotTrashRootEnabled=False,
    )


def decode_server_defaults(proto: FsServerDefaultsProto) -> FsServerDefaults:
    return FsServerDefaults(
        block_size=signed64(proto.blockSize),
        bytes_per_checksum=proto.bytesPerChecksum,
        write_packet_size=proto.writePacketSize,
        replication=proto.replication,
        file_buffer_size=proto.fileBufferSize,
        encrypt_data_transfer=proto.encryptDataTransfer,
        trash_interval_min=signed64(proto.trashInterval),
        checksum_type=ChecksumType(proto.checksumType),
    )
