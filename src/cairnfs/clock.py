"""Time as the roles see it; a test hands them a clock that it turns itself.

The pure layers never import this: they take ``now_ms`` as an argument.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, steady time, and waiting."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch: for what is stored or shown."""
        ...

    def steady_ms(self) -> int:
        """Milliseconds that never go back: for durations and deadlines."""
        ...

    async def sleep_ms(self, duration_ms: float) -> None:
        """Return when ``duration_ms`` have passed on this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: float) -> None:
        # Imported late: commands that never wait start faster without it.
        import asyncio

        await asyncio.sleep(max(0.0, duration_ms) / 1000)
