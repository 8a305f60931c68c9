"""A file being written: bytes into packets, packets into blocks, blocks into the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from cairnfs.client.block_writer import BlockWriter, WriteTarget
from cairnfs.client.context import ClientContext
from cairnfs.client.retry import Backoff
from cairnfs.errors import (
    CairnError,
    ConnectionLost,
    FileSystemError,
    NotReplicatedYet,
    RemoteError,
    TransportError,
)
from cairnfs.replica.pipeline_messages import Packet
from cairnfs.types import ExtendedBlock, LocatedBlock
from cairnfs.wire.checksum import compute
from cairnfs.wire.crc import Buffer
from cairnfs.wire.packet import encode_last_packet, encode_packet_header

LENGTH_AS_IT_IS = -1


class FileWriter:
    """Writes one file from its start, or from the end of what is there: on in its ``last``
    block, or in a new one after ``previous``.

    Bytes given to :meth:`write` are safe when :meth:`hflush`, :meth:`hsync` or :meth:`close`
    return. Not for several tasks at once without order: calls wait for each other."""

    def __init__(
        self,
        context: ClientContext,
        target: WriteTarget,
        *,
        packet_bytes: int,
        last: LocatedBlock | None = None,
        previous: ExtendedBlock | None = None,
        length: int = 0,
        on_closed: Callable[[FileWriter], None] = lambda writer: None,
    ) -> None:
        self.path = target.path
        self.position = length
        self.closed = False
        self._context = context
        self._target = target
        self._chunk = target.checksum.bytes_per_checksum
        self._packet_bytes = max(packet_bytes // self._chunk, 1) * self._chunk
        self._on_closed = on_closed
        self._lock = asyncio.Lock()
        self._block: BlockWriter | None = None
        self._previous = previous
        self._seqno = 0
        self._error: CairnError | None = None
        self._moves = 0
        # True while the NameNode may not have a newly added block on disk.
        self._unsaved_block = False
        # The packet being filled: where it starts in its block, its bytes, how many; and up
        # to where the block was sent already (bytes of an open chunk are sent again).
        self._start = 0
        self._buffer: bytearray | None = None
        self._fill = 0
        self._sent_to = 0
        if last is not None:
            self._start = self._sent_to = last.block.num_bytes
            self._block = self._begin(last, append=True)

    # --- what users call ---------------------------------------------------------------------

    async def write(self, data: Buffer) -> int:
        """Take all of ``data``; waits while too much is on its way. ``bytes`` are not copied,
        what may change is. Returns the number of bytes."""
        async with self._lock:
            self._check()
            view = memoryview(data).cast("B")
            steady = isinstance(data, bytes)
            position, size = 0, len(view)
            while position < size:
                room = self._room()
                if steady and not self._fill and size - position >= room:
                    await self._emit(view[position : position + room])
                    position += room
                    continue
                piece = view[position : position + room]
                self._take(piece)
                position += len(piece)
                if len(piece) == room:
                    await self._emit_buffer()
            self.position += size
            return size

    async def hflush(self) -> None:
        """Return when all DataNodes have what was written: new readers see it."""
        async with self._lock:
            self._check()
            await self._flush(sync=False)

    async def hsync(self, update_length: bool = False) -> None:
        """As :meth:`hflush`, and the DataNodes have it on disk. ``update_length`` also tells
        the NameNode, so that ``stat`` shows the length."""
        async with self._lock:
            self._check()
            await self._flush(sync=True, update_length=update_length)

    async def close(self) -> None:
        """Finish the file: when this returns, all of it is written and the lease is over.

        Raises whatever went wrong; the file is then left to lease recovery."""
        async with self._lock:
            if self.closed:
                return
            self.closed = True
            try:
                if self._error is not None:
                    raise self._error
                await self._finish_block()
                await self._complete()
            finally:
                await self._drop()

    async def abort(self) -> None:
        """Stop without finishing: the file stays open until its lease runs out."""
        self.closed = True
        await self._drop()

    async def __aenter__(self) -> FileWriter:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except CairnError:
            # What went wrong first is what the caller should hear of.
            if error is None:
                raise

    @property
    def block_size(self) -> int:
        return self._target.block_size

    @property
    def block(self) -> BlockWriter | None:
        """The block being written now, for tests and the curious."""
        return self._block

    def _check(self) -> None:
        if self.closed:
            raise ValueError(f"{self.path} is closed")
        if self._error is not None:
            raise self._error

    async def _drop(self) -> None:
        self._buffer = None
        block, self._block = self._block, None
        if block is not None:
            await block.close()
        self._on_closed(self)

    # --- bytes into packets ------------------------------------------------------------------

    def _room(self) -> int:
        """Bytes that the packet being filled still takes (at least one)."""
        lead = self._start % self._chunk
        # A packet that starts in mid-chunk ends with that chunk: its one checksum is only
        # of the new bytes, and the DataNode joins it with what it has.
        whole = self._chunk - lead if lead else self._packet_bytes
        return min(whole, self._target.block_size - self._start) - self._fill

    def _take(self, piece: memoryview) -> None:
        if self._buffer is None:
            self._buffer = bytearray(min(self._packet_bytes, self._target.block_size))
        self._buffer[self._fill : self._fill + len(piece)] = piece
        self._fill += len(piece)

    async def _emit_buffer(self) -> None:
        assert self._buffer is not None
        data = memoryview(self._buffer)[: self._fill]
        self._buffer = None
        self._fill = 0
        await self._emit(data)

    async def _emit(self, data: memoryview) -> None:
        """Send a full packet, and end the block where it is full."""
        start = self._start
        self._start += len(data)
        await self._send(start, data)
        if self._start == self._target.block_size:
            await self._finish_block()

    async def _send(self, start: int, data: memoryview, sync: bool = False) -> None:
        if self._block is None:
            self._block = await self._next_block()
        sums = compute(self._target.checksum, data)
        header = encode_packet_header(self._seqno, start, len(data), len(sums), sync=sync)
        packet = Packet(self._seqno, start, len(data), sync=sync, payload=(header + sums, data))
        await self._push(packet)
        self._sent_to = max(self._sent_to, packet.end)

    async def _push(self, packet: Packet) -> None:
        assert self._block is not None
        self._seqno += 1
        self._block.send(packet)
        window = self._context.settings.write_window_bytes
        await self._wait(lambda block: block.held_bytes < window)

    async def _flush(self, sync: bool, update_length: bool = False) -> None:
        if self._fill and self._start + self._fill > self._sent_to:
            await self._send_open_chunk(sync)
        elif sync and self._sent_to and self._block is not None:
            await self._send(self._sent_to, memoryview(b""), sync=True)
        if self._block is not None:
            await self._wait_acked()
            self._block.hflushed()
        if self._unsaved_block or update_length:
            length = self._sent_to if update_length else LENGTH_AS_IT_IS
            await self._context.namenode.fsync(self.path, self._target.inode_id, length)
            self._unsaved_block = False

    async def _send_open_chunk(self, sync: bool) -> None:
        """Send what there is of the packet being filled, and keep its last, open chunk: the
        next packet starts with it again."""
        assert self._buffer is not None
        data, start = bytes(self._buffer[: self._fill]), self._start
        if start % self._chunk == 0:
            self._start += self._fill - self._fill % self._chunk
        kept = data[self._start - start :]
        self._buffer[: len(kept)] = kept
        self._fill = len(kept)
        await self._send(start, memoryview(data), sync)

    # --- packets into blocks -----------------------------------------------------------------

    async def _wait_acked(self) -> None:
        last = self._seqno - 1
        await self._wait(lambda block: block.acked_seqno >= last)

    async def _wait(self, done: Callable[[BlockWriter], bool]) -> None:
        """Wait until ``done`` holds for the current block, whichever that is by then."""
        while True:
            block = self._block
            assert block is not None
            if block.error is not None:
                self._error = block.error
                raise block.error
            if block.given_up is not None:
                await self._move()
            elif done(block):
                return
            else:
                await block.changed()

    def _begin(self, located: LocatedBlock, *, append: bool = False) -> BlockWriter:
        block = BlockWriter(self._context, self._target, located, append=append)
        self._unsaved_block = True
        block.start()
        return block

    async def _next_block(self) -> BlockWriter:
        self._moves = 0
        self._seqno = 0
        return self._begin(await self._add_block())

    async def _add_block(self) -> LocatedBlock:
        settings = self._context.settings
        backoff = self._patience()
        while True:
            excluded = self._context.excluded.nodes()
            try:
                return await self._context.namenode.add_block(
                    self.path, self._target.inode_id, self._previous, excluded
                )
            except NotReplicatedYet:
                if backoff.count > settings.following_block_retries:
                    raise
            except (FileSystemError, RemoteError) as error:
                # With some nodes left out there may be none: the failed ones may be back.
                if type(error) not in (FileSystemError, RemoteError) or not excluded:
                    raise
                self._context.excluded.clear()
            await self._context.clock.sleep_ms(backoff.next_ms())

    async def _move(self) -> None:
        """Write what the current block did not take into another one on other nodes."""
        assert self._block is not None
        old = self._block
        assert old.given_up is not None
        self._moves += 1
        for node in old.given_up.excluded:
            self._context.excluded.add(node.info)
        await self._abandon(old.given_up.block)
        if self._moves > self._context.settings.block_write_retries:
            self._error = ConnectionLost(
                f"no DataNode took a block of {self.path} in {self._moves} attempts; "
                f"last: {old.given_up.reason}"
            )
            raise self._error
        self._block = self._begin(await self._add_block())
        for packet in old.held_packets():
            self._block.send(packet)

    async def _abandon(self, block: ExtendedBlock) -> None:
        await self._context.namenode.abandon_block(self.path, self._target.inode_id, block)

    async def _finish_block(self) -> None:
        """End the block, if there is one, with whatever the open packet holds."""
        if self._fill and self._start + self._fill > self._sent_to:
            data = memoryview(bytes(memoryview(self._buffer or b"")[: self._fill]))
            await self._send(self._start, data)
        if self._block is not None:
            end = encode_last_packet(self._seqno, self._sent_to)
            await self._push(Packet(self._seqno, self._sent_to, 0, last=True, payload=(end,)))
            await self._wait(lambda block: block.finished is not None)
            finished = self._block.finished
            assert finished is not None
            self._previous = finished.block
            self._block = None
        self._start = self._fill = self._sent_to = 0

    # --- blocks into the file ----------------------------------------------------------------

    def _patience(self) -> Backoff:
        settings = self._context.settings
        return Backoff(settings.following_block_delay_ms, settings.following_block_delay_max_ms)

    async def _complete(self) -> None:
        backoff = self._patience()
        while not await self._context.namenode.complete(
            self.path, self._target.inode_id, self._previous
        ):
            if backoff.count > self._context.settings.following_block_retries:
                raise TransportError(
                    f"{self.path} cannot be closed: its last block was reported by too few "
                    f"DataNodes after {backoff.count} attempts"
                )
            await self._context.clock.sleep_ms(backoff.next_ms())
