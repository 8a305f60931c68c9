"""Removing what was unlinked: inodes, blocks, leases; all at once or slice by slice.

What a slice leaves over is parked in table ``G`` and found there by the next one. An
unlinked inode has no place (table ``I``), so that nothing below it can be reached from
the root any more, however long the rest takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.namespace.leases import delete_open
from cairnfs.namespace.records import (
    Counters,
    Inode,
    read_counters,
    unpack_block,
    unpack_inode,
    write_counters,
)
from cairnfs.namespace.tables import (
    block_id_key,
    block_key,
    block_range,
    entry_range,
    garbage_key,
    inode_key,
    table_range,
)
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Block

# Children taken from a directory at a time: a scan must end before what it saw changes.
_CHILDREN_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Collected:
    """The blocks that no file holds any more, and whether garbage is left."""

    blocks: list[Block]
    more: bool


def remove_unlinked(tx: Writer, counters: Counters, inode: Inode, limit: int) -> list[Block]:
    """Remove an inode that was detached, and all below it, up to about ``limit`` inodes and
    blocks; the rest becomes garbage. Returns the blocks removed."""
    return _Remover(tx, counters, limit).run(inode)


def collect_garbage(tx: Writer, limit: int) -> Collected:
    """Remove about ``limit`` inodes and blocks of what was unlinked before."""
    counters = read_counters(tx)
    if counters.garbage == 0:
        return Collected([], more=False)
    remover = _Remover(tx, counters, limit)
    blocks: list[Block] = []
    while remover.budget > 0:
        parked = _first_parked(tx)
        if parked is None:
            break
        tx.delete(garbage_key(parked.id))
        counters.garbage -= 1
        blocks = remover.run(parked)
    write_counters(tx, counters)
    return Collected(blocks, more=counters.garbage > 0)


def has_garbage(tx: Reader) -> bool:
    """Whether :func:`collect_garbage` would find something."""
    return read_counters(tx).garbage > 0


def _first_parked(tx: Reader) -> Inode | None:
    for _, value in tx.scan(*table_range(b"G")):
        return unpack_inode(value)
    return None


class _Remover:
    """One slice: ``budget`` is what it may still remove."""

    def __init__(self, tx: Writer, counters: Counters, limit: int) -> None:
        self._tx = tx
        self._counters = counters
        self._blocks: list[Block] = []
        self._directories: list[Inode] = []
        self.budget = limit

    def run(self, inode: Inode) -> list[Block]:
        """Remove an inode and what is below it; all blocks that this slice removed so far."""
        if inode.is_directory:
            self._directories.append(inode)
        else:
            self._remove_file(inode)
        while self._directories and self.budget > 0:
            self._empty(self._directories.pop())
        while self._directories:
            self._park(self._directories.pop())
        return self._blocks

    def _empty(self, directory: Inode) -> None:
        """Remove some children; a directory without any is gone."""
        children: list[tuple[bytes, Inode]] = []
        for key, value in self._tx.scan(*entry_range(directory.id)):
            children.append((key, unpack_inode(value)))
            if len(children) == min(_CHILDREN_AT_ONCE, self.budget):
                break
        if not children:
            self._counters.directories -= 1
            self.budget -= 1
            return
        taken = 0
        subdirectories = 0
        below: list[Inode] = []
        for key, child in children:
            if self.budget <= 0:
                break
            self._tx.delete(key)
            self._tx.delete(inode_key(child.id))
            taken += 1
            self.budget -= 1
            if child.is_directory:
                subdirectories += 1
                below.append(child)
            else:
                self._remove_file(child)
        self._directories.append(
            directory._replace(
                entries=directory.entries - taken,
                subdirectories=directory.subdirectories - subdirectories,
            )
        )
        self._directories.extend(below)

    def _remove_file(self, file: Inode) -> None:
        first = max(0, file.entries - max(1, self.budget))
        removed = 0
        values = list(self._tx.scan(*block_range(file.id, first))) if file.entries else []
        for _, value in values:
            block = unpack_block(value)
            self._tx.delete(block_key(file.id, first + removed))
            self._tx.delete(block_id_key(block.block_id))
            self._blocks.append(block.block)
            self._counters.blocks -= 1
            self._counters.complete_blocks -= block.is_complete
            removed += 1
        self.budget -= removed
        if first:
            self._park(file._replace(entries=first))
            return
        if file.under_construction:
            delete_open(self._tx, file.id)
        self._counters.files -= 1

    def _park(self, inode: Inode) -> None:
        self._tx.put(garbage_key(inode.id), inode.pack())
        self._counters.garbage += 1
