"""Cairn: a distributed file system that speaks Apache Hadoop's HDFS protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cairnfs.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from cairnfs.client import connect as connect

__all__ = ["__version__", "connect"]


def __getattr__(name: str) -> Any:
    # Imported late: `cairn --version` and the servers need no client.
    if name == "connect":
        from cairnfs.client import connect

        return connect
    raise AttributeError(f"module 'cairnfs' has no attribute {name!r}")
