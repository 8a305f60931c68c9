"""``InterDatanodeProtocol``: what DataNodes ask of each other in a block recovery
(``InterDatanodeProtocol.proto``), from both sides."""

from __future__ import annotations

from cairnfs.datanode.commands import RecoveringBlock, decode_recovering_block
from cairnfs.datanode.interface import ReplicaRecoveryInfo
from cairnfs.datanode.node import Node
from cairnfs.errors import RemoteProtocolError
from cairnfs.net.rpc_client import RpcClient
from cairnfs.net.rpc_server import RpcService, ServerCall
from cairnfs.types import (
    DatanodeID,
    DatanodeInfo,
    ExtendedBlock,
    LocatedBlock,
    ReplicaState,
)
from cairnfs.wire.codec import (
    decode_block,
    decode_extended_block,
    encode_block,
    encode_extended_block,
    encode_located_block,
    parse,
)
from cairnfs.wire.proto.hdfs_server_pb2 import RecoveringBlockProto
from cairnfs.wire.proto.inter_datanode_pb2 import (
    InitReplicaRecoveryRequestProto,
    InitReplicaRecoveryResponseProto,
    UpdateReplicaUnderRecoveryRequestProto,
    UpdateReplicaUnderRecoveryResponseProto,
)

PROTOCOL = "org.apache.hadoop.hdfs.server.protocol.InterDatanodeProtocol"
# Longer than a peer waits for a writer of its own to stop.
CALL_TIMEOUT_MS = 75_000


def service(node: Node) -> RpcService:
    """The protocol as this node serves it."""
    dataset = node.dataset

    async def init_replica_recovery(request: bytes, call: ServerCall) -> bytes:
        recovering = decode_recovering_block(parse(InitReplicaRecoveryRequestProto, request).block)
        info = await node.in_thread(
            lambda: dataset.init_replica_recovery(recovering.block, recovering.recovery_id)
        )
        if info is None:
            return InitReplicaRecoveryResponseProto(replicaFound=False).SerializeToString()
        return InitReplicaRecoveryResponseProto(
            replicaFound=True,
            state=info.original_state.value,  # type: ignore[arg-type]
            block=encode_block(info.block),
        ).SerializeToString()

    async def update_replica(request: bytes, call: ServerCall) -> bytes:
        message = parse(UpdateReplicaUnderRecoveryRequestProto, request)
        block = decode_extended_block(message.block)
        storage = await node.in_thread(
            lambda: dataset.update_replica_under_recovery(
                block, message.recoveryId, message.newLength, message.newBlockId
            )
        )
        return UpdateReplicaUnderRecoveryResponseProto(storageUuid=storage).SerializeToString()

    return RpcService(
        PROTOCOL,
        1,
        {
            "initReplicaRecovery": init_replica_recovery,
            "updateReplicaUnderRecovery": update_replica,
        },
    )


class PeerDatanode:
    """A location of a block that is being recovered: this node itself, or another one.

    Errors are those of the dataset, and of ``RpcClient.call``."""

    def __init__(self, node: Node, peer: DatanodeID | None) -> None:
        """``peer`` is None for this node."""
        self._node = node
        self._client: RpcClient | None = None
        if peer is not None:
            host = peer.host_name if node.use_hostname else peer.ip_addr
            self._client = RpcClient(
                host, peer.ipc_port, PROTOCOL, user=node.user, timeout_ms=CALL_TIMEOUT_MS
            )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def init_replica_recovery(
        self, recovering: RecoveringBlock
    ) -> ReplicaRecoveryInfo | None:
        """Hold the replica still; None if there is none."""
        if self._client is None:
            return await self._node.in_thread(
                lambda: self._node.dataset.init_replica_recovery(
                    recovering.block, recovering.recovery_id
                )
            )
        request = InitReplicaRecoveryRequestProto(block=_encode(recovering))
        body = await self._client.call("initReplicaRecovery", request)
        answer = parse(InitReplicaRecoveryResponseProto, body)
        if not answer.replicaFound:
            return None
        if not (answer.HasField("block") and answer.HasField("state")):
            raise RemoteProtocolError("a replica was found, but neither its length nor its state")
        return ReplicaRecoveryInfo(decode_block(answer.block), ReplicaState(answer.state))

    async def update_replica(
        self, block: ExtendedBlock, recovery_id: int, new_length: int, new_block_id: int
    ) -> str:
        """Give the held replica its new length and stamp; the storage that has it."""
        if self._client is None:
            return await self._node.in_thread(
                lambda: self._node.dataset.update_replica_under_recovery(
                    block, recovery_id, new_length, new_block_id
                )
            )
        request = UpdateReplicaUnderRecoveryRequestProto(
            block=encode_extended_block(block),
            recoveryId=recovery_id,
            newLength=new_length,
            newBlockId=new_block_id,
        )
        body = await self._client.call("updateReplicaUnderRecovery", request)
        return parse(UpdateReplicaUnderRecoveryResponseProto, body).storageUuid


def _encode(recovering: RecoveringBlock) -> RecoveringBlockProto:
    locations: tuple[DatanodeInfo, ...] = recovering.locations
    message = RecoveringBlockProto(
        newGenStamp=recovering.recovery_id,
        block=encode_located_block(LocatedBlock(recovering.block, 0, locations)),
    )
    if recovering.truncate_to is not None:
        message.truncateBlock.CopyFrom(encode_block(recovering.truncate_to))
    return message
