"""Sending a replica to other nodes: what a NameNode orders, or a client whose pipeline lost a
node asks for (``TRANSFER_BLOCK``)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from cairnfs.datanode.connection import connect
from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.send_copy import CopySender
from cairnfs.datanode.settings import TransferSettings
from cairnfs.datanode.unreadable import reporting_unreadable
from cairnfs.errors import InvalidRequest, RemoteError, TransportError
from cairnfs.types import (
    DatanodeID,
    DatanodeInfo,
    ExtendedBlock,
    ReplicaState,
    StorageType,
)
from cairnfs.wire.transfer import Stage, WriteBlock
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import Status, parse_transfer_ack

_HOP_MS = 5_000


def send_replica(
    dataset: Dataset,
    settings: TransferSettings,
    identity: DatanodeID,
    block: ExtendedBlock,
    targets: Sequence[DatanodeInfo],
    target_storage_types: Sequence[StorageType] = (),
    target_storage_ids: Sequence[str] = (),
) -> None:
    """Copy a finalized replica to ``targets``, each of which passes it on to the next.

    Blocks until the first target has closed the connection, which it does when it has stored
    the replica (or failed: the NameNode hears of new replicas from those who have them). Raises
    ``ReplicaNotFound``, ``TransportError``, ``StorageError``."""
    _send(
        dataset,
        settings,
        identity,
        block,
        targets,
        target_storage_types,
        target_storage_ids,
        "",
        Stage.PIPELINE_SETUP_CREATE,
    )


def send_for_pipeline(
    dataset: Dataset,
    settings: TransferSettings,
    identity: DatanodeID,
    block: ExtendedBlock,
    targets: Sequence[DatanodeInfo],
    target_storage_types: Sequence[StorageType],
    target_storage_ids: Sequence[str],
    client_name: str,
) -> None:
    """Copy what is visible of a replica to one target that joins a client's pipeline.

    Returns when the target has confirmed it. Raises as :func:`send_replica`, and
    ``RemoteError`` if the target refuses."""
    replica = dataset.replica(block.pool_id, block.block_id)
    finalized = replica is not None and replica.state is ReplicaState.FINALIZED
    _send(
        dataset,
        settings,
        identity,
        block,
        targets,
        target_storage_types,
        target_storage_ids,
        client_name,
        Stage.TRANSFER_FINALIZED if finalized else Stage.TRANSFER_RBW,
    )


def _send(
    dataset: Dataset,
    settings: TransferSettings,
    identity: DatanodeID,
    block: ExtendedBlock,
    targets: Sequence[DatanodeInfo],
    target_storage_types: Sequence[StorageType],
    target_storage_ids: Sequence[str],
    client_name: str,
    stage: Stage,
) -> None:
    if not targets:
        raise InvalidRequest(f"blk_{block.block_id} is to be sent to no node at all")
    with dataset.open_for_read(block) as reader:
        # The stamp that the replica has now; of one that is being written, what is visible.
        visible = dataset.visible_length(block)
        length = min(reader.length, visible) if visible >= 0 else reader.length
        current = ExtendedBlock(
            block.pool_id, block.block_id, reader.block.generation_stamp, length
        )
        target = targets[0].id
        host = target.host_name if settings.use_hostname else target.ip_addr
        timeout_ms = settings.socket_timeout_ms + _HOP_MS * len(targets)
        connection = connect(host, target.xfer_port, timeout_ms, settings.write_timeout_ms)
        with contextlib.closing(connection):
            sender = CopySender(reader)
            request = WriteBlock(
                block=current,
                client_name=client_name,
                targets=tuple(targets[1:]),
                stage=stage,
                pipeline_size=0,
                min_bytes_received=0,
                max_bytes_received=0,
                latest_generation_stamp=0,
                checksum=sender.checksum,
                source=DatanodeInfo(identity),
                storage_type=target_storage_types[0] if target_storage_types else StorageType.DISK,
                target_storage_types=tuple(target_storage_types[1:]),
                storage_id=target_storage_ids[0] if target_storage_ids else "",
                target_storage_ids=tuple(target_storage_ids[1:]),
            )
            connection.send(encode_request(request))
            with reporting_unreadable(dataset, block):
                sender.send(connection)
            if client_name:
                status = connection.read(parse_transfer_ack, timeout_ms)
                if status is not Status.SUCCESS:
                    raise RemoteError(
                        "java.io.IOException",
                        f"{connection.peer} did not take blk_{block.block_id}: {status.name}",
                    )
                return
            # Nobody answers; the end of the connection says that the target is through.
            with contextlib.suppress(TransportError):
                connection.wait_readable(timeout_ms)
