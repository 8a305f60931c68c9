"""What of the configuration the namespace obeys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamespaceSettings:
    """Defaults are HDFS's; each field names its key."""

    permissions_enabled: bool = True  # dfs.permissions.enabled
    content_summary_subaccess: bool = False  # dfs.permissions.content-summary.subaccess
    component_bytes_max: int = 255  # dfs.namenode.fs-limits.max-component-length; 0: none
    directory_items_max: int = 1 << 20  # dfs.namenode.fs-limits.max-directory-items
    block_size_min: int = 1 << 20  # dfs.namenode.fs-limits.min-block-size
    blocks_per_file_max: int = 10_000  # dfs.namenode.fs-limits.max-blocks-per-file
    objects_max: int = 0  # dfs.namenode.max.objects; 0: none
    replication_min: int = 1  # dfs.namenode.replication.min
    replication_max: int = 512  # dfs.replication.max
    list_limit: int = 1000  # dfs.ls.limit
    open_files_limit: int = 1000  # dfs.namenode.list.openfiles.num.responses
    access_time_precision_ms: int = 3_600_000  # dfs.namenode.accesstime.precision; 0: none
    lease_soft_limit_ms: int = 60_000
    lease_hard_limit_ms: int = 1_200_000  # dfs.namenode.lease-hard-limit-sec
    # A recovery of a block that was not heard of again may be tried anew after this long:
    # 30 heartbeats in HDFS.
    block_recovery_timeout_ms: int = 90_000
    retry_cache_enabled: bool = True  # dfs.namenode.enable.retrycache
    retry_cache_expiry_ms: int = 600_000  # dfs.namenode.retrycache.expirytime.millis
    # Inodes and blocks that one delete removes at once; the rest goes in later slices.
    delete_inline_max: int = 1000
