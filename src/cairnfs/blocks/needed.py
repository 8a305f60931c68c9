"""The queue of blocks that lack replicas, most at risk first."""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterator


class Priority(enum.IntEnum):
    """Hadoop's order: how near a block is to being lost."""

    HIGHEST = 0  # one replica left, or only on nodes that are leaving
    VERY_LOW_REDUNDANCY = 1  # less than a third of what is wanted
    LOW_REDUNDANCY = 2
    BADLY_DISTRIBUTED = 3  # enough replicas, all in one rack
    CORRUPT_OR_MISSING = 4  # nothing to copy from


def priority_of(live: int, out_of_service: int, required: int) -> Priority:
    """The level of a block that lacks something."""
    if live >= required:
        return Priority.BADLY_DISTRIBUTED
    if live == 0:
        return Priority.HIGHEST if out_of_service else Priority.CORRUPT_OR_MISSING
    if live == 1:
        return Priority.HIGHEST
    if live * 3 < required:
        return Priority.VERY_LOW_REDUNDANCY
    return Priority.LOW_REDUNDANCY


class NeededReplication:
    """Block ids by level; within a level the one not tried for longest comes first."""

    def __init__(self) -> None:
        self._levels: tuple[OrderedDict[int, None], ...] = tuple(OrderedDict() for _ in Priority)
        self._level_of: dict[int, Priority] = {}

    def __len__(self) -> int:
        return len(self._level_of)

    def __contains__(self, block_id: int) -> bool:
        return block_id in self._level_of

    def count(self, level: Priority) -> int:
        return len(self._levels[level])

    def level(self, block_id: int) -> Priority | None:
        return self._level_of.get(block_id)

    def blocks(self, level: Priority) -> Iterator[int]:
        return iter(self._levels[level])

    def put(self, block_id: int, level: Priority) -> None:
        """Add a block, or change its level; one that keeps its level keeps its place."""
        old = self._level_of.get(block_id)
        if old == level:
            return
        if old is not None:
            del self._levels[old][block_id]
        self._levels[level][block_id] = None
        self._level_of[block_id] = level

    def discard(self, block_id: int) -> None:
        old = self._level_of.pop(block_id, None)
        if old is not None:
            del self._levels[old][block_id]

    def clear(self) -> None:
        for level in self._levels:
            level.clear()
        self._level_of.clear()

    def candidates(self, attempts_max: int) -> list[tuple[int, Priority]]:
        """Blocks to try now, each moved behind the others of its level.

        Each level takes at most half of what the levels before it left, the last takes
        the rest: blocks that cannot be helped now never starve those that can. What is
        then still free goes to the first levels again."""
        levels = [level for level in Priority if level != Priority.CORRUPT_OR_MISSING]
        shares: dict[Priority, int] = {}
        left = attempts_max
        for level in levels:
            half = left if level == levels[-1] else (left + 1) // 2
            shares[level] = min(half, len(self._levels[level]))
            left -= shares[level]
        for level in levels:
            more = min(left, len(self._levels[level]) - shares[level])
            shares[level] += more
            left -= more
        taken: list[tuple[int, Priority]] = []
        for level in levels:
            queue = self._levels[level]
            for _ in range(shares[level]):
                block_id = next(iter(queue))
                queue.move_to_end(block_id)
                taken.append((block_id, level))
        return taken
