"""Is the namespace whole? Every invariant between its tables, for tests and ``fsck``.

Reads everything: not for a running NameNode's loop.
"""

from __future__ import annotations

from collections import Counter

from cairnfs.namespace.leases import open_files
from cairnfs.namespace.records import (
    BlockRecord,
    Inode,
    read_counters,
    unpack_block,
    unpack_inode,
)
from cairnfs.namespace.tables import (
    ROOT_KEY,
    block_id_key,
    inode_key,
    name_id_key,
    pack_owner,
    pack_place,
    table_range,
    unpack_owner,
)
from cairnfs.store.interface import Reader
from cairnfs.types import INODE_ID_ROOT, BlockState


def verify(tx: Reader) -> list[str]:
    """What is wrong, one sentence each; empty if nothing is."""
    return _Verifier(tx).run()


class _Verifier:
    def __init__(self, tx: Reader) -> None:
        self._tx = tx
        self._problems: list[str] = []
        self._inodes: dict[int, Inode] = {}
        self._children: Counter[int] = Counter()
        self._subdirectories: Counter[int] = Counter()
        self._parked: set[int] = set()
        self._blocks: Counter[str] = Counter()

    def run(self) -> list[str]:
        self._read_entries()
        self._read_garbage()
        self._check_places()
        self._check_directories()
        self._check_files()
        self._check_block_index()
        self._check_leases()
        self._check_names()
        self._check_counters()
        return self._problems

    def _wrong(self, problem: str) -> None:
        self._problems.append(problem)

    def _read_entries(self) -> None:
        for key, value in self._tx.scan(*table_range(b"D")):
            inode = unpack_inode(value)
            if inode.id in self._inodes:
                self._wrong(f"inode {inode.id} has two entries")
            self._inodes[inode.id] = inode
            if key == ROOT_KEY:
                if inode.id != INODE_ID_ROOT:
                    self._wrong(f"the root has the id {inode.id}")
                continue
            parent_id = int.from_bytes(key[1:9], "big")
            self._children[parent_id] += 1
            self._subdirectories[parent_id] += inode.is_directory
            place = self._tx.get(inode_key(inode.id))
            if place != pack_place(parent_id, key[9:]):
                self._wrong(f"inode {inode.id} is at {key!r}, but its place says {place!r}")
        if INODE_ID_ROOT not in self._inodes:
            self._wrong("there is no root")

    def _read_garbage(self) -> None:
        for key, value in self._tx.scan(*table_range(b"G")):
            inode = unpack_inode(value)
            if inode.id in self._inodes or key[1:] != inode.id.to_bytes(8, "big"):
                self._wrong(f"garbage inode {inode.id} has an entry, or another's key")
            if self._tx.get(inode_key(inode.id)) is not None:
                self._wrong(f"garbage inode {inode.id} has a place")
            self._inodes[inode.id] = inode
            self._parked.add(inode.id)

    def _check_places(self) -> None:
        for key, _ in self._tx.scan(*table_range(b"I")):
            inode_id = int.from_bytes(key[1:], "big")
            if inode_id not in self._inodes or inode_id in self._parked:
                self._wrong(f"inode {inode_id} has a place and no entry")

    def _check_directories(self) -> None:
        for inode in self._inodes.values():
            if not inode.is_directory:
                continue
            counted = (self._children[inode.id], self._subdirectories[inode.id])
            if counted != (inode.entries, inode.subdirectories):
                self._wrong(
                    f"directory {inode.id} says {inode.entries} children,"
                    f" {inode.subdirectories} of them directories; there are {counted}"
                )
        for parent_id in self._children:
            parent = self._inodes.get(parent_id)
            if parent is None or not parent.is_directory:
                self._wrong(f"entries stand below {parent_id}, which is no directory")

    def _check_files(self) -> None:
        blocks: dict[int, list[BlockRecord]] = {}
        for key, value in self._tx.scan(*table_range(b"B")):
            inode_id, index = unpack_owner(key[1:])
            block = unpack_block(value)
            of_file = blocks.setdefault(inode_id, [])
            if index != len(of_file):
                self._wrong(f"file {inode_id} has a block {index} behind {len(of_file)} others")
            of_file.append(block)
            if self._tx.get(block_id_key(block.block_id)) != pack_owner(inode_id, index):
                self._wrong(f"block {block.block_id} of file {inode_id} is not in the index")
            self._blocks["all"] += 1
            self._blocks["complete"] += block.is_complete
        for inode_id in blocks:
            file = self._inodes.get(inode_id)
            if file is None or not file.is_file:
                self._wrong(f"blocks stand at {inode_id}, which is no file")
        for file in self._inodes.values():
            if file.is_file:
                self._check_file(file, blocks.get(file.id, []))

    def _check_file(self, file: Inode, blocks: list[BlockRecord]) -> None:
        if len(blocks) != file.entries:
            self._wrong(f"file {file.id} says {file.entries} blocks; there are {len(blocks)}")
        offset = 0
        for index, block in enumerate(blocks):
            if block.offset != offset or block.replication != file.replication:
                self._wrong(f"block {index} of file {file.id} does not fit: {block}")
            offset += block.num_bytes
            from_end = len(blocks) - index
            if block.is_complete or file.id in self._parked:
                continue
            # Only the last block is written, and the one before may lack replicas.
            committed = block.state == BlockState.COMMITTED
            if not file.under_construction or from_end > 2 or (from_end == 2 and not committed):
                self._wrong(f"block {index} of file {file.id} may not be {block.state}")
        if offset != file.length and file.id not in self._parked:
            self._wrong(f"file {file.id} says {file.length} bytes; its blocks hold {offset}")

    def _check_block_index(self) -> None:
        indexed = sum(1 for _ in self._tx.scan(*table_range(b"K")))
        if indexed != self._blocks["all"]:
            self._wrong(f"{indexed} block ids are indexed; there are {self._blocks['all']} blocks")

    def _check_leases(self) -> None:
        open_ids = {inode_id for inode_id, _ in open_files(self._tx)}
        under_construction = {i.id for i in self._inodes.values() if i.under_construction}
        if open_ids != under_construction:
            self._wrong(
                f"open files and files under construction differ:"
                f" {sorted(open_ids ^ under_construction)}"
            )

    def _check_names(self) -> None:
        known = {0}
        for key, value in self._tx.scan(*table_range(b"U")):
            known.add(int.from_bytes(key[1:], "big"))
            if self._tx.get(name_id_key(value)) != key[1:]:
                self._wrong(f"the name {value!r} is not in the index")
        if sum(1 for _ in self._tx.scan(*table_range(b"N"))) != len(known) - 1:
            self._wrong("names and their index differ in number")
        for inode in self._inodes.values():
            if not {inode.owner, inode.group} <= known:
                self._wrong(f"inode {inode.id} has an owner or group without a name")

    def _check_counters(self) -> None:
        counters = read_counters(self._tx)
        files = sum(inode.is_file for inode in self._inodes.values())
        found = {
            "files": files,
            "directories": len(self._inodes) - files,
            "blocks": self._blocks["all"],
            "complete_blocks": self._blocks["complete"],
            "garbage": len(self._parked),
        }
        for name, count in found.items():
            if getattr(counters, name) != count:
                self._wrong(f"the counter {name} says {getattr(counters, name)}, not {count}")
        if self._inodes and max(self._inodes) > counters.inode_id:
            self._wrong(f"inode {max(self._inodes)} is above the last id {counters.inode_id}")
        for _, value in self._tx.scan(*table_range(b"B")):
            block = unpack_block(value)
            if block.block_id > counters.block_id:
                self._wrong(f"block {block.block_id} is above the last id {counters.block_id}")
            if block.generation_stamp > counters.generation_stamp:
                self._wrong(f"block {block.block_id} is of a generation never given out")
