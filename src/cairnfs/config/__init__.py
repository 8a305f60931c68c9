"""Configuration: keys, files, validation."""

from cairnfs.config.configuration import Configuration
from cairnfs.config.key import Key
from cairnfs.config.loading import load

__all__ = ["Configuration", "Key", "load"]
