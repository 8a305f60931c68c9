"""``ClientDatanodeProtocol``: what a client asks of a DataNode by RPC."""

from __future__ import annotations

from cairnfs.client.context import ClientContext
from cairnfs.net.rpc_client import RpcClient
from cairnfs.types import DatanodeInfo, ExtendedBlock
from cairnfs.wire import codec
from cairnfs.wire.message import parse, serialize, signed64
from cairnfs.wire.proto import client_datanode_pb2 as dn

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol"


async def replica_visible_length(
    context: ClientContext, node: DatanodeInfo, block: ExtendedBlock
) -> int:
    """Bytes of a replica being written that readers may have.

    Raises ``ReplicaNotFound``, ``TransportError``."""
    settings = context.settings
    host = node.id.host_name if settings.use_datanode_hostname else node.id.ip_addr
    client = RpcClient(
        host,
        node.id.ipc_port,
        PROTOCOL,
        user=context.user,
        timeout_ms=settings.socket_timeout_ms,
        connect_timeout_ms=settings.connect_timeout_ms,
    )
    request = dn.GetReplicaVisibleLengthRequestProto(block=codec.encode_extended_block(block))
    try:
        data = await client.call("getReplicaVisibleLength", serialize(request))
    finally:
        await client.close()
    return signed64(parse(dn.GetReplicaVisibleLengthResponseProto, data).length)
