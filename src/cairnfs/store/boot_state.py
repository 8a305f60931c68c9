"""Whether unsynced files can be believed: the kernel's boot id and the clean-stop mark.

What a process wrote and did not sync outlives the process but not the kernel. A store
remembers under which boot it was last written, and whether it was synced when it stopped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from cairnfs.errors import StorageError
from cairnfs.store.disk import Disk, storage_error, write_file

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def kernel_boot_id() -> str:
    """Another one after each boot of the machine. Raises ``StorageError``."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StorageError(f"{_BOOT_ID} cannot be read ({error.strerror})") from error


@dataclass(frozen=True, slots=True)
class BootState:
    """``sequence`` is of the last journal record when this was written."""

    boot_id: str
    clean: bool
    sequence: int

    def trusts(self, boot_id: str) -> bool:
        """Whether unsynced files of then are as they were left."""
        return self.clean or self.boot_id == boot_id


# Believes nothing.
NO_STATE = BootState("", False, 0)


def load_state(path: Path) -> BootState:
    """``NO_STATE`` where there is none or it cannot be understood; ``StorageError``."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=BootState)
    except (FileNotFoundError, msgspec.MsgspecError):
        return NO_STATE
    except OSError as error:
        raise storage_error(error, path, "cannot be read") from error


def save_state(disk: Disk, path: Path, state: BootState) -> None:
    """Durably. Raises ``StorageError``."""
    write_file(disk, path, msgspec.json.encode(asdict(state)) + b"\n")
