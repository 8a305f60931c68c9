"""Hadoop's default placement: the writer's node, another rack, that rack again, anywhere.

Random picks draw two candidates and take the one that will be emptier once what is
promised has been written, so that a new node fills up without being flooded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.placement import (
    PASSES,
    ClusterView,
    Placement,
    PlacementRequest,
    node_free_share,
    refuse_node,
    storage_on,
)
from cairnfs.blocks.topology import rack_distance
from cairnfs.types import StorageType

# Lists up to this long are shuffled; in longer ones a few draws mostly suffice.
_SHUFFLE_MAX = 32
_DRAWS = 12
# Shares of free space that differ by less are the same.
_SHARE_TOLERANCE = 0.05


class DefaultPlacement:
    """The policy as an object without state."""

    def choose(self, request: PlacementRequest, view: ClusterView) -> Placement:
        result = Placement()
        if request.replicas <= 0:
            return result
        unavailable: set[StorageType] = set()
        while True:
            held = [*request.chosen, *result.targets]
            left = request.replicas - len(result.targets)
            types = request.policy.missing(
                len(request.chosen) + request.replicas,
                [storage.storage_type for storage in held],
                unavailable,
                new_block=request.new_block,
            )[:left]
            search = _Search(request, view, result, types)
            search.run()
            if not search.types or set(search.types) <= unavailable:
                break
            # Another medium may stand in for what no node has room on.
            unavailable.update(search.types)
        for target in result.targets:
            result.refused.pop(target.node.id.xfer_addr, None)
        result.targets = _pipeline(result.targets, request)
        return result

    def choose_excess(
        self,
        candidates: Sequence[StorageDescriptor],
        live: Sequence[StorageDescriptor],
        hint: str | None,
        view: ClusterView,
    ) -> StorageDescriptor:
        in_rack: dict[str, int] = {}
        for storage in live:
            location = storage.node.location
            in_rack[location] = in_rack.get(location, 0) + 1
        crowded = [one for one in candidates if in_rack[one.node.location] > 1]
        # With more racks than wanted, a rack may go as well.
        enough = len(in_rack) > self.racks_wanted(len(live) - 1, view)
        pool = list(candidates) if enough or not crowded else crowded
        for storage in pool:
            if storage.node.uuid == hint:
                return storage
        pool = crowded or pool
        return min(
            pool,
            key=lambda one: (not one.node.stale, node_free_share(one.node), one.node.uuid),
        )

    def racks_wanted(self, replication: int, view: ClusterView) -> int:
        return min(2, replication, max(1, view.topology.rack_count))


class _Search:
    """One attempt to find storages for a list of media; adds to ``result.targets``.

    What could not be found stays in ``types``."""

    def __init__(
        self,
        request: PlacementRequest,
        view: ClusterView,
        result: Placement,
        types: list[StorageType],
    ) -> None:
        self.request = request
        self.view = view
        self.result = result
        self.types = types
        self.taken = {storage.node.uuid for storage in (*request.chosen, *result.targets)}
        self.rack_max = self._rack_max()
        self.wishes = PASSES[0]

    def run(self) -> None:
        for wishes in PASSES:
            self.wishes = wishes
            while self.types and self._one_more():
                pass
            if not self.types:
                return

    @property
    def _held(self) -> list[StorageDescriptor]:
        return [*self.request.chosen, *self.result.targets]

    def _rack_max(self) -> int:
        """Replicas that may stand in one rack: all racks get some of many."""
        total = len(self.request.chosen) + self.request.replicas
        total = min(total, len(self.view.topology))
        racks = self.view.topology.rack_count
        if racks <= 1 or total <= 1:
            return max(total, 1)
        most = (total - 1) // racks + 2
        return most - 1 if most == total else most

    def _one_more(self) -> bool:
        """Choose the next storage by how many there are already."""
        request, held = self.request, self._held
        for node in request.favoured:
            if self._take(node):
                return True
        if not held:
            if request.writer is not None and self._take(request.writer):
                return True
            location = request.writer_location
            return (location is not None and self._any_in(location)) or self._anywhere()
        first = held[0].node.location
        if len(held) == 1:
            return self._elsewhere(first) or self._anywhere()
        if len(held) == 2:
            second = held[1].node.location
            if first == second:
                return self._elsewhere(first) or self._anywhere()
            near = second
            if not request.new_block and request.writer is not None:
                near = request.writer.location
            return self._any_in(near) or self._anywhere()
        return self._anywhere()

    def _any_in(self, location: str) -> bool:
        return self._draw(self.view.topology.rack(location), None)

    def _elsewhere(self, location: str) -> bool:
        if self.view.topology.rack_count <= 1:
            return False  # without looking at every node for one that is not there
        return self._draw(self.view.topology.nodes, location)

    def _anywhere(self) -> bool:
        return self._draw(self.view.topology.nodes, None)

    def _draw(self, scope: Sequence[DatanodeDescriptor], other_than: str | None) -> bool:
        """Take the emptier of two random nodes of ``scope`` that would do."""
        best: StorageDescriptor | None = None
        for node in self._shuffled(scope):
            if other_than is not None and node.location == other_than:
                continue
            storage = self._fits(node)
            if storage is None:
                continue
            if best is None:
                best = storage
                continue
            gain = node_free_share(node) - node_free_share(best.node)
            if gain > _SHARE_TOLERANCE:
                best = storage
            break
        if best is None:
            return False
        self._accept(best)
        return True

    def _shuffled(self, scope: Sequence[DatanodeDescriptor]) -> Iterator[DatanodeDescriptor]:
        """The nodes in random order, none twice, without copying a long list in vain."""
        random = self.view.random
        drawn: set[str] = set()
        if len(scope) > _SHUFFLE_MAX:
            for _ in range(_DRAWS):
                node = random.choice(scope)
                if node.uuid not in drawn:
                    drawn.add(node.uuid)
                    yield node
        rest = [node for node in scope if node.uuid not in drawn]
        random.shuffle(rest)
        yield from rest

    def _take(self, node: DatanodeDescriptor) -> bool:
        if node not in self.view.topology:
            return False
        storage = self._fits(node)
        if storage is None:
            return False
        self._accept(storage)
        return True

    def _fits(self, node: DatanodeDescriptor) -> StorageDescriptor | None:
        if node.uuid in self.taken:
            return None
        reason = refuse_node(node, self.request, self.view, self.wishes)
        if reason is None and self.wishes.racks and self._rack_full(node.location):
            reason = f"its rack {node.location} has enough replicas"
        if reason is None:
            for kind in dict.fromkeys(self.types):
                storage = storage_on(node, kind, self.request.block_size)
                if storage is not None:
                    return storage
            kinds = ", ".join(kind.name for kind in dict.fromkeys(self.types))
            reason = f"no {kinds} storage with {self.request.block_size} bytes free"
        self.result.refused[node.id.xfer_addr] = reason
        return None

    def _rack_full(self, location: str) -> bool:
        here = sum(1 for storage in self._held if storage.node.location == location)
        return here >= self.rack_max

    def _accept(self, storage: StorageDescriptor) -> None:
        self.result.targets.append(storage)
        self.taken.add(storage.node.uuid)
        self.types.remove(storage.storage_type)


def _pipeline(
    targets: list[StorageDescriptor], request: PlacementRequest
) -> list[StorageDescriptor]:
    """Order targets so that each hop is short, beginning at the writer."""
    if len(targets) < 2:
        return targets
    left = list(targets)
    ordered: list[StorageDescriptor] = []
    node, location = request.writer, request.writer_location
    while left:
        here, rack = node, location

        def distance(
            storage: StorageDescriptor,
            here: DatanodeDescriptor | None = here,
            rack: str | None = rack,
        ) -> int:
            if storage.node is here:
                return 0
            return rack_distance(rack, storage.node.location) if rack is not None else 0

        nearest = min(left, key=distance)
        left.remove(nearest)
        ordered.append(nearest)
        node, location = nearest.node, nearest.node.location
    return ordered
