"""Calls that wait a moment for replicas to be reported.

A client that asks to complete a file usually comes a hair before the report of its last
replica. Answered "not yet" it would sleep for 400 ms; so the call waits here instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cairnfs.clock import Clock

# Called with True when the time is up, False when the block has its replicas.
Attempt = Callable[[bool], None]
# The key of those who wait for a DataNode's heartbeat; block ids are never 0.
DATANODE = 0
# Calls held at once; more are answered "not yet" at once.
HELD_MAX = 10_000


class HeldCalls:
    """Who waits for which block, or for a DataNode. On the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[int, list[tuple[Attempt, asyncio.TimerHandle]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def wait(self, key: int, deadline_ms: int, attempt: Attempt) -> None:
        """Call ``attempt`` once: when what ``key`` names is there (a block id: its minimum of
        replicas; :data:`DATANODE`), or at the deadline (steady time)."""
        left_ms = deadline_ms - self._clock.steady_ms()
        loop = asyncio.get_running_loop()
        if left_ms <= 0 or self._count >= HELD_MAX:
            loop.call_soon(attempt, True)
            return
        timer = loop.call_later(left_ms / 1000, self._expire, key, attempt)
        self._waiting.setdefault(key, []).append((attempt, timer))
        self._count += 1

    def ready(self, key: int) -> None:
        """The block has its minimum of replicas; or a DataNode has told its room."""
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        self._count -= len(waiting)
        for attempt, timer in waiting:
            timer.cancel()
            attempt(False)

    def close(self) -> None:
        """Answer everyone "not yet"."""
        waiting, self._waiting = self._waiting, {}
        self._count = 0
        for entries in waiting.values():
            for attempt, timer in entries:
                timer.cancel()
                attempt(True)

    def _expire(self, key: int, attempt: Attempt) -> None:
        entries = self._waiting.get(key, [])
        left = [entry for entry in entries if entry[0] is not attempt]
        self._count -= len(entries) - len(left)
        if left:
            self._waiting[key] = left
        else:
            self._waiting.pop(key, None)
        attempt(True)
