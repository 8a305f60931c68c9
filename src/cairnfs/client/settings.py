"""What the configuration says to a client, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from cairnfs.config import client_keys as c
from cairnfs.config import keys as k
from cairnfs.config.configuration import Configuration
from cairnfs.config.key import Key
from cairnfs.types import ChecksumType

T = TypeVar("T")


def _said(conf: Configuration, key: Key[T]) -> T | None:
    """The value of ``key`` if anybody set it."""
    return conf[key] if key in conf else None  # noqa: SIM401 - no mapping, has no get()


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Times in milliseconds, sizes in bytes. What is None is left to the NameNode's
    defaults (``getServerDefaults``)."""

    # Calls to the NameNode.
    rpc_timeout_ms: int
    connect_timeout_ms: int
    connect_retries: int
    connect_retry_ms: int
    failover_attempts_max: int
    failover_sleep_base_ms: int
    failover_sleep_max_ms: int
    safe_mode_wait_ms: int
    # New files.
    block_size: int | None
    replication: int | None
    bytes_per_checksum: int | None
    checksum_type: ChecksumType | None
    packet_size: int | None
    umask: int
    home_prefix: str
    # Connections to DataNodes.
    socket_timeout_ms: int
    use_datanode_hostname: bool
    socket_cache_capacity: int
    socket_cache_expiry_ms: int
    dead_node_expiry_ms: int
    # Reading.
    prefetch_bytes: int
    acquire_failures_max: int
    retry_window_ms: int
    read_window_bytes: int
    read_streams: int
    hedged_reads_max: int
    hedged_threshold_ms: int
    last_block_retries: int
    last_block_retry_ms: int
    composite_checksum: bool
    # Writing.
    write_window_bytes: int
    block_write_retries: int
    following_block_retries: int
    following_block_delay_ms: int
    following_block_delay_max_ms: int
    recoveries_max: int
    excluded_expiry_ms: int
    restart_timeout_ms: int
    replace_policy: str
    replace_best_effort: bool
    replace_min_replication: int

    @classmethod
    def of(cls, conf: Configuration) -> ClientSettings:
        """Raises ``ConfigurationError`` for the first value that is wrong."""
        checksum_type = _said(conf, k.CHECKSUM_TYPE)
        return cls(
            rpc_timeout_ms=conf[c.RPC_TIMEOUT_MS],
            connect_timeout_ms=conf[c.CONNECT_TIMEOUT_MS],
            connect_retries=conf[c.CONNECT_RETRIES],
            connect_retry_ms=conf[c.CONNECT_RETRY_MS],
            failover_attempts_max=conf[c.FAILOVER_ATTEMPTS_MAX],
            failover_sleep_base_ms=conf[c.FAILOVER_SLEEP_BASE_MS],
            failover_sleep_max_ms=conf[c.FAILOVER_SLEEP_MAX_MS],
            safe_mode_wait_ms=conf[c.SAFE_MODE_WAIT_MS],
            block_size=_said(conf, k.BLOCK_SIZE),
            replication=_said(conf, k.REPLICATION),
            bytes_per_checksum=_said(conf, k.BYTES_PER_CHECKSUM),
            checksum_type=None if checksum_type is None else ChecksumType[checksum_type],
            packet_size=_said(conf, k.WRITE_PACKET_SIZE),
            umask=conf[c.CLIENT_UMASK],
            home_prefix=conf[c.HOME_PREFIX],
            socket_timeout_ms=conf[k.SOCKET_TIMEOUT_MS],
            use_datanode_hostname=conf[c.USE_DATANODE_HOSTNAME],
            socket_cache_capacity=conf[c.SOCKET_CACHE_CAPACITY],
            socket_cache_expiry_ms=conf[c.SOCKET_CACHE_EXPIRY_MS],
            dead_node_expiry_ms=conf[c.DEAD_NODE_EXPIRY_MS],
            prefetch_bytes=conf[c.PREFETCH_BYTES],
            acquire_failures_max=conf[c.ACQUIRE_FAILURES_MAX],
            retry_window_ms=conf[c.RETRY_WINDOW_MS],
            read_window_bytes=conf[c.READ_WINDOW_BYTES],
            read_streams=conf[c.READ_STREAMS],
            hedged_reads_max=conf[c.HEDGED_READ_POOL],
            hedged_threshold_ms=conf[c.HEDGED_READ_THRESHOLD_MS],
            last_block_retries=conf[c.LAST_BLOCK_RETRIES],
            last_block_retry_ms=conf[c.LAST_BLOCK_RETRY_MS],
            composite_checksum=conf[c.CHECKSUM_COMBINE_MODE] == "COMPOSITE_CRC",
            write_window_bytes=conf[c.WRITE_WINDOW_BYTES],
            block_write_retries=conf[c.BLOCK_WRITE_RETRIES],
            following_block_retries=conf[c.FOLLOWING_BLOCK_RETRIES],
            following_block_delay_ms=conf[c.FOLLOWING_BLOCK_DELAY_MS],
            following_block_delay_max_ms=conf[c.FOLLOWING_BLOCK_DELAY_MAX_MS],
            recoveries_max=conf[c.PIPELINE_RECOVERIES_MAX],
            excluded_expiry_ms=conf[c.EXCLUDED_NODES_EXPIRY_MS],
            restart_timeout_ms=conf[c.DATANODE_RESTART_MS],
            replace_policy=conf[c.REPLACE_POLICY] if conf[c.REPLACE_ENABLE] else "NEVER",
            replace_best_effort=conf[c.REPLACE_BEST_EFFORT],
            replace_min_replication=conf[c.REPLACE_MIN_REPLICATION],
        )
