"""``ClientProtocol`` as typed calls: the one place where the client meets its messages.

Each method is named after the protocol's (``client_namenode.proto``) and takes and returns
values of :mod:`cairnfs.types`. Paths are absolute and normal (:mod:`cairnfs.client.paths`).
All raise the NameNode's own error, ``InvalidPath`` for a path that is no UTF-8, and
``TransportError`` when no NameNode answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from cairnfs.client.answers import FsStatus, Listing
from cairnfs.errors import InvalidPath, NotFound
from cairnfs.types import (
    ContentSummary,
    DatanodeInfo,
    ExtendedBlock,
    FileStatus,
    FsServerDefaults,
    LocatedBlock,
    LocatedBlocks,
)
from cairnfs.wire import codec
from cairnfs.wire.message import signed64, unsigned64
from cairnfs.wire.proto import client_namenode_pb2 as nn

if TYPE_CHECKING:
    from cairnfs.client.calls import NamenodeCalls

M = TypeVar("M")
_INODE_ID_UNKNOWN = 0
CREATE_FLAG = nn.CreateFlagProto.CREATE
OVERWRITE_FLAG = nn.CreateFlagProto.OVERWRITE
APPEND_FLAG = nn.CreateFlagProto.APPEND
NEW_BLOCK_FLAG = nn.CreateFlagProto.NEW_BLOCK


class Namenode:
    """The calls that the client makes. ``client_name`` names the holder of leases."""

    def __init__(self, calls: NamenodeCalls, client_name: str) -> None:
        self.calls = calls
        self.client_name = client_name

    async def _call(self, method: str, request: Any, answer: type[M], **limits: int) -> M:
        return await self.calls.call(method, request, answer, **limits)

    async def close(self) -> None:
        await self.calls.close()

    # --- looking -----------------------------------------------------------------------------

    async def get_file_info(self, path: str, *, wait_ms: int = 0) -> FileStatus | None:
        """What is at ``path`` (the last symlink followed), None if nothing is."""
        request = _message(nn.GetFileInfoRequestProto, src=path)
        found = await self._call(
            "getFileInfo", request, nn.GetFileInfoResponseProto, wait_ms=wait_ms
        )
        return codec.decode_file_status(found.fs) if found.HasField("fs") else None

    async def get_listing(self, path: str, start_after: bytes = b"") -> Listing | None:
        """Entries of a directory behind the name ``start_after``; None if there is no ``path``."""
        request = _message(
            nn.GetListingRequestProto, src=path, startAfter=start_after, needLocation=False
        )
        found = await self._call("getListing", request, nn.GetListingResponseProto)
        if not found.HasField("dirList"):
            return None
        entries = tuple(map(codec.decode_file_status, found.dirList.partialListing))
        return Listing(entries, found.dirList.remainingEntries)

    async def get_block_locations(self, path: str, offset: int, length: int) -> LocatedBlocks:
        """The blocks that hold ``length`` bytes from ``offset``, nearest replicas first."""
        request = _message(nn.GetBlockLocationsRequestProto, src=path, offset=offset, length=length)
        found = await self._call("getBlockLocations", request, nn.GetBlockLocationsResponseProto)
        if not found.HasField("locations"):
            raise NotFound(f"{path}: no such file")
        return codec.decode_located_blocks(found.locations)

    async def get_content_summary(self, path: str) -> ContentSummary:
        request = _message(nn.GetContentSummaryRequestProto, path=path)
        found = await self._call("getContentSummary", request, nn.GetContentSummaryResponseProto)
        return codec.decode_content_summary(found.summary)

    async def get_server_defaults(self) -> FsServerDefaults:
        found = await self._call(
            "getServerDefaults",
            nn.GetServerDefaultsRequestProto(),
            nn.GetServerDefaultsResponseProto,
        )
        return codec.decode_server_defaults(found.serverDefaults)

    async def get_fs_stats(self) -> FsStatus:
        s = await self._call("getFsStats", nn.GetFsStatusRequestProto(), nn.GetFsStatsResponseProto)
        return FsStatus(
            s.capacity, s.used, s.remaining, s.under_replicated, s.corrupt_blocks, s.missing_blocks
        )

    async def get_datanode_report(self, kind: str = "ALL") -> tuple[DatanodeInfo, ...]:
        """DataNodes of a ``DatanodeReportTypeProto``: ALL, LIVE, DEAD, DECOMMISSIONING, ..."""
        request = nn.GetDatanodeReportRequestProto(type=nn.DatanodeReportTypeProto.Value(kind))
        found = await self._call("getDatanodeReport", request, nn.GetDatanodeReportResponseProto)
        return tuple(map(codec.decode_datanode_info, found.di))

    async def check_access(self, path: str, action: int) -> None:
        """Raises ``PermissionDenied`` unless the user may do all of ``action`` (4 read,
        2 write, 1 execute), and ``NotFound``."""
        request = _message(nn.CheckAccessRequestProto, path=path, mode=action)
        await self._call("checkAccess", request, nn.CheckAccessResponseProto)

    async def get_link_target(self, path: str) -> str:
        request = _message(nn.GetLinkTargetRequestProto, path=path)
        found = await self._call("getLinkTarget", request, nn.GetLinkTargetResponseProto)
        return found.targetPath

    async def is_file_closed(self, path: str) -> bool:
        request = _message(nn.IsFileClosedRequestProto, src=path)
        return (await self._call("isFileClosed", request, nn.IsFileClosedResponseProto)).result

    # --- changing the tree -------------------------------------------------------------------

    async def mkdirs(self, path: str, masked: int, unmasked: int, parents: bool) -> bool:
        request = _message(
            nn.MkdirsRequestProto,
            src=path,
            masked=codec.encode_permission(masked),
            unmasked=codec.encode_permission(unmasked),
            createParent=parents,
        )
        return (await self._call("mkdirs", request, nn.MkdirsResponseProto)).result

    async def delete(self, path: str, recursive: bool) -> bool:
        request = _message(nn.DeleteRequestProto, src=path, recursive=recursive)
        return (await self._call("delete", request, nn.DeleteResponseProto)).result

    async def rename(self, source: str, target: str) -> bool:
        """The older rename: into ``target`` if that is a directory; False where it refuses."""
        request = _message(nn.RenameRequestProto, src=source, dst=target)
        return (await self._call("rename", request, nn.RenameResponseProto)).result

    async def rename2(self, source: str, target: str, overwrite: bool) -> None:
        """The newer rename: to ``target`` exactly, with an error that says why not."""
        request = _message(nn.Rename2RequestProto, src=source, dst=target, overwriteDest=overwrite)
        await self._call("rename2", request, nn.Rename2ResponseProto)

    async def set_permission(self, path: str, mode: int) -> None:
        request = _message(
            nn.SetPermissionRequestProto, src=path, permission=codec.encode_permission(mode)
        )
        await self._call("setPermission", request, nn.SetPermissionResponseProto)

    async def set_owner(self, path: str, owner: str | None, group: str | None) -> None:
        """``None`` leaves the owner or the group as it is."""
        request = _message(nn.SetOwnerRequestProto, src=path, username=owner, groupname=group)
        await self._call("setOwner", request, nn.SetOwnerResponseProto)

    async def set_times(self, path: str, modified_ms: int, accessed_ms: int) -> None:
        """Times in ms since the epoch; -1 leaves one as it is."""
        request = _message(
            nn.SetTimesRequestProto,
            src=path,
            mtime=unsigned64(modified_ms),
            atime=unsigned64(accessed_ms),
        )
        await self._call("setTimes", request, nn.SetTimesResponseProto)

    async def set_replication(self, path: str, replication: int) -> bool:
        request = _message(nn.SetReplicationRequestProto, src=path, replication=replication)
        return (await self._call("setReplication", request, nn.SetReplicationResponseProto)).result

    async def truncate(self, path: str, length: int) -> bool:
        """False: the last block must be recovered first; the file is closed a moment later."""
        request = _message(
            nn.TruncateRequestProto, src=path, newLength=length, clientName=self.client_name
        )
        return (await self._call("truncate", request, nn.TruncateResponseProto)).result

    async def concat(self, target: str, sources: Sequence[str]) -> None:
        request = _message(nn.ConcatRequestProto, trg=target, srcs=sources)
        await self._call("concat", request, nn.ConcatResponseProto)

    # --- writing -----------------------------------------------------------------------------

    async def create(
        self,
        path: str,
        *,
        masked: int,
        unmasked: int,
        flag: int,
        parents: bool,
        replication: int,
        block_size: int,
    ) -> FileStatus:
        """Create a file and take its lease; ``flag`` is of ``CreateFlagProto``."""
        request = _message(
            nn.CreateRequestProto,
            src=path,
            masked=codec.encode_permission(masked),
            unmasked=codec.encode_permission(unmasked),
            clientName=self.client_name,
            createFlag=flag,
            createParent=parents,
            replication=replication,
            blockSize=block_size,
        )
        found = await self._call("create", request, nn.CreateResponseProto)
        return codec.decode_file_status(found.fs)

    async def append(self, path: str, flag: int) -> tuple[LocatedBlock | None, FileStatus]:
        """Take the lease of a file; its last block where that is not full, and its status."""
        request = _message(nn.AppendRequestProto, src=path, clientName=self.client_name, flag=flag)
        found = await self._call("append", request, nn.AppendResponseProto)
        block = codec.decode_located_block(found.block) if found.HasField("block") else None
        return block, codec.decode_file_status(found.stat)

    async def add_block(
        self,
        path: str,
        inode_id: int,
        previous: ExtendedBlock | None,
        excluded: Iterable[DatanodeInfo] = (),
    ) -> LocatedBlock:
        """Commit ``previous``; the next block of the file and where it shall be written."""
        request = _message(
            nn.AddBlockRequestProto,
            src=path,
            clientName=self.client_name,
            previous=None if previous is None else codec.encode_extended_block(previous),
            excludeNodes=map(codec.encode_datanode_info, excluded),
            fileId=inode_id,
        )
        found = await self._call("addBlock", request, nn.AddBlockResponseProto)
        return codec.decode_located_block(found.block)

    async def abandon_block(self, path: str, inode_id: int, block: ExtendedBlock) -> None:
        request = _message(
            nn.AbandonBlockRequestProto,
            b=codec.encode_extended_block(block),
            src=path,
            holder=self.client_name,
            fileId=inode_id,
        )
        await self._call("abandonBlock", request, nn.AbandonBlockResponseProto)

    async def complete(self, path: str, inode_id: int, last: ExtendedBlock | None) -> bool:
        """Close the file; False while its last blocks have too few reported replicas."""
        request = _message(
            nn.CompleteRequestProto,
            src=path,
            clientName=self.client_name,
            last=None if last is None else codec.encode_extended_block(last),
            fileId=inode_id,
        )
        return (await self._call("complete", request, nn.CompleteResponseProto)).result

    async def fsync(self, path: str, inode_id: int, last_block_length: int) -> None:
        """Keep the blocks of an open file; -1 leaves the length of the last one alone."""
        request = _message(
            nn.FsyncRequestProto,
            src=path,
            client=self.client_name,
            lastBlockLength=last_block_length,
            fileId=inode_id,
        )
        await self._call("fsync", request, nn.FsyncResponseProto)

    async def update_block_for_pipeline(self, block: ExtendedBlock) -> LocatedBlock:
        """The block with a new generation stamp and a token for it."""
        request = nn.UpdateBlockForPipelineRequestProto(
            block=codec.encode_extended_block(block), clientName=self.client_name
        )
        found = await self._call(
            "updateBlockForPipeline", request, nn.UpdateBlockForPipelineResponseProto
        )
        return codec.decode_located_block(found.block)

    async def update_pipeline(
        self,
        old: ExtendedBlock,
        new: ExtendedBlock,
        nodes: Sequence[DatanodeInfo],
        storage_ids: Sequence[str],
    ) -> None:
        request = nn.UpdatePipelineRequestProto(
            clientName=self.client_name,
            oldBlock=codec.encode_extended_block(old),
            newBlock=codec.encode_extended_block(new),
            newNodes=[codec.encode_datanode_id(node.id) for node in nodes],
            storageIDs=storage_ids,
        )
        await self._call("updatePipeline", request, nn.UpdatePipelineResponseProto)

    async def get_additional_datanode(
        self,
        path: str,
        inode_id: int,
        block: ExtendedBlock,
        existing: Sequence[DatanodeInfo],
        existing_storage_ids: Sequence[str],
        excluded: Iterable[DatanodeInfo],
    ) -> LocatedBlock:
        """The chain ``existing`` with one more node."""
        request = _message(
            nn.GetAdditionalDatanodeRequestProto,
            src=path,
            blk=codec.encode_extended_block(block),
            existings=map(codec.encode_datanode_info, existing),
            excludes=map(codec.encode_datanode_info, excluded),
            numAdditionalNodes=1,
            clientName=self.client_name,
            existingStorageUuids=existing_storage_ids,
            fileId=inode_id,
        )
        found = await self._call(
            "getAdditionalDatanode", request, nn.GetAdditionalDatanodeResponseProto
        )
        return codec.decode_located_block(found.block)

    # --- leases and complaints ---------------------------------------------------------------

    async def renew_lease(self) -> None:
        request = nn.RenewLeaseRequestProto(clientName=self.client_name)
        await self._call("renewLease", request, nn.RenewLeaseResponseProto)

    async def recover_lease(self, path: str) -> bool:
        """Take a file from its writer; True if it is closed by now."""
        request = _message(nn.RecoverLeaseRequestProto, src=path, clientName=self.client_name)
        return (await self._call("recoverLease", request, nn.RecoverLeaseResponseProto)).result

    async def report_bad_blocks(self, blocks: Iterable[LocatedBlock]) -> None:
        request = nn.ReportBadBlocksRequestProto(
            blocks=[codec.encode_located_block(block) for block in blocks]
        )
        await self._call("reportBadBlocks", request, nn.ReportBadBlocksResponseProto)


def _message(message_class: type[M], **fields: Any) -> M:
    """A message with names in it, which a user may have given and UTF-8 may not take."""
    try:
        return message_class(**fields)
    except (UnicodeEncodeError, ValueError) as error:
        raise InvalidPath(f"this cannot be asked of the NameNode: {error}") from None


__all__ = [
    "APPEND_FLAG",
    "CREATE_FLAG",
    "NEW_BLOCK_FLAG",
    "OVERWRITE_FLAG",
    "FsStatus",
    "Listing",
    "Namenode",
    "signed64",
]
