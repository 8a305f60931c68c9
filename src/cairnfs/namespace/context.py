"""What every operation of the namespace is given beside its transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cairnfs.namespace.leases import LeaseTable
from cairnfs.namespace.names import Names
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.store.interface import Reader


class ReplicaView(Protocol):
    """What the namespace asks the block layer: how many replicas are there."""

    def live_replicas(self, block_id: int, /) -> int:
        """Usable replicas (live ones and those on nodes that are being taken out)."""
        ...

    def expected_locations(self, block_id: int, /) -> int:
        """Of how many DataNodes one knows that they write, or hold, the block."""
        ...

    def live_datanodes(self) -> int: ...


@dataclass(slots=True)
class Namespace:
    """The settings, and what is kept in memory: names and lease renewals."""

    settings: NamespaceSettings = field(default_factory=NamespaceSettings)
    names: Names = field(default_factory=Names)
    leases: LeaseTable = field(init=False)

    def __post_init__(self) -> None:
        self.leases = LeaseTable(
            self.settings.lease_soft_limit_ms,
            self.settings.lease_hard_limit_ms,
            self.settings.block_recovery_timeout_ms,
        )

    def load(self, tx: Reader, now_ms: int) -> None:
        """Fill what is kept in memory: once at the start, or when becoming active."""
        self.names.load(tx)
        self.leases.load(tx, now_ms)
