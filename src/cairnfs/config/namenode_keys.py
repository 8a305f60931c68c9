"""Keys that the NameNode reads, by Hadoop's names; ``cairn.*`` where Hadoop has none."""

from __future__ import annotations

from cairnfs.config.key import Key, boolean, duration_ms, integer, number, size, text
from cairnfs.config.keys import SUPERUSER_GROUP as SUPERUSER_GROUP

NAME_DIR = Key("dfs.namenode.name.dir", text, "name", "Directory of the namespace.")
RPC_ADDRESS = Key("dfs.namenode.rpc-address", text, "", "Address for RPC; else fs.defaultFS.")
RPC_BIND_HOST = Key("dfs.namenode.rpc-bind-host", text, "", "Host to listen on for RPC.")
HTTP_ADDRESS = Key("dfs.namenode.http-address", text, "127.0.0.1:9870", "Address of the web port.")
PERMISSIONS_ENABLED = Key("dfs.permissions.enabled", boolean, True, "Enforce permissions.")
REPLICATION_MIN = Key(
    "dfs.namenode.replication.min", integer, 1, "Replicas without which no write ends.", minimum=1
)
REPLICATION_MAX = Key("dfs.replication.max", integer, 512, "Most replicas of a file.", minimum=1)
BLOCK_SIZE_MIN = Key(
    "dfs.namenode.fs-limits.min-block-size", size, 1 << 20, "Smallest block size.", minimum=1
)
BLOCKS_PER_FILE_MAX = Key(
    "dfs.namenode.fs-limits.max-blocks-per-file", integer, 10_000, "Most blocks of a file."
)
COMPONENT_LENGTH_MAX = Key(
    "dfs.namenode.fs-limits.max-component-length", integer, 255, "Longest name, in bytes."
)
DIRECTORY_ITEMS_MAX = Key(
    "dfs.namenode.fs-limits.max-directory-items", integer, 1 << 20, "Most children."
)
LIST_LIMIT = Key("dfs.ls.limit", integer, 1000, "Entries in one answer to a listing.", minimum=1)
ACCESS_TIME_PRECISION_MS = Key(
    "dfs.namenode.accesstime.precision",
    duration_ms("ms"),
    3_600_000,
    "How exact access times are; 0 keeps none.",
)
LEASE_HARD_LIMIT_MS = Key(
    "dfs.namenode.lease-hard-limit-sec",
    duration_ms("s"),
    1_200_000,
    "A lease not renewed this long is recovered.",
)
LEASE_SOFT_LIMIT_MS = Key(
    "cairn.namenode.lease-soft-limit",
    duration_ms("s"),
    60_000,
    "A lease not renewed this long may be taken by another writer.",
)
LEASE_RECHECK_MS = Key(
    "dfs.namenode.lease-recheck-interval-ms", duration_ms("ms"), 2_000, "Time between checks."
)
HEARTBEAT_RECHECK_MS = Key(
    "dfs.namenode.heartbeat.recheck-interval",
    duration_ms("ms"),
    300_000,
    "Half of what, beside ten heartbeats, makes a silent DataNode dead.",
)
DEAD_AFTER_MS = Key(
    "cairn.namenode.datanode.dead-interval",
    duration_ms("ms"),
    0,
    "Silence that makes a DataNode dead; 0: Hadoop's formula from the keys above.",
)
STALE_AFTER_MS = Key(
    "dfs.namenode.stale.datanode.interval",
    duration_ms("ms"),
    30_000,
    "Silence that makes a DataNode stale.",
)
AVOID_STALE_READ = Key(
    "dfs.namenode.avoid.read.stale.datanode", boolean, True, "Name stale DataNodes last."
)
AVOID_STALE_WRITE = Key(
    "dfs.namenode.avoid.write.stale.datanode", boolean, True, "Choose no stale DataNode."
)
CONSIDER_LOAD = Key(
    "dfs.namenode.redundancy.considerLoad", boolean, True, "Choose no overloaded DataNode."
)
LOAD_FACTOR = Key(
    "dfs.namenode.redundancy.considerLoad.factor", number, 2.0, "Overloaded: times the mean."
)
REPLICATION_STREAMS_MAX = Key(
    "dfs.namenode.replication.max-streams", integer, 2, "Replications a DataNode sends at once."
)
REPLICATION_STREAMS_HARD_MAX = Key(
    "dfs.namenode.replication.max-streams-hard-limit", integer, 4, "The same for the most urgent."
)
REPLICATION_WORK_MULTIPLIER = Key(
    "dfs.namenode.replication.work.multiplier.per.iteration",
    integer,
    2,
    "Replications begun at once for each live DataNode.",
)
REDUNDANCY_INTERVAL_MS = Key(
    "dfs.namenode.redundancy.interval.seconds", duration_ms("s"), 3_000, "Time between checks."
)
PENDING_TIMEOUT_MS = Key(
    "dfs.namenode.reconstruction.pending.timeout-sec",
    duration_ms("s"),
    300_000,
    "A replication not reported by then is tried again.",
)
INVALIDATE_LIMIT = Key(
    "dfs.block.invalidate.limit", integer, 1000, "Replicas deleted by one heartbeat.", minimum=1
)
SAFEMODE_THRESHOLD = Key(
    "dfs.namenode.safemode.threshold-pct", number, 0.999, "Share of blocks that ends safe mode."
)
SAFEMODE_MIN_DATANODES = Key(
    "dfs.namenode.safemode.min.datanodes", integer, 0, "DataNodes without which it stays."
)
SAFEMODE_EXTENSION_MS = Key(
    "dfs.namenode.safemode.extension",
    duration_ms("ms"),
    30_000,
    "Time in safe mode behind its threshold, where the replica map did not survive.",
)
TOPOLOGY_TABLE = Key(
    "net.topology.table.file.name", text, "", "File of 'host rack' lines (TableMapping)."
)
HOSTS_INCLUDE = Key("dfs.hosts", text, "", "File of the DataNodes that may register.")
HOSTS_EXCLUDE = Key("dfs.hosts.exclude", text, "", "File of the DataNodes to take out.")
GROUP_MAPPING = Key(
    "hadoop.security.group.mapping",
    text,
    "org.apache.hadoop.security.ShellBasedUnixGroupsMapping",
    "How the groups of a user are found.",
)
STATIC_GROUPS = Key(
    "hadoop.user.group.static.mapping.overrides",
    text,
    "dr.who=;",
    "Groups of given users: 'user=group,group;user=group'.",
)
CHECKPOINT_TXNS = Key(
    "dfs.namenode.checkpoint.txns", integer, 1_000_000, "Journal records between checkpoints."
)
CHECKPOINT_PERIOD_MS = Key(
    "dfs.namenode.checkpoint.period", duration_ms("s"), 3_600_000, "Time between checkpoints."
)
STORE_MAP_SIZE = Key(
    "cairn.namenode.store.size-max", size, 1 << 40, "Address space kept for the namespace."
)
COMPLETE_HOLD_MS = Key(
    "cairn.namenode.complete.hold",
    duration_ms("ms"),
    300,
    "How long the end of a file waits for its last replicas before it is answered 'not yet'.",
)
TRASH_INTERVAL_MIN = Key(
    "fs.trash.interval",
    lambda value: duration_ms("m")(value) // 60_000,
    0,
    "Minutes that deleted files stay in the trash; told to clients.",
)
DEFAULT_FILE_BUFFER = Key("io.file.buffer.size", size, 4096, "Told to clients.")
REPORT_SLICE = Key(
    "cairn.namenode.report.slice",
    integer,
    10_000,
    "Blocks of a full report taken between two calls.",
    minimum=1,
)
AUDIT_LOG = Key("cairn.namenode.audit-log", boolean, False, "Log each change of the namespace.")
PROXY_USER_PREFIX = "hadoop.proxyuser."
BLOCK_REPORT_LEASE = Key(
    "dfs.namenode.max.full.block.report.leases", integer, 6, "Full reports taken at once."
)
BLOCK_REPORT_LEASE_MS = Key(
    "dfs.namenode.full.block.report.lease.length.ms",
    duration_ms("ms"),
    300_000,
    "A full report must begin within this time of its permission.",
)
REDUNDANCY_GRACE_MS = Key(
    "cairn.namenode.redundancy.grace",
    duration_ms("ms"),
    10_000,
    "How long a block may lack replicas, or a DataNode be dead, before anything is copied.",
)
EXCESS_TIMEOUT_MS = Key(
    "dfs.namenode.excess.redundancy.timeout-sec",
    duration_ms("s"),
    3_600_000,
    "A removal that was ordered and not reported by then is ordered again.",
)
SAFEMODE_REPLICATION_MIN = Key(
    "dfs.namenode.safemode.replication.min",
    integer,
    1,
    "Replicas that make a block safe.",
    minimum=1,
)
DEAD_FORGET_MS = Key(
    "cairn.namenode.datanode.forget",
    duration_ms("ms"),
    604_800_000,
    "A DataNode dead for this long is struck off, with what it held.",
)
