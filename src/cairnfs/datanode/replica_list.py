"""Many replicas in little memory: what a full block report is made of."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from cairnfs.types import Block, Replica, ReplicaState


class ReplicaList:
    """Replicas of one storage, 32 bytes each (as objects they are ten times that)."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def add(self, block_id: int, stamp: int, length: int, state: ReplicaState) -> None:
        self._numbers.extend((block_id, stamp, length, state))

    def __len__(self) -> int:
        return len(self._numbers) // 4

    def __iter__(self) -> Iterator[Replica]:
        numbers = iter(self._numbers)
        for block_id, stamp, length, state in zip(numbers, numbers, numbers, numbers, strict=True):
            yield Replica(Block(block_id, stamp, length), ReplicaState(state))
