"""Configuration: keys, files, validation."""

from typing import TYPE_CHECKING, Any

from cairnfs.config.configuration import Configuration
from cairnfs.config.key import Key

if TYPE_CHECKING:
    from cairnfs.config.loading import load as load

__all__ = ["Configuration", "Key", "load"]


def __getattr__(name: str) -> Any:
    # Imported late: a command that reads no files starts faster without their readers.
    if name == "load":
        from cairnfs.config.loading import load

        return load
    raise AttributeError(f"module 'cairnfs.config' has no attribute {name!r}")
