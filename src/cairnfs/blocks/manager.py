"""The block layer's one face: what is where, and what should be done about it.

Everything comes in as an argument: a :class:`Turn` (the replica store's transaction, the
namespace's catalog, steady time) for what may change something, a reader for what does
not. Whatever raises does so before it changes anything, in memory or in the store: an
operation whose transaction is rolled back afterwards must not have called a method here.

The role drives it::

    blocks = BlockManager(settings, pool_id, random.Random(), resolve=table.get)
    blocks.load(turn, survived=True)
    ... register, heartbeat, reports, block life cycle as the calls come ...
    blocks.check_liveness(turn)     # every second or so
    blocks.check_redundancy(turn)   # every dfs.namenode.redundancy.interval.seconds
    while blocks.work(turn, 1000): ...  # in between, a slice at a time
    for notice in blocks.take_notices(): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cairnfs.blocks import statistics
from cairnfs.blocks.attendance import Attendance, HeartbeatReply
from cairnfs.blocks.background import (
    Background,
    CountStorages,
    EvaluateNamespace,
    EvaluateStorage,
    RemoveBlocks,
    SweepMap,
)
from cairnfs.blocks.default_placement import DefaultPlacement
from cairnfs.blocks.full_report import FullReport
from cairnfs.blocks.hosts import HostSets
from cairnfs.blocks.incremental import IncrementalReports, ReplicaChange
from cairnfs.blocks.intake import Intake
from cairnfs.blocks.lifecycle import BlockLife
from cairnfs.blocks.locate import Locator
from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.notices import Notice, RecoveryOverdue, SafeModeLeft, TransferTimedOut
from cairnfs.blocks.parts import build_parts
from cairnfs.blocks.placement import Placement, PlacementPolicy
from cairnfs.blocks.randomness import RandomSource
from cairnfs.blocks.registry import Heartbeat
from cairnfs.blocks.replication import Replicator
from cairnfs.blocks.report import ReportedReplicas
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.statistics import ClusterStatistics, ReportType
from cairnfs.blocks.survey import Survey
from cairnfs.blocks.targets import TargetRequest, Targets
from cairnfs.blocks.topology import Resolver
from cairnfs.blocks.turn import Turn
from cairnfs.errors import FileSystemError
from cairnfs.store.interface import Reader
from cairnfs.types import (
    AdminState,
    Block,
    BlockFacts,
    DatanodeID,
    DatanodeInfo,
    DatanodeStorage,
    LocatedBlock,
)

# Copies begun in one slice: 60 us each.
_COPIES_IN_SLICE = 200


class BlockManager:
    """See the module. Owns the parts and hands each call to the one it concerns."""

    def __init__(
        self,
        settings: BlockSettings,
        pool_id: str,
        random: RandomSource,
        *,
        resolve: Resolver = lambda host: None,
        hosts: HostSets | None = None,
        placement: PlacementPolicy | None = None,
    ) -> None:
        parts = build_parts(
            settings,
            pool_id,
            random,
            resolve,
            hosts or HostSets(),
            placement or DefaultPlacement(),
        )
        self.parts = parts
        self.settings = settings
        self.registry = parts.registry
        self.safe_mode = parts.safe_mode
        # Added to steady time where people and clients are told a time of day.
        self.wall_offset_ms = 0
        self.background = Background()
        self.locator = Locator(pool_id, parts.registry, parts.open_blocks, settings, random)
        self._replicator = Replicator(parts)
        self._intake = Intake(parts)
        self._incremental = IncrementalReports(parts.registry, self._intake)
        self._attendance = Attendance(parts, self._replicator, self.background)
        self._life = BlockLife(parts, self._intake)
        self._targets = Targets(parts)
        self._deleted = RemoveBlocks(parts)

    def load(self, turn: Turn, *, survived: bool) -> None:
        """Read what an earlier process knew, once, before anything else.

        ``survived``: the replica store is as the last process left it. Else the blocks
        must be reported, and safe mode waits for that."""
        parts = self.parts
        parts.registry.load(turn.tx, turn.now_ms)
        parts.open_blocks.load(turn.tx, parts.registry)
        for block in parts.open_blocks.all():
            for storage in block.storages:
                parts.intents.promise(block.block_id, storage, block.block_size)
        self.safe_mode.begin(turn.catalog.complete_count(), turn.now_ms, survived=survived)
        self.background.add(CountStorages(parts.registry))
        if survived:
            self.background.add(SweepMap(parts))
        parts.redundancy.enabled = False
        if not self.safe_mode.on:
            self._begin_redundancy()

    # --- DataNodes -----------------------------------------------------------------------------

    def register(
        self, turn: Turn, node_id: DatanodeID, software_version: str
    ) -> DatanodeDescriptor:
        """Take a DataNode in. Raises ``DisallowedDatanode``."""
        return self._attendance.register(turn, node_id, software_version)

    def heartbeat(self, turn: Turn, beat: Heartbeat) -> HeartbeatReply:
        """Take in a node's figures; answers its orders. Raises ``DisallowedDatanode``."""
        return self._attendance.heartbeat(turn, beat, self.wall_offset_ms)

    def lifeline(self, datanode_uuid: str, now_ms: int) -> None:
        """A node that is too busy for heartbeats says that it lives."""
        self._attendance.lifeline(datanode_uuid, now_ms)

    def full_report(
        self,
        turn: Turn,
        datanode_uuid: str,
        storage: DatanodeStorage,
        replicas: ReportedReplicas,
        lease_id: int,
        *,
        last_of_node: bool,
    ) -> FullReport:
        """A full report of one storage: call ``step(turn)`` on it until it answers True.

        ``last_of_node``: no other storage of the node follows under this lease. Raises
        ``InvalidBlockReportLease``, or ``FileSystemError`` if the node is not registered."""
        node = self._registered(datanode_uuid)
        self._attendance.use_lease(node, lease_id, turn.now_ms)
        held = self.registry.storage(turn.tx, node, storage)

        def finished(report: FullReport, now_ms: int) -> None:
            self._attendance.report_finished(report, now_ms)
            if last_of_node:
                self._attendance.end_lease(node)

        return FullReport(
            self._intake,
            self.parts.open_blocks,
            held,
            replicas,
            self.settings.report_slice,
            finished,
        )

    def incremental_report(
        self,
        turn: Turn,
        datanode_uuid: str,
        storage: DatanodeStorage,
        changes: Iterable[ReplicaChange],
    ) -> None:
        """Changes on one storage. Raises ``FileSystemError`` if the node is not registered:
        it keeps them then, and registers with its next heartbeat."""
        node = self._registered(datanode_uuid)
        self._incremental.take(turn, node, storage, changes)

    def _registered(self, datanode_uuid: str) -> DatanodeDescriptor:
        node = self.registry.nodes.get(datanode_uuid)
        if node is None or not node.registered:
            # Hadoop's DataNodes give up for good on UnregisteredNodeException.
            raise FileSystemError(
                f"datanode {datanode_uuid} is dead or not registered here, so its report was "
                "not taken; it registers again with its next heartbeat"
            )
        return node

    def set_hosts(self, turn: Turn, hosts: HostSets) -> None:
        """New include and exclude files: nodes that may not stay die at their next
        heartbeat, excluded ones begin to leave, others are taken back."""
        self.registry.hosts = hosts
        for node in list(self.registry.nodes.values()):
            excluded = hosts.excluded(node.id)
            if excluded and node.admin_state == AdminState.NORMAL:
                self.set_admin_state(turn, node, AdminState.DECOMMISSION_INPROGRESS)
            elif not excluded and node.admin_state in (
                AdminState.DECOMMISSION_INPROGRESS,
                AdminState.DECOMMISSIONED,
            ):
                self.set_admin_state(turn, node, AdminState.NORMAL)

    def set_admin_state(self, turn: Turn, node: DatanodeDescriptor, state: AdminState) -> None:
        """What the operator wants of a node; its blocks are counted anew."""
        self.registry.set_admin_state(turn.tx, node, state)
        for storage in node.storages.values():
            self.background.add(EvaluateStorage(self.parts.redundancy, storage))

    def set_balancer_bandwidth(self, bytes_per_second: int) -> None:
        """Every node is told by its next heartbeat."""
        for node in self.registry.nodes.values():
            node.bandwidth = bytes_per_second

    # --- writing -------------------------------------------------------------------------------

    def choose_targets(self, request: TargetRequest) -> Placement:
        """Storages for a new block or for more nodes of its pipeline. Raises
        ``FileSystemError`` with every reason if not even the minimum could be found."""
        return self._targets.choose(request)

    def allocated(
        self, turn: Turn, facts: BlockFacts, block_size: int, targets: Sequence[StorageDescriptor]
    ) -> LocatedBlock:
        """A new block is to be written to these storages; answers what its writer is told."""
        self._life.allocated(turn, facts, block_size, targets)
        return self.located(facts, 0, targets)

    def pipeline_updated(
        self,
        turn: Turn,
        facts: BlockFacts,
        datanode_uuids: Sequence[str],
        storage_uuids: Sequence[str],
    ) -> None:
        """The open block has a new generation stamp, held by these nodes only: after
        ``updatePipeline``, and after a block recovery (then :meth:`committed` follows)."""
        self._life.pipeline_updated(turn, facts, datanode_uuids, storage_uuids)

    def reopened(self, turn: Turn, facts: BlockFacts, block_size: int = 0) -> None:
        """A complete block is under construction again (append, truncate)."""
        self._life.reopened(turn, facts, block_size)

    def committed(self, turn: Turn, facts: BlockFacts) -> int:
        """The block's length is known now; answers how many good replicas are."""
        return self._life.committed(turn, facts)

    def completed(self, turn: Turn, facts: BlockFacts) -> None:
        """The block is COMPLETE: from now on its redundancy is looked after."""
        self._life.completed(turn, facts)

    def recover(
        self,
        turn: Turn,
        facts: BlockFacts,
        new_generation_stamp: int,
        new_length: int | None = None,
    ) -> bool:
        """Have an open block recovered (see ``RecoveryOverdue``); False if there is no
        DataNode to do it now."""
        return self._life.recover(turn, facts, new_generation_stamp, new_length)

    def removed(self, turn: Turn, blocks: Sequence[Block]) -> None:
        """Blocks of deleted files, and abandoned ones. Cheap: their replicas are removed
        little by little (see :meth:`work`)."""
        self._life.closed(turn, [block.block_id for block in blocks])
        self._deleted.add(blocks)

    def replication_changed(self, turn: Turn, block_ids: Iterable[int]) -> None:
        """setReplication: the catalog has the new number already."""
        self.parts.redundancy.evaluate_all(turn, block_ids)

    def report_bad_replica(self, turn: Turn, block: Block, datanode_uuid: str, reason: str) -> bool:
        """A client, a scanner or a failed transfer found a replica corrupt.

        False if the node is not known to hold such a replica: nothing is done then."""
        return self._intake.bad_replica(turn, block, datanode_uuid, reason)

    # --- reading -------------------------------------------------------------------------------

    def locate(self, tx: Reader, facts: BlockFacts, offset: int, client_host: str) -> LocatedBlock:
        """Where to read a block, nearest first; corrupt only if every replica is."""
        return self.locator.locate(tx, facts, offset, client_host, self.wall_offset_ms)

    def located(
        self, facts: BlockFacts, offset: int, storages: Sequence[StorageDescriptor]
    ) -> LocatedBlock:
        """A block with given storages in their order."""
        return self.locator.located(facts, offset, list(storages), self.wall_offset_ms)

    def live_replicas(self, tx: Reader, block_id: int) -> int:
        """Finalised replicas that can be counted on."""
        return self._intake.good_replicas(tx, block_id)

    def expected_locations(self, tx: Reader, block_id: int) -> int:
        """Nodes that write the block, or hold it."""
        block = self.parts.open_blocks.get(block_id)
        return len(block.replicas) if block else self.live_replicas(tx, block_id)

    def survey(self, tx: Reader, block_id: int) -> Survey:
        """Every replica of a block by what it is worth (fsck, metasave)."""
        return self.parts.surveyor.survey(tx, block_id)

    def datanodes(self, kind: ReportType) -> list[DatanodeInfo]:
        """The nodes of that kind as clients are told them."""
        nodes = self.registry.nodes.values()
        return [node.info(self.wall_offset_ms) for node in nodes if kind.wants(node)]

    def statistics(self) -> ClusterStatistics:
        """Figures for ``getStats`` and metrics; costs no walk over blocks."""
        return statistics.gather(self.parts, len(self._deleted), len(self.background))

    # --- from time to time ---------------------------------------------------------------------

    def check_liveness(self, turn: Turn) -> None:
        """Find silent nodes and overdue recoveries; move safe mode on."""
        self._attendance.expire(turn)
        for block_id in self.parts.recoveries.overdue(turn.now_ms):
            self.parts.notices.append(RecoveryOverdue(block_id))
        if self.safe_mode.on:
            self.safe_mode.live_datanodes = self.registry.totals.live_registered
            reason = self.safe_mode.reason(turn.now_ms)
            if self.safe_mode.look(turn.now_ms):
                self._left_safe_mode(reason)

    def check_redundancy(self, turn: Turn) -> None:
        """Look at what has become due, and allow copies for another interval: they are
        begun here and, if they are many, by :meth:`work`."""
        parts = self.parts
        for block_id in parts.redundancy.settled(turn.now_ms):
            parts.intents.drop(block_id)
            parts.redundancy.evaluate(turn, block_id)
        for block_id, uuid in parts.pending.expire(turn.now_ms):
            parts.notices.append(TransferTimedOut(block_id, uuid))
            parts.redundancy.evaluate(turn, block_id)
        parts.removals.overdue(turn.now_ms)
        if parts.redundancy.enabled and not self.safe_mode.on:
            parts.redundancy.rescan(turn)
            self._replicator.begin_round()
            self._replicator.step(turn, _COPIES_IN_SLICE, self.wall_offset_ms)

    def work(self, turn: Turn, blocks_max: int) -> bool:
        """A slice of the work that waits (deletions, walks over storages, copies to be
        begun); True while more is left. 1,000 blocks take 10-20 ms on LMDB."""
        self._deleted.step(turn, blocks_max)
        self.background.step(turn, blocks_max)
        copies = 0
        if not self.safe_mode.on:
            copies = self._replicator.step(turn, _COPIES_IN_SLICE, self.wall_offset_ms)
        return bool(len(self._deleted) or len(self.background) or copies)

    def take_notices(self) -> list[Notice]:
        """What happened since the last call, in order."""
        notices = list(self.parts.notices)
        self.parts.notices.clear()
        return notices

    # --- safe mode -----------------------------------------------------------------------------

    def enter_safe_mode(self) -> None:
        self.safe_mode.enter()

    def leave_safe_mode(self, *, force: bool = False) -> bool:
        """False if leaving would delete data newer than the namespace and is not forced."""
        if self.safe_mode.on:
            if not self.safe_mode.leave(force=force):
                return False
            self._left_safe_mode("an operator turned it off")
        return True

    def _left_safe_mode(self, reason: str) -> None:
        self.parts.notices.append(SafeModeLeft(reason))
        if not self.parts.redundancy.enabled:
            self._begin_redundancy()

    def _begin_redundancy(self) -> None:
        """From now on blocks are looked after; first all of them once."""
        self.parts.redundancy.enabled = True
        self.background.add(EvaluateNamespace(self.parts.redundancy))
