"""Bytes promised to storages: room that open blocks and running copies will take.

Placement counts them beside the space in use, so that a burst of writes between two
heartbeats does not land on the node that looked emptiest at the first.
"""

from __future__ import annotations

from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor


class Intents:
    """Promises by block; each is kept once and then forgotten."""

    def __init__(self) -> None:
        self._promises: dict[int, list[tuple[StorageDescriptor, int]]] = {}

    def promise(self, block_id: int, storage: StorageDescriptor, num_bytes: int) -> None:
        """``storage`` will receive the block. A node is promised a block once."""
        promises = self._promises.setdefault(block_id, [])
        if any(held.node is storage.node for held, _ in promises):
            return
        promises.append((storage, num_bytes))
        storage.scheduled_bytes += num_bytes

    def expected(self, block_id: int, node: DatanodeDescriptor) -> bool:
        """Whether the node is to receive the block."""
        return any(held.node is node for held, _ in self._promises.get(block_id, ()))

    def settle(self, block_id: int, node: DatanodeDescriptor) -> bool:
        """The node has the block, or never will; False if nothing was promised.

        The storage may be another than was promised: a DataNode chooses itself."""
        promises = self._promises.get(block_id)
        if promises is None:
            return False
        for at, (storage, num_bytes) in enumerate(promises):
            if storage.node is node:
                storage.scheduled_bytes -= num_bytes
                del promises[at]
                if not promises:
                    del self._promises[block_id]
                return True
        return False

    def drop(self, block_id: int) -> None:
        """The block is complete or gone: whoever has not got it will not."""
        for storage, num_bytes in self._promises.pop(block_id, ()):
            storage.scheduled_bytes -= num_bytes

    def __len__(self) -> int:
        return sum(map(len, self._promises.values()))
