"""What the package says of itself."""

from __future__ import annotations

import importlib.metadata

import cairnfs


def test_the_version_is_the_packages() -> None:
    assert cairnfs.__version__ == importlib.metadata.version("cairnfs")
