"""The packets of one block, from the first to the last: stored, passed on, acknowledged.

One thread does it all. A node at the end of a pipeline only receives; one in the middle
watches both its neighbours: packets go on to the next node as they came, in one ``send`` a
batch, and the next node's acks are answered upwards with this node's in front. No second
thread: it would take the interpreter away for every batch.

A batch is what one ``recv_into`` a 4 MiB buffer brought: its whole packets are verified with
one CRC each (by the last node only: it is the one whose copy would spread), written with one
``pwritev`` and acknowledged with one ``send``. The rest of a packet moves to the front.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cairnfs.datanode.buffer_pool import BufferPool
from cairnfs.datanode.connection import Connection
from cairnfs.datanode.open_replica import ReplicaWriter
from cairnfs.errors import (
    CallTimeout,
    ChecksumMismatch,
    ConnectionLost,
    RemoteProtocolError,
    TransportError,
)
from cairnfs.log import peer_fault
from cairnfs.types import ChecksumType
from cairnfs.wire.checksum import DataChecksum, verify_packets
from cairnfs.wire.packet import Packet, parse_packets
from cairnfs.wire.pipeline_ack import (
    SEQNO_UNKNOWN,
    PipelineAck,
    encode_ack,
    flag_of,
    parse_acks,
    success,
)
from cairnfs.wire.transfer_reply import Status

logger = logging.getLogger(__name__)

_ACK_BUFFER_BYTES = 64 * 1024
_ALONE = success(1)


@dataclass(slots=True)
class StreamTimes:
    """Milliseconds: how long each neighbour may be silent."""

    upstream_ms: int
    mirror_ms: int
    write_ms: int


@dataclass(slots=True)
class StreamActions:
    """What to do at the moments that matter; each may raise.

    ``finalize(sync)``: all data is written (and, in a pipeline, safe behind this node).
    ``corrupt()``: the sender's data does not fit its checksums. ``moved(bytes)``: data came in
    (throttling, counters)."""

    finalize: Callable[[bool], None]
    hsync: Callable[[], None]
    corrupt: Callable[[], None]
    moved: Callable[[int], None]


@dataclass(slots=True)
class StreamSetup:
    """What a stream is made of. ``verify``: compare the data with its checksums;
    ``sync_on_close``: the block is to be durable before its last ack, asked for or not."""

    upstream: Connection
    writer: ReplicaWriter
    source: DataChecksum
    buffers: BufferPool
    times: StreamTimes
    actions: StreamActions
    verify: bool = True
    sync_on_close: bool = False


class PacketStream:
    """Base: no node behind, no acks (a copy between DataNodes)."""

    def __init__(self, setup: StreamSetup) -> None:
        self._up = setup.upstream
        self._writer = setup.writer
        self._source = setup.source
        self._buffers = setup.buffers
        self._times = setup.times
        self._actions = setup.actions
        self._verify = setup.verify and setup.source.type is not ChecksumType.NULL
        self._sync_last = setup.sync_on_close
        self._view = setup.buffers.take()
        rest = self._up.rest
        if len(rest) > len(self._view):
            self._view = memoryview(bytearray(2 * len(rest)))
        self._start, self._end = 0, len(rest)
        self._view[: self._end] = rest
        self._up.rest = b""

    def run(self) -> None:
        """Return when the last packet is stored and acknowledged.

        Raises ``TransportError``, ``RemoteProtocolError``, ``ChecksumMismatch`` (the sender
        has been told), ``StorageError``."""
        try:
            self._up.set_receive_timeout(self._times.upstream_ms)
            self._up.set_send_timeout(self._times.write_ms)
            self._loop()
            # A peer that goes on after its last packet begins a new operation.
            self._up.rest = bytes(self._view[self._start : self._end])
        finally:
            self._buffers.give(self._view)

    def _loop(self) -> None:
        while True:
            packets = self._parse()
            if not packets:
                self._end += self._up.receive_into(self._view[self._end :])
            elif self._take(packets):
                return

    def _parse(self) -> list[Packet]:
        """The whole packets that are in the buffer; room for more is made behind the rest."""
        packets, start, needed = parse_packets(self._view, self._start, self._end)
        self._start = start
        if not packets:
            self._make_room(needed)
        return packets

    def _make_room(self, needed: int) -> None:
        rest = self._end - self._start
        if needed > len(self._view):
            larger = memoryview(bytearray(needed))
            larger[:rest] = self._view[self._start : self._end]
            self._buffers.give(self._view)
            self._view = larger
        elif self._start:
            self._view[:rest] = self._view[self._start : self._end]
        self._start, self._end = 0, rest

    def _take(self, packets: list[Packet]) -> bool:
        """Store a batch; whether the block is complete."""
        self._store(packets)
        if packets[-1].is_last:
            self._actions.finalize(self._sync_last)
            return True
        return False

    def _store(self, packets: list[Packet]) -> None:
        """Verify and write; make durable what asks for it."""
        full = [packet for packet in packets if len(packet.data)]
        if full:
            if self._verify:
                bad = verify_packets(self._source, [(p.data, p.sums) for p in full])
                if bad is not None:
                    self._refuse(full, bad[0])
            self._writer.write([(p.offset, p.data, p.sums) for p in full])
            self._actions.moved(sum(len(p.data) for p in full))
        for packet in packets:
            if packet.sync:
                if packet.is_last:
                    self._sync_last = True
                else:
                    self._actions.hsync()
                    break

    def _refuse(self, full: list[Packet], index: int) -> None:
        """Keep the packets before the bad one, tell the sender, give up."""
        good, bad = full[:index], full[index]
        if good:
            self._writer.write([(p.offset, p.data, p.sums) for p in good])
        self._actions.corrupt()
        self._answer_bad(good, bad)
        raise ChecksumMismatch(
            f"{self._up.peer} sent data at offset {bad.offset} of {self._writer.life} that does "
            f"not match its checksums"
        )

    def _answer_bad(self, good: list[Packet], bad: Packet) -> None:
        """A copy between DataNodes is not acknowledged."""


class TailStream(PacketStream):
    """The last (or only) node of a client's pipeline: acknowledges what it has written."""

    def _take(self, packets: list[Packet]) -> bool:
        self._store(packets)
        self._writer.set_acked(self._writer.life.on_disk)
        last = packets[-1].is_last
        if last:
            self._actions.finalize(self._sync_last)
        self._acknowledge(packets)
        return last

    def _acknowledge(self, packets: list[Packet]) -> None:
        self._up.send(b"".join([encode_ack(PipelineAck(p.seqno, _ALONE)) for p in packets]))

    def _answer_bad(self, good: list[Packet], bad: Packet) -> None:
        self._writer.set_acked(self._writer.life.on_disk)
        self._acknowledge(good)
        self._up.send(encode_ack(PipelineAck(bad.seqno, (Status.ERROR_CHECKSUM,))))


class CopyStream(PacketStream):
    """A copy between DataNodes that goes on to further nodes, none of which answers."""

    def __init__(self, setup: StreamSetup, mirror: Connection) -> None:
        super().__init__(setup)
        self._mirror: Connection | None = mirror

    def _take(self, packets: list[Packet]) -> bool:
        if self._mirror is not None:
            try:
                self._mirror.send(self._view[packets[0].start : packets[-1].stop])
            except TransportError as error:
                # The NameNode will see that the copies behind are missing.
                peer_fault(logger, "a copy goes on without the nodes behind: %s", error)
                self._mirror = None
        return super()._take(packets)


@dataclass(slots=True)
class _Pending:
    """A packet that was passed on and waits for its ack."""

    seqno: int
    stop: int
    is_last: bool


class RelayStream(PacketStream):
    """A node in the middle of a client's pipeline."""

    def __init__(self, setup: StreamSetup, mirror: Connection) -> None:
        super().__init__(setup)
        self._mirror = mirror
        self._mirror_failed = False
        self._ack_view = memoryview(bytearray(_ACK_BUFFER_BYTES))
        self._ack_end = 0
        self._pending: deque[_Pending] = deque()
        self._last_seen = False
        self._done = False
        self._heard_up = self._heard_mirror = self._sent = time.monotonic()
        self._poll = select.poll()
        self._poll.register(self._up.descriptor, select.POLLIN)
        self._poll.register(mirror.descriptor, select.POLLIN)

    def _loop(self) -> None:
        while not self._done:
            if self._mirror_failed:
                self._await_end()
            elif self._last_seen:
                self._wait()
            elif packets := self._parse():
                if self._relay(packets):
                    # What comes now is no packet of this block; its end is no fault either.
                    self._poll.unregister(self._up.descriptor)
                if self._pending:
                    self._read_acks()
            else:
                received = self._up.receive_into(self._view[self._end :], socket.MSG_DONTWAIT)
                self._end += received
                if received:
                    self._heard_up = time.monotonic()
                else:
                    self._wait()

    def _wait(self) -> None:
        """Until one of the neighbours has something. Raises ``CallTimeout``."""
        now = time.monotonic()
        left = self._heard_up + self._times.upstream_ms / 1000 - now
        mirror_left = self._heard_mirror + self._times.mirror_ms / 1000 - now
        if self._last_seen:
            left = mirror_left
        elif self._pending:
            left = min(left, mirror_left)
        events = dict(self._poll.poll(max(0.0, left) * 1000 + 1))
        if self._mirror.descriptor in events:
            self._read_acks()
        if events:
            return
        if self._pending and mirror_left <= 0:
            self._fail_mirror(f"no ack for {self._times.mirror_ms} ms")
        elif left <= 0:
            raise CallTimeout(f"{self._up.peer} was silent for {self._times.upstream_ms} ms")

    def _await_end(self) -> None:
        """The pipeline is broken and the client knows: take and drop what is still on its way.

        The client sets up another pipeline, which learns from the acked length what is
        missing. Raises ``ConnectionLost`` in the end."""
        while True:
            self._up.receive_into(self._view)

    # --- packets downwards -------------------------------------------------------------------

    def _relay(self, packets: list[Packet]) -> bool:
        """Pass a batch on and store it; whether it was the block's last."""
        self._last_seen = packets[-1].is_last
        if not self._pending:
            self._heard_mirror = time.monotonic()
        raw = self._view[packets[0].start : packets[-1].stop]
        sent = self._send_some(raw)
        self._store(packets)
        for packet in packets:
            self._pending.append(
                _Pending(packet.seqno, packet.offset + len(packet.data), packet.is_last)
            )
        while sent < len(raw) and not self._mirror_failed:
            self._wait_writable()
            sent += self._send_some(raw[sent:])
        self._sent = time.monotonic()
        if self._last_seen:
            # While the next node does the same, instead of after it.
            self._writer.complete(self._sync_last)
        return self._last_seen

    def _send_some(self, data: memoryview) -> int:
        try:
            return self._mirror.send_now(data)
        except ConnectionLost as error:
            self._fail_mirror(str(error))
            return 0

    def _wait_writable(self) -> None:
        """The next node takes no more for now; its acks are read meanwhile, or it might wait
        for us to read them while we wait for it."""
        poll = select.poll()
        poll.register(self._mirror.descriptor, select.POLLIN | select.POLLOUT)
        events = poll.poll(self._times.write_ms)
        if not events:
            self._fail_mirror(f"took no data for {self._times.write_ms} ms")
        elif events[0][1] & ~select.POLLOUT:
            self._read_acks()

    def _answer_bad(self, good: list[Packet], bad: Packet) -> None:
        # This node's own data must be wrong (it verifies only what it has to translate).
        self._up.send(encode_ack(PipelineAck(bad.seqno, (Status.ERROR_CHECKSUM, Status.SUCCESS))))

    # --- acks upwards ------------------------------------------------------------------------

    def _read_acks(self) -> None:
        if self._mirror_failed:
            return
        try:
            size = self._mirror.receive_into(self._ack_view[self._ack_end :], socket.MSG_DONTWAIT)
            if not size:
                return
            self._ack_end += size
            acks, start = parse_acks(self._ack_view, 0, self._ack_end)
        except (ConnectionLost, RemoteProtocolError) as error:
            self._fail_mirror(str(error))
            return
        rest = self._ack_end - start
        self._ack_view[:rest] = self._ack_view[start : self._ack_end]
        self._ack_end = rest
        self._heard_mirror = time.monotonic()
        self._answer(acks)

    def _answer(self, acks: list[PipelineAck]) -> None:
        answers: list[bytes] = []
        acked = -1
        for ack in acks:
            if ack.seqno == SEQNO_UNKNOWN:
                # A node further down lost its neighbour: the client needs to hear which. The
                # nodes from there on drop all that still comes, so this one may as well.
                self._mirror_failed = True
            elif ack.out_of_band is None:
                pending = self._pending[0] if self._pending else None
                if pending is None or ack.seqno != pending.seqno:
                    self._up.send(b"".join(answers))
                    self._fail_mirror(f"acknowledged packet {ack.seqno}, which was not its turn")
                    return
                if ack.replies and ack.replies[0] is Status.ERROR_CHECKSUM:
                    # The next node got bad data from here, so this node is the bad one: the
                    # node before sees the connection end and says so.
                    raise ChecksumMismatch(
                        f"{self._mirror.peer} found data of {self._writer.life} corrupt that "
                        f"this node passed on"
                    )
                self._pending.popleft()
                if ack.is_success:
                    acked = max(acked, pending.stop)
                if pending.is_last:
                    self._writer.set_acked(acked)
                    self._actions.finalize(self._sync_last)
                    self._done = True
            flags = (flag_of(Status.SUCCESS), *ack.flags) if ack.flags else ()
            answers.append(
                encode_ack(PipelineAck(ack.seqno, (Status.SUCCESS, *ack.replies), flags))
            )
        if not self._done:
            self._writer.set_acked(acked)
        self._up.send(b"".join(answers))

    def _fail_mirror(self, reason: str) -> None:
        """The next node is lost: name it to the client, once, and wait for the client's end.

        If this node was not heard in time by the next one because nothing came from above,
        the fault may lie above: then the connection just ends, and the node above decides."""
        if self._mirror_failed:
            return
        if time.monotonic() - self._sent > 0.9 * self._times.upstream_ms / 1000:
            raise ConnectionLost(f"{self._mirror.peer}: {reason}; nothing came from above")
        peer_fault(logger, "%s: %s; the client is told", self._mirror.peer, reason)
        self._mirror_failed = True
        self._up.send(encode_ack(PipelineAck(SEQNO_UNKNOWN, (Status.SUCCESS, Status.ERROR))))
