"""What an operation on files means for blocks and replicas, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cairnfs.blocks.nodes import StorageDescriptor
from cairnfs.blocks.targets import TargetRequest
from cairnfs.errors import FileSystemError
from cairnfs.namenode.dispatch import KeptError, NotYetError
from cairnfs.namenode.held import DATANODE
from cairnfs.namenode.turn import Turn
from cairnfs.namespace.catalog import Catalog, complete_block
from cairnfs.namespace.records import BlockRecord
from cairnfs.namespace.recovery import BlockRecovery, LeaseRelease, Outcome, Refused
from cairnfs.namespace.synchronization import Synchronized
from cairnfs.namespace.writing import AddBlockPlan, WriterFacts
from cairnfs.types import Block, BlockFacts, DatanodeID, ExtendedBlock, LocatedBlock

if TYPE_CHECKING:
    from cairnfs.namenode.namesystem import Namesystem


# After so many heartbeats a DataNode that has not come back to a restarted NameNode is not
# waited for any more.
RETURN_HEARTBEATS = 5


class BlockEffects:
    """Joins namespace and block layer; each method is called inside a turn."""

    def __init__(self, system: Namesystem) -> None:
        self._system = system
        self._started_ms = system.clock.steady_ms()
        self._return_ms = RETURN_HEARTBEATS * system.block_settings.heartbeat_interval_ms

    # --- files lose blocks -----------------------------------------------------------------

    def remove(self, turn: Turn, blocks: Iterable[Block]) -> None:
        """No file holds these blocks any more: their replicas go, in time."""
        removed = list(blocks)
        if removed:
            self._system.blocks.removed(self._system.block_turn(turn), removed)

    def replication_changed(self, turn: Turn, inode_id: int) -> None:
        """Every block of the file wants another number of replicas."""
        block_ids = [facts.block_id for facts in Catalog(turn.namespace).of_file(inode_id)]
        self._system.blocks.replication_changed(self._system.block_turn(turn), block_ids)

    # --- writing ---------------------------------------------------------------------------

    def choose_targets(
        self,
        facts: WriterFacts,
        path: str,
        *,
        excluded: Iterable[str],
        favoured: Iterable[str],
        local: bool,
    ) -> list[StorageDescriptor]:
        """Where a new block goes. Raises ``FileSystemError`` if too few nodes can take it;
        just after a start ``NotYetError``, while DataNodes that were here before return."""
        request = TargetRequest(
            path=path,
            replicas=facts.replication,
            block_size=facts.block_size,
            client_host=facts.client_machine,
            storage_policy=facts.storage_policy,
            excluded=frozenset(excluded),
            favoured=tuple(favoured),
            local=local,
        )
        try:
            return self._system.blocks.choose_targets(request).targets
        except FileSystemError as error:
            deadline_ms = self._started_ms + self._return_ms
            if self._system.clock.steady_ms() < deadline_ms and self._some_return():
                raise NotYetError(DATANODE, deadline_ms, error) from None
            raise

    def _some_return(self) -> bool:
        """Whether a DataNode of before has not said yet, in a heartbeat, what room it has."""
        return any(
            node.alive and not any(storage.capacity for storage in node.storages.values())
            for node in self._system.blocks.registry.nodes.values()
        )

    def begin_block(
        self,
        turn: Turn,
        block: BlockRecord,
        block_size: int,
        targets: Sequence[StorageDescriptor],
    ) -> LocatedBlock:
        """A new block was added to its file: its writer may go to these storages."""
        blocks = self._system.blocks
        blocks.allocated(self._system.block_turn(turn), block.facts, block_size, targets)
        return blocks.located(block.facts, block.offset, targets)

    def retried_block(self, turn: Turn, plan: AddBlockPlan) -> LocatedBlock | None:
        """The block that was given out before, with its targets; None if none are known."""
        if plan.retry is None:
            return None
        located = self.located(turn, plan.retry, plan.facts.client_machine)
        return located if located.locations else None

    def located(self, turn: Turn, block: BlockRecord, client_host: str) -> LocatedBlock:
        """A block with who holds, or writes, it."""
        return self._system.blocks.locate(turn.replicas, block.facts, block.offset, client_host)

    def additional(
        self,
        facts: WriterFacts,
        path: str,
        block: ExtendedBlock,
        *,
        existing: Sequence[tuple[str, str]],
        excluded: Iterable[str],
        wanted: int,
    ) -> LocatedBlock:
        """More nodes for a pipeline that lost some."""
        blocks = self._system.blocks
        targets = blocks.choose_targets(
            TargetRequest(
                path=path,
                replicas=wanted,
                block_size=facts.block_size,
                client_host=facts.client_machine,
                storage_policy=facts.storage_policy,
                excluded=frozenset(excluded),
                existing=tuple(existing),
            )
        ).targets
        storages = [
            storage
            for uuid, storage_uuid in existing
            if (storage := blocks.registry.storage_of(uuid, storage_uuid)) is not None
        ]
        described = BlockFacts(
            block.block_id,
            block.generation_stamp,
            block.num_bytes,
            facts.replication,
        )
        return blocks.located(described, 0, [*storages, *targets])

    def committed(self, turn: Turn, block: BlockRecord) -> None:
        """The writer has ended a block: what was reported of it counts now."""
        system = self._system
        block_turn = system.block_turn(turn)
        if not block.is_complete:
            system.blocks.committed(block_turn, block.facts)
            self.complete_if_replicated(turn, block.block_id)
        else:
            system.blocks.committed(block_turn, block.facts)
            system.blocks.completed(block_turn, block.facts)

    def complete_if_replicated(self, turn: Turn, block_id: int) -> None:
        """A committed block may have its minimum of replicas: complete it then."""
        system = self._system
        complete = complete_block(
            system.namespace, turn.namespace, system.replica_view(turn), block_id
        )
        if complete is not None:
            system.blocks.completed(system.block_turn(turn), complete.facts)

    def closed(self, turn: Turn, inode_id: int) -> None:
        """A file is closed: its last blocks are complete."""
        system = self._system
        block_turn = system.block_turn(turn)
        for facts in Catalog(turn.namespace).of_file(inode_id):
            if system.blocks.parts.open_blocks.get(facts.block_id) is not None:
                system.blocks.completed(block_turn, facts)

    def reopened(self, turn: Turn, block: BlockRecord, block_size: int) -> None:
        """A complete block is written again."""
        self._system.blocks.reopened(self._system.block_turn(turn), block.facts, block_size)

    def pipeline_updated(
        self, turn: Turn, block: BlockRecord, datanodes: Sequence[str], storages: Sequence[str]
    ) -> None:
        """The writer goes on with another pipeline, under a new generation stamp."""
        self._system.blocks.pipeline_updated(
            self._system.block_turn(turn), block.facts, datanodes, storages
        )

    # --- leases and recovery ---------------------------------------------------------------

    def refuse(self, turn: Turn, refused: Refused) -> KeptError:
        """An operation was refused, but began to take the file from its silent writer."""
        self.released(turn, refused.release)
        return KeptError(refused.error)

    def released(self, turn: Turn, release: LeaseRelease) -> None:
        """A lease was taken from its holder: the file is closed or its block recovered."""
        self.remove(turn, release.removed_blocks)
        if release.outcome is Outcome.CLOSED:
            self.closed(turn, release.inode_id)
        elif release.recovery is not None:
            self.recover(turn, release.recovery)

    def recover(self, turn: Turn, recovery: BlockRecovery) -> None:
        """Have the replicas of a block made equal by one of its DataNodes."""
        system = self._system
        facts = Catalog(turn.namespace).get(recovery.block.block_id)
        assert facts is not None, "a block that is to be recovered belongs to a file"
        new_length = recovery.truncate_bytes if recovery.truncate_bytes >= 0 else None
        system.blocks.recover(system.block_turn(turn), facts, recovery.recovery_id, new_length)

    def synchronized(
        self,
        turn: Turn,
        result: Synchronized,
        targets: Sequence[DatanodeID],
        storages: Sequence[str],
    ) -> None:
        """A block recovery has ended."""
        system = self._system
        if result.removed is not None:
            self.remove(turn, [result.removed])
        if result.block is None:
            return
        facts = Catalog(turn.namespace).get(result.block.block_id)
        if facts is None:
            raise FileSystemError(f"block {result.block} was recovered, but no file holds it")
        block_turn = system.block_turn(turn)
        uuids = [target.datanode_uuid for target in targets]
        system.blocks.pipeline_updated(block_turn, facts, uuids, storages)
        system.blocks.committed(block_turn, facts)
        if result.closed:
            self.closed(turn, result.inode_id)
