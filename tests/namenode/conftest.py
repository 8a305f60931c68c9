"""A NameNode in this process, and clients of it under any name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from namenode_world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A NameNode without DataNodes; its clock stands still."""
    running = World(tmp_path)
    await running.start()
    yield running
    await running.close()
