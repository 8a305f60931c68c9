"""The blocks of the namespace as the block layer sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cairnfs.namespace.context import Namespace, ReplicaView
from cairnfs.namespace.file_edit import find_block
from cairnfs.namespace.records import BlockRecord, read_counters, unpack_block, write_counters
from cairnfs.namespace.tables import (
    block_id_key,
    block_key,
    block_range,
    table_range,
    unpack_owner,
)
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import BlockFacts, BlockState


class Catalog:
    """A :class:`cairnfs.blocks.catalog.BlockCatalog` over one transaction."""

    __slots__ = ("_tx",)

    def __init__(self, tx: Reader) -> None:
        self._tx = tx

    def get(self, block_id: int, /) -> BlockFacts | None:
        """The facts of a block; None if no file holds it. Two gets."""
        get = self._tx.get
        owner = get(block_id_key(block_id))
        if owner is None:
            return None
        # The value of K is the rest of B's key.
        value = get(b"B" + owner)
        assert value is not None, f"block {block_id} is where its index says"
        return unpack_block(value).facts

    def scan(self, after: int, /) -> Iterator[BlockFacts]:
        """All blocks with an id above ``after``, ascending."""
        get = self._tx.get
        for _, owner in self._tx.scan(block_id_key(max(0, after + 1)), table_range(b"K")[1]):
            value = get(b"B" + owner)
            assert value is not None, "a block is where its index says"
            yield unpack_block(value).facts

    def complete_count(self) -> int:
        return read_counters(self._tx).complete_blocks

    def last_generation_stamp(self) -> int:
        return read_counters(self._tx).generation_stamp

    def inode_id(self, block_id: int, /) -> int | None:
        """The file that holds a block."""
        owner = self._tx.get(block_id_key(block_id))
        return None if owner is None else unpack_owner(owner)[0]

    def of_file(self, inode_id: int, /) -> Iterator[BlockFacts]:
        """The blocks of one file, in order."""
        for _, value in self._tx.scan(*block_range(inode_id)):
            yield unpack_block(value).facts


def complete_block(
    ns: Namespace, tx: Writer, replicas: ReplicaView, block_id: int
) -> BlockRecord | None:
    """A replica was reported: make a COMMITTED block COMPLETE if it has its minimum now.

    Returns it then, else None."""
    found = find_block(tx, block_id)
    if found is None or found[2].state != BlockState.COMMITTED:
        return None
    if replicas.live_replicas(block_id) < ns.settings.replication_min:
        return None
    inode_id, index, block = found
    complete = block._replace(state=BlockState.COMPLETE)
    tx.put(block_key(inode_id, index), complete.pack())
    counters = read_counters(tx)
    counters.complete_blocks += 1
    write_counters(tx, counters)
    return complete


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the namespace holds. ``garbage``: unlinked subtrees not yet removed, whose
    files and blocks are still counted."""

    files: int
    directories: int
    blocks: int
    complete_blocks: int
    garbage: int
    last_inode_id: int
    last_block_id: int
    last_generation_stamp: int


def totals(tx: Reader) -> Totals:
    """Raises ``StoreDamaged`` if nothing was formatted."""
    counters = read_counters(tx)
    return Totals(
        files=counters.files,
        directories=counters.directories,
        blocks=counters.blocks,
        complete_blocks=counters.complete_blocks,
        garbage=counters.garbage,
        last_inode_id=counters.inode_id,
        last_block_id=counters.block_id,
        last_generation_stamp=counters.generation_stamp,
    )
