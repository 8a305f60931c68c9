"""Operations of the data-transfer protocol, version 28 (Hadoop: ``datatransfer.proto``).

A request is 2 bytes of version, 1 byte of opcode and a varint-delimited protobuf message.
The dataclasses here are those messages; :func:`encode_request` and :func:`parse_request`
turn them into bytes and back. Answers: :mod:`cairnfs.wire.transfer_reply`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cairnfs.types import TOKEN_NONE, DatanodeInfo, ExtendedBlock, StorageType, Token
from cairnfs.wire.checksum import BlockChecksumType, DataChecksum

VERSION = 28


class Op(enum.IntEnum):
    """Opcodes that Cairn knows. Hadoop's 82 (``READ_METADATA``) and 127 (``CUSTOM``) are
    refused by Hadoop's own DataNode too."""

    WRITE_BLOCK = 80
    READ_BLOCK = 81
    REPLACE_BLOCK = 83
    COPY_BLOCK = 84
    BLOCK_CHECKSUM = 85
    TRANSFER_BLOCK = 86
    REQUEST_SHORT_CIRCUIT_FDS = 87
    RELEASE_SHORT_CIRCUIT_FDS = 88
    REQUEST_SHORT_CIRCUIT_SHM = 89
    BLOCK_GROUP_CHECKSUM = 90


class Stage(enum.IntEnum):
    """Why a pipeline is set up: ``OpWriteBlockProto.BlockConstructionStage``."""

    PIPELINE_SETUP_APPEND = 0
    PIPELINE_SETUP_APPEND_RECOVERY = 1
    DATA_STREAMING = 2
    PIPELINE_SETUP_STREAMING_RECOVERY = 3
    PIPELINE_CLOSE = 4
    PIPELINE_CLOSE_RECOVERY = 5
    PIPELINE_SETUP_CREATE = 6
    TRANSFER_RBW = 7
    TRANSFER_FINALIZED = 8


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """What follows a request from node to node, for logs."""

    trace_id: int = 0
    parent_id: int = 0
    span_context: bytes = b""


@dataclass(frozen=True, slots=True)
class CachingStrategy:
    """Hints about the page cache; None leaves it to the DataNode."""

    drop_behind: bool | None = None
    readahead_bytes: int | None = None


CACHING_DEFAULT = CachingStrategy()


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """``length`` bytes of a replica from ``offset``."""

    block: ExtendedBlock
    client_name: str
    offset: int
    length: int
    send_checksums: bool = True
    caching: CachingStrategy = CACHING_DEFAULT
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class WriteBlock:
    """Set up this node, and ``targets`` behind it, to receive a block.

    ``client_name`` is empty where another DataNode sends (a copy, not a pipeline);
    ``pipeline_size`` counts the nodes behind the client. The lists of types, ids and
    pinnings go with ``targets``; empty ones mean defaults."""

    block: ExtendedBlock
    client_name: str
    targets: tuple[DatanodeInfo, ...]
    stage: Stage
    pipeline_size: int
    min_bytes_received: int
    max_bytes_received: int
    latest_generation_stamp: int
    checksum: DataChecksum
    source: DatanodeInfo | None = None
    caching: CachingStrategy = CACHING_DEFAULT
    storage_type: StorageType = StorageType.DISK
    target_storage_types: tuple[StorageType, ...] = ()
    allow_lazy_persist: bool = False
    pinning: bool = False
    target_pinnings: tuple[bool, ...] = ()
    storage_id: str = ""
    target_storage_ids: tuple[str, ...] = ()
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None

    @property
    def is_datanode(self) -> bool:
        """Whether a DataNode, not a client, is writing."""
        return not self.client_name

    @property
    def is_transfer(self) -> bool:
        """Whether a replica is copied for a client's pipeline (``TRANSFER_BLOCK``)."""
        return self.stage in (Stage.TRANSFER_RBW, Stage.TRANSFER_FINALIZED)


@dataclass(frozen=True, slots=True)
class TransferBlock:
    """Copy a replica to ``targets`` on behalf of a client that lost a pipeline node."""

    block: ExtendedBlock
    client_name: str
    targets: tuple[DatanodeInfo, ...]
    target_storage_types: tuple[StorageType, ...] = ()
    target_storage_ids: tuple[str, ...] = ()
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class ReplaceBlock:
    """Fetch a replica from ``source``; the NameNode then drops it from node ``delete_hint``."""

    block: ExtendedBlock
    delete_hint: str
    source: DatanodeInfo
    storage_type: StorageType = StorageType.DISK
    storage_id: str = ""
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class CopyBlock:
    """Send a whole replica to the asking DataNode (the other end of ``ReplaceBlock``)."""

    block: ExtendedBlock
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class BlockChecksum:
    """The checksum of the first ``block.num_bytes`` bytes of a replica."""

    block: ExtendedBlock
    kind: BlockChecksumType = BlockChecksumType.MD5CRC
    stripe_length: int = 0
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class ErasureCodingPolicy:
    """A policy as a striped block names it."""

    id: int
    name: str = ""
    codec: str = ""
    data_units: int = 0
    parity_units: int = 0
    cell_size: int = 0


@dataclass(frozen=True, slots=True)
class BlockGroupChecksum:
    """The checksum of ``requested_bytes`` bytes of a striped block group."""

    block: ExtendedBlock
    nodes: tuple[DatanodeInfo, ...]
    node_tokens: tuple[Token, ...]
    policy: ErasureCodingPolicy
    block_indices: tuple[int, ...]
    requested_bytes: int
    kind: BlockChecksumType = BlockChecksumType.MD5CRC
    stripe_length: int = 0
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class ShmSlot:
    """One slot of a shared-memory segment (128-bit id)."""

    shm_id_hi: int
    shm_id_lo: int
    index: int


@dataclass(frozen=True, slots=True)
class RequestShortCircuitFds:
    """File descriptors of a replica, over a UNIX socket."""

    block: ExtendedBlock
    max_version: int
    slot: ShmSlot | None = None
    supports_receipt_verification: bool = False
    token: Token = TOKEN_NONE
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class ReleaseShortCircuitFds:
    """A client closed the replica of this slot."""

    slot: ShmSlot
    trace: TraceInfo | None = None


@dataclass(frozen=True, slots=True)
class RequestShortCircuitShm:
    """A new shared-memory segment for a client."""

    client_name: str
    trace: TraceInfo | None = None


Request = (
    ReadBlock
    | WriteBlock
    | TransferBlock
    | ReplaceBlock
    | CopyBlock
    | BlockChecksum
    | BlockGroupChecksum
    | RequestShortCircuitFds
    | ReleaseShortCircuitFds
    | RequestShortCircuitShm
)
