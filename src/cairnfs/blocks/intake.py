"""Taking in what DataNodes say of single replicas: the one door to the replica map.

Full and incremental reports, in whatever order and however often, end here; each
statement is judged by what the namespace says now, so a repeated one changes nothing.
"""

from __future__ import annotations

from cairnfs.blocks import tables
from cairnfs.blocks.judgement import Verdict, judge
from cairnfs.blocks.nodes import DatanodeDescriptor, DoomKind, StorageDescriptor
from cairnfs.blocks.notices import BlockReachedMinimum, ReplicaCorrupt
from cairnfs.blocks.parts import Parts
from cairnfs.blocks.turn import Turn
from cairnfs.store.interface import Reader
from cairnfs.types import Block, BlockFacts, BlockState, ReplicaState


class Intake:
    """Changes the map by what is reported, and tells the queues."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._registry = parts.registry
        self._replicas = parts.replicas
        self._open = parts.open_blocks
        self._corrupt = parts.corrupt
        self._removals = parts.removals
        self._redundancy = parts.redundancy
        self._intents = parts.intents
        self._pending = parts.pending
        self._safe_mode = parts.safe_mode
        self._notices = parts.notices

    # --- statements ----------------------------------------------------------------------------

    def reported(
        self,
        turn: Turn,
        storage: StorageDescriptor,
        block: Block,
        state: ReplicaState,
        *,
        full: bool = False,
        hint: str | None = None,
    ) -> None:
        """A storage holds this replica in this state.

        ``full``: a full report says so. ``hint``: the node that would like its replica
        removed in exchange (a move by a balancer)."""
        if state == ReplicaState.RBW and not full:
            opened = self._open.get(block.block_id)
            if opened is not None and opened.generation_stamp == block.generation_stamp:
                # The usual start of a write, without asking the namespace.
                if opened.report(storage, block, state):
                    self._open.save(turn.tx, opened)
                return
        facts = turn.catalog.get(block.block_id)
        verdict, reason = judge(facts, block, state)
        if facts is None:
            self._unknown(turn, storage, block)
        elif verdict == Verdict.CORRUPT:
            self.mark_corrupt(turn, storage, block, reason)
        elif verdict == Verdict.OPEN:
            self._open_reported(turn, storage, facts, block, state)
        elif verdict == Verdict.STORE:
            self._store(turn, storage, facts, block, full=full, hint=hint)

    def deleted(self, turn: Turn, storage: StorageDescriptor, block: Block) -> None:
        """A storage says that it removed this replica, perhaps late: a newer one stays."""
        facts = turn.catalog.get(block.block_id)
        if facts is None or block.generation_stamp >= self._held_stamp(storage, facts):
            self.vanished(turn, storage, block.block_id)

    def _held_stamp(self, storage: StorageDescriptor, facts: BlockFacts) -> int:
        """The generation stamp of the replica that a storage is known to hold."""
        corrupt = self._corrupt.find(facts.block_id, storage.index)
        if corrupt is not None:
            return corrupt.replica.generation_stamp
        opened = self._open.get(facts.block_id)
        replica = opened.of(storage) if opened else None
        return replica.generation_stamp if replica else facts.generation_stamp

    def vanished(self, turn: Turn, storage: StorageDescriptor, block_id: int) -> None:
        """A storage holds no such replica (any more)."""
        node = storage.node
        self._removals.forget(node, block_id)
        before = self._good(turn.tx, block_id)
        if not self._replicas.remove(turn.tx, block_id, storage):
            return
        self._corrupt.clear(block_id, storage.index)
        self._count_safe(turn, block_id, before)
        self._redundancy.evaluate(turn, block_id)

    def mark_corrupt(
        self,
        turn: Turn,
        storage: StorageDescriptor,
        block: Block,
        reason: str,
        *,
        by_content: bool = False,
    ) -> None:
        """A replica is not to be read. ``block`` is the replica as its node knows it."""
        node, block_id = storage.node, block.block_id
        flags = tables.CORRUPT | (tables.BAD_CONTENT if by_content else 0)
        doom = node.invalidate.get(block_id) or node.deleting.get(block_id)
        if doom is not None and doom.block.generation_stamp == block.generation_stamp:
            if doom.kind != DoomKind.EXCESS:
                return  # it goes anyway
            if doom.sent_ms >= 0:
                # Told to go: it is not good for anything else if that was lost.
                doom.kind = DoomKind.CORRUPT
                flags |= tables.DELETING
        if not flags & tables.DELETING:
            self._removals.forget(node, block_id)
        before = self._good(turn.tx, block_id)
        self._replicas.add(turn.tx, block_id, storage, tables.FINGERPRINT_NONE, flags=flags)
        self._settle(block_id, node)
        if self._corrupt.mark(block, storage.index, reason):
            self._notices.append(ReplicaCorrupt(block_id, node.uuid, storage.uuid, reason))
        self._count_safe(turn, block_id, before)
        self._redundancy.evaluate(turn, block_id)

    def bad_replica(self, turn: Turn, block: Block, datanode_uuid: str, reason: str) -> bool:
        """A replica was found corrupt by its content; False if no such one is known."""
        node = self._registry.nodes.get(datanode_uuid)
        facts = turn.catalog.get(block.block_id)
        if node is None or facts is None:
            return False
        mine = {storage.index: storage for storage in node.storages.values()}
        for index, _ in tables.read_replicas(turn.tx, block.block_id):
            storage = mine.get(index)
            # A report about an older generation says nothing of what is there now.
            if storage is None or block.generation_stamp < facts.generation_stamp:
                continue
            # The length that a reader names may be that of what it could see.
            held = Block(block.block_id, facts.generation_stamp, facts.num_bytes)
            self.mark_corrupt(turn, storage, held, reason, by_content=True)
            return True
        return False

    def good_replicas(self, tx: Reader, block_id: int) -> int:
        """Finalised replicas that can be counted on: not corrupt, not to be removed."""
        return sum(
            1
            for index, flags in tables.read_replicas(tx, block_id)
            if not flags & (tables.CORRUPT | tables.DELETING)
            and (storage := self._registry.storages.get(index)) is not None
            and storage.serves
            and not storage.node.doomed(block_id)
        )

    # --- by verdict ----------------------------------------------------------------------------

    def _unknown(self, turn: Turn, storage: StorageDescriptor, block: Block) -> None:
        """No file holds the block: the replica is garbage, unless the namespace is old."""
        node, block_id = storage.node, block.block_id
        if self._replicas.remove(turn.tx, block_id, storage):
            self._corrupt.clear(block_id, storage.index)
        self._settle(block_id, node)
        if (
            block.generation_stamp > turn.catalog.last_generation_stamp()
            and not self._safe_mode.future_accepted
        ):
            self._safe_mode.future_replica(storage.uuid, block)
            return
        self._removals.doom(DoomKind.GONE, block, node)

    def _open_reported(
        self,
        turn: Turn,
        storage: StorageDescriptor,
        facts: BlockFacts,
        block: Block,
        state: ReplicaState,
    ) -> None:
        block_id = block.block_id
        opened = self._open.get(block_id)
        if opened is None:
            # The map did not survive: the pipeline is learnt from its members.
            opened = self._open.put(turn.tx, block_id, facts.generation_stamp, 0, [])
        if opened.report(storage, block, state):
            self._open.save(turn.tx, opened)
        flags = dict(tables.read_replicas(turn.tx, block_id)).get(storage.index, 0)
        if state == ReplicaState.FINALIZED and not flags & tables.DELETING:
            self._settle(block_id, storage.node)
            self._corrupt.clear(block_id, storage.index)
            print_ = tables.fingerprint(block.generation_stamp, block.num_bytes)
            self._replicas.add(turn.tx, block_id, storage, print_)

    def _store(
        self,
        turn: Turn,
        storage: StorageDescriptor,
        facts: BlockFacts,
        block: Block,
        *,
        full: bool,
        hint: str | None,
    ) -> None:
        node, block_id = storage.node, block.block_id
        expected = self._settle(block_id, node)
        replicas = tables.read_replicas(turn.tx, block_id)
        flags = dict(replicas).get(storage.index)
        if flags is not None and flags & tables.BAD_CONTENT:
            known = self._corrupt.find(block_id, storage.index)
            if known is None:
                # Flagged by an earlier process; now it is known what exactly is there.
                reason = "it was found corrupt before this NameNode started"
                self.mark_corrupt(turn, storage, block, reason, by_content=True)
            if known is None or known.replica == block:
                return
        if flags is not None and flags & tables.DELETING and not flags & tables.CORRUPT:
            return  # it goes; its removal is not undone by a report
        doom = node.invalidate.get(block_id) or node.deleting.get(block_id)
        if doom is not None:
            if doom.block.generation_stamp == block.generation_stamp:
                return
            self._removals.forget(node, block_id)
        before = self._good(turn.tx, block_id)
        keeps = flags is not None and not flags & (tables.CORRUPT | tables.UNCONFIRMED)
        # Said by a full report, awaited, moved by a balancer, or known: no doubt.
        sure = full or expected or hint is not None or keeps
        if sure:
            print_ = tables.fingerprint(block.generation_stamp, block.num_bytes)
            self._replicas.add(turn.tx, block_id, storage, print_, 0, replicas)
        else:
            print_ = tables.FINGERPRINT_NONE
            self._replicas.add(turn.tx, block_id, storage, print_, tables.UNCONFIRMED, replicas)
        self._corrupt.clear(block_id, storage.index)
        self._count_safe(turn, block_id, before)
        if facts.state == BlockState.COMMITTED:
            opened = self._open.get(block_id)
            if opened is not None and opened.report(storage, block, ReplicaState.FINALIZED):
                self._open.save(turn.tx, opened)
            if self.good_replicas(turn.tx, block_id) >= self._settings.replication_min:
                self._notices.append(BlockReachedMinimum(block_id))
        else:
            self._redundancy.evaluate(turn, block_id, hint, facts)

    def _settle(self, block_id: int, node: DatanodeDescriptor) -> bool:
        """Whether the node was to receive the block; no longer, by this."""
        arrived = self._pending.arrived(block_id, node)
        return self._intents.settle(block_id, node) or arrived

    # --- safe mode -----------------------------------------------------------------------------

    def _good(self, tx: Reader, block_id: int) -> int:
        if not self._safe_mode.counting:
            return 0
        return self.good_replicas(tx, block_id)

    def _count_safe(self, turn: Turn, block_id: int, before: int) -> None:
        if not self._safe_mode.counting:
            return
        facts = turn.catalog.get(block_id)
        if facts is None or facts.state != BlockState.COMPLETE:
            return
        bound = self._settings.safemode_replication_min
        after = self.good_replicas(turn.tx, block_id)
        if before < bound <= after:
            self._safe_mode.block_safe(1)
        elif after < bound <= before:
            self._safe_mode.block_safe(-1)
