"""A file being read: in order with read-ahead, or at any offset.

In-order reading keeps segments of the file in flight, each a read operation of its own at
the replica that is nearest: one at first, and more and larger ones as long as the reader
goes on in order, so that several DataNodes deliver at once and no memory is filled for
someone who jumps about.
"""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Callable
from types import TracebackType

from cairnfs.client.context import ClientContext
from cairnfs.client.fetch import Fetcher
from cairnfs.client.locations import FileBlocks
from cairnfs.client.range_reader import Received
from cairnfs.client.segment import Segment
from cairnfs.types import DatanodeInfo

# The first segment; those that follow double up to the largest.
_SEGMENT_BYTES_FIRST = 256 * 1024
_SEGMENT_BYTES_MAX = 8 * 1024 * 1024
# Segments end here, so that no chunk is read twice.
_SEGMENT_ALIGNMENT = 64 * 1024
# How long closing waits for reads whose data was all used up.
_RETIRING_S = 1.0


class FileReader:
    """Reads one file. ``size`` is its length when it was opened (see :meth:`refresh`).

    One task at a time reads in order (:meth:`read`, :meth:`readinto`, :meth:`views`); any
    number may use :meth:`pread` at once. Raises ``ChecksumMismatch``, ``TransportError`` and
    the NameNode's errors."""

    def __init__(
        self,
        context: ClientContext,
        blocks: FileBlocks,
        *,
        verify: bool = True,
        on_closed: Callable[[FileReader], None] = lambda reader: None,
    ) -> None:
        self.path = blocks.path
        self.position = 0
        self.closed = False
        self._context = context
        self._blocks = blocks
        self._on_closed = on_closed
        self._fetcher = Fetcher(context, blocks, verify=verify)
        self._segments: deque[Segment] = deque()
        # Where the last scheduled segment ends, and how large the next one is.
        self._scheduled = 0
        self._segment_bytes = _SEGMENT_BYTES_FIRST
        settings = context.settings
        self._streams = settings.read_streams
        self._segment_bytes_max = min(
            _SEGMENT_BYTES_MAX, max(settings.read_window_bytes // (self._streams + 1), 1 << 20)
        )
        self._in_order = False
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        return self._blocks.length

    async def refresh(self) -> int:
        """Look again how long the file is (a writer may be adding to it); the size."""
        await self._blocks.open()
        return self._blocks.length

    # --- in order ----------------------------------------------------------------------------

    async def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes (all that are left by default); fewer only at the end."""
        left = max(self.size - self.position, 0)
        want = left if size < 0 else min(size, left)
        if not want:
            return b""
        self._expect(want)
        first = await self._peek()
        if len(first) >= want:
            data = bytes(first[:want])
            self._consume(want)
            return data
        # BytesIO hands out what it holds without another copy.
        whole = io.BytesIO()
        while (left := want - whole.tell()) > 0:
            piece = (await self._peek())[:left]
            whole.write(piece)
            self._consume(len(piece))
        return whole.getvalue()

    async def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill ``buffer`` from the current position; fewer bytes only at the end."""
        view = memoryview(buffer).cast("B")
        want = min(len(view), max(self.size - self.position, 0))
        if want:
            self._expect(want)
            await self._read_fully(view[:want])
        return want

    async def views(self) -> list[memoryview]:
        """The next bytes as they came, without a copy; empty at the end. Valid until the
        next call on this reader."""
        self._check()
        self._drop_used()
        if self.position >= self.size:
            return []
        self._expect(self._segment_bytes_max)
        await self._peek()
        segment = self._segments[0]
        found = list(segment.received.views)
        segment.received.views.clear()
        size = sum(map(len, found))
        segment.offset += size
        segment.length -= size
        self.position += size
        return found

    def seek(self, position: int) -> int:
        """The next read in order starts there."""
        self._check()
        if position < 0:
            raise ValueError(f"{position} is before the start of {self.path}")
        self.position = position
        return position

    async def _read_fully(self, view: memoryview) -> None:
        filled = 0
        while filled < len(view):
            piece = await self._peek()
            size = min(len(piece), len(view) - filled)
            view[filled : filled + size] = piece[:size]
            self._consume(size)
            filled += size

    def _expect(self, size: int) -> None:
        """Someone wants ``size`` bytes in one go: no use in starting small."""
        aligned = -(-size // _SEGMENT_ALIGNMENT) * _SEGMENT_ALIGNMENT
        self._segment_bytes = max(self._segment_bytes, min(aligned, self._segment_bytes_max))
        if size > self._segment_bytes_max:
            self._in_order = True

    async def _peek(self) -> memoryview:
        """The view that starts at the current position; waits for it."""
        self._check()
        while True:
            await self._find_segment()
            segment = self._segments[0]
            views = await segment.views()
            if views:
                return views[0]
            self._end_segment()

    def _consume(self, size: int) -> None:
        segment = self._segments[0]
        views = segment.received.views
        if size == len(views[0]):
            views.popleft()
        else:
            views[0] = views[0][size:]
        segment.offset += size
        segment.length -= size
        self.position += size

    def _drop_used(self) -> None:
        """Release segments of which every byte was handed out."""
        while self._segments and not self._segments[0].length:
            self._end_segment()

    def _end_segment(self) -> None:
        segment = self._segments.popleft()
        segment.retire()
        if not segment.task.done():
            self._retiring.add(segment.task)
            segment.task.add_done_callback(self._retiring.discard)
        # Someone who used up a whole segment reads in order: further ones come in parallel.
        self._in_order = True
        self._segment_bytes = min(self._segment_bytes * 2, self._segment_bytes_max)

    async def _find_segment(self) -> None:
        """Make the first segment the one that holds the position, and keep others coming."""
        self._drop_used()
        while self._segments and not self._reaches(self._segments[0]):
            await self._segments.popleft().stop()
        if not self._segments:
            if self.position != self._scheduled:
                self._in_order = False
                self._segment_bytes = min(self._segment_bytes, _SEGMENT_BYTES_FIRST * 4)
            self._scheduled = self.position
            await self._schedule()
        while self._in_order and len(self._segments) <= self._streams:
            if self._scheduled >= self.size or not self._fits():
                return
            await self._schedule()

    def _reaches(self, segment: Segment) -> bool:
        """Skip forward inside a segment where that is where the position went."""
        skip = self.position - segment.offset
        if skip == 0:
            return True
        buffered = sum(map(len, segment.received.views))
        if not 0 < skip < segment.length or skip > buffered + _SEGMENT_BYTES_FIRST:
            return False
        if skip > buffered:
            return False
        segment.offset += skip
        segment.length -= skip
        views = segment.received.views
        while skip:
            if skip < len(views[0]):
                views[0] = views[0][skip:]
                return True
            skip -= len(views.popleft())
        return True

    def _fits(self) -> bool:
        held = sum(segment.length for segment in self._segments)
        return held + self._segment_bytes <= self._context.settings.read_window_bytes

    async def _schedule(self) -> None:
        located = await self._blocks.find(self._scheduled)
        end = self._scheduled + self._segment_bytes
        end -= (end - located.offset) % _SEGMENT_ALIGNMENT
        end = min(max(end, self._scheduled + _SEGMENT_ALIGNMENT), self.size)
        end = min(end, located.offset + located.block.num_bytes)
        segment = Segment(self._fetcher, self._context, self._scheduled, end - self._scheduled)
        self._segments.append(segment)
        self._scheduled = end

    # --- at any offset -----------------------------------------------------------------------

    async def pread(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; the position of in-order reading stays."""
        want = self._within(offset, size)
        pieces = await self._cut(offset, want)
        if len(pieces) == 1:
            received = await self._receive(*pieces[0])
            try:
                return b"".join(received.views)
            finally:
                received.release()
        buffer = bytearray(want)
        await self._fill(offset, pieces, memoryview(buffer))
        return bytes(buffer)

    async def pread_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        """As :meth:`pread`, into ``buffer``; the number of bytes."""
        view = memoryview(buffer).cast("B")
        want = self._within(offset, len(view))
        await self._fill(offset, await self._cut(offset, want), view)
        return want

    def _within(self, offset: int, size: int) -> int:
        self._check()
        if offset < 0 or size < 0:
            raise ValueError(f"{size} bytes at {offset} of {self.path} make no range")
        return min(size, max(self.size - offset, 0))

    async def _cut(self, offset: int, size: int) -> list[tuple[int, int]]:
        """(offset, size) of the reads that a range takes: none crosses blocks, none is huge."""
        pieces: list[tuple[int, int]] = []
        end = offset + size
        while offset < end:
            located = await self._blocks.find(offset)
            stop = min(
                end, located.offset + located.block.num_bytes, offset + self._segment_bytes_max
            )
            pieces.append((offset, stop - offset))
            offset = stop
        return pieces

    async def _fill(self, offset: int, pieces: list[tuple[int, int]], view: memoryview) -> None:
        """Read ``pieces`` into their places in ``view``, several at a time."""
        slots = asyncio.Semaphore(self._streams)

        async def one(start: int, size: int) -> None:
            async with slots:
                received = await self._receive(start, size)
            at = start - offset
            for piece in received.views:
                view[at : at + len(piece)] = piece
                at += len(piece)
            received.release()

        tasks = [asyncio.ensure_future(one(*piece)) for piece in pieces]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, offset: int, size: int) -> Received:
        """A range within one block, whole; the caller releases it."""
        received = Received(self._context.buffers)
        if self._context.settings.hedged_reads_max:
            return await self._hedged(offset, size, received)
        try:
            await self._fetcher.fetch(offset, size, received)
        except BaseException:
            received.release()
            raise
        return received

    async def _hedged(self, offset: int, size: int, first: Received) -> Received:
        """Ask a second replica where the first is slow; whichever ends first is taken."""
        settings = self._context.settings
        asked: list[DatanodeInfo] = []
        fetch = self._fetcher.fetch
        task = asyncio.ensure_future(fetch(offset, size, first, chosen=asked))
        attempts = {task: first}
        winner: Received | None = None
        try:
            done, _ = await asyncio.wait(attempts, timeout=settings.hedged_threshold_ms / 1000)
            if not done and self._context.hedged_reads < settings.hedged_reads_max:
                self._context.hedged_reads += 1
                second = Received(self._context.buffers)
                task = asyncio.ensure_future(fetch(offset, size, second, avoid=tuple(asked)))
                task.add_done_callback(self._hedge_ended)
                attempts[task] = second
            winner = await self._first_good(attempts)
            return winner
        finally:
            for task in attempts:
                task.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)
            for received in attempts.values():
                if received is not winner:
                    received.release()

    def _hedge_ended(self, task: asyncio.Task[None]) -> None:
        self._context.hedged_reads -= 1

    @staticmethod
    async def _first_good(attempts: dict[asyncio.Task[None], Received]) -> Received:
        pending = set(attempts)
        error: BaseException | None = None
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    return attempts[task]
        assert error is not None
        raise error

    # --- end ---------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.closed:
            raise ValueError(f"{self.path} is closed")

    async def close(self) -> None:
        """Stop whatever is on its way."""
        self.closed = True
        self._on_closed(self)
        while self._segments:
            await self._segments.popleft().stop()
        if self._retiring:
            # They end within a moment, some with a complaint to the NameNode.
            await asyncio.wait(self._retiring, timeout=_RETIRING_S)
        for task in tuple(self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def __aenter__(self) -> FileReader:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> FileReader:
        return self

    async def __anext__(self) -> bytes:
        """The next piece of the file, as it came."""
        if self.position >= self.size:
            raise StopAsyncIteration
        return await self.read(max(len(await self._peek()), 1))
