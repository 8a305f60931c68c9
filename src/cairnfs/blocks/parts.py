"""What the block layer consists of, built once and shared by the modules that decide."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.blocks.construction import OpenBlocks
from cairnfs.blocks.corruption import CorruptReplicas
from cairnfs.blocks.hosts import HostSets
from cairnfs.blocks.intents import Intents
from cairnfs.blocks.notices import Notice
from cairnfs.blocks.pending import PendingCopies
from cairnfs.blocks.placement import ClusterView, PlacementPolicy
from cairnfs.blocks.randomness import RandomSource
from cairnfs.blocks.recovery import Recoveries
from cairnfs.blocks.redundancy import Redundancy
from cairnfs.blocks.registry import NodeRegistry
from cairnfs.blocks.removals import Removals
from cairnfs.blocks.replica_map import ReplicaMap
from cairnfs.blocks.safemode import SafeMode
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.survey import Surveyor
from cairnfs.blocks.topology import Resolver


@dataclass(frozen=True, slots=True)
class Parts:
    """State, each piece with its own rules; no decisions that need several of them."""

    settings: BlockSettings
    pool_id: str
    registry: NodeRegistry
    replicas: ReplicaMap
    open_blocks: OpenBlocks
    corrupt: CorruptReplicas
    intents: Intents
    pending: PendingCopies
    policy: PlacementPolicy
    view: ClusterView
    surveyor: Surveyor
    removals: Removals
    redundancy: Redundancy
    recoveries: Recoveries
    safe_mode: SafeMode
    notices: list[Notice]


def build_parts(
    settings: BlockSettings,
    pool_id: str,
    random: RandomSource,
    resolve: Resolver,
    hosts: HostSets,
    policy: PlacementPolicy,
) -> Parts:
    registry = NodeRegistry(settings, resolve, hosts)
    replicas = ReplicaMap(registry)
    open_blocks = OpenBlocks()
    corrupt = CorruptReplicas()
    intents = Intents()
    pending = PendingCopies(intents, settings.pending_timeout_ms)
    view = ClusterView(registry.topology, registry.totals, settings, random)
    surveyor = Surveyor(registry)
    removals = Removals(replicas, surveyor, settings)
    return Parts(
        settings=settings,
        pool_id=pool_id,
        registry=registry,
        replicas=replicas,
        open_blocks=open_blocks,
        corrupt=corrupt,
        intents=intents,
        pending=pending,
        policy=policy,
        view=view,
        surveyor=surveyor,
        removals=removals,
        redundancy=Redundancy(surveyor, removals, pending, corrupt, policy, view),
        recoveries=Recoveries(pool_id, open_blocks, settings),
        safe_mode=SafeMode(settings),
        notices=[],
    )
