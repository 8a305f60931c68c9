"""Keys of the DataNode, with Hadoop's names where Hadoop has one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from cairnfs.config.key import Key, boolean, duration_ms, integer, size, text, words
from cairnfs.config.keys import SUPERUSER_GROUP as SUPERUSER_GROUP
from cairnfs.types import StorageType


@dataclass(frozen=True, slots=True)
class DataDir:
    """One directory for blocks and the medium it is on."""

    path: str
    storage_type: StorageType = StorageType.DISK


def data_dirs(value: str) -> tuple[DataDir, ...]:
    """Parse ``[SSD]/fast,[DISK]file:///slow,/other``. Raises ``ValueError``."""
    found: list[DataDir] = []
    for word in words(value):
        match = re.fullmatch(r"(?:\[(\w+)\])?(.+)", word)
        if match is None:
            raise ValueError(f"{word!r} names no directory")
        kind, place = match[1] or "DISK", match[2].strip()
        if kind.upper() not in StorageType.__members__:
            raise ValueError(f"{kind} is none of {', '.join(StorageType.__members__)}")
        if place.startswith("file:"):
            place = unquote(urlsplit(place).path)
        elif "://" in place:
            raise ValueError(f"{place} is not on this machine; give a path or a file: URI")
        found.append(DataDir(place, StorageType[kind.upper()]))
    if not found:
        raise ValueError("names no directory")
    if len({entry.path for entry in found}) < len(found):
        raise ValueError("names a directory twice")
    return tuple(found)


# --- where blocks are kept -------------------------------------------------------------------
DATA_DIR: Key[tuple[DataDir, ...]] = Key(
    "dfs.datanode.data.dir",
    data_dirs,
    (DataDir("~/.cairn/datanode/data"),),
    "Directories for blocks: [TYPE]path, comma separated; TYPE is DISK, SSD, ARCHIVE, ...",
)
STORAGE_GROUPS = Key(
    "cairn.datanode.storage.groups",
    text,
    "",
    "Directories of dfs.datanode.data.dir that make one storage together: comma separated, "
    "a semicolon between groups. Every other directory is a storage by itself.",
)
META_HOME = Key(
    "cairn.datanode.meta.home",
    text,
    "",
    "Directory of the block index, best on a fast drive of its own; "
    "if empty, the folder 'index' beside the first data directory.",
)
INDEX_BYTES_MAX = Key(
    "cairn.datanode.index.bytes.max",
    size,
    64 << 30,
    "Upper bound of the index (address space, not an allocation).",
    minimum=16 << 20,
)
AT_REST_BYTES_PER_CHECKSUM = Key(
    "cairn.datanode.bytes-per-checksum",
    size,
    8192,
    "Data under one checksum as stored; a multiple of 512.",
    minimum=512,
    maximum=1 << 20,
)
VOLUMES_FAILED_TOLERATED = Key(
    "dfs.datanode.failed.volumes.tolerated",
    integer,
    0,
    "Volumes that may fail before the DataNode stops; -1: all but one.",
    minimum=-1,
)
RESERVED_BYTES = Key(
    "dfs.datanode.du.reserved", size, 0, "Bytes of each volume that are left to others."
)
SYNC_ON_CLOSE = Key(
    "dfs.datanode.synconclose", boolean, False, "Sync a block to disk before its last ack."
)

# --- block data: storage and transfer ----------------------------------------------------------
SYNC_INTERVAL_MS = Key(
    "cairn.datanode.sync.interval",
    duration_ms("ms"),
    3000,
    "Closed blocks are synced to disk in the background this often.",
    minimum=10,
)
KEEPALIVE_MS = Key(
    "dfs.datanode.socket.reuse.keepalive",
    duration_ms("ms"),
    4000,
    "How long a connection may wait for its next operation; 0: one operation each.",
    minimum=0,
)
WRITE_TIMEOUT_MS = Key(
    "dfs.datanode.socket.write.timeout",
    duration_ms("ms"),
    480_000,
    "How long a peer may take no data before it is given up.",
    minimum=1,
)
POOL_READY_MS = Key(
    "dfs.datanode.bp-ready.timeout",
    duration_ms("s"),
    20_000,
    "How long a request waits for its block pool to be registered.",
    minimum=0,
)
READAHEAD_BYTES = Key(
    "dfs.datanode.readahead.bytes",
    size,
    4 << 20,
    "The kernel is asked to read so far ahead of a reader; 0: not at all.",
    minimum=0,
)
DROP_BEHIND_READS = Key(
    "dfs.datanode.drop.cache.behind.reads",
    boolean,
    False,
    "Keep what was read out of the page cache.",
)
DROP_BEHIND_WRITES = Key(
    "dfs.datanode.drop.cache.behind.writes",
    boolean,
    False,
    "Keep what was written out of the page cache.",
)
USE_DATANODE_HOSTNAME = Key(
    "dfs.datanode.use.datanode.hostname",
    boolean,
    False,
    "Reach other DataNodes by their names instead of their addresses.",
)

# --- addresses -------------------------------------------------------------------------------
TRANSFER_ADDRESS = Key(
    "dfs.datanode.address", text, "0.0.0.0:9866", "Where data transfer listens; port 0: any."
)
IPC_ADDRESS = Key(
    "dfs.datanode.ipc.address", text, "0.0.0.0:9867", "Where RPC listens; port 0: any."
)
HTTP_ADDRESS = Key(
    "dfs.datanode.http.address", text, "0.0.0.0:9864", "Where HTTP listens; port 0: any."
)
HOST_NAME = Key(
    "dfs.datanode.hostname",
    text,
    "",
    "Name or address that clients are given; if empty, the address that reaches the NameNode.",
)

# --- what the NameNode is told, and when -----------------------------------------------------
BLOCK_REPORT_INTERVAL_MS = Key(
    "dfs.blockreport.intervalMsec",
    duration_ms("ms"),
    21_600_000,
    "Time between full block reports.",
    minimum=1,
)
BLOCK_REPORT_INITIAL_DELAY_MS = Key(
    "dfs.blockreport.initialDelay",
    duration_ms("s"),
    0,
    "The first full block report is sent after a random part of this.",
)
BLOCK_REPORT_SPLIT_THRESHOLD = Key(
    "dfs.blockreport.split.threshold",
    integer,
    1_000_000,
    "From this many blocks on each storage is reported by a message of its own.",
    minimum=0,
)
INCREMENTAL_INTERVAL_MS = Key(
    "dfs.blockreport.incremental.intervalMsec",
    duration_ms("ms"),
    0,
    "Least time between incremental block reports; 0: each is sent at once.",
)
NAMENODE_VERSION_MIN = Key(
    "dfs.datanode.min.supported.namenode.version",
    text,
    "3.0.0",
    "Oldest NameNode that this DataNode registers with.",
)

# --- load ------------------------------------------------------------------------------------
TRANSFER_THREADS_MAX = Key(
    "dfs.datanode.max.transfer.threads",
    integer,
    4096,
    "Block transfers under way at once.",
    minimum=1,
)
BALANCE_BANDWIDTH = Key(
    "dfs.datanode.balance.bandwidthPerSec",
    size,
    100 << 20,
    "Bytes a second that the balancer may move, until the NameNode says otherwise.",
    minimum=1024,
)
BALANCE_MOVES_MAX = Key(
    "dfs.datanode.balance.max.concurrent.moves",
    integer,
    100,
    "Moves for the balancer under way at once.",
    minimum=1,
)
RECOVERY_TIMEOUT_MS = Key(
    "dfs.datanode.xceiver.stop.timeout.millis",
    duration_ms("ms"),
    60_000,
    "How long a block recovery waits for the block's writer to stop.",
    minimum=1,
)
