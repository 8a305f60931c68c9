"""Looking: stat, listings, block locations, totals of a subtree."""

from __future__ import annotations

from cairnfs.namenode.client_protocol import PROTOCOL
from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namespace import status, summary
from cairnfs.types import Caller
from cairnfs.wire.codec import encode_content_summary
from cairnfs.wire.proto import client_namenode_pb2 as pb

TABLE = MethodTable(PROTOCOL)


@TABLE.read("isFileClosed", pb.IsFileClosedRequestProto)
def is_file_closed(
    system: Namesystem, request: pb.IsFileClosedRequestProto, caller: Caller
) -> pb.IsFileClosedResponseProto:
    closed = status.is_file_closed(system.namespace, system.views.namespace, caller, request.src)
    return pb.IsFileClosedResponseProto(result=closed)


@TABLE.read("checkAccess", pb.CheckAccessRequestProto)
def check_access(
    system: Namesystem, request: pb.CheckAccessRequestProto, caller: Caller
) -> pb.CheckAccessResponseProto:
    # The bits of FsActionProto are those of a mode.
    status.check_access(
        system.namespace, system.views.namespace, caller, request.path, int(request.mode)
    )
    return pb.CheckAccessResponseProto()


@TABLE.read("getPreferredBlockSize", pb.GetPreferredBlockSizeRequestProto)
def get_preferred_block_size(
    system: Namesystem, request: pb.GetPreferredBlockSizeRequestProto, caller: Caller
) -> pb.GetPreferredBlockSizeResponseProto:
    size = status.get_preferred_block_size(
        system.namespace, system.views.namespace, caller, request.filename
    )
    return pb.GetPreferredBlockSizeResponseProto(bsize=size)


@TABLE.read("getContentSummary", pb.GetContentSummaryRequestProto)
def get_content_summary(
    system: Namesystem, request: pb.GetContentSummaryRequestProto, caller: Caller
) -> pb.GetContentSummaryResponseProto:
    found = summary.get_content_summary(
        system.namespace, system.views.namespace, caller, request.path
    )
    return pb.GetContentSummaryResponseProto(summary=encode_content_summary(found))


@TABLE.read("getServerDefaults", pb.GetServerDefaultsRequestProto)
def get_server_defaults(
    system: Namesystem, request: pb.GetServerDefaultsRequestProto, caller: Caller
) -> bytes:
    return system.server_defaults


@TABLE.read("getDataEncryptionKey", pb.GetDataEncryptionKeyRequestProto)
def get_data_encryption_key(
    system: Namesystem, request: pb.GetDataEncryptionKeyRequestProto, caller: Caller
) -> pb.GetDataEncryptionKeyResponseProto:
    # No key: data transfer is not encrypted.
    return pb.GetDataEncryptionKeyResponseProto()


@TABLE.read("getHAServiceState", pb.HAServiceStateRequestProto)
def get_ha_service_state(
    system: Namesystem, request: pb.HAServiceStateRequestProto, caller: Caller
) -> pb.HAServiceStateResponseProto:
    return pb.HAServiceStateResponseProto(state=0)  # type: ignore[arg-type]


@TABLE.read("msync", pb.MsyncRequestProto)
def msync(system: Namesystem, request: pb.MsyncRequestProto, caller: Caller) -> bytes:
    return b""
