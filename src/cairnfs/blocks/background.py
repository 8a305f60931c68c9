"""Work over many blocks, done a little at a time between calls.

Each task keeps a cursor, not a transaction: it goes on in whatever transaction the next
turn has. A task that meets a block twice does no harm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from cairnfs.blocks import tables
from cairnfs.blocks.nodes import DoomKind, StorageDescriptor
from cairnfs.blocks.parts import Parts
from cairnfs.blocks.redundancy import Redundancy
from cairnfs.blocks.registry import NodeRegistry
from cairnfs.blocks.turn import Turn
from cairnfs.types import Block

_FIRST_ID = -(1 << 63)


class BackgroundTask(Protocol):
    def step(self, turn: Turn, blocks_max: int) -> int | None:
        """Do some work; the blocks looked at, or None when the task is done."""
        ...


class EvaluateStorage:
    """Count every block of a storage anew: its node died, returned or changed its state."""

    def __init__(self, redundancy: Redundancy, storage: StorageDescriptor) -> None:
        self._redundancy = redundancy
        self._storage = storage
        self._next: int | None = 0

    def step(self, turn: Turn, blocks_max: int) -> int | None:
        if self._next is None:
            return None
        ids, _, self._next = tables.scan_storage(
            turn.tx, self._storage.index, self._next, blocks_max
        )
        self._redundancy.evaluate_all(turn, tables.signed(ids))
        return len(ids)


class RemoveStorage:
    """Strike off a storage that is gone for good, with all its replicas."""

    def __init__(self, parts: Parts, storage: StorageDescriptor) -> None:
        self._registry = parts.registry
        self._replicas = parts.replicas
        self._corrupt = parts.corrupt
        self._removals = parts.removals
        self._redundancy = parts.redundancy
        self._storage = storage

    def step(self, turn: Turn, blocks_max: int) -> int | None:
        storage = self._storage
        if storage.serves:
            return None  # it came back
        ids, _, _ = tables.scan_storage(turn.tx, storage.index, 0, blocks_max)
        for block_id in tables.signed(ids):
            # Else an old removal could hit a replica that the node receives later.
            self._removals.forget(storage.node, block_id)
            self._replicas.remove(turn.tx, block_id, storage)
            self._corrupt.clear(block_id, storage.index)
            self._redundancy.evaluate(turn, block_id)
        if len(ids):
            return len(ids)
        if not storage.node.alive or storage.failed:
            self._registry.forget_storage(turn.tx, storage)
            if not storage.node.storages and not storage.node.registered:
                self._registry.forget(turn.tx, storage.node)
        return None


class RemoveBlocks:
    """Blocks of deleted files: out of the map, their replicas onto the removal queues."""

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry
        self._replicas = parts.replicas
        self._corrupt = parts.corrupt
        self._removals = parts.removals
        self._redundancy = parts.redundancy
        self._pending = parts.pending
        self._intents = parts.intents
        self._blocks: deque[Block] = deque()

    def __len__(self) -> int:
        return len(self._blocks)

    def add(self, blocks: Iterable[Block]) -> None:
        self._blocks.extend(blocks)

    def step(self, turn: Turn, blocks_max: int) -> int:
        count = min(blocks_max, len(self._blocks))
        for _ in range(count):
            self._remove(turn, self._blocks.popleft())
        return count

    def _remove(self, turn: Turn, block: Block) -> None:
        block_id = block.block_id
        self._redundancy.forget(block_id)
        self._pending.drop_block(block_id)
        self._intents.drop(block_id)
        for index, _ in self._replicas.remove_all(turn.tx, block_id):
            storage = self._registry.storages.get(index)
            if storage is None:
                continue
            corrupt = self._corrupt.find(block_id, index)
            replica = corrupt.replica if corrupt else block
            self._removals.forget(storage.node, block_id)
            self._removals.doom(DoomKind.GONE, replica, storage.node, storage)
        self._corrupt.drop_block(block_id)


class EvaluateNamespace:
    """Count every block that there is: finds what is short, surplus or missing after a
    start, since the queues do not survive one."""

    def __init__(self, redundancy: Redundancy) -> None:
        self._redundancy = redundancy
        self._after = _FIRST_ID

    def step(self, turn: Turn, blocks_max: int) -> int | None:
        ids = [facts.block_id for facts in islice(turn.catalog.scan(self._after), blocks_max)]
        if not ids:
            return None
        self._redundancy.evaluate_all(turn, ids)
        self._after = ids[-1]
        return len(ids)


class SweepMap:
    """Go once through a map that survived: strike off blocks that were deleted just before
    the stop, and take up what its flags say."""

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry
        self._replicas = parts.replicas
        self._removals = parts.removals
        self._next = tables.REPLICAS

    def step(self, turn: Turn, blocks_max: int) -> int | None:
        stop = bytes([tables.REPLICAS[0] + 1])
        page = list(islice(turn.tx.scan(self._next, stop), blocks_max))
        if not page:
            return None
        for key, value in page:
            self._sweep(turn, tables.block_id_of(key), tables.unpack_replicas(value))
        self._next = page[-1][0] + b"\0"
        return len(page)

    def _sweep(self, turn: Turn, block_id: int, replicas: tables.Replicas) -> None:
        facts = turn.catalog.get(block_id)
        if facts is None:
            # Its replicas will be reported as unknown, with the stamp needed to remove them.
            self._replicas.remove_all(turn.tx, block_id)
            return
        for index, flags in replicas:
            storage = self._registry.storages.get(index)
            if storage is None:
                kept = [one for one in replicas if one[0] in self._registry.storages]
                tables.write_replicas(turn.tx, block_id, kept)
                tables.delete_storage_block(turn.tx, index, block_id)
            elif flags & tables.DELETING and not flags & tables.CORRUPT:
                block = Block(block_id, facts.generation_stamp, facts.num_bytes)
                self._removals.remember(storage, block, DoomKind.EXCESS, turn.now_ms)


class CountStorages:
    """How many blocks each storage holds: one storage a step."""

    def __init__(self, registry: NodeRegistry) -> None:
        self._registry = registry
        self._left = [one for one in registry.storages.values() if not one.counted]

    def step(self, turn: Turn, blocks_max: int) -> int | None:
        del blocks_max
        if not self._left:
            return None
        storage = self._left.pop()
        storage.blocks = tables.count_storage(turn.tx, storage.index)
        storage.counted = True
        return storage.blocks


class Background:
    """The tasks, first come first served."""

    def __init__(self) -> None:
        self._tasks: deque[BackgroundTask] = deque()

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: BackgroundTask) -> None:
        self._tasks.append(task)

    def step(self, turn: Turn, blocks_max: int) -> bool:
        """Look at about ``blocks_max`` blocks; True while work is left."""
        left = blocks_max
        while self._tasks and left > 0:
            used = self._tasks[0].step(turn, left)
            if used is None:
                self._tasks.popleft()
            else:
                left -= max(1, used)
        return bool(self._tasks)
