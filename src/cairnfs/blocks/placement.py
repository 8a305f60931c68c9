"""Where new replicas go and which surplus one goes away: the interface and its parts.

A policy is asked with a request and a view of the cluster and answers storages. Hadoop's
default is in :mod:`default_placement`; another one needs only these two methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.randomness import RandomSource
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.storage_policy import HOT, StoragePolicy
from cairnfs.blocks.topology import NetworkTopology
from cairnfs.blocks.totals import ClusterTotals
from cairnfs.types import StorageState, StorageType

# Nodes that an error message explains one by one; more are counted.
_REASONS_NAMED_MAX = 10
# Below so many open transfers no node is called overloaded, whatever the mean is.
_LOAD_ALWAYS_FINE = 8


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """``replicas`` more storages for a block of at most ``block_size`` bytes.

    ``chosen`` hold a replica already (or are promised one) and are not chosen again;
    ``writer`` is the DataNode on the writer's host, ``writer_location`` its rack."""

    replicas: int
    block_size: int
    chosen: tuple[StorageDescriptor, ...] = ()
    excluded: frozenset[str] = frozenset()
    favoured: tuple[DatanodeDescriptor, ...] = ()
    writer: DatanodeDescriptor | None = None
    writer_location: str | None = None
    policy: StoragePolicy = HOT
    new_block: bool = True
    # The block and its file, for policies that place by hashing; 0 if not known yet.
    block_id: int = 0


@dataclass(slots=True)
class Placement:
    """Storages in pipeline order; fewer than asked for where nodes are lacking.

    ``refused`` says of every node that was looked at in vain why, by its address."""

    targets: list[StorageDescriptor] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def reasons(self) -> str:
        """Why nodes were refused, in one sentence for a person."""
        if not self.refused:
            return ""
        named = [f"{addr}: {why}" for addr, why in list(self.refused.items())[:_REASONS_NAMED_MAX]]
        more = len(self.refused) - len(named)
        return "; ".join(named) + (f"; and {more} more" if more else "")


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What a policy may look at."""

    topology: NetworkTopology[DatanodeDescriptor]
    totals: ClusterTotals
    settings: BlockSettings
    random: RandomSource


class PlacementPolicy(Protocol):
    """Chooses storages. Draws from ``view.random`` only."""

    def choose(self, request: PlacementRequest, view: ClusterView) -> Placement:
        """Up to ``request.replicas`` storages, the writer's nearest first."""
        ...

    def choose_excess(
        self,
        candidates: Sequence[StorageDescriptor],
        live: Sequence[StorageDescriptor],
        hint: str | None,
        view: ClusterView,
    ) -> StorageDescriptor:
        """Which of ``candidates`` (not empty, part of ``live``) to remove.

        ``hint`` is the uuid of a node that would like to be rid of its replica."""
        ...

    def racks_wanted(self, replication: int, view: ClusterView) -> int:
        """In how many racks the replicas of a block should stand at least."""
        ...


@dataclass(frozen=True, slots=True)
class Strictness:
    """Which wishes must hold in one pass; they are given up one after another."""

    stale: bool
    load: bool
    racks: bool


# Copies in less good places are better than no copies.
PASSES = (
    Strictness(stale=True, load=True, racks=True),
    Strictness(stale=True, load=False, racks=True),
    Strictness(stale=False, load=False, racks=True),
    Strictness(stale=False, load=False, racks=False),
)


def room_of(storage: StorageDescriptor) -> int:
    """Bytes that are neither used nor promised."""
    return storage.remaining - storage.scheduled_bytes


def free_share(storage: StorageDescriptor) -> float:
    """The share of a storage that will be free when all promises are kept."""
    capacity = storage.capacity
    return room_of(storage) / capacity if capacity > 0 else 0.0


def node_free_share(node: DatanodeDescriptor) -> float:
    """The same for a whole node; space about to be freed counts as free."""
    if node.capacity <= 0:
        return 0.0
    scheduled = sum(storage.scheduled_bytes for storage in node.storages.values())
    return (node.remaining + node.freeing_bytes - scheduled) / node.capacity


def refuse_node(
    node: DatanodeDescriptor, request: PlacementRequest, view: ClusterView, wishes: Strictness
) -> str | None:
    """Why a node cannot be chosen now, whatever it stores on; None if it can."""
    if node.uuid in request.excluded:
        return "excluded by the client"
    if not node.in_service:
        return f"not in service ({node.admin_state.name.lower().replace('_', ' ')})"
    if node.doomed(request.block_id):
        return "removing its replica of this block"
    if wishes.stale and view.settings.avoid_stale_write and node.stale:
        return "silent for too long"
    if wishes.load and view.settings.consider_load:
        bound = max(_LOAD_ALWAYS_FINE, view.totals.mean_load * view.settings.load_factor)
        if node.xceivers > bound:
            return f"too busy ({node.xceivers} transfers)"
    return None


def storage_on(
    node: DatanodeDescriptor, kind: StorageType, block_size: int
) -> StorageDescriptor | None:
    """The emptiest storage of this medium with room for a block."""
    best: StorageDescriptor | None = None
    for storage in node.storages.values():
        if (
            storage.storage_type == kind
            and not storage.failed
            and storage.state == StorageState.NORMAL
            and room_of(storage) >= block_size
            and (best is None or free_share(storage) > free_share(best))
        ):
            best = storage
    return best
