"""What every part of one DataNode's control plane shares: who the node is, what it stores,
its clock, its events."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from cairnfs.clock import Clock
from cairnfs.config.nameservices import NamenodeAddress
from cairnfs.datanode.block_list import BlockList
from cairnfs.datanode.control_threads import ControlThreads
from cairnfs.datanode.interface import ReplicaRecoveryInfo, VolumeFailure, VolumeSpace
from cairnfs.datanode.messages import NodeLoad
from cairnfs.datanode.service_state import ServiceSettings
from cairnfs.errors import ConnectFailed
from cairnfs.events import EventBus
from cairnfs.types import (
    Block,
    DatanodeID,
    DatanodeStorage,
    ExtendedBlock,
    Replica,
    StorageReport,
)

T = TypeVar("T")
_ANY_ADDRESS = ("", "0.0.0.0", "::")


class NodeDataset(Protocol):
    """What the control plane needs of the dataset. Every method may block on a disk and is
    called in a thread; properties are read on the loop."""

    # ``cluster_id`` is that of the volumes; empty until the first NameNode was met.
    datanode_uuid: str
    cluster_id: str

    def storage(self, storage_uuid: str) -> DatanodeStorage | None: ...

    def add_block_pool(self, pool_id: str, cluster_id: str) -> None: ...

    def remove_block_pool(self, pool_id: str) -> None:
        """Serve it no more; does not block."""
        ...

    def delete_block_pool(self, pool_id: str, force: bool) -> None: ...

    def storage_reports(self, pool_id: str) -> Sequence[StorageReport]: ...

    def volume_failures(self) -> Sequence[VolumeFailure]: ...

    def volume_spaces(self) -> Sequence[VolumeSpace]: ...

    def storages(self) -> Sequence[DatanodeStorage]:
        """Those that work."""
        ...

    def iter_replicas(self, pool_id: str) -> Iterator[tuple[str, Replica]]:
        """(Storage uuid, replica) of all that a block report names."""
        ...

    def invalidate(self, pool_id: str, blocks: Sequence[Block]) -> None: ...

    def visible_length(self, block: ExtendedBlock) -> int: ...

    def init_replica_recovery(
        self, block: ExtendedBlock, recovery_id: int
    ) -> ReplicaRecoveryInfo | None: ...

    def update_replica_under_recovery(
        self, block: ExtendedBlock, recovery_id: int, new_length: int, new_block_id: int
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Where this node listens, and the name that it gives itself (empty: its address)."""

    listen_host: str
    transfer: int
    ipc: int
    http: int
    host_name: str = ""


@dataclass(slots=True)
class Node:
    """See the module. ``load`` tells what moves right now; ``tell_rest`` passes on what can
    wait for the next heartbeat; ``user`` is who calls NameNodes;
    ``threads`` are for work that may take long: recoveries, deletions, lists of all blocks.
    Heartbeats do not wait for them, they have the loop's own threads."""

    dataset: NodeDataset
    ports: Ports
    clock: Clock
    events: EventBus
    user: str
    load: Callable[[], NodeLoad]
    threads: ControlThreads
    tell_rest: Callable[[], None] = lambda: None
    service_settings: ServiceSettings = field(default_factory=ServiceSettings)
    report_split_threshold: int = 1_000_000
    namenode_version_min: str = "3.0.0"
    use_hostname: bool = False

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something that may block for long; what it returns or raises."""
        return await self.threads.run(work)

    def space(self, pool_id: str) -> tuple[Sequence[StorageReport], Sequence[VolumeFailure]]:
        """Space by storage, and what failed. Blocks."""
        return self.dataset.storage_reports(pool_id), self.dataset.volume_failures()

    def block_lists(self, pool_id: str) -> dict[DatanodeStorage, BlockList]:
        """All replicas of a pool, by storage. Blocks."""
        lists = {storage: BlockList() for storage in self.dataset.storages()}
        by_uuid = {storage.storage_uuid: found for storage, found in lists.items()}
        for storage_uuid, replica in self.dataset.iter_replicas(pool_id):
            found = by_uuid.get(storage_uuid)
            # A storage may fail while this goes on.
            if found is not None:
                block = replica.block
                found.add(block.block_id, block.num_bytes, block.generation_stamp, replica.state)
        return lists

    async def identity_towards(self, address: NamenodeAddress) -> DatanodeID:
        """This node as it is registered with the NameNode at ``address``.

        Its address is the one it listens on, or else the one that reaches the NameNode.
        Raises ``ConnectFailed`` if there is no way to the NameNode."""
        own = self.ports.listen_host
        if own in _ANY_ADDRESS:
            own = await _own_address_towards(address)
        return DatanodeID(
            ip_addr=own,
            host_name=self.ports.host_name or own,
            datanode_uuid=self.dataset.datanode_uuid,
            xfer_port=self.ports.transfer,
            info_port=self.ports.http,
            ipc_port=self.ports.ipc,
        )


async def _own_address_towards(address: NamenodeAddress) -> str:
    """The local address that packets to ``address`` leave from; nothing is sent."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ConnectFailed(
            f"the NameNode's host {address.host} has no address: {error.strerror or error}"
        ) from None
    reasons = []
    for family, kind, number, _, target in found:
        with socket.socket(family, kind, number) as probe:
            try:
                probe.connect(target)
            except OSError as error:
                reasons.append(error.strerror or str(error))
                continue
            return str(probe.getsockname()[0])
    raise ConnectFailed(f"there is no way to NameNode {address}: {'; '.join(reasons)}")
