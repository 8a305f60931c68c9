"""What one decision may look at."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.blocks.catalog import BlockCatalog
from cairnfs.store.interface import Writer


@dataclass(frozen=True, slots=True)
class Turn:
    """The replica store's write transaction, the namespace's blocks, and the time.

    ``now_ms`` counts steadily (it never goes back); it is not the time of day."""

    tx: Writer
    catalog: BlockCatalog
    now_ms: int
