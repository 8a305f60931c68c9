"""The NameNode's configuration as the layers below take it."""

from __future__ import annotations

from pathlib import Path

from cairnfs.blocks.hosts import HostSets, parse_hosts
from cairnfs.config import Configuration, Key, keys, namenode_keys
from cairnfs.errors import ConfigurationError
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.types import ChecksumType, FsServerDefaults


def namespace_settings(configuration: Configuration) -> NamespaceSettings:
    """What of the configuration the namespace obeys."""
    get = configuration
    return NamespaceSettings(
        permissions_enabled=get[namenode_keys.PERMISSIONS_ENABLED],
        component_bytes_max=get[namenode_keys.COMPONENT_LENGTH_MAX],
        directory_items_max=get[namenode_keys.DIRECTORY_ITEMS_MAX],
        block_size_min=get[namenode_keys.BLOCK_SIZE_MIN],
        blocks_per_file_max=get[namenode_keys.BLOCKS_PER_FILE_MAX],
        replication_min=get[namenode_keys.REPLICATION_MIN],
        replication_max=get[namenode_keys.REPLICATION_MAX],
        list_limit=get[namenode_keys.LIST_LIMIT],
        access_time_precision_ms=get[namenode_keys.ACCESS_TIME_PRECISION_MS],
        lease_soft_limit_ms=get[namenode_keys.LEASE_SOFT_LIMIT_MS],
        lease_hard_limit_ms=get[namenode_keys.LEASE_HARD_LIMIT_MS],
        block_recovery_timeout_ms=30 * get[keys.HEARTBEAT_INTERVAL_MS],
    )


def server_defaults(configuration: Configuration) -> FsServerDefaults:
    """What clients should assume where their users said nothing."""
    get = configuration
    return FsServerDefaults(
        block_size=get[keys.BLOCK_SIZE],
        bytes_per_checksum=get[keys.BYTES_PER_CHECKSUM],
        write_packet_size=get[keys.WRITE_PACKET_SIZE],
        replication=get[keys.REPLICATION],
        file_buffer_size=get[namenode_keys.DEFAULT_FILE_BUFFER],
        encrypt_data_transfer=False,
        trash_interval_min=get[namenode_keys.TRASH_INTERVAL_MIN],
        checksum_type=ChecksumType[get[keys.CHECKSUM_TYPE]],
    )


def read_host_sets(configuration: Configuration) -> HostSets:
    """The include and exclude files as they are now. Raises ``ConfigurationError``."""
    return HostSets(
        parse_hosts(_read(configuration, namenode_keys.HOSTS_INCLUDE)),
        parse_hosts(_read(configuration, namenode_keys.HOSTS_EXCLUDE)),
    )


def read_topology(configuration: Configuration) -> dict[str, str]:
    """Rack by host name or address, from the ``host rack`` lines of the table file."""
    table: dict[str, str] = {}
    text = _read(configuration, namenode_keys.TOPOLOGY_TABLE)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 2 or not words[1].startswith("/"):
            raise ConfigurationError(
                f"{configuration[namenode_keys.TOPOLOGY_TABLE]} line {number}: {line!r} is not "
                "'host /rack'"
            )
        table[words[0]] = words[1]
    return table


def _read(configuration: Configuration, key: Key[str]) -> str:
    name = configuration[key]
    if not name:
        return ""
    try:
        return Path(name).read_text()
    except OSError as error:
        raise ConfigurationError(f"{key.name} = {name}: {error.strerror}") from None
