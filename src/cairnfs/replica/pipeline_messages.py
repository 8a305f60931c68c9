"""What goes into a write pipeline's machine (events) and what comes out (decisions)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cairnfs.errors import CairnError
from cairnfs.types import DatanodeInfo, ExtendedBlock, StorageType, Token
from cairnfs.wire.transfer import Stage


@dataclass(frozen=True, slots=True)
class PipelineNode:
    """One node of the chain and the storage that the NameNode chose on it."""

    info: DatanodeInfo
    storage_id: str = ""
    storage_type: StorageType = StorageType.DISK

    @property
    def name(self) -> str:
        return self.info.id.xfer_addr


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: where its data starts in the block, how many bytes it has, whether it ends
    the block or demands a sync. ``payload`` is for the driver: what it puts on the wire."""

    seqno: int
    offset: int
    length: int
    last: bool = False
    sync: bool = False
    payload: Any = None

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class PipelineRules:
    """How a writer behaves when nodes fail. Times in milliseconds.

    ``policy`` is Hadoop's replace-datanode-on-failure policy: ``DEFAULT``, ``NEVER`` or
    ``ALWAYS``. ``min_replication`` > 0 lets a write go on with so many nodes where no
    replacement is found; ``best_effort`` with however many are left."""

    policy: str = "DEFAULT"
    best_effort: bool = True
    min_replication: int = 0
    recoveries_max: int = 5
    ack_timeout_ms: int = 60_000
    restart_timeout_ms: int = 30_000
    is_local: Callable[[PipelineNode], bool] = field(default=lambda node: False)

    def wants_replacement(
        self, replication: int, nodes: int, *, appended: bool, flushed: bool
    ) -> bool:
        """Whether a chain of ``nodes`` nodes should get another one."""
        if nodes == 0 or nodes >= replication or self.policy == "NEVER":
            return False
        if self.policy == "ALWAYS":
            return True
        return replication >= 3 and (nodes <= replication // 2 or appended or flushed)


# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Set the pipeline up."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class Write:
    """A packet to send: data, or the end of the block (``packet.last``)."""

    packet: Packet
    now_ms: int


@dataclass(frozen=True, slots=True)
class Hflushed:
    """The user was promised that data is visible: lost nodes matter more from now on."""


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """The chain answered the write operation with success."""

    attempt: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class LinkRefused:
    """The chain could not be set up; ``bad_index`` is the node to blame."""

    attempt: int
    bad_index: int
    reason: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The connection to the first node broke."""

    attempt: int
    reason: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Ack:
    """A ``PipelineAckProto``: one status for each node, the first node's first."""

    attempt: int
    seqno: int
    statuses: tuple[int, ...]
    now_ms: int


@dataclass(frozen=True, slots=True)
class TimePassed:
    now_ms: int


@dataclass(frozen=True, slots=True)
class GenerationGiven:
    """The NameNode gave a new generation stamp (and a token for it)."""

    stamp: int
    token: Token


@dataclass(frozen=True, slots=True)
class NodeGiven:
    """The NameNode's chain with one more node in it, and a token for the transfer."""

    nodes: tuple[PipelineNode, ...]
    token: Token


@dataclass(frozen=True, slots=True)
class NodeRefused:
    """The NameNode knows no further node."""

    reason: str


@dataclass(frozen=True, slots=True)
class TransferDone:
    """The new node holds a copy of the replica."""


@dataclass(frozen=True, slots=True)
class TransferFailed:
    reason: str


@dataclass(frozen=True, slots=True)
class PipelineUpdated:
    """The NameNode took note of the new chain."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class ControlFailed:
    """A call to the NameNode that the pipeline cannot do without failed for good."""

    error: CairnError


Event = (
    Start
    | Write
    | Hflushed
    | LinkOpened
    | LinkRefused
    | LinkLost
    | Ack
    | TimePassed
    | GenerationGiven
    | NodeGiven
    | NodeRefused
    | TransferDone
    | TransferFailed
    | PipelineUpdated
    | ControlFailed
)


# --- decisions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Send ``OP_WRITE_BLOCK`` to the first node; answer with LinkOpened or LinkRefused."""

    attempt: int
    block: ExtendedBlock
    nodes: tuple[PipelineNode, ...]
    stage: Stage
    generation_stamp: int
    bytes_acked: int
    bytes_sent: int
    token: Token


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Drop the connection and whatever is queued on it."""


@dataclass(frozen=True, slots=True)
class SendPacket:
    packet: Packet


@dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """Send an empty packet with sequence number -1."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Packet ``seqno`` is acknowledged by all, and with it ``bytes_acked`` of the block."""

    seqno: int
    bytes_acked: int


@dataclass(frozen=True, slots=True)
class AskGeneration:
    """``updateBlockForPipeline``; answer with GenerationGiven or ControlFailed."""

    block: ExtendedBlock


@dataclass(frozen=True, slots=True)
class AskNode:
    """``getAdditionalDatanode``; answer with NodeGiven or NodeRefused."""

    block: ExtendedBlock
    nodes: tuple[PipelineNode, ...]
    excluded: tuple[PipelineNode, ...]


@dataclass(frozen=True, slots=True)
class TransferReplica:
    """``OP_TRANSFER_BLOCK`` to ``source``; answer with TransferDone or TransferFailed."""

    block: ExtendedBlock
    source: PipelineNode
    target: PipelineNode
    token: Token


@dataclass(frozen=True, slots=True)
class UpdatePipeline:
    """``updatePipeline``; answer with PipelineUpdated or ControlFailed."""

    old: ExtendedBlock
    new: ExtendedBlock
    nodes: tuple[PipelineNode, ...]


@dataclass(frozen=True, slots=True)
class GiveUpBlock:
    """Nothing of this block is safe and nothing is lost: abandon it and ask the NameNode for
    another one without ``excluded``; its packets go to the next pipeline."""

    block: ExtendedBlock
    excluded: tuple[PipelineNode, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """All nodes have the whole block, which is as the NameNode must be told it."""

    block: ExtendedBlock


@dataclass(frozen=True, slots=True)
class Fail:
    """The write cannot go on."""

    error: CairnError


Decision = (
    OpenLink
    | CloseLink
    | SendPacket
    | SendHeartbeat
    | Progress
    | AskGeneration
    | AskNode
    | TransferReplica
    | UpdatePipeline
    | GiveUpBlock
    | Finished
    | Fail
)
