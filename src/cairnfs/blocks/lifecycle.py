"""The life of a block between its writer and the block layer: allocated, given other
pipelines, reopened, committed, complete, recovered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cairnfs.blocks import tables
from cairnfs.blocks.intake import Intake
from cairnfs.blocks.nodes import DoomKind, StorageDescriptor
from cairnfs.blocks.parts import Parts
from cairnfs.blocks.turn import Turn
from cairnfs.types import Block, BlockFacts, ReplicaState


class BlockLife:
    """Each method is called after the namespace has made the change that it names."""

    def __init__(self, parts: Parts, intake: Intake) -> None:
        self._settings = parts.settings
        self._registry = parts.registry
        self._replicas = parts.replicas
        self._open = parts.open_blocks
        self._corrupt = parts.corrupt
        self._removals = parts.removals
        self._redundancy = parts.redundancy
        self._intents = parts.intents
        self._pending = parts.pending
        self._recoveries = parts.recoveries
        self._intake = intake

    def allocated(
        self, turn: Turn, facts: BlockFacts, block_size: int, targets: Sequence[StorageDescriptor]
    ) -> None:
        """A new block is to be written to these storages."""
        self._open.put(turn.tx, facts.block_id, facts.generation_stamp, block_size, targets)
        for target in targets:
            self._intents.promise(facts.block_id, target, block_size)

    def pipeline_updated(
        self,
        turn: Turn,
        facts: BlockFacts,
        datanode_uuids: Sequence[str],
        storage_uuids: Sequence[str],
    ) -> None:
        """The block has a new generation stamp, held by these nodes only.

        What others reported under an older stamp is stale from now on."""
        block_id = facts.block_id
        before = self._open.get(block_id)
        known = {one.storage.index: one for one in before.replicas} if before else {}
        # ``before.replicas`` is replaced below; ``known`` keeps what they had reported.
        pipeline = list(self._storages(datanode_uuids, storage_uuids))
        members = {storage.node.uuid for storage in pipeline}
        for index, flags in tables.read_replicas(turn.tx, block_id):
            storage = self._registry.storages.get(index)
            if storage is None:
                continue
            one = known.get(index)
            if one is not None and one.generation_stamp == facts.generation_stamp:
                continue  # reported under the new stamp before its writer told us
            if storage.node.uuid in members or one is None or flags & tables.DELETING:
                # It will be reported anew: by its pipeline, or in full.
                self._replicas.remove(turn.tx, block_id, storage)
                self._corrupt.clear(block_id, index)
            else:
                stale = Block(block_id, one.generation_stamp, one.num_bytes)
                reason = f"it missed generation {facts.generation_stamp} of its block"
                self._intake.mark_corrupt(turn, storage, stale, reason)
        size = before.block_size if before else 0
        opened = self._open.put(turn.tx, block_id, facts.generation_stamp, size, pipeline)
        for one in opened.replicas:
            old = known.get(one.storage.index)
            if old is not None and old.generation_stamp == facts.generation_stamp:
                one.note(Block(block_id, old.generation_stamp, old.num_bytes), old.state)
        for storage in before.storages if before else ():
            if storage.node.uuid not in members:
                self._intents.settle(block_id, storage.node)
        for storage in pipeline:
            self._intents.promise(block_id, storage, size)

    def reopened(self, turn: Turn, facts: BlockFacts, block_size: int) -> list[StorageDescriptor]:
        """A complete block is written again (append), or is to be recovered or cut; its
        pipeline are all good replicas. Answers them."""
        block_id = facts.block_id
        self._pending.drop_block(block_id)
        self._redundancy.forget(block_id)
        held = [
            storage
            for index, flags in tables.read_replicas(turn.tx, block_id)
            if not flags & (tables.CORRUPT | tables.DELETING)
            and (storage := self._registry.storages.get(index)) is not None
            and storage.serves
        ]
        for storage in held:
            self._removals.call_off(storage.node, block_id)
        opened = self._open.put(turn.tx, block_id, facts.generation_stamp, block_size, held)
        for one in opened.replicas:
            one.note(
                Block(block_id, facts.generation_stamp, facts.num_bytes), ReplicaState.FINALIZED
            )
        return held

    def committed(self, turn: Turn, facts: BlockFacts) -> int:
        """The writer says how long the block is; answers how many good replicas are known.

        Finalised replicas of another stamp or length are corrupt from now on."""
        block_id = facts.block_id
        wanted = tables.fingerprint(facts.generation_stamp, facts.num_bytes)
        opened = self._open.get(block_id)
        for index, flags in tables.read_replicas(turn.tx, block_id):
            storage = self._registry.storages.get(index)
            if storage is None or flags & (tables.CORRUPT | tables.DELETING):
                continue
            if tables.read_fingerprint(turn.tx, index, block_id) == wanted:
                continue
            one = opened.of(storage) if opened else None
            if one is None:
                self._replicas.remove(turn.tx, block_id, storage)
                continue
            replica = Block(block_id, one.generation_stamp, one.num_bytes)
            reason = (
                f"it has {one.num_bytes} bytes of generation {one.generation_stamp}, its block "
                f"{facts.num_bytes} of generation {facts.generation_stamp}"
            )
            self._intake.mark_corrupt(turn, storage, replica, reason)
        return self._intake.good_replicas(turn.tx, block_id)

    def completed(self, turn: Turn, facts: BlockFacts) -> None:
        """The block is COMPLETE. Replicas that are still on their way have a moment."""
        block_id = facts.block_id
        self._recoveries.end(block_id)
        # Verified now even if the role completed it in the same breath as it committed it.
        good = self.committed(turn, facts)
        self._open.close(turn.tx, block_id)
        if good < facts.replication:
            due_ms = turn.now_ms + self._settings.redundancy_grace_ms
            self._redundancy.settle_later(block_id, due_ms)
        else:
            self._intents.drop(block_id)
            self._redundancy.evaluate(turn, block_id)

    def recover(
        self, turn: Turn, facts: BlockFacts, new_generation_stamp: int, new_length: int | None
    ) -> bool:
        """Have the replicas of an open block made equal under a new stamp; False if no
        DataNode is there to lead it now (it is tried again when one is)."""
        if self._open.get(facts.block_id) is None:
            self.reopened(turn, facts, 0)
        return self._recoveries.begin(facts.block_id, new_generation_stamp, new_length, turn.now_ms)

    def closed(self, turn: Turn, block_ids: Iterable[int]) -> None:
        """Open blocks that are no more: abandoned, or their file was deleted. What their
        pipelines have written is not in the map yet, and is removed as well."""
        for block_id in block_ids:
            self._recoveries.end(block_id)
            opened = self._open.close(turn.tx, block_id)
            for one in opened.replicas if opened else ():
                replica = Block(block_id, one.generation_stamp, one.num_bytes)
                self._removals.doom(DoomKind.GONE, replica, one.storage.node)

    def _storages(
        self, datanode_uuids: Sequence[str], storage_uuids: Sequence[str]
    ) -> Iterable[StorageDescriptor]:
        """The storages that a client named; unknown ones are passed over."""
        for at, uuid in enumerate(datanode_uuids):
            node = self._registry.nodes.get(uuid)
            if node is None:
                continue
            storage = node.storages.get(storage_uuids[at]) if at < len(storage_uuids) else None
            if storage is None:
                # Old clients name no storages.
                storage = next(iter(node.storages.values()), None)
            if storage is not None:
                yield storage
