"""What the block layer asks the namespace: facts about blocks, never about paths.

The namespace implements it over its own store; a test over a dict. A catalog is a view
of one moment: it is handed to each call beside the transaction on the replica store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from cairnfs.types import BlockFacts


class BlockCatalog(Protocol):
    """The blocks that files (and snapshots of files) are made of."""

    def get(self, block_id: int, /) -> BlockFacts | None:
        """The facts of a block; None if no file holds it (any more)."""
        ...

    def scan(self, after: int, /) -> Iterator[BlockFacts]:
        """All blocks with an id above ``after``, ascending.

        The caller stops early and does not change the namespace while it iterates."""
        ...

    def complete_count(self) -> int:
        """How many blocks are COMPLETE: what safe mode waits for."""
        ...

    def last_generation_stamp(self) -> int:
        """The newest generation stamp that the namespace ever gave out.

        A replica with a newer one proves that the namespace is older than its data."""
        ...
