"""Blocks that are being written or recovered, and where their replicas should be.

They are few, so they live in memory; what pipeline each has is written to the replica
store, so that a reader of an open file finds it after a restart too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from cairnfs.blocks import tables
from cairnfs.blocks.nodes import StorageDescriptor
from cairnfs.blocks.registry import NodeRegistry
from cairnfs.blocks.tables import Uint64s
from cairnfs.store.interface import Reader, Writer
from cairnfs.types import Block, ReplicaState


class OpenReplica:
    """One member of a pipeline, and what it last reported."""

    __slots__ = ("generation_stamp", "num_bytes", "state", "storage", "tried")

    def __init__(self, storage: StorageDescriptor, generation_stamp: int) -> None:
        self.storage = storage
        self.generation_stamp = generation_stamp
        self.num_bytes = 0
        self.state = ReplicaState.RBW
        # Chosen as primary of a recovery already: another comes next.
        self.tried = False

    def note(self, block: Block, state: ReplicaState) -> None:
        self.generation_stamp = block.generation_stamp
        self.num_bytes = block.num_bytes
        self.state = state


class OpenBlock:
    """A block under construction; ``replicas`` in pipeline order."""

    __slots__ = ("block_id", "block_size", "generation_stamp", "recovery", "replicas")

    def __init__(self, block_id: int, generation_stamp: int, block_size: int) -> None:
        self.block_id = block_id
        self.generation_stamp = generation_stamp
        # What a full block takes: room promised to its nodes.
        self.block_size = block_size
        self.replicas: list[OpenReplica] = []
        self.recovery: Recovery | None = None

    def report(self, storage: StorageDescriptor, block: Block, state: ReplicaState) -> bool:
        """Note what a node says; True if the pipeline changed by it."""
        for at, replica in enumerate(self.replicas):
            if replica.storage.node is not storage.node:
                continue
            if block.generation_stamp < replica.generation_stamp:
                return False  # a report from before the pipeline was rebuilt
            moved = replica.storage is not storage
            if moved:
                # The node put it on another storage than was chosen for it.
                tried = replica.tried
                replica = self.replicas[at] = OpenReplica(storage, block.generation_stamp)
                replica.tried = tried
            replica.note(block, state)
            return moved
        replica = OpenReplica(storage, block.generation_stamp)
        replica.note(block, state)
        self.replicas.append(replica)
        return True

    def of(self, storage: StorageDescriptor) -> OpenReplica | None:
        for replica in self.replicas:
            if replica.storage is storage:
                return replica
        return None

    @property
    def storages(self) -> list[StorageDescriptor]:
        return [replica.storage for replica in self.replicas]


class Recovery:
    """A recovery of a block's replicas that was ordered."""

    __slots__ = ("deadline_ms", "new_generation_stamp", "new_length", "primary")

    def __init__(self, new_generation_stamp: int, new_length: int | None) -> None:
        self.new_generation_stamp = new_generation_stamp
        self.new_length = new_length
        self.primary: StorageDescriptor | None = None
        self.deadline_ms = 0


class _Record(msgspec.Struct, frozen=True, array_like=True):
    generation_stamp: int
    block_size: int
    storages: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


class OpenBlocks:
    """All open blocks by id."""

    def __init__(self) -> None:
        self._blocks: dict[int, OpenBlock] = {}
        self._ids: Uint64s | None = None

    def __len__(self) -> int:
        return len(self._blocks)

    def get(self, block_id: int) -> OpenBlock | None:
        return self._blocks.get(block_id)

    def all(self) -> Iterable[OpenBlock]:
        return self._blocks.values()

    def ids(self) -> Uint64s:
        """The ids, unsigned and ascending: full reports always look at these."""
        if self._ids is None:
            ids = [tables.unsigned(block_id) for block_id in self._blocks]
            self._ids = np.array(sorted(ids), dtype=np.uint64)
        return self._ids

    def load(self, tx: Reader, registry: NodeRegistry) -> None:
        for key, value in tx.scan(tables.OPEN_BLOCKS, bytes([tables.OPEN_BLOCKS[0] + 1])):
            record = _decode(value)
            block = OpenBlock(tables.block_id_of(key), record.generation_stamp, record.block_size)
            for index in record.storages:
                storage = registry.storages.get(index)
                if storage is not None:
                    block.replicas.append(OpenReplica(storage, record.generation_stamp))
            self._blocks[block.block_id] = block
        self._ids = None

    def put(
        self,
        tx: Writer,
        block_id: int,
        generation_stamp: int,
        block_size: int,
        storages: Sequence[StorageDescriptor],
    ) -> OpenBlock:
        """Open a block, or give an open one another pipeline."""
        block = self._blocks.get(block_id)
        if block is None:
            block = self._blocks[block_id] = OpenBlock(block_id, generation_stamp, block_size)
            self._ids = None
        block.generation_stamp = generation_stamp
        block.block_size = block_size
        block.replicas = [OpenReplica(storage, generation_stamp) for storage in storages]
        self.save(tx, block)
        return block

    def save(self, tx: Writer, block: OpenBlock) -> None:
        record = _Record(
            block.generation_stamp,
            block.block_size,
            [replica.storage.index for replica in block.replicas],
        )
        tx.put(tables.OPEN_BLOCKS + tables.block_key(block.block_id), _encode(record))

    def close(self, tx: Writer, block_id: int) -> OpenBlock | None:
        """The block is complete or gone; answers what was known of it."""
        block = self._blocks.pop(block_id, None)
        if block is not None:
            tx.delete(tables.OPEN_BLOCKS + tables.block_key(block_id))
            self._ids = None
        return block

    def drop_storage(self, tx: Writer, storage: StorageDescriptor) -> None:
        """The storage is struck off: no pipeline has it any more."""
        for block in self._blocks.values():
            kept = [replica for replica in block.replicas if replica.storage is not storage]
            if len(kept) != len(block.replicas):
                block.replicas = kept
                self.save(tx, block)
