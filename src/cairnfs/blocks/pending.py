"""Copies that were ordered and have not been reported yet, with their deadlines."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cairnfs.blocks.intents import Intents
from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor


@dataclass(frozen=True, slots=True)
class PendingCopy:
    source: DatanodeDescriptor
    target: StorageDescriptor
    deadline_ms: int


class PendingCopies:
    """Copies by block and target node. Room at the target is promised meanwhile."""

    def __init__(self, intents: Intents, timeout_ms: int) -> None:
        self._intents = intents
        self._timeout_ms = timeout_ms
        self._copies: dict[int, dict[str, PendingCopy]] = {}
        # All copies have the same time, so they end in the order in which they began.
        self._deadlines: deque[tuple[int, int, str]] = deque()

    def __len__(self) -> int:
        return len(self._copies)

    def count(self, block_id: int) -> int:
        return len(self._copies.get(block_id, ()))

    def targets(self, block_id: int) -> list[StorageDescriptor]:
        return [copy.target for copy in self._copies.get(block_id, {}).values()]

    def expected(self, block_id: int, node: DatanodeDescriptor) -> bool:
        return node.uuid in self._copies.get(block_id, ())

    def begin(
        self,
        block_id: int,
        source: DatanodeDescriptor,
        targets: Sequence[StorageDescriptor],
        num_bytes: int,
        now_ms: int,
    ) -> None:
        copies = self._copies.setdefault(block_id, {})
        deadline_ms = now_ms + self._timeout_ms
        for target in targets:
            copies[target.node.uuid] = PendingCopy(source, target, deadline_ms)
            self._deadlines.append((deadline_ms, block_id, target.node.uuid))
            self._intents.promise(block_id, target, num_bytes)
            target.node.incoming.add(block_id)
        source.outgoing.add(block_id)

    def arrived(self, block_id: int, node: DatanodeDescriptor) -> bool:
        """The node reported the block; False if none was under way to it."""
        return self._end(block_id, node.uuid)

    def cancel(self, block_id: int, target_uuid: str) -> None:
        """The copy was never ordered, or will not be made."""
        self._end(block_id, target_uuid)

    def drop_block(self, block_id: int) -> None:
        """The block is gone: nothing is expected any more."""
        for uuid in list(self._copies.get(block_id, ())):
            self._end(block_id, uuid)

    def drop_node(self, node: DatanodeDescriptor) -> set[int]:
        """The node is lost as source and target; answers the blocks this concerns."""
        concerned: set[int] = set()
        for block_id in list(node.incoming):
            self._end(block_id, node.uuid)
            concerned.add(block_id)
        for block_id in list(node.outgoing):
            for uuid, copy in list(self._copies.get(block_id, {}).items()):
                if copy.source is node:
                    self._end(block_id, uuid)
            concerned.add(block_id)
        node.outgoing.clear()
        return concerned

    def expire(self, now_ms: int) -> list[tuple[int, str]]:
        """(block id, target uuid) of copies whose time is over."""
        over: list[tuple[int, str]] = []
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            deadline_ms, block_id, uuid = self._deadlines.popleft()
            copy = self._copies.get(block_id, {}).get(uuid)
            # It may have arrived, and another to the same node begun, meanwhile.
            if copy is not None and copy.deadline_ms == deadline_ms:
                self._end(block_id, uuid)
                over.append((block_id, uuid))
        return over

    def _end(self, block_id: int, uuid: str) -> bool:
        copies = self._copies.get(block_id)
        copy = copies.pop(uuid, None) if copies else None
        if copies is None or copy is None:
            return False
        self._intents.settle(block_id, copy.target.node)
        copy.target.node.incoming.discard(block_id)
        if not any(other.source is copy.source for other in copies.values()):
            copy.source.outgoing.discard(block_id)
        if not copies:
            del self._copies[block_id]
        return True
