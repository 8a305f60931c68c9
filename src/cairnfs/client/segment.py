"""A range of a file that is read ahead."""

from __future__ import annotations

import asyncio
from collections import deque

from cairnfs.client.context import ClientContext
from cairnfs.client.fetch import Fetcher
from cairnfs.client.range_reader import Received


class Segment:
    """A range of the file on its way."""

    def __init__(self, fetcher: Fetcher, context: ClientContext, offset: int, length: int) -> None:
        self.offset = offset
        self.length = length
        self.received = Received(context.buffers)
        self.task = asyncio.ensure_future(self._run(fetcher))

    async def _run(self, fetcher: Fetcher) -> None:
        try:
            await fetcher.fetch(self.offset, self.length, self.received)
        finally:
            self.received.wake()

    async def views(self) -> deque[memoryview]:
        """What is there and not used up yet; empty at the segment's end."""
        while not self.received.views and not self.task.done():
            await self.received.changed()
        if not self.received.views:
            self.task.result()
        return self.received.views

    def retire(self) -> None:
        """All was handed out and used up. The buffers go back once the read has ended: the
        end of its range, an empty packet, may still be on its way into them."""
        self.task.add_done_callback(self._retired)

    def _retired(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # it came too late to matter
        self.received.release()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.received.release()
