"""Does a block have the replicas it should have? What follows from the answer.

:meth:`Redundancy.evaluate` is the one door: whatever happened to a block, it is counted
anew and put into (or taken out of) the queues. Copies are begun by :mod:`replication`.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable

from cairnfs.blocks.corruption import CorruptReplicas
from cairnfs.blocks.needed import NeededReplication, Priority, priority_of
from cairnfs.blocks.nodes import DoomKind, StorageDescriptor
from cairnfs.blocks.pending import PendingCopies
from cairnfs.blocks.placement import ClusterView, PlacementPolicy
from cairnfs.blocks.removals import Removals
from cairnfs.blocks.survey import Survey, Surveyor
from cairnfs.blocks.turn import Turn
from cairnfs.types import Block, BlockFacts, BlockState

# Postponed blocks that are looked at in one go: some 20 ms.
_RESCAN_BLOCKS = 2_000


class Redundancy:
    """Queues of blocks that lack something, and the rules that fill them."""

    def __init__(
        self,
        surveyor: Surveyor,
        removals: Removals,
        pending: PendingCopies,
        corrupt: CorruptReplicas,
        policy: PlacementPolicy,
        view: ClusterView,
    ) -> None:
        self._surveyor = surveyor
        self._removals = removals
        self._pending = pending
        self._corrupt = corrupt
        self._policy = policy
        self._view = view
        self.needed = NeededReplication()
        # Off while a NameNode without a replica map waits for reports in safe mode.
        self.enabled = True
        # Fresh blocks: their last replicas are about to be reported.
        self._settling: dict[int, int] = {}
        self._settle_heap: list[tuple[int, int]] = []
        # Blocks with a surplus, or a corrupt replica, while too few of the others are
        # certain: their nodes have not reported in full, or are silent. Looked at in turn.
        self.postponed: OrderedDict[int, None] = OrderedDict()

    @property
    def settling(self) -> int:
        return len(self._settling)

    def evaluate(
        self, turn: Turn, block_id: int, hint: str | None = None, facts: BlockFacts | None = None
    ) -> None:
        """Count a block's replicas and act on it. Cheap: one look at each store.

        ``hint`` is the uuid of a node that would like its replica removed; ``facts`` are
        the catalog's if the caller has them already."""
        if not self.enabled:
            return
        facts = facts or turn.catalog.get(block_id)
        if facts is None or facts.state != BlockState.COMPLETE:
            # Open blocks are their writer's business; gone ones nobody's.
            self.forget(block_id)
            return
        live = self._surveyor.plain(turn.tx, block_id)
        if live is not None and len(live) <= facts.replication:
            self.postponed.pop(block_id, None)
            coming, settles = self._pending.count(block_id), block_id in self._settling
            self._queue(facts, live, facts.replication, coming, 0, settles)
        else:
            self._evaluate_fully(turn, facts, hint)

    def _evaluate_fully(self, turn: Turn, facts: BlockFacts, hint: str | None) -> None:
        block_id = facts.block_id
        survey = self._surveyor.survey(turn.tx, block_id)
        wanted = survey.live_wanted(facts.replication)
        if len(survey.live) < wanted and self._call_off(survey, block_id):
            survey = self._surveyor.survey(turn.tx, block_id)
        waits = len(survey.live) > facts.replication and not self._trim(facts, survey, hint)
        if survey.corrupt and not self._remove_corrupt(facts, survey):
            waits = waits or len(survey.live) >= wanted
        if waits:
            self.postponed[block_id] = None
        else:
            self.postponed.pop(block_id, None)
        coming = self._pending.count(block_id) + survey.in_grace
        out = len(survey.leaving) + len(survey.maintenance)
        # A fresh block has time, unless what it lacks will surely not come.
        settles = block_id in self._settling and not survey.corrupt
        self._queue(facts, survey.live, wanted, coming, out, settles)

    def _queue(
        self,
        facts: BlockFacts,
        live: list[StorageDescriptor],
        wanted: int,
        coming: int,
        out_of_service: int,
        settles: bool,
    ) -> None:
        """Into the queue, or out of it. ``coming``: replicas that may yet appear."""
        block_id, count = facts.block_id, len(live)
        if count + coming < wanted:
            if not settles:
                self.needed.put(block_id, priority_of(count, out_of_service, facts.replication))
        elif not coming and self.badly_distributed(live, facts):
            self.needed.put(block_id, Priority.BADLY_DISTRIBUTED)
        else:
            self.needed.discard(block_id)

    def badly_distributed(self, live: list[StorageDescriptor], facts: BlockFacts) -> bool:
        """Whether all replicas stand in fewer racks than they should."""
        if len(live) < 2 or self._view.topology.rack_count < 2:
            return False
        wanted = self._policy.racks_wanted(facts.replication, self._view)
        return len({storage.node.location for storage in live}) < wanted

    def settle_later(self, block_id: int, due_ms: int) -> None:
        """A block was just completed: give its other replicas time to be reported."""
        self._settling[block_id] = due_ms
        heapq.heappush(self._settle_heap, (due_ms, block_id))

    def settled(self, now_ms: int) -> list[int]:
        """The fresh blocks whose grace is over: to be evaluated now."""
        over: list[int] = []
        while self._settle_heap and self._settle_heap[0][0] <= now_ms:
            due_ms, block_id = heapq.heappop(self._settle_heap)
            if self._settling.get(block_id) == due_ms:
                del self._settling[block_id]
                over.append(block_id)
        return over

    def rescan(self, turn: Turn) -> None:
        """Look at some of the postponed blocks again."""
        for _ in range(min(_RESCAN_BLOCKS, len(self.postponed))):
            block_id = next(iter(self.postponed))
            self.postponed.move_to_end(block_id)
            self.evaluate(turn, block_id)

    def forget(self, block_id: int) -> None:
        self.needed.discard(block_id)
        self.postponed.pop(block_id, None)
        self._settling.pop(block_id, None)

    def evaluate_all(self, turn: Turn, block_ids: Iterable[int]) -> None:
        for block_id in block_ids:
            self.evaluate(turn, block_id)

    # --- surplus -------------------------------------------------------------------------------

    def _call_off(self, survey: Survey, block_id: int) -> bool:
        """Keep surplus replicas that nobody has been told to remove yet."""
        kept = [
            storage for storage in survey.excess if self._removals.call_off(storage.node, block_id)
        ]
        return bool(kept)

    def _trim(self, facts: BlockFacts, survey: Survey, hint: str | None) -> bool:
        """Choose surplus replicas, never so that fewer fresh ones remain than wanted.

        False if some must stay for that."""
        live = list(survey.live)
        fresh = set(map(id, survey.fresh))
        while len(live) > facts.replication:
            spare = len(fresh) > facts.replication
            if len(fresh) < facts.replication:
                candidates = []
            else:
                candidates = [one for one in live if spare or id(one) not in fresh]
            if not candidates:
                return False
            chosen = self._policy.choose_excess(candidates, live, hint, self._view)
            live.remove(chosen)
            fresh.discard(id(chosen))
            survey.live.remove(chosen)
            self._removals.doom(DoomKind.EXCESS, _block(facts), chosen.node, chosen)
        return True

    def _remove_corrupt(self, facts: BlockFacts, survey: Survey) -> bool:
        """Corrupt replicas go when there are good ones enough without them; else False."""
        if len(survey.fresh) < facts.replication:
            return False
        for storage in survey.corrupt:
            self.doom_corrupt(facts, storage)
        return True

    def doom_corrupt(self, facts: BlockFacts, storage: StorageDescriptor) -> None:
        """Have a corrupt replica removed, once its node has said what exactly it holds."""
        known = self._corrupt.find(facts.block_id, storage.index)
        if known is not None:
            self._removals.doom(DoomKind.CORRUPT, known.replica, storage.node, storage)


def _block(facts: BlockFacts) -> Block:
    return Block(facts.block_id, facts.generation_stamp, facts.num_bytes)
