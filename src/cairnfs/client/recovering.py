"""Waiting for files whose last block is being recovered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cairnfs.client.retry import Backoff
from cairnfs.clock import Clock
from cairnfs.errors import RecoveryInProgress

T = TypeVar("T")
# DataNodes hear of a recovery with their next heartbeat, 3 s later at most.
_RECOVERY_WAIT_MS = 20_000


async def while_recovering(clock: Clock, ask: Callable[[], Awaitable[T]]) -> T:
    """What ``ask`` returns once the file is closed: its writer went away a moment ago and the
    NameNode is just recovering it. Raises ``RecoveryInProgress`` if that takes too long."""
    backoff = Backoff(100, 2_000)
    deadline_ms = clock.steady_ms() + _RECOVERY_WAIT_MS
    while True:
        try:
            return await ask()
        except RecoveryInProgress:
            if clock.steady_ms() > deadline_ms:
                raise
        await clock.sleep_ms(backoff.next_ms())


async def until_true(clock: Clock, ask: Callable[[], Awaitable[bool]], wait_ms: int) -> bool:
    """Ask until the answer is True; False if it is not within ``wait_ms``."""
    backoff = Backoff(20, 1_000)
    deadline_ms = clock.steady_ms() + wait_ms
    while not await ask():
        if clock.steady_ms() > deadline_ms:
            return False
        await clock.sleep_ms(backoff.next_ms())
    return True
