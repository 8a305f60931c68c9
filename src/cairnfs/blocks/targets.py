"""Choosing storages for a writer: what it asked for, in terms of the placement policy."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.blocks.nodes import DatanodeDescriptor, StorageDescriptor
from cairnfs.blocks.parts import Parts
from cairnfs.blocks.placement import Placement, PlacementRequest
from cairnfs.blocks.storage_policy import storage_policy
from cairnfs.errors import FileSystemError


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """Who wants to write a block, and what about the choice of nodes is given.

    ``replicas`` more storages are wanted. ``client_host`` is the writer's address;
    ``favoured`` are ``host`` or ``host:port``; ``existing`` are (DataNode uuid, storage
    uuid) of nodes that have the block already; ``local`` allows the writer's own node."""

    path: str
    replicas: int
    block_size: int
    client_host: str = ""
    storage_policy: int = 0
    excluded: frozenset[str] = frozenset()
    favoured: tuple[str, ...] = ()
    existing: tuple[tuple[str, str], ...] = ()
    local: bool = True


class Targets:
    """Turns requests into placements, and failures into sentences."""

    def __init__(self, parts: Parts) -> None:
        self._registry = parts.registry
        self._policy = parts.policy
        self._view = parts.view
        self._minimum = parts.settings.replication_min

    def choose(self, request: TargetRequest) -> Placement:
        """Storages in pipeline order. Raises ``FileSystemError`` if fewer than the minimum
        replication would result; with nodes that exist already none at all is an answer."""
        placement = self._policy.choose(self._placement_request(request), self._view)
        held = len(request.existing)
        if len(placement.targets) + held < min(self._minimum, request.replicas + held):
            raise FileSystemError(self._sentence(request, placement))
        return placement

    def _placement_request(self, request: TargetRequest) -> PlacementRequest:
        writer: DatanodeDescriptor | None = None
        location: str | None = None
        if request.local and request.client_host:
            writer = next(iter(self._local_nodes(request)), None)
            location = self._registry.locate_host(request.client_host)
        return PlacementRequest(
            replicas=request.replicas,
            block_size=request.block_size,
            chosen=tuple(self._existing(request)),
            excluded=request.excluded,
            favoured=tuple(self._favoured(request)),
            writer=writer,
            writer_location=location,
            policy=storage_policy(request.storage_policy),
        )

    def _local_nodes(self, request: TargetRequest) -> list[DatanodeDescriptor]:
        """The nodes on the writer's host that it may use, in random order."""
        nodes = [
            node
            for node in self._registry.at_host(request.client_host)
            if node.registered and node.uuid not in request.excluded
        ]
        self._view.random.shuffle(nodes)
        return nodes

    def _existing(self, request: TargetRequest) -> list[StorageDescriptor]:
        found: list[StorageDescriptor] = []
        for datanode_uuid, storage_uuid in request.existing:
            node = self._registry.nodes.get(datanode_uuid)
            if node is None or not node.storages:
                continue
            first = next(iter(node.storages.values()))
            found.append(node.storages.get(storage_uuid, first))
        return found

    def _favoured(self, request: TargetRequest) -> list[DatanodeDescriptor]:
        """The live nodes that the names stand for; others are passed over."""
        found: list[DatanodeDescriptor] = []
        for name in request.favoured:
            host, _, port = name.rpartition(":")
            found += [
                node
                for node in self._registry.at_host(host or name)
                if not host or str(node.id.xfer_port) == port
            ]
        return found

    def _sentence(self, request: TargetRequest, placement: Placement) -> str:
        # Begins as Hadoop's does: people and tools know it.
        live = self._registry.totals.live_registered
        excluded = sum(
            1
            for uuid in request.excluded
            if (node := self._registry.nodes.get(uuid)) is not None and node.registered
        )
        found = len(placement.targets)
        text = (
            f"File {request.path} could only be written to {found} of the {self._minimum} "
            f"minReplication nodes. There are {live} datanode(s) running and {excluded} node(s) "
            "are excluded in this operation."
        )
        reasons = placement.reasons()
        if reasons:
            return f"{text} Not chosen: {reasons}"
        if not live:
            return f"{text} Start a DataNode, or wait until one has registered."
        return text
