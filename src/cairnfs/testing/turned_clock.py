"""A clock that a test turns by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class TurnedClock:
    """A :class:`cairnfs.clock.Clock` that stands still until :meth:`turn` moves it.

    On one event loop. Whoever sleeps past the new time wakes, in order."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._wall_offset_ms = now_ms
        self._steady_ms = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._wall_offset_ms + self._steady_ms

    def steady_ms(self) -> int:
        return self._steady_ms

    async def sleep_ms(self, duration_ms: float) -> None:
        if duration_ms <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._steady_ms + duration_ms, next(self._order), future)
        heapq.heappush(self._sleepers, entry)
        await future

    @property
    def sleepers(self) -> int:
        """How many sleep right now."""
        return sum(1 for _, _, future in self._sleepers if not future.done())

    def turn(self, duration_ms: int) -> None:
        """Let ``duration_ms`` pass, all at once; sleepers run when the loop does."""
        self._steady_ms += duration_ms
        while self._sleepers and self._sleepers[0][0] <= self._steady_ms:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
