"""What storage and transfer read of the configuration, parsed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cairnfs.config import Configuration, keys
from cairnfs.config import datanode_keys as names
from cairnfs.errors import ConfigurationError
from cairnfs.types import StorageType


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """One storage: a medium and the directories (volumes) that make it up."""

    storage_type: StorageType
    directories: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    """What :class:`~cairnfs.datanode.dataset.Dataset` needs. Sizes in bytes."""

    storages: tuple[StorageSpec, ...]
    meta_home: Path
    index_bytes_max: int = 64 << 30
    bytes_per_checksum: int = 8192
    reserved_bytes: int = 0
    failed_volumes_tolerated: int = 0
    sync_on_close: bool = False
    sync_interval_ms: int = 3000
    writer_stop_ms: int = 60_000
    default_writer_bytes_per_checksum: int = 512

    @classmethod
    def from_configuration(cls, configuration: Configuration) -> DatasetSettings:
        """Raises ``ConfigurationError``."""
        storages = _storages(configuration)
        at_rest = configuration[names.AT_REST_BYTES_PER_CHECKSUM]
        if at_rest % 512:
            raise ConfigurationError(
                f"{names.AT_REST_BYTES_PER_CHECKSUM.name} = {at_rest} is no multiple of 512"
            )
        meta_home = configuration[names.META_HOME]
        first = storages[0].directories[0]
        return cls(
            storages=storages,
            meta_home=Path(meta_home).expanduser() if meta_home else first.parent / "index",
            index_bytes_max=configuration[names.INDEX_BYTES_MAX],
            bytes_per_checksum=at_rest,
            reserved_bytes=configuration[names.RESERVED_BYTES],
            failed_volumes_tolerated=configuration[names.VOLUMES_FAILED_TOLERATED],
            sync_on_close=configuration[names.SYNC_ON_CLOSE],
            sync_interval_ms=configuration[names.SYNC_INTERVAL_MS],
            writer_stop_ms=configuration[names.RECOVERY_TIMEOUT_MS],
            default_writer_bytes_per_checksum=configuration[keys.BYTES_PER_CHECKSUM],
        )


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """What the transfer server and outgoing transfers need. Times in milliseconds."""

    threads_max: int = 4096
    keepalive_ms: int = 4000
    socket_timeout_ms: int = 60_000
    write_timeout_ms: int = 480_000
    pool_ready_ms: int = 20_000
    balance_bytes_per_s: int = 100 << 20
    balance_moves_max: int = 100
    readahead_bytes: int = 4 << 20
    drop_behind_reads: bool = False
    drop_behind_writes: bool = False
    use_hostname: bool = False
    # Room kept for a block whose sender does not tell its size.
    estimated_block_bytes: int = 128 << 20

    @classmethod
    def from_configuration(cls, configuration: Configuration) -> TransferSettings:
        """Raises ``ConfigurationError``."""
        return cls(
            threads_max=configuration[names.TRANSFER_THREADS_MAX],
            keepalive_ms=configuration[names.KEEPALIVE_MS],
            socket_timeout_ms=configuration[keys.SOCKET_TIMEOUT_MS],
            write_timeout_ms=configuration[names.WRITE_TIMEOUT_MS],
            pool_ready_ms=configuration[names.POOL_READY_MS],
            balance_bytes_per_s=configuration[names.BALANCE_BANDWIDTH],
            balance_moves_max=configuration[names.BALANCE_MOVES_MAX],
            readahead_bytes=configuration[names.READAHEAD_BYTES],
            drop_behind_reads=configuration[names.DROP_BEHIND_READS],
            drop_behind_writes=configuration[names.DROP_BEHIND_WRITES],
            use_hostname=configuration[names.USE_DATANODE_HOSTNAME],
            estimated_block_bytes=configuration[keys.BLOCK_SIZE],
        )


def _storages(configuration: Configuration) -> tuple[StorageSpec, ...]:
    types = {_path(entry.path): entry.storage_type for entry in configuration[names.DATA_DIR]}
    key = names.STORAGE_GROUPS
    source = configuration.source(key.name)
    found: list[StorageSpec] = []
    grouped: set[Path] = set()
    for group in configuration[key].split(";"):
        directories = tuple(_path(part) for part in group.split(",") if part.strip())
        for directory in directories:
            if directory not in types or directory in grouped:
                raise ConfigurationError(
                    f"{source}: {key.name} names {directory}, which is in two groups or not in "
                    f"{names.DATA_DIR.name}"
                )
            grouped.add(directory)
        media = {types[directory] for directory in directories}
        if len(media) > 1:
            raise ConfigurationError(
                f"{source}: {key.name} puts different storage types into one group: {group}"
            )
        if directories:
            found.append(StorageSpec(media.pop(), directories))
    found.extend(
        StorageSpec(storage_type, (directory,))
        for directory, storage_type in types.items()
        if directory not in grouped
    )
    return tuple(found)


def _path(text: str) -> Path:
    return Path(text.strip().removeprefix("file://")).expanduser().absolute()
