"""Replicas to be removed: queued by node, handed out in batches, checked at the last moment.

Removing a replica whose block still exists is the one thing that can lose data by our own
doing. So a surplus or corrupt replica is counted out before it is removed, the command is
given only while enough fresh others are there, and once given it is never taken for
undone: if it may have been lost it is given again for the same replica, not for another.
"""

from __future__ import annotations

from collections import deque

from cairnfs.blocks import tables
from cairnfs.blocks.commands import LENGTH_NO_ACK
from cairnfs.blocks.nodes import DatanodeDescriptor, Doom, DoomKind, StorageDescriptor
from cairnfs.blocks.replica_map import ReplicaMap
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.survey import Surveyor
from cairnfs.blocks.turn import Turn
from cairnfs.types import Block, BlockState


class Removals:
    """Dooms of all nodes; each node holds its own queue."""

    def __init__(self, replicas: ReplicaMap, surveyor: Surveyor, settings: BlockSettings) -> None:
        self._replicas = replicas
        self._surveyor = surveyor
        self._settings = settings
        # (when sent, node, block id), oldest first.
        self._sent: deque[tuple[int, DatanodeDescriptor, int]] = deque()
        self.queued = 0

    def doom(
        self,
        kind: DoomKind,
        block: Block,
        node: DatanodeDescriptor,
        storage: StorageDescriptor | None = None,
    ) -> None:
        """Have a replica removed. ``block`` is the replica as the node knows it.

        Nothing happens if it is doomed already; a dead node is told when it returns."""
        if not node.alive or block.block_id in node.deleting:
            return
        known = node.invalidate.get(block.block_id)
        if known is not None:
            if known.block.generation_stamp != block.generation_stamp:
                known.block, known.kind, known.storage = block, kind, storage
            return
        node.invalidate[block.block_id] = Doom(kind, block, storage)
        node.freeing_bytes += block.num_bytes
        self.queued += 1

    def remember(
        self, storage: StorageDescriptor, block: Block, kind: DoomKind, now_ms: int
    ) -> None:
        """A removal that an earlier process ordered: it may yet happen."""
        node = storage.node
        if block.block_id not in node.deleting:
            node.deleting[block.block_id] = Doom(kind, block, storage, now_ms)
            self._sent.append((now_ms, node, block.block_id))
            if node.registered:
                self._requeue(node, block.block_id)

    def hand_out(self, turn: Turn, node: DatanodeDescriptor) -> tuple[list[Block], list[int]]:
        """What the node shall remove now, and blocks whose removal was called off."""
        blocks: list[Block] = []
        called_off: list[int] = []
        # Called-off ones cost a look each, so they count as well.
        while node.invalidate and len(blocks) + len(called_off) < self._settings.invalidate_limit:
            block_id = next(iter(node.invalidate))
            # Asked while it is still doomed, so that it does not count for itself.
            right = self._still_right(turn, node.invalidate[block_id])
            doom = self._unqueue(node, block_id)
            if not right:
                self._keep(turn, doom)
                called_off.append(block_id)
                continue
            block = doom.block
            if doom.kind == DoomKind.GONE:
                # No confirmation is needed: nothing is remembered of it.
                block = Block(block.block_id, block.generation_stamp, LENGTH_NO_ACK)
            elif doom.storage is not None:
                doom.sent_ms = turn.now_ms
                node.deleting[block_id] = doom
                self._sent.append((turn.now_ms, node, block_id))
                self._replicas.flag(turn.tx, block_id, doom.storage, on=tables.DELETING)
            blocks.append(block)
        return blocks, called_off

    def _still_right(self, turn: Turn, doom: Doom) -> bool:
        facts = turn.catalog.get(doom.block.block_id)
        if doom.kind == DoomKind.GONE:
            return facts is None
        if facts is None:
            return True
        if facts.state != BlockState.COMPLETE:
            return False
        survey = self._surveyor.survey(turn.tx, doom.block.block_id)
        if doom.kind == DoomKind.CORRUPT:
            return bool(survey.fresh)
        return len(survey.fresh) >= facts.replication

    def forget(self, node: DatanodeDescriptor, block_id: int) -> None:
        """The node has no such replica any more, or has another one by now."""
        if block_id in node.invalidate:
            self._unqueue(node, block_id)
        node.deleting.pop(block_id, None)

    def call_off(self, node: DatanodeDescriptor, block_id: int) -> bool:
        """Keep a surplus replica whose removal was not ordered yet; True if that was so."""
        doom = node.invalidate.get(block_id)
        if doom is None or doom.kind != DoomKind.EXCESS or doom.sent_ms >= 0:
            return False
        self._unqueue(node, block_id)
        return True

    def drop_node(self, node: DatanodeDescriptor) -> None:
        """The node died: what it was never told is decided anew when it returns."""
        self.queued -= len(node.invalidate)
        for block_id, doom in node.invalidate.items():
            if doom.sent_ms >= 0:
                node.deleting[block_id] = doom
        node.invalidate.clear()
        node.freeing_bytes = 0

    def order_again(self, node: DatanodeDescriptor) -> None:
        """The node registered: it may have lost what it was told before."""
        for block_id in list(node.deleting):
            self._requeue(node, block_id)

    def overdue(self, now_ms: int) -> None:
        """Order again what was not confirmed in time."""
        while self._sent and now_ms - self._sent[0][0] >= self._settings.excess_timeout_ms:
            sent_ms, node, block_id = self._sent.popleft()
            doom = node.deleting.get(block_id)
            if doom is not None and doom.sent_ms == sent_ms:
                self._requeue(node, block_id)

    def _requeue(self, node: DatanodeDescriptor, block_id: int) -> None:
        doom = node.deleting.pop(block_id)
        # ``sent_ms`` stays: it may have been carried out after all.
        node.invalidate[block_id] = doom
        node.freeing_bytes += doom.block.num_bytes
        self.queued += 1

    def _unqueue(self, node: DatanodeDescriptor, block_id: int) -> Doom:
        doom = node.invalidate.pop(block_id)
        node.freeing_bytes = max(0, node.freeing_bytes - doom.block.num_bytes)
        self.queued -= 1
        return doom

    def _keep(self, turn: Turn, doom: Doom) -> None:
        """The replica stays; but if its removal was ordered once, only a full report
        will prove that it is still there."""
        if doom.storage is None or doom.sent_ms < 0:
            return
        block_id = doom.block.block_id
        self._replicas.flag(
            turn.tx, block_id, doom.storage, on=tables.UNCONFIRMED, off=tables.DELETING
        )
        tables.put_storage_block(turn.tx, doom.storage.index, block_id, tables.FINGERPRINT_NONE)
