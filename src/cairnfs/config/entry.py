"""One setting as a file said it, and what every configuration file has in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cairnfs.errors import ConfigurationError
from cairnfs.limits import CONFIGURATION_FILE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Entry:
    """``name`` = ``text`` on ``line`` (from 1); ``final``: later files must not change it."""

    name: str
    text: str
    line: int
    final: bool = False


def read_file(path: Path) -> bytes:
    """All of ``path``. Raises ``ConfigurationError`` if it is unreadable or far too large."""
    try:
        with path.open("rb") as file:
            data = file.read(CONFIGURATION_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}; mend it or leave it out"
        ) from None
    if len(data) > CONFIGURATION_FILE_BYTES_MAX:
        raise ConfigurationError(
            f"{path} is larger than {CONFIGURATION_FILE_BYTES_MAX} bytes; "
            "that is no configuration file"
        )
    return data
