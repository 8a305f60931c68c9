"""What the NameNode does by itself, every few moments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cairnfs.config import namenode_keys
from cairnfs.errors import CairnError
from cairnfs.log import our_fault

if TYPE_CHECKING:
    from cairnfs.namenode.namesystem import Namesystem

logger = logging.getLogger(__name__)

# Liveness is looked at this often at least; with short expiry times more often.
LIVENESS_MS_MAX = 1_000
GARBAGE_MS = 50
RETRY_CACHE_MS = 10_000
CHECKPOINT_LOOK_MS = 10_000


class Monitors:
    """The periodic tasks of one NameNode."""

    def __init__(self, system: Namesystem) -> None:
        self._system = system
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        system = self._system
        configuration = system.configuration
        upkeep = system.upkeep
        settings = system.block_settings
        liveness_ms = min(LIVENESS_MS_MAX, max(20, settings.dead_after_ms // 10))
        redundancy_ms = min(settings.redundancy_interval_ms, max(20, settings.dead_after_ms // 2))
        self._every("liveness", liveness_ms, upkeep.check_liveness)
        self._every("redundancy", redundancy_ms, upkeep.check_redundancy)
        self._every("leases", configuration[namenode_keys.LEASE_RECHECK_MS], upkeep.check_leases)
        self._every("garbage", GARBAGE_MS, upkeep.collect_garbage)
        self._every("retry cache", RETRY_CACHE_MS, upkeep.trim_retry_cache)
        self._every("checkpoint", CHECKPOINT_LOOK_MS, upkeep.checkpoint_if_due)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _every(self, name: str, period_ms: int, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._run(name, period_ms, work), name=name))

    async def _run(self, name: str, period_ms: int, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._system.clock.sleep_ms(period_ms)
            try:
                await work()
            except CairnError as error:
                logger.warning("%s: %s", name, error)
            except Exception as error:
                our_fault(logger, "the %s monitor failed: %r", name, error, exc_info=error)
