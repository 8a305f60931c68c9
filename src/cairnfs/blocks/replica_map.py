"""The two indexes of the replica store, changed together: block -> storages and back."""

from __future__ import annotations

from cairnfs.blocks import tables
from cairnfs.blocks.nodes import StorageDescriptor
from cairnfs.blocks.registry import NodeRegistry
from cairnfs.blocks.tables import Replicas
from cairnfs.store.interface import Writer


class ReplicaMap:
    """Who holds what. A block has at most one replica on a node."""

    def __init__(self, registry: NodeRegistry) -> None:
        self._registry = registry

    def add(
        self,
        tx: Writer,
        block_id: int,
        storage: StorageDescriptor,
        print_: int,
        flags: int = 0,
        replicas: Replicas | None = None,
    ) -> bool:
        """Note a replica with these flags; False if the storage held one already.

        A replica on another storage of the same node is struck off: it has moved.
        ``replicas`` are those of the block if the caller has just read them."""
        if replicas is None:
            replicas = tables.read_replicas(tx, block_id)
        kept: Replicas = []
        known: int | None = None
        for index, old_flags in replicas:
            if index == storage.index:
                known = old_flags
                continue
            other = self._registry.storages.get(index)
            if other is not None and other.node is storage.node:
                self._drop_row(tx, block_id, other)
                continue
            kept.append((index, old_flags))
        if known is None or known != flags or len(kept) + 1 != len(replicas):
            tables.write_replicas(tx, block_id, [*kept, (storage.index, flags)])
        if tables.put_storage_block(tx, storage.index, block_id, print_) and storage.counted:
            storage.blocks += 1
        return known is None

    def remove(self, tx: Writer, block_id: int, storage: StorageDescriptor) -> bool:
        """Strike a replica off; False if there was none."""
        replicas = tables.read_replicas(tx, block_id)
        kept = [replica for replica in replicas if replica[0] != storage.index]
        if len(kept) == len(replicas):
            return False
        tables.write_replicas(tx, block_id, kept)
        self._drop_row(tx, block_id, storage)
        return True

    def remove_all(self, tx: Writer, block_id: int) -> Replicas:
        """Strike a whole block off; answers the replicas it had."""
        replicas = tables.read_replicas(tx, block_id)
        if replicas:
            tables.write_replicas(tx, block_id, [])
        for index, _ in replicas:
            storage = self._registry.storages.get(index)
            if storage is not None:
                self._drop_row(tx, block_id, storage)
            else:
                tables.delete_storage_block(tx, index, block_id)
        return replicas

    def flag(
        self, tx: Writer, block_id: int, storage: StorageDescriptor, *, on: int = 0, off: int = 0
    ) -> None:
        """Set and clear flags of a replica that is there."""
        replicas = tables.read_replicas(tx, block_id)
        changed = [
            (index, (flags | on) & ~off if index == storage.index else flags)
            for index, flags in replicas
        ]
        if changed != replicas:
            tables.write_replicas(tx, block_id, changed)

    def _drop_row(self, tx: Writer, block_id: int, storage: StorageDescriptor) -> None:
        if tables.delete_storage_block(tx, storage.index, block_id) and storage.counted:
            storage.blocks -= 1
