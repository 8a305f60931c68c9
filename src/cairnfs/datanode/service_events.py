"""What a DataNode hears about one NameNode, and what it does: see
:mod:`cairnfs.datanode.service_state`."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cairnfs.datanode.incremental import FactBatch, ReplicaFact


class Failure(enum.Enum):
    """Why a call came to nothing, as far as the next step depends on it."""

    UNREACHABLE = "unreachable"
    UNREGISTERED = "unregistered"
    DISALLOWED = "disallowed"
    LEASE_INVALID = "lease invalid"
    OTHER = "other"


# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class NamespaceAccepted:
    """The NameNode answered versionRequest and fits this DataNode."""


@dataclass(frozen=True, slots=True)
class NamespaceRefused:
    """The NameNode belongs to another cluster or version. ``reason``: one sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Registered:
    """registerDatanode was answered."""


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """versionRequest or registerDatanode failed."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class HeartbeatAnswered:
    """``lease_id`` allows a full report if not 0; ``register`` was ordered."""

    lease_id: int = 0
    register: bool = False


@dataclass(frozen=True, slots=True)
class HeartbeatFailed:
    failure: Failure


@dataclass(frozen=True, slots=True)
class FactsHappened:
    """Replicas began, were finished, or went, in this order."""

    facts: tuple[ReplicaFact, ...]


@dataclass(frozen=True, slots=True)
class FactsDelivered:
    """An incremental report was answered."""

    number: int


@dataclass(frozen=True, slots=True)
class FactsFailed:
    number: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class FullReportDelivered:
    """Every message of the full report was answered."""


@dataclass(frozen=True, slots=True)
class FullReportFailed:
    failure: Failure


@dataclass(frozen=True, slots=True)
class ReportWanted:
    """An operator or the NameNode wants a report now."""

    incremental: bool


ServiceEvent = (
    Tick
    | NamespaceAccepted
    | NamespaceRefused
    | Registered
    | HandshakeFailed
    | HeartbeatAnswered
    | HeartbeatFailed
    | FactsHappened
    | FactsDelivered
    | FactsFailed
    | FullReportDelivered
    | FullReportFailed
    | ReportWanted
)


# --- actions -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskVersion:
    """Call versionRequest; answer with NamespaceAccepted, -Refused or HandshakeFailed."""


@dataclass(frozen=True, slots=True)
class Register:
    """Call registerDatanode; answer with Registered or HandshakeFailed."""


@dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """Call sendHeartbeat; ``want_lease`` asks to be allowed a full report."""

    want_lease: bool


@dataclass(frozen=True, slots=True)
class SendFacts:
    """Call blockReceivedAndDeleted; answer with FactsDelivered or FactsFailed."""

    batch: FactBatch


@dataclass(frozen=True, slots=True)
class SendFullReport:
    """List all replicas and call blockReport under ``lease_id`` (0: an ordered report)."""

    lease_id: int


ServiceAction = AskVersion | Register | SendHeartbeat | SendFacts | SendFullReport
