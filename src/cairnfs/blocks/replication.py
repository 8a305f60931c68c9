"""Beginning copies: from the queue of needed blocks to orders for DataNodes."""

from __future__ import annotations

from dataclasses import replace

from cairnfs.blocks.commands import TransferOrder
from cairnfs.blocks.needed import Priority
from cairnfs.blocks.nodes import DatanodeDescriptor, QueuedTransfer, StorageDescriptor
from cairnfs.blocks.parts import Parts
from cairnfs.blocks.placement import PlacementRequest
from cairnfs.blocks.storage_policy import storage_policy
from cairnfs.blocks.survey import Survey
from cairnfs.blocks.tables import CORRUPT, read_replicas
from cairnfs.blocks.turn import Turn
from cairnfs.types import AdminState, BlockFacts, BlockState, ExtendedBlock

# Blocks looked at for each one that may be begun: some have no free source or target now.
_ATTEMPTS_PER_START = 4


class Replicator:
    """Chooses source and targets; orders wait at the source for its next heartbeat."""

    def __init__(self, parts: Parts) -> None:
        self.pool_id = parts.pool_id
        self.surveyor = parts.surveyor
        self.redundancy = parts.redundancy
        self.pending = parts.pending
        self.policy = parts.policy
        self.view = parts.view
        self._starts_left = 0
        self._attempts_left = 0

    def begin_round(self) -> None:
        """A new interval: so many blocks may be helped in it."""
        self._starts_left = len(self.view.topology) * self.view.settings.work_multiplier
        self._attempts_left = self._starts_left * _ATTEMPTS_PER_START

    def step(self, turn: Turn, blocks_max: int, wall_offset_ms: int) -> int:
        """Begin copies for up to ``blocks_max`` of the blocks most at risk, as far as this
        round allows; how many were looked at, 0 when the round is over."""
        if not self._starts_left:
            return 0
        candidates = self.redundancy.needed.candidates(min(blocks_max, self._attempts_left))
        for block_id, priority in candidates:
            self._attempts_left -= 1
            if self._start(turn, block_id, priority, wall_offset_ms):
                self._starts_left -= 1
                if not self._starts_left:
                    break
        if not self._attempts_left or len(candidates) < blocks_max:
            self._starts_left = 0
        return len(candidates)

    def _start(self, turn: Turn, block_id: int, priority: Priority, wall_offset_ms: int) -> bool:
        facts = turn.catalog.get(block_id)
        if facts is None or facts.state != BlockState.COMPLETE:
            self.redundancy.forget(block_id)
            return False
        survey = self.surveyor.survey(turn.tx, block_id)
        lacking = self._lacking(survey, facts)
        if lacking <= 0:
            self.redundancy.evaluate(turn, block_id)
            return False
        source = self._source(survey, priority)
        if source is None:
            return False
        targets = self._targets(facts, survey, source, lacking)
        if not targets:
            self._make_room(facts, survey, source)
            return False
        self._order(facts, source, targets, turn, wall_offset_ms)
        self.redundancy.evaluate(turn, block_id)
        return True

    def _lacking(self, survey: Survey, facts: BlockFacts) -> int:
        pending = self.pending.count(facts.block_id)
        wanted = survey.live_wanted(facts.replication)
        lacking = wanted - len(survey.live) - pending - survey.in_grace
        if lacking <= 0 and not pending and self.redundancy.badly_distributed(survey.live, facts):
            return 1
        return lacking

    def _source(self, survey: Survey, priority: Priority) -> DatanodeDescriptor | None:
        """A node to copy from, one that is leaving first: it serves nobody else.

        None while all are busy; the most urgent blocks may use more streams."""
        settings = self.view.settings
        bound = settings.streams_hard_max if priority == Priority.HIGHEST else settings.streams_max
        free: list[DatanodeDescriptor] = []
        for storage in survey.readable:
            node = storage.node
            if not node.registered:
                continue
            leaving = node.admin_state == AdminState.DECOMMISSION_INPROGRESS
            limit = settings.streams_hard_max if leaving else bound
            if len(node.transfers) + node.xmits < limit:
                if leaving:
                    return node
                free.append(node)
        # Surplus replicas may vanish under the copy: only if there is nothing else.
        live = {id(storage.node) for storage in (*survey.live, *survey.maintenance)}
        best = [node for node in free if id(node) in live] or free
        return self.view.random.choice(best) if best else None

    def _targets(
        self,
        facts: BlockFacts,
        survey: Survey,
        source: DatanodeDescriptor,
        lacking: int,
    ) -> list[StorageDescriptor]:
        coming = self.pending.targets(facts.block_id)
        holders = {
            storage.node.uuid
            for storage in (*survey.live, *survey.readable, *survey.corrupt, *survey.dead, *coming)
        }
        request = PlacementRequest(
            replicas=lacking,
            block_size=facts.num_bytes,
            chosen=(*survey.live, *coming),
            excluded=frozenset(holders),
            writer=source,
            writer_location=source.location,
            policy=storage_policy(facts.storage_policy),
            new_block=False,
            block_id=facts.block_id,
        )
        targets = self.policy.choose(request, self.view).targets
        if lacking == 1 and len(survey.live) >= facts.replication:
            # Only another rack would be worth it.
            racks = {storage.node.location for storage in survey.live}
            targets = [one for one in targets if one.node.location not in racks]
        return targets

    def _make_room(self, facts: BlockFacts, survey: Survey, source: DatanodeDescriptor) -> None:
        """Where only the holder of a corrupt replica would do as a target, that one goes.

        A good copy exists, and is asked for once more when the command is handed out."""
        if not survey.corrupt or not survey.fresh or survey.excess:
            return
        without = replace(survey, corrupt=[])
        for target in self._targets(facts, without, source, 1):
            for storage in survey.corrupt:
                if storage.node is target.node:
                    self.redundancy.doom_corrupt(facts, storage)

    def _order(
        self,
        facts: BlockFacts,
        source: DatanodeDescriptor,
        targets: list[StorageDescriptor],
        turn: Turn,
        wall_offset_ms: int,
    ) -> None:
        order = TransferOrder(
            block=ExtendedBlock(
                self.pool_id, facts.block_id, facts.generation_stamp, facts.num_bytes
            ),
            targets=tuple(target.node.info(wall_offset_ms) for target in targets),
            target_storage_ids=tuple(target.uuid for target in targets),
            target_storage_types=tuple(target.storage_type for target in targets),
        )
        source.transfers.append(
            QueuedTransfer(order, tuple(target.node.uuid for target in targets))
        )
        self.pending.begin(facts.block_id, source, targets, facts.num_bytes, turn.now_ms)

    def hand_out(self, turn: Turn, node: DatanodeDescriptor) -> tuple[TransferOrder, ...]:
        """The copies that a node shall make now, as many as it has streams free."""
        free = self.view.settings.streams_hard_max - node.xmits
        orders: list[TransferOrder] = []
        while node.transfers and len(orders) < free:
            queued = node.transfers.popleft()
            block_id = queued.order.block.block_id
            coming = {storage.node.uuid for storage in self.pending.targets(block_id)}
            if coming.isdisjoint(queued.target_uuids):
                continue  # called off meanwhile
            if self._holds(turn, node, block_id):
                orders.append(queued.order)
            else:
                for uuid in queued.target_uuids:
                    self.pending.cancel(block_id, uuid)
                self.redundancy.evaluate(turn, block_id)
        return tuple(orders)

    @staticmethod
    def _holds(turn: Turn, node: DatanodeDescriptor, block_id: int) -> bool:
        indexes = {storage.index for storage in node.storages.values()}
        return any(
            index in indexes and not flags & CORRUPT
            for index, flags in read_replicas(turn.tx, block_id)
        )
