"""Where a block can be read: the hottest question. One get, the rest from memory."""

from __future__ import annotations

from cairnfs.blocks import tables
from cairnfs.blocks.construction import OpenBlocks
from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.randomness import RandomSource
from cairnfs.blocks.registry import NodeRegistry
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.topology import DISTANCE_SAME_HOST, rack_distance
from cairnfs.store.interface import Reader
from cairnfs.types import (
    AdminState,
    BlockFacts,
    BlockState,
    ExtendedBlock,
    LocatedBlock,
)

_PENALTY_STALE = 1 << 20
_PENALTY_OUT_OF_SERVICE = 1 << 21
_PENALTY_GOING = 1 << 22

# Storages with their distance, nearest first.
Ranked = list[tuple[int, StorageDescriptor]]


class Locator:
    """Answers with the nearest live replica first, doubtful ones last."""

    def __init__(
        self,
        pool_id: str,
        registry: NodeRegistry,
        open_blocks: OpenBlocks,
        settings: BlockSettings,
        random: RandomSource,
    ) -> None:
        self._pool_id = pool_id
        self._registry = registry
        self._open = open_blocks
        self._avoid_stale = settings.avoid_stale_read
        self._random = random

    @property
    def racks_version(self) -> int:
        """Changes when a host may stand elsewhere than before."""
        return self._registry.racks_version

    def nodes_of(self, replicas: bytes) -> list[DatanodeDescriptor]:
        """The known nodes of a packed record of the replica map, usable or not."""
        known = self._registry.storages
        return [
            known[index].node for index, _ in tables.unpack_replicas(replicas) if index in known
        ]

    def storages(
        self, tx: Reader, facts: BlockFacts, client_host: str
    ) -> tuple[list[StorageDescriptor], bool]:
        """Who can be read from, nearest first, and whether all replicas are corrupt."""
        ranked, corrupt = self.rank(tx, facts, client_host)
        return [storage for _, storage in ranked], corrupt

    def rank(self, tx: Reader, facts: BlockFacts, client_host: str) -> tuple[Ranked, bool]:
        """The same with how far each is; those that are equally far in random order."""
        if facts.state != BlockState.COMPLETE:
            block = self._open.get(facts.block_id)
            if block is not None and block.replicas:
                writing = [one for one in block.storages if one.serves]
                return self._by_distance(writing, client_host, {}), False
        good: list[StorageDescriptor] = []
        corrupt: list[StorageDescriptor] = []
        going: dict[int, int] = {}
        known = self._registry.storages
        for index, flags in tables.read_replicas(tx, facts.block_id):
            storage = known.get(index)
            if storage is None or storage.failed or not storage.node.alive:
                continue
            if flags & tables.CORRUPT:
                corrupt.append(storage)
                continue
            if flags & tables.DELETING:
                going[index] = _PENALTY_GOING
            good.append(storage)
        all_corrupt = bool(corrupt) and not good
        return self._by_distance(corrupt if all_corrupt else good, client_host, going), all_corrupt

    def locate(
        self,
        tx: Reader,
        facts: BlockFacts,
        offset: int,
        client_host: str,
        wall_offset_ms: int,
    ) -> LocatedBlock:
        """The same as clients are told it."""
        storages, corrupt = self.storages(tx, facts, client_host)
        return self.located(facts, offset, storages, wall_offset_ms, corrupt=corrupt)

    def located(
        self,
        facts: BlockFacts,
        offset: int,
        storages: list[StorageDescriptor],
        wall_offset_ms: int,
        *,
        corrupt: bool = False,
    ) -> LocatedBlock:
        """A block with given storages, in their order."""
        return LocatedBlock(
            block=ExtendedBlock(
                self._pool_id, facts.block_id, facts.generation_stamp, facts.num_bytes
            ),
            offset=offset,
            locations=tuple([storage.node.info(wall_offset_ms) for storage in storages]),
            storage_ids=tuple([storage.uuid for storage in storages]),
            storage_types=tuple([storage.storage_type for storage in storages]),
            corrupt=corrupt,
        )

    def _by_distance(
        self, storages: list[StorageDescriptor], client_host: str, going: dict[int, int]
    ) -> Ranked:
        if len(storages) < 2:
            return [(0, storage) for storage in storages]
        draw = self._random.random
        client_rack: str | None = None
        keyed: list[tuple[int, float, int, StorageDescriptor]] = []
        for at, storage in enumerate(storages):
            node = storage.node
            if client_host == node.id.ip_addr or client_host == node.id.host_name:
                key = DISTANCE_SAME_HOST
            else:
                if client_rack is None:
                    client_rack = self._registry.locate_host(client_host)
                key = rack_distance(client_rack, node.location)
            if node.stale and self._avoid_stale:
                key += _PENALTY_STALE
            if node.admin_state != AdminState.NORMAL:
                key += _PENALTY_OUT_OF_SERVICE
            if going:
                key += going.get(storage.index, 0)
            # Equals in random order: readers of one file spread over its replicas.
            keyed.append((key, draw(), at, storage))
        keyed.sort()
        return [(key, storage) for key, _, _, storage in keyed]
