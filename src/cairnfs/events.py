"""What happens inside a role, told to whoever listens: tests await it, metrics count it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a dotted name (``datanode.registered``) and its facts."""

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class EventBus:
    """Hands events to listeners, in order, in the thread that emits them."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def emit(self, name: str, **facts: Any) -> None:
        if self._listeners:
            event = Event(name, facts)
            for listener in tuple(self._listeners):
                listener(event)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def wait_for(
        self,
        name: str,
        matches: Callable[[Event], bool] = lambda event: True,
        timeout_s: float = 30.0,
    ) -> Event:
        """The next event of that name for which ``matches`` holds.

        Raises :class:`TimeoutError`. Events may come from any thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Event] = loop.create_future()

        def settle(event: Event) -> None:
            if not future.done():
                future.set_result(event)

        def listener(event: Event) -> None:
            if event.name == name and matches(event):
                loop.call_soon_threadsafe(settle, event)

        stop = self.listen(listener)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            stop()
