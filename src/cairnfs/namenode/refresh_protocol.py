"""What operators have read anew (RefreshUserMappingsProtocol.proto); all messages are empty."""

from __future__ import annotations

from cairnfs.namenode.dispatch import MethodTable
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.namespace.permissions import check_superuser
from cairnfs.net.rpc_server import ServerCall

TABLE = MethodTable("org.apache.hadoop.security.RefreshUserMappingsProtocol")


def refresh_groups(system: Namesystem, request: bytes, call: ServerCall) -> bytes:
    """Forget which groups users are in. Raises ``PermissionDenied``."""
    check_superuser(call.caller)
    system.groups.refresh()
    return b""


TABLE.direct("refreshUserToGroupsMappings", refresh_groups)
