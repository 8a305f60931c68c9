"""Which DataNodes there are: registration, heartbeats, liveness, their storages.

Identity and addresses are written to the replica store, so that a restarted NameNode
answers reads before the first heartbeat. Figures and queues live in memory only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from cairnfs.blocks import tables
from cairnfs.blocks.hosts import HostSets
from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.topology import DEFAULT_RACK, NetworkTopology, Resolver, normalise_location
from cairnfs.blocks.totals import ClusterTotals
from cairnfs.errors import DisallowedDatanode
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import (
    AdminState,
    DatanodeID,
    DatanodeStorage,
    StorageReport,
    StorageState,
    StorageType,
)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a DataNode says of itself every few seconds."""

    datanode_uuid: str
    storage_reports: tuple[StorageReport, ...]
    xceiver_count: int = 0
    xmits_in_progress: int = 0
    failed_volumes: int = 0
    cache_capacity: int = 0
    cache_used: int = 0
    wants_report_lease: bool = False


class _NodeRecord(msgspec.Struct, frozen=True, array_like=True):
    ip_addr: str
    host_name: str
    xfer_port: int
    info_port: int
    ipc_port: int
    info_secure_port: int
    location: str
    software_version: str
    admin_state: int


class _StorageRecord(msgspec.Struct, frozen=True, array_like=True):
    storage_uuid: str
    datanode_uuid: str
    storage_type: int
    state: int


_encode = msgspec.msgpack.Encoder().encode
_decode_node = msgspec.msgpack.Decoder(_NodeRecord).decode
_decode_storage = msgspec.msgpack.Decoder(_StorageRecord).decode


class NodeRegistry:
    """All DataNodes, by uuid and by address; all storages, by index."""

    def __init__(self, settings: BlockSettings, resolve: Resolver, hosts: HostSets) -> None:
        self._settings = settings
        self._resolve = resolve
        self.hosts = hosts
        self.nodes: dict[str, DatanodeDescriptor] = {}
        self.storages: dict[int, StorageDescriptor] = {}
        # Only registered, live nodes stand in it.
        self.topology: NetworkTopology[DatanodeDescriptor] = NetworkTopology()
        self.totals = ClusterTotals()
        # Changes when a host may stand elsewhere than it did.
        self.racks_version = 0
        self._by_address: dict[str, DatanodeDescriptor] = {}
        self._by_host: dict[str, set[str]] = {}
        # Live nodes, the longest silent first: fresh ones, then stale ones.
        self._fresh: OrderedDict[str, DatanodeDescriptor] = OrderedDict()
        self._silent: OrderedDict[str, DatanodeDescriptor] = OrderedDict()

    # --- the store -----------------------------------------------------------------------------

    def load(self, tx: Reader, now_ms: int) -> None:
        """Read what an earlier process knew. Its nodes count as alive but silent, so that
        they can be read from; each must register before it is given work."""
        for key, value in tx.scan(tables.DATANODES, bytes([tables.DATANODES[0] + 1])):
            record = _decode_node(value)
            node_id = DatanodeID(
                ip_addr=record.ip_addr,
                host_name=record.host_name,
                datanode_uuid=key[1:].decode(),
                xfer_port=record.xfer_port,
                info_port=record.info_port,
                ipc_port=record.ipc_port,
                info_secure_port=record.info_secure_port,
            )
            node = DatanodeDescriptor(node_id, record.location, now_ms)
            node.software_version = record.software_version
            node.admin_state = AdminState(record.admin_state)
            node.alive = True
            self._index(node)
            self._silent[node.uuid] = node
            self.totals.add(node)
        for key, value in tx.scan(tables.STORAGES, bytes([tables.STORAGES[0] + 1])):
            stored = _decode_storage(value)
            owner = self.nodes.get(stored.datanode_uuid)
            if owner is not None:
                storage = DatanodeStorage(
                    stored.storage_uuid,
                    StorageState(stored.state),
                    StorageType(stored.storage_type),
                )
                self._attach(StorageDescriptor(tables.index_of(key), storage, owner, counted=False))

    def _save(self, tx: Writer, node: DatanodeDescriptor) -> None:
        record = _NodeRecord(
            node.id.ip_addr,
            node.id.host_name,
            node.id.xfer_port,
            node.id.info_port,
            node.id.ipc_port,
            node.id.info_secure_port,
            node.location,
            node.software_version,
            int(node.admin_state),
        )
        tx.put(tables.DATANODES + node.uuid.encode(), _encode(record))

    def _save_storage(self, tx: Writer, storage: StorageDescriptor) -> None:
        record = _StorageRecord(
            storage.uuid, storage.node.uuid, int(storage.storage_type), int(storage.state)
        )
        tx.put(tables.index_key(tables.STORAGES, storage.index), _encode(record))

    # --- looking up ----------------------------------------------------------------------------

    def at_host(self, host: str) -> Iterator[DatanodeDescriptor]:
        """The live nodes of a host name or address."""
        for uuid in self._by_host.get(host, ()):
            node = self.nodes[uuid]
            if node.alive:
                yield node

    def at_address(self, xfer_addr: str) -> DatanodeDescriptor | None:
        return self._by_address.get(xfer_addr)

    def storage_of(self, datanode_uuid: str, storage_uuid: str) -> StorageDescriptor | None:
        node = self.nodes.get(datanode_uuid)
        return node.storages.get(storage_uuid) if node else None

    def locate_host(self, host: str) -> str:
        """The rack of a host name or address, a DataNode's or not."""
        for node in self.at_host(host):
            return node.location
        return self.resolve(host)

    def resolve(self, *names: str) -> str:
        for name in names:
            found = self._resolve(name)
            if found:
                return normalise_location(found)
        return DEFAULT_RACK

    # --- registration --------------------------------------------------------------------------

    def register(
        self, tx: Writer, node_id: DatanodeID, software_version: str, now_ms: int
    ) -> tuple[DatanodeDescriptor, bool, DatanodeDescriptor | None]:
        """Take a node in, new or returning, perhaps under another address.

        Answers the node, whether it was known, and the node that was at its address
        before under another uuid (its data is gone). Raises ``DisallowedDatanode``."""
        if not self.hosts.included(node_id):
            raise DisallowedDatanode(
                f"datanode {node_id.host_name} ({node_id.xfer_addr}) may not join: it is not in "
                "the include file (dfs.hosts); add it there and run refreshNodes"
            )
        location = self.resolve(node_id.ip_addr, node_id.host_name)
        displaced = self._by_address.get(node_id.xfer_addr)
        node = self.nodes.get(node_id.datanode_uuid)
        if displaced is node:
            displaced = None
        known = node is not None
        if node is None:
            node = DatanodeDescriptor(node_id, location, now_ms)
        else:
            self.totals.remove(node)
            self.topology.remove(node)
            self._unindex(node)
            node.id = node_id
            node.location = location
        self._index(node)
        node.software_version = software_version
        if self.hosts.excluded(node_id) and node.admin_state == AdminState.NORMAL:
            node.admin_state = AdminState.DECOMMISSION_INPROGRESS
        node.registered = node.alive = True
        node.stale = node.buried = False
        node.last_heartbeat_ms = now_ms
        node.lease_id = 0
        for storage in node.storages.values():
            storage.reported = False
            storage.touched = None
        self._silent.pop(node.uuid, None)
        self._fresh[node.uuid] = node
        self._fresh.move_to_end(node.uuid)
        self.topology.add(node)
        self.totals.add(node)
        node.changed()
        self._save(tx, node)
        return node, known, displaced

    def forget(self, tx: Writer, node: DatanodeDescriptor) -> None:
        """Strike a node off; the caller has removed its storages' blocks."""
        self.retire(node)
        self._unindex(node)
        self.nodes.pop(node.uuid, None)
        tx.delete(tables.DATANODES + node.uuid.encode())

    def set_admin_state(self, tx: Writer, node: DatanodeDescriptor, state: AdminState) -> None:
        self.totals.remove(node)
        node.admin_state = state
        self.totals.add(node)
        node.changed()
        self._save(tx, node)

    def _index(self, node: DatanodeDescriptor) -> None:
        self.racks_version += 1
        self.nodes[node.uuid] = node
        self._by_address[node.id.xfer_addr] = node
        for host in {node.id.ip_addr, node.id.host_name}:
            self._by_host.setdefault(host, set()).add(node.uuid)

    def _unindex(self, node: DatanodeDescriptor) -> None:
        self.racks_version += 1
        if self._by_address.get(node.id.xfer_addr) is node:
            del self._by_address[node.id.xfer_addr]
        for host in {node.id.ip_addr, node.id.host_name}:
            uuids = self._by_host.get(host, set())
            uuids.discard(node.uuid)
            if not uuids:
                self._by_host.pop(host, None)

    # --- storages ------------------------------------------------------------------------------

    def storage(
        self, tx: Writer, node: DatanodeDescriptor, storage: DatanodeStorage
    ) -> StorageDescriptor:
        """The descriptor of a storage that its node named; made when it is new."""
        known = node.storages.get(storage.storage_uuid)
        if known is not None:
            return known
        made = StorageDescriptor(tables.next_index(tx), storage, node, counted=True)
        if node.lease_id:
            made.touched = set()
        self._attach(made)
        self._save_storage(tx, made)
        return made

    def forget_storage(self, tx: Writer, storage: StorageDescriptor) -> None:
        """Strike a storage off whose blocks were removed from the map."""
        storage.node.changed()
        storage.node.storages.pop(storage.uuid, None)
        self.storages.pop(storage.index, None)
        tx.delete(tables.index_key(tables.STORAGES, storage.index))

    def _attach(self, storage: StorageDescriptor) -> None:
        self.storages[storage.index] = storage
        storage.node.storages[storage.uuid] = storage

    # --- liveness ------------------------------------------------------------------------------

    def heartbeat(
        self, tx: Writer, node: DatanodeDescriptor, beat: Heartbeat, now_ms: int
    ) -> list[StorageDescriptor]:
        """Take in the figures of a registered node; answers storages that just failed."""
        totals = self.totals
        totals.remove(node)
        node.last_heartbeat_ms = now_ms
        node.stale = False
        node.xceivers = beat.xceiver_count
        node.xmits = beat.xmits_in_progress
        node.failed_volumes = beat.failed_volumes
        node.cache_capacity = beat.cache_capacity
        node.cache_used = beat.cache_used
        failed = self._take_storages(tx, node, beat.storage_reports)
        totals.add(node)
        node.changed()
        self._silent.pop(node.uuid, None)
        self._fresh[node.uuid] = node
        self._fresh.move_to_end(node.uuid)
        return failed

    def _take_storages(
        self, tx: Writer, node: DatanodeDescriptor, reports: Iterable[StorageReport]
    ) -> list[StorageDescriptor]:
        failed: list[StorageDescriptor] = []
        named = 0
        capacity = dfs_used = remaining = pool_used = non_dfs_used = 0
        for report in reports:
            if report.failed and report.storage.storage_uuid not in node.storages:
                continue  # struck off already
            storage = self.storage(tx, node, report.storage)
            named += 1
            if storage.storage_type != report.storage.storage_type:
                storage.storage_type = report.storage.storage_type
                self._save_storage(tx, storage)
            storage.update(report)
            if report.failed != storage.failed:
                storage.failed = report.failed
                storage.reported = False
                storage.touched = None
                if report.failed:
                    failed.append(storage)
            if not report.failed:
                capacity += report.capacity
                dfs_used += report.dfs_used
                remaining += report.remaining
                pool_used += report.block_pool_used
                non_dfs_used += report.non_dfs_used
        node.capacity = capacity
        node.dfs_used = dfs_used
        node.remaining = remaining
        node.block_pool_used = pool_used
        node.non_dfs_used = non_dfs_used
        if named < len(node.storages):
            present = {report.storage.storage_uuid for report in reports}
            for storage in node.storages.values():
                if storage.uuid not in present and not storage.failed:
                    storage.failed = True
                    storage.reported = False
                    storage.touched = None
                    failed.append(storage)
        return failed

    def expire(self, now_ms: int) -> tuple[list[DatanodeDescriptor], list[DatanodeDescriptor]]:
        """Nodes that became stale and nodes that died since the last call.

        Only nodes that change are looked at, never all of them."""
        stale: list[DatanodeDescriptor] = []
        while self._fresh:
            node = next(iter(self._fresh.values()))
            if now_ms - node.last_heartbeat_ms < self._settings.stale_after_ms:
                break
            self._fresh.popitem(last=False)
            self._silent[node.uuid] = node
            self.totals.remove(node)
            node.stale = True
            self.totals.add(node)
            node.changed()
            stale.append(node)
        dead: list[DatanodeDescriptor] = []
        while self._silent:
            node = next(iter(self._silent.values()))
            if now_ms - node.last_heartbeat_ms < self._settings.dead_after_ms:
                break
            self.retire(node)
            dead.append(node)
        return stale, dead

    def retire(self, node: DatanodeDescriptor) -> None:
        """The node is dead (or to be treated so): it must register to come back."""
        self.racks_version += 1
        self._fresh.pop(node.uuid, None)
        self._silent.pop(node.uuid, None)
        self.totals.remove(node)
        self.topology.remove(node)
        node.alive = node.registered = False
        node.stale = True
        node.xceivers = node.xmits = 0
        node.lease_id = 0
        for storage in node.storages.values():
            storage.reported = False
            storage.touched = None
        node.changed()

    def touch(self, node: DatanodeDescriptor, now_ms: int) -> None:
        """The node lives (a lifeline), without news of its figures or an answer to it."""
        self.totals.remove(node)
        node.last_heartbeat_ms = now_ms
        node.stale = False
        self.totals.add(node)
        node.changed()
        self._silent.pop(node.uuid, None)
        self._fresh[node.uuid] = node
        self._fresh.move_to_end(node.uuid)
