"""The NameNode's heart: stores, namespace, blocks and writer, opened and closed together.

The namespace knows paths and blocks, the block layer knows replicas; neither knows the
other. What an operation on one means for the other is in :mod:`block_effects`, the
periodic work in :mod:`upkeep`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from cairnfs.blocks import turn as block_turn
from cairnfs.blocks.manager import BlockManager
from cairnfs.blocks.settings import BlockSettings
from cairnfs.clock import Clock
from cairnfs.config import Configuration, namenode_keys
from cairnfs.errors import CairnError, InvalidRequest, SafeMode
from cairnfs.events import EventBus
from cairnfs.namenode import layout
from cairnfs.namenode.authorize import Authorizer
from cairnfs.namenode.block_effects import BlockEffects
from cairnfs.namenode.groups import Groups
from cairnfs.namenode.held import HeldCalls
from cairnfs.namenode.locations import LocationEncoder
from cairnfs.namenode.remembered import ReadMemory
from cairnfs.namenode.settings import (
    namespace_settings,
    read_host_sets,
    read_topology,
    server_defaults,
)
from cairnfs.namenode.statuses import StatusEncoder
from cairnfs.namenode.turn import Turn
from cairnfs.namenode.upkeep import Upkeep
from cairnfs.namenode.views import Views
from cairnfs.namenode.writer import Writer
from cairnfs.namespace import locations
from cairnfs.namespace.catalog import Catalog, totals
from cairnfs.namespace.context import Namespace
from cairnfs.namespace.records import BlockRecord
from cairnfs.store.durable import DurableStore
from cairnfs.store.interface import Change
from cairnfs.store.volatile import VolatileStore
from cairnfs.types import Block, Caller, ExtendedBlock
from cairnfs.wire.codec import encode_server_defaults
from cairnfs.wire.proto import client_namenode_pb2 as pb

logger = logging.getLogger(__name__)
audit_logger = logging.getLogger("cairnfs.audit")


class Namesystem:
    """Everything that the protocols act on. On the event loop only."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Clock,
        events: EventBus,
        superuser: str,
        store: DurableStore,
        replica_store: VolatileStore,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.configuration = configuration
        self.clock = clock
        self.events = events
        self.store = store
        self.replica_store = replica_store
        self.info = layout.namespace_info(store)
        self.views = Views(store, replica_store)
        self.groups = Groups(configuration, clock)
        self.authorizer = Authorizer(configuration, self.groups, superuser)
        self.namespace = Namespace(namespace_settings(configuration))
        self.namespace.load(self.views.namespace, clock.now_ms())
        self.memory = ReadMemory(self.namespace)
        self.statuses = StatusEncoder(self.namespace)
        self.block_settings = BlockSettings.of(configuration)
        self.blocks = BlockManager(
            self.block_settings,
            self.info.pool_id,
            random.Random(),
            resolve=read_topology(configuration).get,
            hosts=read_host_sets(configuration),
        )
        self.wall_offset_ms = clock.now_ms() - clock.steady_ms()
        self.blocks.wall_offset_ms = self.wall_offset_ms
        self.locations = LocationEncoder(
            self.info.pool_id, self.blocks.locator, self.wall_offset_ms
        )
        self.writer = Writer(
            store,
            replica_store,
            clock,
            on_failure,
            beginning=self.views.release,
            committed=self._committed,
        )
        self.held = HeldCalls(clock)
        self.effects = BlockEffects(self)
        self.upkeep = Upkeep(self)
        self.complete_hold_ms = configuration[namenode_keys.COMPLETE_HOLD_MS]
        self.server_defaults = pb.GetServerDefaultsResponseProto(
            serverDefaults=encode_server_defaults(server_defaults(configuration))
        ).SerializeToString()
        self._audited = configuration[namenode_keys.AUDIT_LOG]
        self._load_blocks()

    @classmethod
    def open(
        cls,
        configuration: Configuration,
        clock: Clock,
        events: EventBus,
        superuser: str,
        on_failure: Callable[[BaseException], None],
    ) -> Namesystem:
        """Open the stores of ``dfs.namenode.name.dir``; nothing is loaded, however large.

        Raises ``StoreLocked``, ``StoreDamaged`` or ``StartupError``."""
        directory = layout.name_directory(configuration)
        map_bytes = configuration[namenode_keys.STORE_MAP_SIZE]
        store = DurableStore(directory / layout.NAMESPACE, map_bytes=map_bytes)
        try:
            replicas = VolatileStore(directory / layout.REPLICAS, discard=store.rebuilt)
            try:
                return cls(configuration, clock, events, superuser, store, replicas, on_failure)
            except BaseException:
                replicas.close()
                raise
        except BaseException:
            store.close(clean=False)
            raise

    def _load_blocks(self) -> None:
        batch = self.replica_store.batch()
        turn = block_turn.Turn(batch, Catalog(self.views.namespace), self.clock.steady_ms())
        self.blocks.load(turn, survived=self.replica_store.survived)
        self.views.release()
        batch.commit()

    def _committed(self, changes: list[Change], replaced: list[bytes | None]) -> None:
        """What is remembered of the namespace follows it."""
        self.namespace.names.committed()
        self.memory.committed(changes, replaced)

    async def close(self, clean: bool) -> None:
        """Settle what was submitted and close the stores."""
        self.held.close()
        await self.writer.close()
        self.views.release()
        self.replica_store.close()
        self.store.close(clean=clean)

    # --- turns and views -------------------------------------------------------------------

    def block_turn(self, turn: Turn) -> block_turn.Turn:
        """The same as the block layer takes it."""
        return block_turn.Turn(turn.replicas, Catalog(turn.namespace), turn.steady_ms)

    def replica_view(self, turn: Turn) -> ReplicaCounts:
        """What the namespace asks about replicas while it changes something."""
        return ReplicaCounts(self.blocks, turn)

    # --- checks ----------------------------------------------------------------------------

    def check_safe_mode(self, operation: str) -> None:
        """Raises ``SafeMode`` while nothing may be changed."""
        if self.blocks.safe_mode.on:
            reason = self.blocks.safe_mode.reason(self.clock.steady_ms())
            raise SafeMode(f"Cannot {operation}. Name node is in safe mode.\n{reason}")

    def check_pool(self, pool_id: str) -> None:
        """Raises ``InvalidRequest`` for a block of another namespace."""
        if pool_id != self.info.pool_id:
            raise InvalidRequest(
                f"block pool {pool_id!r} is not this NameNode's, which is {self.info.pool_id}"
            )

    def extended(self, block: Block) -> ExtendedBlock:
        return ExtendedBlock(
            self.info.pool_id, block.block_id, block.generation_stamp, block.num_bytes
        )

    # --- hot reads -------------------------------------------------------------------------

    def encode_block(self, block: BlockRecord, client_host: str) -> bytes:
        """``LocatedBlockProto`` of a block as the snapshot of this pass shows it."""
        return self.locations.block(self.views.replicas, block, client_host)

    def touch_access_time(self, inode_id: int) -> None:
        """Note that a file was read; nobody waits for it."""

        def operation(turn: Turn) -> None:
            if not self.blocks.safe_mode.on:
                locations.touch_access_time(self.namespace, turn.namespace, inode_id, turn.now_ms)

        self.writer.submit(operation, _nobody_waits, volatile=True)

    # --- seeing it -------------------------------------------------------------------------

    def audit(self, operation: str, caller: Caller, source: str, target: str = "-") -> None:
        """One line for each change that was granted, where that is asked for."""
        if self._audited:
            audit_logger.info(
                "allowed=true ugi=%s ip=/%s cmd=%s src=%s dst=%s",
                caller.user,
                caller.address,
                operation,
                source,
                target,
            )

    def refused(self, operation: str, caller: Caller, error: BaseException) -> None:
        if self._audited and isinstance(error, CairnError):
            audit_logger.info(
                "allowed=false ugi=%s ip=/%s cmd=%s error=%s",
                caller.user,
                caller.address,
                operation,
                error,
            )

    def health(self) -> dict[str, Any]:
        """What ``/health`` says; ``status`` is "ok" when files can be written."""
        statistics = self.blocks.statistics()
        reasons = []
        if self.blocks.safe_mode.on:
            reasons.append(self.blocks.safe_mode.reason(self.clock.steady_ms()))
        if statistics.live_datanodes == 0:
            reasons.append("no DataNode is live")
        if statistics.missing_blocks:
            reasons.append(f"{statistics.missing_blocks} blocks have no replica left")
        return {
            "status": "ok" if not reasons else "degraded",
            "reasons": reasons,
            "role": "namenode",
            "cluster_id": self.info.cluster_id,
            "pool_id": self.info.pool_id,
            "safe_mode": self.blocks.safe_mode.on,
            "live_datanodes": statistics.live_datanodes,
            "dead_datanodes": statistics.dead_datanodes,
        }

    def gauges(self) -> dict[str, tuple[float, str]]:
        """Figures for ``/metrics``: value and meaning by name."""
        statistics = self.blocks.statistics()
        names = totals(self.views.namespace)
        return {
            "files": (names.files, "Files."),
            "directories": (names.directories, "Directories."),
            "blocks": (names.blocks, "Blocks."),
            "open_files_leases": (len(self.namespace.leases), "Clients that hold leases."),
            "capacity_bytes": (statistics.capacity, "Space of the live DataNodes."),
            "used_bytes": (statistics.dfs_used, "Space used by blocks."),
            "remaining_bytes": (statistics.remaining, "Space left."),
            "live_datanodes": (statistics.live_datanodes, "Live DataNodes."),
            "stale_datanodes": (statistics.stale_datanodes, "DataNodes silent for a while."),
            "dead_datanodes": (statistics.dead_datanodes, "Dead DataNodes."),
            "under_replicated_blocks": (statistics.under_replicated, "Blocks short of replicas."),
            "corrupt_blocks": (statistics.corrupt_blocks, "Blocks with only corrupt replicas."),
            "missing_blocks": (statistics.missing_blocks, "Blocks without a replica."),
            "pending_replications": (statistics.pending_replication, "Copies under way."),
            "pending_deletions": (statistics.pending_deletion, "Replicas to be removed."),
            "safe_mode": (float(self.blocks.safe_mode.on), "1 while in safe mode."),
            "held_calls": (len(self.held), "Calls that wait for replicas."),
        }


def _nobody_waits(result: object, error: BaseException | None) -> None:
    if error is not None:
        logger.warning("a change in the background was not made: %s", error)


class ReplicaCounts:
    """A :class:`cairnfs.namespace.context.ReplicaView` within one turn."""

    __slots__ = ("_blocks", "_turn")

    def __init__(self, blocks: BlockManager, turn: Turn) -> None:
        self._blocks = blocks
        self._turn = turn

    def live_replicas(self, block_id: int, /) -> int:
        return self._blocks.live_replicas(self._turn.replicas, block_id)

    def expected_locations(self, block_id: int, /) -> int:
        return self._blocks.expected_locations(self._turn.replicas, block_id)

    def live_datanodes(self) -> int:
        return self._blocks.registry.totals.live
