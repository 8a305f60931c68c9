"""DataNodes and their storages as the NameNode holds them in memory.

Plain records without decisions: :mod:`registry` changes what concerns identity and
liveness, the redundancy modules change the queues.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

from cairnfs.blocks.commands import TransferOrder
from cairnfs.types import (
    AdminState,
    Block,
    DatanodeID,
    DatanodeInfo,
    DatanodeStorage,
    StorageReport,
    StorageState,
    StorageType,
)


class DoomKind(enum.Enum):
    """Why a replica is to be removed."""

    GONE = "its block belongs to no file"
    EXCESS = "its block has more replicas than wanted"
    CORRUPT = "it is corrupt and its block has good replicas"


@dataclass(slots=True)
class Doom:
    """A replica to be removed; ``sent_ms`` once its DataNode was told."""

    kind: DoomKind
    block: Block
    storage: StorageDescriptor | None
    sent_ms: int = -1


@dataclass(frozen=True, slots=True)
class QueuedTransfer:
    """A copy that waits for its source's next heartbeat."""

    order: TransferOrder
    target_uuids: tuple[str, ...]


class StorageDescriptor:
    """One storage of a DataNode. ``index`` is its short name in the replica store."""

    __slots__ = (
        "block_pool_used",
        "blocks",
        "capacity",
        "counted",
        "dfs_used",
        "failed",
        "index",
        "node",
        "non_dfs_used",
        "remaining",
        "reported",
        "scheduled_bytes",
        "state",
        "storage_type",
        "touched",
        "uuid",
    )

    def __init__(
        self, index: int, storage: DatanodeStorage, node: DatanodeDescriptor, *, counted: bool
    ) -> None:
        self.index = index
        self.uuid = storage.storage_uuid
        self.storage_type: StorageType = storage.storage_type
        self.state: StorageState = storage.state
        self.node = node
        self.capacity = 0
        self.dfs_used = 0
        self.remaining = 0
        self.block_pool_used = 0
        self.non_dfs_used = 0
        # Left out of its node's heartbeats, or reported failed: holds nothing for us.
        self.failed = False
        # Whether a full report came since the node registered: only then may another
        # replica be deleted because this storage holds one.
        self.reported = False
        # Bytes promised to it by open blocks and running copies.
        self.scheduled_bytes = 0
        self.blocks = 0
        self.counted = counted
        # Blocks that changed while a full report is on its way: newer than the report.
        self.touched: set[int] | None = None

    def update(self, report: StorageReport) -> None:
        self.capacity = report.capacity
        self.dfs_used = report.dfs_used
        self.remaining = report.remaining
        self.block_pool_used = report.block_pool_used
        self.non_dfs_used = report.non_dfs_used
        self.storage_type = report.storage.storage_type
        self.state = report.storage.state

    @property
    def serves(self) -> bool:
        """Whether its replicas can be read now, as far as is known."""
        return self.node.alive and not self.failed

    def report(self) -> StorageReport:
        """The storage as its node last reported it."""
        return StorageReport(
            storage=DatanodeStorage(self.uuid, self.state, self.storage_type),
            failed=self.failed,
            capacity=self.capacity,
            dfs_used=self.dfs_used,
            remaining=self.remaining,
            block_pool_used=self.block_pool_used,
            non_dfs_used=self.non_dfs_used,
        )

    def touch(self, block_id: int) -> None:
        if self.touched is not None:
            self.touched.add(block_id)

    def __repr__(self) -> str:
        return f"<storage {self.uuid} of {self.node.id.xfer_addr}>"


class DatanodeDescriptor:
    """One DataNode: identity, figures of its last heartbeat, queues of work for it."""

    __slots__ = (
        "admin_state",
        "alive",
        "bandwidth",
        "block_pool_used",
        "buried",
        "cache_capacity",
        "cache_used",
        "capacity",
        "deleting",
        "dfs_used",
        "failed_volumes",
        "freeing_bytes",
        "id",
        "incoming",
        "info_cache",
        "invalidate",
        "last_heartbeat_ms",
        "last_report_ms",
        "lease_granted_ms",
        "lease_id",
        "location",
        "non_dfs_used",
        "outgoing",
        "recount",
        "recoveries",
        "registered",
        "remaining",
        "software_version",
        "stale",
        "storages",
        "transfers",
        "version",
        "xceivers",
        "xmits",
    )

    def __init__(self, id_: DatanodeID, location: str, now_ms: int) -> None:
        self.id = id_
        self.location = location
        self.software_version = ""
        self.admin_state = AdminState.NORMAL
        self.storages: dict[str, StorageDescriptor] = {}
        # ``registered`` with this process; ``alive`` until its silence is too long;
        # ``stale`` when it is long enough to be avoided.
        self.registered = False
        self.alive = False
        self.stale = True
        # Dead for longer than the grace: its replicas do not count any more.
        self.buried = False
        # It was dead: its blocks are counted anew when it has reported.
        self.recount = False
        self.last_heartbeat_ms = now_ms
        self.last_report_ms = 0
        self.capacity = 0
        self.dfs_used = 0
        self.remaining = 0
        self.block_pool_used = 0
        self.non_dfs_used = 0
        self.xceivers = 0
        self.xmits = 0
        self.failed_volumes = 0
        self.cache_capacity = 0
        self.cache_used = 0
        self.bandwidth: int | None = None
        # A full report counts only under a lease given after all that is known.
        self.lease_id = 0
        self.lease_granted_ms = 0
        self.transfers: deque[QueuedTransfer] = deque()
        # Open blocks whose recovery it is to lead, by its next heartbeat.
        self.recoveries: dict[int, None] = {}
        # To be removed: not told yet, and told but not confirmed.
        self.invalidate: dict[int, Doom] = {}
        self.deleting: dict[int, Doom] = {}
        self.freeing_bytes = 0
        # Blocks that running copies bring here or fetch from here.
        self.incoming: set[int] = set()
        self.outgoing: set[int] = set()
        self.info_cache: DatanodeInfo | None = None
        # Counts every change of what ``info`` says and of whether the node, or a storage of
        # it, is stale, dead or failed: for what is remembered of it in encoded form.
        self.version = 0

    @property
    def uuid(self) -> str:
        return self.id.datanode_uuid

    @property
    def in_service(self) -> bool:
        """Whether it may be given new replicas."""
        return self.registered and self.admin_state == AdminState.NORMAL

    @property
    def block_count(self) -> int:
        return sum(storage.blocks for storage in self.storages.values())

    def changed(self) -> None:
        """What :meth:`info` says has changed, or whether it can be read from."""
        self.info_cache = None
        self.version += 1

    def info(self, wall_offset_ms: int) -> DatanodeInfo:
        """The node as clients are told; the same object until something changes."""
        info = self.info_cache
        if info is None:
            info = self.info_cache = DatanodeInfo(
                id=self.id,
                capacity=self.capacity,
                dfs_used=self.dfs_used,
                remaining=self.remaining,
                block_pool_used=self.block_pool_used,
                non_dfs_used=self.non_dfs_used,
                last_update_ms=self.last_heartbeat_ms + wall_offset_ms,
                xceiver_count=self.xceivers,
                location=self.location,
                admin_state=self.admin_state,
                cache_capacity=self.cache_capacity,
                cache_used=self.cache_used,
                last_block_report_ms=self.last_report_ms + wall_offset_ms
                if self.last_report_ms
                else 0,
                num_blocks=self.block_count,
                software_version=self.software_version,
            )
        return info

    def doomed(self, block_id: int) -> bool:
        """Whether its replica of this block is to be removed."""
        return block_id in self.invalidate or block_id in self.deleting

    def __repr__(self) -> str:
        return f"<datanode {self.id.xfer_addr} {self.uuid}>"
