"""What a durable store's directory holds, and how a new one is made."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import msgspec

from cairnfs.errors import StartupError, StoreDamaged
from cairnfs.store.boot_state import BootState, save_state
from cairnfs.store.directory_lock import LOCK_NAME, DirectoryLock
from cairnfs.store.disk import Disk, storage_error, write_file

VERSION = "VERSION"
STATE = "state"
TREE = "tree"
JOURNAL = "journal"
CHECKPOINTS = "checkpoints"

FORMAT_VERSION = 1
# What a formatting that was cut short may have left.
_UNFINISHED = re.compile(rf"{LOCK_NAME}|{JOURNAL}|{CHECKPOINTS}|{STATE}|.*\.new")


class _Version(msgspec.Struct):
    format_version: int
    store_id: str


def format_directory(directory: Path, disk: Disk, boot_id: str) -> None:
    """Make a new store's directory; it is one as soon as it has its ``VERSION``.

    Raises ``StartupError`` naming what is there already, ``StoreLocked``, ``StorageError``."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_contents(directory)
    except OSError as error:
        raise storage_error(error, directory, "cannot be made or read") from error
    with DirectoryLock(directory):
        try:
            for name in (JOURNAL, CHECKPOINTS):
                disk.remove_tree(directory / name)
                disk.make_directory(directory / name)
        except OSError as error:
            raise storage_error(error, directory, "cannot be formatted") from error
        save_state(disk, directory / STATE, BootState(boot_id, False, 0))
        version = _Version(FORMAT_VERSION, uuid.uuid4().hex)
        write_file(disk, directory / VERSION, msgspec.json.encode(version) + b"\n")
        try:
            disk.sync_directory(directory.parent)
        except OSError as error:
            raise storage_error(error, directory.parent, "cannot be synced") from error


def read_store_id(directory: Path) -> bytes:
    """The 16 bytes that tell one store's files from another's.

    Raises ``StartupError`` where there is no store or one of another version."""
    path = directory / VERSION
    try:
        version = msgspec.json.decode(path.read_bytes(), type=_Version)
    except FileNotFoundError:
        raise StartupError(
            f"{directory} holds no formatted store; format it first (cairn namenode --format) "
            "or name the directory that holds yours"
        ) from None
    except OSError as error:
        raise storage_error(error, path, "cannot be read") from error
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"{path} is damaged: {error}") from error
    if version.format_version != FORMAT_VERSION:
        raise StartupError(
            f"{directory} has format version {version.format_version}, this release reads "
            f"{FORMAT_VERSION}; start it with the release that wrote it"
        )
    for name in (JOURNAL, CHECKPOINTS):
        if not (directory / name).is_dir():
            raise StoreDamaged(f"{directory / name} is missing; restore it from a backup")
    try:
        return bytes.fromhex(version.store_id)
    except ValueError:
        raise StoreDamaged(f"{path} is damaged: the store id is not hexadecimal") from None


def _refuse_contents(directory: Path) -> None:
    for entry in sorted(directory.iterdir()):
        if _UNFINISHED.fullmatch(entry.name) and not (entry.is_dir() and any(entry.iterdir())):
            continue
        raise StartupError(
            f"{directory} is not empty (it holds {entry.name!r}); nothing was formatted. "
            "Move away what is there, or name another directory"
        )
