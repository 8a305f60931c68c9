"""Configuration: keys, files, validation."""

from cairnfs.config.configuration import Configuration
from cairnfs.config.key import Key

__all__ = ["Configuration", "Key"]
