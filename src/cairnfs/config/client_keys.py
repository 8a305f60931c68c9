"""Keys of the client, with Hadoop's names where Hadoop has one."""

from __future__ import annotations

from cairnfs.config.key import Key, boolean, duration_ms, integer, one_of, size, text


def umask(value: str) -> int:
    """An octal umask such as ``022``. Raises ``ValueError``."""
    try:
        mask = int(value, 8)
    except ValueError:
        raise ValueError("is not an octal umask such as 022") from None
    if not 0 <= mask <= 0o777:
        raise ValueError("is not an octal umask such as 022")
    return mask


# --- calls to the NameNode -------------------------------------------------------------------
RPC_TIMEOUT_MS = Key(
    "ipc.client.rpc-timeout.ms",
    duration_ms("ms"),
    120_000,
    "Longest wait for the answer to one call.",
    minimum=1,
)
CONNECT_TIMEOUT_MS = Key(
    "ipc.client.connect.timeout",
    duration_ms("ms"),
    20_000,
    "Longest wait for a connection to be accepted.",
    minimum=1,
)
CONNECT_RETRIES = Key(
    "ipc.client.connect.max.retries",
    integer,
    10,
    "How often a single NameNode that cannot be reached is tried again.",
    minimum=0,
)
CONNECT_RETRY_MS = Key(
    "ipc.client.connect.retry.interval",
    duration_ms("ms"),
    1_000,
    "Longest pause between attempts to reach a single NameNode.",
    minimum=1,
)
FAILOVER_ATTEMPTS_MAX = Key(
    "dfs.client.failover.max.attempts",
    integer,
    15,
    "How often a call goes to another NameNode before it fails.",
    minimum=0,
)
FAILOVER_SLEEP_BASE_MS = Key(
    "dfs.client.failover.sleep.base.millis",
    duration_ms("ms"),
    500,
    "First pause when no NameNode is active; doubles each time.",
    minimum=0,
)
FAILOVER_SLEEP_MAX_MS = Key(
    "dfs.client.failover.sleep.max.millis",
    duration_ms("ms"),
    15_000,
    "Longest pause when no NameNode is active.",
    minimum=1,
)
SAFE_MODE_WAIT_MS = Key(
    "cairn.client.safe-mode.wait",
    duration_ms("ms"),
    10_000,
    "How long a change is tried again while the NameNode is in safe mode.",
    minimum=0,
)

# --- new files -------------------------------------------------------------------------------
CLIENT_UMASK = Key("fs.permissions.umask-mode", umask, 0o022, "Umask of new files and folders.")
HOME_PREFIX = Key("dfs.user.home.dir.prefix", text, "/user", "Parent of the users' folders.")

# --- the shell -------------------------------------------------------------------------------
SAFE_DELETE_FILES = Key(
    "hadoop.shell.safely.delete.limit.num.files",
    integer,
    100,
    "Files in a directory from which on -rm -safely asks; 0: it never does.",
    minimum=0,
)

# --- reaching DataNodes ----------------------------------------------------------------------
USE_DATANODE_HOSTNAME = Key(
    "dfs.client.use.datanode.hostname",
    boolean,
    False,
    "Connect to DataNodes by host name instead of address.",
)
SOCKET_CACHE_CAPACITY = Key(
    "dfs.client.socketcache.capacity",
    integer,
    16,
    "Idle DataNode connections kept for the next read.",
    minimum=0,
)
SOCKET_CACHE_EXPIRY_MS = Key(
    "dfs.client.socketcache.expiryMsec",
    duration_ms("ms"),
    3_000,
    "How long an idle DataNode connection is kept (DataNodes close theirs after 4 s).",
    minimum=0,
)
DEAD_NODE_EXPIRY_MS = Key(
    "cairn.client.dead-node.expiry",
    duration_ms("ms"),
    30_000,
    "How long a DataNode that failed a read is asked last.",
    minimum=0,
)

# --- reading ---------------------------------------------------------------------------------
PREFETCH_BYTES = Key(
    "dfs.client.read.prefetch.size",
    size,
    0,
    "Range of a file whose block locations are asked for at once; 0: ten blocks.",
)
ACQUIRE_FAILURES_MAX = Key(
    "dfs.client.max.block.acquire.failures",
    integer,
    3,
    "How often the locations of a block are asked for anew when no replica could be read.",
    minimum=0,
)
RETRY_WINDOW_MS = Key(
    "dfs.client.retry.window.base",
    duration_ms("ms"),
    3_000,
    "Longest first pause before locations are asked for anew; grows with each failure.",
    minimum=1,
)
READ_WINDOW_BYTES = Key(
    "cairn.client.read.window",
    size,
    32 << 20,
    "Memory that one open file may fill by reading ahead.",
    minimum=1 << 20,
)
READ_STREAMS = Key(
    "cairn.client.read.streams",
    integer,
    2,
    "Transfers that one sequential reader may have in flight.",
    minimum=1,
    maximum=64,
)
HEDGED_READ_POOL = Key(
    "dfs.client.hedged.read.threadpool.size",
    integer,
    0,
    "Second attempts at slow positioned reads in flight at once; 0 makes none.",
    minimum=0,
)
HEDGED_READ_THRESHOLD_MS = Key(
    "dfs.client.hedged.read.threshold.millis",
    duration_ms("ms"),
    500,
    "A positioned read slower than this is also asked of another replica.",
    minimum=1,
)
LAST_BLOCK_RETRIES = Key(
    "dfs.client.retry.times.get-last-block-length",
    integer,
    3,
    "How often the length of a block being written is asked for while no DataNode reports it.",
    minimum=0,
)
LAST_BLOCK_RETRY_MS = Key(
    "dfs.client.retry.interval-ms.get-last-block-length",
    duration_ms("ms"),
    4_000,
    "Longest pause between those attempts.",
    minimum=1,
)
CHECKSUM_COMBINE_MODE = Key(
    "dfs.checksum.combine.mode",
    one_of("MD5MD5CRC", "COMPOSITE_CRC"),
    "MD5MD5CRC",
    "How the checksum of a file is made of its blocks'.",
)

# --- writing ---------------------------------------------------------------------------------
WRITE_WINDOW_BYTES = Key(
    "cairn.client.write.window",
    size,
    16 << 20,
    "Bytes that one open file may have sent and not acknowledged.",
    minimum=1 << 20,
)
BLOCK_WRITE_RETRIES = Key(
    "dfs.client.block.write.retries",
    integer,
    10,
    "How often other DataNodes are asked for when a new block's cannot be reached.",
    minimum=0,
)
FOLLOWING_BLOCK_RETRIES = Key(
    "dfs.client.block.write.locateFollowingBlock.retries",
    integer,
    12,
    "How often a block or the end of a file is asked for while the last block is not reported.",
    minimum=0,
)
FOLLOWING_BLOCK_DELAY_MS = Key(
    "dfs.client.block.write.locateFollowingBlock.initial.delay.ms",
    duration_ms("ms"),
    5,
    "First pause before it is asked again; doubles each time.",
    minimum=1,
)
FOLLOWING_BLOCK_DELAY_MAX_MS = Key(
    "dfs.client.block.write.locateFollowingBlock.max.delay.ms",
    duration_ms("ms"),
    10_000,
    "Longest pause before it is asked again.",
    minimum=1,
)
PIPELINE_RECOVERIES_MAX = Key(
    "dfs.client.pipeline.recovery.max-retries",
    integer,
    5,
    "Recoveries of a pipeline in a row without a packet acknowledged.",
    minimum=0,
)
EXCLUDED_NODES_EXPIRY_MS = Key(
    "dfs.client.write.exclude.nodes.cache.expiry.interval.millis",
    duration_ms("ms"),
    600_000,
    "How long a DataNode that failed a write is not asked for.",
    minimum=0,
)
DATANODE_RESTART_MS = Key(
    "dfs.client.datanode-restart.timeout",
    duration_ms("s"),
    30_000,
    "How long a writer waits for a DataNode that says it restarts.",
    minimum=0,
)
REPLACE_ENABLE = Key(
    "dfs.client.block.write.replace-datanode-on-failure.enable",
    boolean,
    True,
    "Put another DataNode into a pipeline that lost one.",
)
REPLACE_POLICY = Key(
    "dfs.client.block.write.replace-datanode-on-failure.policy",
    one_of("DEFAULT", "NEVER", "ALWAYS"),
    "DEFAULT",
    "When a lost DataNode is replaced: DEFAULT from three replicas on, for files that were "
    "appended to or flushed, or with half of the nodes gone.",
)
REPLACE_BEST_EFFORT = Key(
    "dfs.client.block.write.replace-datanode-on-failure.best-effort",
    boolean,
    True,
    "Go on with the nodes that are left where none replaces the lost one.",
)
REPLACE_MIN_REPLICATION = Key(
    "dfs.client.block.write.replace-datanode-on-failure.min-replication",
    integer,
    0,
    "Nodes with which a write goes on where none replaces the lost one; 0: it fails.",
    minimum=0,
)
