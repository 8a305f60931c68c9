"""The settings of the block layer, typed, from the NameNode's configuration."""

from __future__ import annotations

from dataclasses import dataclass

from cairnfs.config import Configuration, namenode_keys
from cairnfs.config.keys import HEARTBEAT_INTERVAL_MS


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """Times are milliseconds; the defaults are those of the keys."""

    heartbeat_interval_ms: int = 3_000
    stale_after_ms: int = 30_000
    dead_after_ms: int = 630_000
    avoid_stale_read: bool = True
    avoid_stale_write: bool = True
    consider_load: bool = True
    load_factor: float = 2.0
    replication_min: int = 1
    streams_max: int = 2
    streams_hard_max: int = 4
    work_multiplier: int = 2
    redundancy_interval_ms: int = 3_000
    redundancy_grace_ms: int = 10_000
    pending_timeout_ms: int = 300_000
    excess_timeout_ms: int = 3_600_000
    dead_forget_ms: int = 604_800_000
    invalidate_limit: int = 1_000
    report_leases_max: int = 6
    report_lease_ms: int = 300_000
    report_slice: int = 10_000
    safemode_threshold: float = 0.999
    safemode_min_datanodes: int = 0
    safemode_extension_ms: int = 30_000
    safemode_replication_min: int = 1

    @classmethod
    def of(cls, configuration: Configuration) -> BlockSettings:
        """The values in force. Raises ``ConfigurationError``."""
        get = configuration
        keys = namenode_keys
        heartbeat_ms = get[HEARTBEAT_INTERVAL_MS]
        # Hadoop's formula; a node must miss ten heartbeats in any case.
        formula_ms = 2 * get[keys.HEARTBEAT_RECHECK_MS] + 10 * heartbeat_ms
        dead_ms = get[keys.DEAD_AFTER_MS] or formula_ms
        return cls(
            heartbeat_interval_ms=heartbeat_ms,
            # A node cannot be dead before it is stale.
            stale_after_ms=min(get[keys.STALE_AFTER_MS], dead_ms),
            dead_after_ms=dead_ms,
            avoid_stale_read=get[keys.AVOID_STALE_READ],
            avoid_stale_write=get[keys.AVOID_STALE_WRITE],
            consider_load=get[keys.CONSIDER_LOAD],
            load_factor=get[keys.LOAD_FACTOR],
            replication_min=get[keys.REPLICATION_MIN],
            streams_max=get[keys.REPLICATION_STREAMS_MAX],
            streams_hard_max=get[keys.REPLICATION_STREAMS_HARD_MAX],
            work_multiplier=get[keys.REPLICATION_WORK_MULTIPLIER],
            redundancy_interval_ms=get[keys.REDUNDANCY_INTERVAL_MS],
            redundancy_grace_ms=get[keys.REDUNDANCY_GRACE_MS],
            pending_timeout_ms=get[keys.PENDING_TIMEOUT_MS],
            excess_timeout_ms=get[keys.EXCESS_TIMEOUT_MS],
            dead_forget_ms=get[keys.DEAD_FORGET_MS],
            invalidate_limit=get[keys.INVALIDATE_LIMIT],
            report_leases_max=get[keys.BLOCK_REPORT_LEASE],
            report_lease_ms=get[keys.BLOCK_REPORT_LEASE_MS],
            report_slice=get[keys.REPORT_SLICE],
            safemode_threshold=get[keys.SAFEMODE_THRESHOLD],
            safemode_min_datanodes=get[keys.SAFEMODE_MIN_DATANODES],
            safemode_extension_ms=get[keys.SAFEMODE_EXTENSION_MS],
            safemode_replication_min=get[keys.SAFEMODE_REPLICATION_MIN],
        )
