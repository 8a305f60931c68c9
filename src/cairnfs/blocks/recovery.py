"""Recovery of open blocks: which DataNode leads it, and when it is tried again.

The namespace gives the new generation stamp; here the primary is chosen and told by its
next heartbeat. A recovery that is not reported in time is begun anew by the namespace,
under yet another stamp, so that two primaries never work under the same one.
"""

from __future__ import annotations

from cairnfs.blocks.commands import RecoveringBlock
from cairnfs.blocks.construction import OpenBlock, OpenBlocks, Recovery
from cairnfs.blocks.nodes import DatanodeDescriptor
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.turn import Turn
from cairnfs.types import ExtendedBlock

# Hadoop's factor: a recovery may take so many heartbeats.
_HEARTBEATS = 30


class Recoveries:
    """Recoveries under way; the record of each hangs on its open block."""

    def __init__(self, pool_id: str, open_blocks: OpenBlocks, settings: BlockSettings) -> None:
        self._pool_id = pool_id
        self._open = open_blocks
        self._timeout_ms = settings.heartbeat_interval_ms * _HEARTBEATS
        self._running: dict[int, OpenBlock] = {}

    def __len__(self) -> int:
        return len(self._running)

    def begin(
        self, block_id: int, new_generation_stamp: int, new_length: int | None, now_ms: int
    ) -> bool:
        """Choose a primary and queue the command; False if nobody could lead.

        The node heard of last leads; after a failure another one, until all have tried."""
        block = self._open.get(block_id)
        if block is None:
            return False
        self._unqueue(block)
        recovery = Recovery(new_generation_stamp, new_length)
        recovery.deadline_ms = now_ms + self._timeout_ms
        block.recovery = recovery
        self._running[block_id] = block
        alive = [one for one in block.replicas if one.storage.node.registered]
        if alive and all(one.tried for one in alive):
            for one in alive:
                one.tried = False
        untried = [one for one in alive if not one.tried]
        if not untried:
            return False
        primary = max(untried, key=lambda one: one.storage.node.last_heartbeat_ms)
        primary.tried = True
        recovery.primary = primary.storage
        primary.storage.node.recoveries[block_id] = None
        return True

    def under_way(self, block_id: int) -> bool:
        return block_id in self._running

    def end(self, block_id: int) -> None:
        """Done, or the block is gone."""
        block = self._running.pop(block_id, None)
        if block is not None:
            self._unqueue(block)
            block.recovery = None

    def overdue(self, now_ms: int) -> list[int]:
        """Blocks whose recovery must be begun anew: late, or their primary was lost before
        it was told. Each is named once."""
        over: list[int] = []
        for block_id, block in list(self._running.items()):
            recovery = block.recovery
            assert recovery is not None, f"block {block_id} is listed because it is recovered"
            primary = recovery.primary
            lost = primary is None or not primary.node.registered
            if now_ms >= recovery.deadline_ms or (lost and self._someone(block)):
                over.append(block_id)
                self.end(block_id)
        return over

    def hand_out(
        self, turn: Turn, node: DatanodeDescriptor, wall_offset_ms: int
    ) -> tuple[RecoveringBlock, ...]:
        """The recoveries that this node shall lead, and has not been told of."""
        orders: list[RecoveringBlock] = []
        for block_id in list(node.recoveries):
            del node.recoveries[block_id]
            facts = turn.catalog.get(block_id)
            block = self._running.get(block_id)
            if facts is None or block is None or block.recovery is None:
                continue
            replicas = [one.storage for one in block.replicas]
            heard = [storage for storage in replicas if not storage.node.stale]
            # A primary that is left alone asks the silent ones too.
            chosen = heard if len(heard) > 1 else replicas
            orders.append(
                RecoveringBlock(
                    block=ExtendedBlock(
                        self._pool_id, block_id, facts.generation_stamp, facts.num_bytes
                    ),
                    new_generation_stamp=block.recovery.new_generation_stamp,
                    locations=tuple(one.node.info(wall_offset_ms) for one in chosen),
                    storage_ids=tuple(one.uuid for one in chosen),
                    storage_types=tuple(one.storage_type for one in chosen),
                    new_length=block.recovery.new_length,
                )
            )
        return tuple(orders)

    @staticmethod
    def _someone(block: OpenBlock) -> bool:
        return any(one.storage.node.registered for one in block.replicas)

    @staticmethod
    def _unqueue(block: OpenBlock) -> None:
        if block.recovery is not None and block.recovery.primary is not None:
            block.recovery.primary.node.recoveries.pop(block.block_id, None)
