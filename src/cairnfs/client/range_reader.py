"""One read operation at one DataNode: a range of a block into buffers, verified."""

from __future__ import annotations

import asyncio
from collections import deque

from cairnfs.client.buffers import BufferPool
from cairnfs.client.data_socket import DataSocket
from cairnfs.errors import (
    CairnError,
    CallTimeout,
    ChecksumMismatch,
    ConnectionLost,
    InvalidToken,
    RemoteProtocolError,
    ReplicaNotFound,
)
from cairnfs.types import ChecksumType
from cairnfs.wire.checksum import DataChecksum, verify_packets
from cairnfs.wire.packet import Packet, parse_packets
from cairnfs.wire.transfer import ReadBlock
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import (
    BlockOpResponse,
    Status,
    encode_read_status,
    parse_response,
)

_READ_OK = encode_read_status(Status.CHECKSUM_OK)
_READ_UNVERIFIED = encode_read_status(Status.SUCCESS)
_READ_BAD = encode_read_status(Status.ERROR_CHECKSUM)
# Beside the data: checksums (4 bytes for each 512), headers, the answer, the chunks around.
_OVERHEAD_BYTES = 16 * 1024


class Received:
    """Verified data in order, and the buffers that it stands in.

    Filled by one or more reads, emptied by one consumer, who says when a view is used up."""

    def __init__(self, pool: BufferPool) -> None:
        self.views: deque[memoryview] = deque()
        self.bytes = 0
        self._pool = pool
        self._buffers: list[memoryview] = []
        self._waiting: asyncio.Future[None] | None = None

    def new_buffer(self, size: int) -> memoryview:
        buffer = self._pool.take(size)
        self._buffers.append(buffer)
        return buffer

    def add(self, view: memoryview) -> None:
        self.views.append(view)
        self.bytes += len(view)

    def wake(self) -> None:
        """Tell the consumer that there is more, or that nothing more will come."""
        if self._waiting is not None:
            if not self._waiting.done():
                self._waiting.set_result(None)
            self._waiting = None

    async def changed(self) -> None:
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting

    def release(self) -> None:
        """Give the buffers back: all views are used up."""
        self.views.clear()
        while self._buffers:
            self._pool.give(self._buffers.pop())


class RangeReader:
    """Reads ``request``'s range through ``sock`` into ``received``.

    When :meth:`run` returns, all is there and ``sock`` may be used again if
    :attr:`reusable`; when it raises, what came in good order is there."""

    def __init__(
        self, sock: DataSocket, request: ReadBlock, received: Received, *, verify: bool = True
    ) -> None:
        self.reusable = False
        self.answered = False
        self._sock = sock
        self._request = request
        self._received = received
        self._verify = verify
        self._checksum: DataChecksum | None = None
        # Where the next packet must start, and the range that is wanted, in the block.
        self._next = 0
        self._begin = request.offset
        self._end = request.offset + request.length
        self._buffer = received.new_buffer(request.length + request.length // 100 + _OVERHEAD_BYTES)
        self._start = 0
        self._fill = 0
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._heard_s = 0.0

    async def run(self, timeout_ms: int) -> None:
        """Raises ``ChecksumMismatch``, ``ReplicaNotFound``, ``InvalidToken``, ``TransportError``
        or ``ProtocolError``; ``CallTimeout`` after ``timeout_ms`` without a byte."""
        self._heard_s = self._loop.time()
        timeout_s = timeout_ms / 1000
        timer = self._loop.call_later(timeout_s, self._check_time, timeout_s)
        self._timer = timer
        self._sock.on_lost = self._lost
        self._sock.send(encode_request(self._request))
        self._sock.on_readable(self._readable)
        try:
            await self._done
        finally:
            self._timer.cancel()
            self._sock.on_readable(None)
            self._sock.on_lost = None

    def _check_time(self, timeout_s: float) -> None:
        left_s = self._heard_s + timeout_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._check_time, timeout_s)
        else:
            self._fail(CallTimeout(f"DataNode {self._sock.peer} sent nothing for {timeout_s:g} s"))

    def _lost(self, reason: str) -> None:
        self._fail(ConnectionLost(f"DataNode {self._sock.peer}: {reason}"))

    def _fail(self, error: CairnError) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def _readable(self) -> None:
        if self._done.done():
            return
        try:
            count = self._sock.recv_into(self._buffer[self._fill :])
            if not count:
                return
            self._heard_s = self._loop.time()
            self._fill += count
            if self._checksum is None and not self._take_answer():
                return
            self._take_packets()
        except CairnError as error:
            self._fail(error)

    # --- the answer --------------------------------------------------------------------------

    def _take_answer(self) -> bool:
        found = parse_response(self._buffer, self._start, self._fill)
        if found is None:
            return False
        answer, self._start = found
        self.answered = True
        if not answer.is_success:
            raise self._refusal(answer)
        if answer.read_checksum is None:
            raise RemoteProtocolError(f"DataNode {self._sock.peer} names no checksum for a read")
        self._checksum = answer.read_checksum.checksum
        self._next = answer.read_checksum.chunk_offset
        if self._next > self._begin:
            raise RemoteProtocolError(
                f"DataNode {self._sock.peer} starts at {self._next}, asked for was {self._begin}"
            )
        return True

    def _refusal(self, answer: BlockOpResponse) -> CairnError:
        reason = answer.message or answer.status.name
        text = f"DataNode {self._sock.peer} does not send block {self._request.block.block_id}"
        if answer.status is Status.ERROR_ACCESS_TOKEN:
            return InvalidToken(f"{text}: {reason}")
        return ReplicaNotFound(f"{text}: {reason}")

    # --- packets -----------------------------------------------------------------------------

    def _take_packets(self) -> None:
        packets, start, needed = parse_packets(self._buffer, self._start, self._fill)
        self._start = start
        if packets:
            ended = packets[-1].is_last
            data = [packet for packet in packets if len(packet.data)]
            for packet in data:
                self._check_order(packet)
            self._check_sums(data)
            self._deliver(data)
            if ended:
                self._end_of_range()
                return
        if start + needed > len(self._buffer):
            self._change_buffer(needed)

    def _check_order(self, packet: Packet) -> None:
        if packet.offset != self._next:
            raise RemoteProtocolError(
                f"DataNode {self._sock.peer} sent a packet for {packet.offset} where "
                f"{self._next} was next"
            )
        self._next += len(packet.data)

    def _check_sums(self, packets: list[Packet]) -> None:
        assert self._checksum is not None
        if not self._verify or not packets or self._checksum.type is ChecksumType.NULL:
            return
        bad = verify_packets(self._checksum, [(packet.data, packet.sums) for packet in packets])
        if bad is not None:
            self._deliver(packets[: bad[0]])
            self._sock.send(_READ_BAD)
            raise ChecksumMismatch(
                f"DataNode {self._sock.peer} holds wrong data of block "
                f"{self._request.block.block_id} at {packets[bad[0]].offset + bad[1]}"
            )

    def _deliver(self, packets: list[Packet]) -> None:
        for packet in packets:
            first = max(self._begin - packet.offset, 0)
            last = self._end - packet.offset
            view = packet.data[first:last]
            if len(view):
                self._received.add(view)
        if packets:
            self._received.wake()

    def _end_of_range(self) -> None:
        if self._next < self._end:
            raise ConnectionLost(
                f"DataNode {self._sock.peer} ended block {self._request.block.block_id} at "
                f"{self._next}; {self._end} bytes were expected"
            )
        self._sock.send(_READ_OK if self._verify else _READ_UNVERIFIED)
        self.reusable = self._start == self._fill and not self._sock.closed
        self._done.set_result(None)

    def _change_buffer(self, needed: int) -> None:
        """Go on in another buffer: what was delivered of this one is in use."""
        rest = self._buffer[self._start : self._fill]
        left = max(self._end - self._next, 0)
        size = max(needed, left + left // 100) + _OVERHEAD_BYTES
        self._buffer = self._received.new_buffer(size)
        self._buffer[: len(rest)] = rest
        self._start, self._fill = 0, len(rest)
