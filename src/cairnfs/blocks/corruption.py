"""Which replicas are corrupt, and why. The map's flag survives; the reasons do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cairnfs.types import Block


@dataclass(frozen=True, slots=True)
class CorruptReplica:
    """``replica`` is the block as its DataNode knows it: only so can it be removed."""

    replica: Block
    reason: str


class CorruptReplicas:
    """Corrupt replicas by block and storage index."""

    def __init__(self) -> None:
        self._replicas: dict[int, dict[int, CorruptReplica]] = {}

    def __len__(self) -> int:
        """Blocks with a corrupt replica."""
        return len(self._replicas)

    def blocks(self) -> Iterator[int]:
        return iter(self._replicas)

    def of(self, block_id: int) -> dict[int, CorruptReplica]:
        return self._replicas.get(block_id, {})

    def find(self, block_id: int, storage_index: int) -> CorruptReplica | None:
        """What is known of a corrupt replica; None until this process has heard of it."""
        return self.of(block_id).get(storage_index)

    def mark(self, replica: Block, storage_index: int, reason: str) -> bool:
        """False if it was marked already; what is known of it is renewed."""
        replicas = self._replicas.setdefault(replica.block_id, {})
        known = storage_index in replicas
        replicas[storage_index] = CorruptReplica(replica, reason)
        return not known

    def clear(self, block_id: int, storage_index: int) -> None:
        replicas = self._replicas.get(block_id)
        if replicas is not None:
            replicas.pop(storage_index, None)
            if not replicas:
                del self._replicas[block_id]

    def drop_block(self, block_id: int) -> None:
        self._replicas.pop(block_id, None)
