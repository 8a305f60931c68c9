"""The values that every layer shares: blocks, replicas, nodes, files.

Frozen, slotted dataclasses without behaviour beyond what they are. Names and
meanings are Apache Hadoop's; how they look on the wire is known by
:mod:`cairnfs.wire` alone. Lengths are bytes, times are milliseconds since the
epoch, modes are POSIX permission bits (``0o1777`` at most).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

# A generation stamp below this one belongs to no block that any NameNode made.
GENERATION_STAMP_FIRST = 1000
# Block ids count up from here (HDFS-4645: ids below belong to random legacy blocks).
BLOCK_ID_FIRST = 1073741824
INODE_ID_ROOT = 16385
INODE_ID_NONE = 0
# "Not set yet" for a length that only block recovery can tell.
LENGTH_UNKNOWN = -1


class StorageType(enum.IntEnum):
    """Medium of a storage; numbers of ``StorageTypeProto``."""

    DISK = 1
    SSD = 2
    ARCHIVE = 3
    RAM_DISK = 4
    PROVIDED = 5
    NVDIMM = 6


class StorageState(enum.IntEnum):
    """Whether a storage takes new replicas; numbers of ``DatanodeStorageProto``."""

    NORMAL = 0
    READ_ONLY_SHARED = 1


class ReplicaState(enum.IntEnum):
    """Life of one replica on a DataNode; numbers of ``ReplicaStateProto``."""

    FINALIZED = 0
    RBW = 1
    RWR = 2
    RUR = 3
    TEMPORARY = 4


class AdminState(enum.IntEnum):
    """What the operator wants of a DataNode; numbers of ``DatanodeInfoProto``."""

    NORMAL = 0
    DECOMMISSION_INPROGRESS = 1
    DECOMMISSIONED = 2
    ENTERING_MAINTENANCE = 3
    IN_MAINTENANCE = 4


class ChecksumType(enum.IntEnum):
    """Numbers of ``ChecksumTypeProto`` (CRC32 is zlib's, CRC32C Castagnoli's)."""

    NULL = 0
    CRC32 = 1
    CRC32C = 2


class CreateFlag(enum.IntFlag):
    """How a file is created or appended to; numbers of ``CreateFlagProto``."""

    CREATE = 0x01
    OVERWRITE = 0x02
    APPEND = 0x04
    LAZY_PERSIST = 0x10
    NEW_BLOCK = 0x20
    SHOULD_REPLICATE = 0x80


class FileType(enum.IntEnum):
    """Numbers of ``HdfsFileStatusProto.FileType``."""

    DIRECTORY = 1
    FILE = 2
    SYMLINK = 3


@dataclass(frozen=True, slots=True)
class Block:
    """A block apart from its pool; ``num_bytes`` may be ``LENGTH_UNKNOWN``."""

    block_id: int
    generation_stamp: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class ExtendedBlock:
    """A block of one block pool: what clients and DataNodes name to each other."""

    pool_id: str
    block_id: int
    generation_stamp: int
    num_bytes: int

    @property
    def block(self) -> Block:
        return Block(self.block_id, self.generation_stamp, self.num_bytes)


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica as a DataNode reports it."""

    block: Block
    state: ReplicaState


class BlockState(enum.IntEnum):
    """Life of one block in the namespace (Hadoop's ``BlockUCState``)."""

    COMPLETE = 0
    UNDER_CONSTRUCTION = 1
    UNDER_RECOVERY = 2
    COMMITTED = 3


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What the namespace says about one block, whoever holds its replicas.

    ``replication`` is the largest its file (or a snapshot of it) asks for;
    ``num_bytes`` is 0 until the writer commits the block."""

    block_id: int
    generation_stamp: int
    num_bytes: int
    replication: int
    state: BlockState = BlockState.COMPLETE
    storage_policy: int = 0


@dataclass(frozen=True, slots=True)
class DatanodeID:
    """Identity and addresses of one DataNode."""

    ip_addr: str
    host_name: str
    datanode_uuid: str
    xfer_port: int
    info_port: int
    ipc_port: int
    info_secure_port: int = 0

    @property
    def xfer_addr(self) -> str:
        return f"{self.ip_addr}:{self.xfer_port}"


@dataclass(frozen=True, slots=True)
class DatanodeInfo:
    """A DataNode as the NameNode describes it to clients and other DataNodes."""

    id: DatanodeID
    capacity: int = 0
    dfs_used: int = 0
    remaining: int = 0
    block_pool_used: int = 0
    non_dfs_used: int = 0
    last_update_ms: int = 0
    xceiver_count: int = 0
    location: str = "/default-rack"
    admin_state: AdminState = AdminState.NORMAL
    cache_capacity: int = 0
    cache_used: int = 0
    last_block_report_ms: int = 0
    num_blocks: int = 0
    software_version: str = ""
    upgrade_domain: str | None = None


@dataclass(frozen=True, slots=True)
class DatanodeStorage:
    """One storage of a DataNode; in Cairn a group of volumes."""

    storage_uuid: str
    state: StorageState = StorageState.NORMAL
    storage_type: StorageType = StorageType.DISK


@dataclass(frozen=True, slots=True)
class StorageReport:
    """Space of one storage, in bytes."""

    storage: DatanodeStorage
    failed: bool
    capacity: int
    dfs_used: int
    remaining: int
    block_pool_used: int
    non_dfs_used: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A delegation or block token; all empty under simple authentication."""

    identifier: bytes = b""
    password: bytes = b""
    kind: str = ""
    service: str = ""


TOKEN_NONE = Token()


@dataclass(frozen=True, slots=True)
class LocatedBlock:
    """A block, where in its file it starts, and who holds it (nearest first)."""

    block: ExtendedBlock
    offset: int
    locations: tuple[DatanodeInfo, ...]
    storage_ids: tuple[str, ...] = ()
    storage_types: tuple[StorageType, ...] = ()
    corrupt: bool = False
    token: Token = TOKEN_NONE
    cached: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class LocatedBlocks:
    """The blocks of a range of one file."""

    file_length: int
    blocks: tuple[LocatedBlock, ...]
    under_construction: bool
    last_block: LocatedBlock | None
    is_last_block_complete: bool


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What ``stat`` tells. ``name`` is the last path component (empty for the path
    that was asked for itself); ``children`` is -1 for what is no directory."""

    file_type: FileType
    name: bytes
    length: int
    mode: int
    owner: str
    group: str
    modification_time_ms: int
    access_time_ms: int
    replication: int
    block_size: int
    inode_id: int
    children: int = -1
    symlink: bytes = b""
    storage_policy: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class ContentSummary:
    """Totals of one subtree; quotas are -1 where unset. What only snapshots hold is part of
    the totals and told once more by itself."""

    length: int
    file_count: int
    directory_count: int
    space_consumed: int
    quota: int = -1
    space_quota: int = -1
    snapshot_length: int = 0
    snapshot_file_count: int = 0
    snapshot_directory_count: int = 0
    snapshot_space_consumed: int = 0


@dataclass(frozen=True, slots=True)
class FsServerDefaults:
    """What a client should assume where its user said nothing."""

    block_size: int
    bytes_per_checksum: int
    write_packet_size: int
    replication: int
    file_buffer_size: int
    encrypt_data_transfer: bool
    trash_interval_min: int
    checksum_type: ChecksumType


@dataclass(frozen=True, slots=True)
class NamespaceInfo:
    """Identity of one namespace: what a DataNode binds itself to."""

    namespace_id: int
    cluster_id: str
    pool_id: str
    creation_time_ms: int
    build_version: str
    software_version: str
    layout_version: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the user the call acts for, and what the peer is."""

    user: str
    groups: tuple[str, ...]
    superuser: bool
    address: str
