"""How the replicas of one block stand now, counted from the map and the nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from cairnfs.blocks import tables
from cairnfs.blocks.nodes import StorageDescriptor
from cairnfs.blocks.registry import NodeRegistry
from cairnfs.store.interface import Reader
from cairnfs.types import AdminState

_LEAVING = (AdminState.DECOMMISSION_INPROGRESS, AdminState.DECOMMISSIONED)


@dataclass(slots=True)
class Survey:
    """The replicas of a block by what they are worth. Each is in one list only, but for
    ``fresh``, which is the part of ``live`` on whose account others may be deleted."""

    live: list[StorageDescriptor] = field(default_factory=list)
    fresh: list[StorageDescriptor] = field(default_factory=list)
    corrupt: list[StorageDescriptor] = field(default_factory=list)
    excess: list[StorageDescriptor] = field(default_factory=list)
    leaving: list[StorageDescriptor] = field(default_factory=list)
    maintenance: list[StorageDescriptor] = field(default_factory=list)
    dead: list[StorageDescriptor] = field(default_factory=list)
    # Of the dead: those that may still come back without anything being copied.
    in_grace: int = 0

    @property
    def readable(self) -> list[StorageDescriptor]:
        """All that a copy can be made from."""
        return [*self.live, *self.maintenance, *self.leaving, *self.excess]

    def live_wanted(self, replication: int) -> int:
        """Live replicas that suffice: those in maintenance stand for others, not for all."""
        if not self.maintenance:
            return replication
        return max(min(1, replication), replication - len(self.maintenance))


class Surveyor:
    """Counts replicas; holds no state of its own."""

    def __init__(self, registry: NodeRegistry) -> None:
        self._storages = registry.storages

    def plain(self, tx: Reader, block_id: int) -> list[StorageDescriptor] | None:
        """The replicas of a block, if there is nothing to say of any but that it is live
        (fresh or not).

        So it is with almost all blocks, and it takes a third of a survey's time."""
        live: list[StorageDescriptor] = []
        for index, flags in tables.read_replicas(tx, block_id):
            storage = self._storages.get(index)
            if flags & ~tables.UNCONFIRMED or storage is None or storage.failed:
                return None
            node = storage.node
            if (
                not node.alive
                or node.admin_state != AdminState.NORMAL
                or block_id in node.invalidate
                or block_id in node.deleting
            ):
                return None
            live.append(storage)
        return live

    def survey(self, tx: Reader, block_id: int) -> Survey:
        survey = Survey()
        for index, flags in tables.read_replicas(tx, block_id):
            storage = self._storages.get(index)
            if storage is None:
                continue
            node = storage.node
            if not node.alive or storage.failed:
                survey.dead.append(storage)
                if not storage.failed and not node.buried:
                    survey.in_grace += not flags & (tables.CORRUPT | tables.DELETING)
            elif flags & tables.CORRUPT:
                survey.corrupt.append(storage)
            elif flags & tables.DELETING or node.doomed(block_id):
                survey.excess.append(storage)
            elif node.admin_state == AdminState.NORMAL:
                survey.live.append(storage)
                if storage.reported and not node.stale and not flags & tables.UNCONFIRMED:
                    survey.fresh.append(storage)
            elif node.admin_state in _LEAVING:
                survey.leaving.append(storage)
            else:
                survey.maintenance.append(storage)
        return survey
