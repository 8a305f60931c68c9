"""A storage: what a NameNode knows by its id; here a group of one or more volumes.

Only the DataNode knows which volume of a group a replica lies on. Opening checks, in this
order: that every directory can be used, that nobody else uses it, that all of them belong to
one DataNode and one cluster; then it formats those that are new and empty.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cairnfs.datanode.interface import VolumeFailure
from cairnfs.datanode.settings import DatasetSettings, StorageSpec
from cairnfs.datanode.volume import (
    LAYOUT_VERSION,
    Volume,
    VolumeIdentity,
    disk_errors,
    make_directories,
)
from cairnfs.errors import DiskFull, StartupError, StorageError, StoreLocked
from cairnfs.types import DatanodeStorage, StorageType

# Volumes whose free space differs by less are used in turn, so that all drives work.
BALANCED_BYTES = 10 << 30


class StorageGroup:
    """The open volumes of one storage. Thread safe."""

    def __init__(self, storage: DatanodeStorage, volumes: Sequence[Volume]) -> None:
        self.storage = storage
        self._volumes = tuple(volumes)
        self._lock = threading.Lock()
        self._turn = 0

    @property
    def storage_uuid(self) -> str:
        return self.storage.storage_uuid

    @property
    def storage_type(self) -> StorageType:
        return self.storage.storage_type

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Those that work."""
        return tuple(volume for volume in self._volumes if volume.failure is None)

    @property
    def failed(self) -> bool:
        """Whether no volume is left."""
        return not self.volumes

    def choose(self, size: int) -> Volume:
        """The volume for a new replica of up to ``size`` bytes. Raises ``DiskFull``."""
        free = [(volume.remaining(), volume) for volume in self.volumes]
        fitting = [entry for entry in free if entry[0] >= size]
        if not fitting:
            most = max((entry[0] for entry in free), default=0)
            raise DiskFull(
                f"storage {self.storage_uuid}: no volume has room for a block of {size} bytes "
                f"(the most free is {most}); free space or add a volume"
            )
        most = max(entry[0] for entry in fitting)
        near = [volume for remaining, volume in fitting if most - remaining < BALANCED_BYTES]
        with self._lock:
            self._turn += 1
            return near[self._turn % len(near)]


@dataclass(frozen=True, slots=True)
class OpenStorages:
    """All storages of a DataNode, and who it is."""

    groups: tuple[StorageGroup, ...]
    datanode_uuid: str
    cluster_id: str
    failures: tuple[VolumeFailure, ...]

    @property
    def volumes(self) -> tuple[Volume, ...]:
        return tuple(volume for group in self.groups for volume in group.volumes)

    def close(self) -> None:
        for group in self.groups:
            for volume in group._volumes:
                volume.close()


def open_storages(settings: DatasetSettings, now_ms: int) -> OpenStorages:
    """Lock, check and if need be format all volumes of ``settings``.

    Volumes that cannot be read count as failed; more of them than
    ``dfs.datanode.failed.volumes.tolerated`` stop the start. Raises ``StartupError``,
    ``StoreLocked``."""
    opened: list[tuple[StorageSpec, list[Volume]]] = []
    failures: list[VolumeFailure] = []
    try:
        for spec in settings.storages:
            volumes: list[Volume] = []
            opened.append((spec, volumes))
            for directory in spec.directories:
                try:
                    volumes.append(_open_volume(directory, spec, settings.reserved_bytes))
                except (StoreLocked, StartupError):
                    raise
                except StorageError as error:
                    failures.append(VolumeFailure(str(directory), "", now_ms, 0, str(error)))
        check_failures(failures, settings, sum(len(volumes) for _, volumes in opened))
        return _identify(opened, tuple(failures))
    except BaseException:
        for _, volumes in opened:
            for volume in volumes:
                volume.close()
        raise


def lock_directory(directory: Path) -> int:
    """Take ``in_use.lock`` of a directory (made if need be); the descriptor that holds it.

    Raises ``StoreLocked``, ``StorageError``."""
    with disk_errors("opening the directory", directory):
        make_directories(directory)
        descriptor = os.open(directory / "in_use.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreLocked(
            f"{directory} is in use by process {holder}; stop that process or choose another "
            f"directory"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _open_volume(directory: Path, spec: StorageSpec, reserved_bytes: int) -> Volume:
    descriptor = lock_directory(directory)
    volume = Volume(directory, spec.storage_type, reserved_bytes, descriptor)
    try:
        volume.read_identity()
        volume.capacity()
    except BaseException:
        volume.close()
        raise
    return volume


def check_failures(failures: Sequence[VolumeFailure], settings: DatasetSettings, left: int) -> None:
    """Raises ``StartupError`` if more volumes failed than may, ``left`` being those that work."""
    tolerated = settings.failed_volumes_tolerated
    if failures and (left == 0 or 0 <= tolerated < len(failures)):
        raise StartupError(
            f"{len(failures)} of {len(failures) + left} volumes cannot be used, "
            f"{max(tolerated, 0)} are tolerated (dfs.datanode.failed.volumes.tolerated): "
            f"{failures[0].reason}"
        )


def _identify(
    opened: list[tuple[StorageSpec, list[Volume]]], failures: tuple[VolumeFailure, ...]
) -> OpenStorages:
    volumes = [volume for _, group in opened for volume in group]
    datanode_uuid = _agreed(volumes, "datanode_uuid", "DataNode") or str(uuid.uuid4())
    cluster_id = _agreed(volumes, "cluster_id", "cluster")
    groups = []
    for spec, group in opened:
        if not group:
            # All its volumes failed: nobody can say which storage it was.
            continue
        storage_uuid = _agreed(group, "storage_uuid", "storage") or f"DS-{uuid.uuid4()}"
        for volume in group:
            if volume.identity is None:
                volume.write_identity(
                    VolumeIdentity(
                        LAYOUT_VERSION, datanode_uuid, cluster_id, storage_uuid, str(uuid.uuid4())
                    )
                )
        storage = DatanodeStorage(storage_uuid, storage_type=spec.storage_type)
        groups.append(StorageGroup(storage, group))
    _check_distinct(groups)
    return OpenStorages(tuple(groups), datanode_uuid, cluster_id, failures)


def _agreed(volumes: Sequence[Volume], field: str, what: str) -> str:
    """The one value of ``field`` in all formatted volumes; empty if there is none."""
    found: dict[str, Path] = {}
    for volume in volumes:
        if volume.identity is not None and (value := getattr(volume.identity, field)):
            found.setdefault(value, volume.path)
    if len(found) > 1:
        (one, first), (other, second) = list(found.items())[:2]
        raise StartupError(
            f"{first} belongs to {what} {one}, {second} to {what} {other}; correct "
            f"dfs.datanode.data.dir (cairn.datanode.storage.groups)"
        )
    return next(iter(found), "")


def _check_distinct(groups: Sequence[StorageGroup]) -> None:
    """No directory may be the copy of another, no storage may stand in two groups."""
    storages: dict[str, Path] = {}
    volumes: dict[str, Path] = {}
    for group in groups:
        for volume in group.volumes:
            other = volumes.setdefault(volume.uuid, volume.path)
            if other != volume.path:
                raise StartupError(f"{volume.path} is a copy of {other}; remove one of them")
        first = group.volumes[0].path if group.volumes else Path()
        other = storages.setdefault(group.storage_uuid, first)
        if other != first:
            raise StartupError(
                f"{first} and {other} belong to one storage; name them as one group in "
                f"cairn.datanode.storage.groups"
            )
