"""DataNodes read and written with next to no work of one's own: hdfs-native bounds a server
at about 0.8 GB/s (DESIGN section 1), this does not.

The reader walks over packet headers and drops the bytes; the writer sends one prepared
megabyte of 64 KiB packets (512 bytes for each CRC32C) over and over. A stream is a file.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.figures import Row
from bench.namenode_calls import BLOCK_BYTES, SUPERUSER, NameNode, Wrong
from bench.world import Measure, World, quiet_disk
from cairnfs.errors import CairnError
from cairnfs.types import ChecksumType, LocatedBlock
from cairnfs.wire.checksum import DataChecksum, compute
from cairnfs.wire.codec_block import decode_located_block, encode_extended_block
from cairnfs.wire.packet import (
    LENGTHS_BYTES,
    encode_last_packet,
    encode_packet_header,
    parse_packets,
)
from cairnfs.wire.pipeline_ack import parse_acks
from cairnfs.wire.transfer import ReadBlock, Request, Stage, WriteBlock
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import Status, encode_read_status, parse_response

CHECKSUM = DataChecksum(ChecksumType.CRC32C, 512)
PACKET_DATA_BYTES = 64 << 10
_PACKETS = 16
PATTERN_BYTES = PACKET_DATA_BYTES * _PACKETS
_BUFFER_BYTES = 4 << 20
# Header and checksums of the largest packet that is sent here, with some air.
_PREFIX_BYTES = 64 << 10
_TIMEOUT_S = 60.0
_CLIENT = "bench-raw"
_REPORT_S = 20.0

Sink = Callable[[memoryview], object]


def _open(located: LocatedBlock, request: Request) -> tuple[socket.socket, bytes]:
    """A connection on which ``request`` was accepted, and what came behind the answer."""
    node = located.locations[0].id
    sock = socket.create_connection((node.ip_addr, node.xfer_port), timeout=_TIMEOUT_S)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(encode_request(request))
        data = b""
        while (found := parse_response(data, 0, len(data))) is None:
            data += _some(sock)
        if not found[0].is_success:
            raise Wrong(f"the DataNode answered {found[0].status.name}: {found[0].message}")
        return sock, data[found[1] :]
    except BaseException:
        sock.close()
        raise


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(_PREFIX_BYTES)
    if not data:
        raise ConnectionError("the DataNode closed a connection")
    return data


# --- reading -------------------------------------------------------------------------------------


def read_block(located: LocatedBlock, sink: Sink | None = None) -> int:
    """Read a whole block from its first replica; how many bytes of data came.

    ``sink`` is given all data in order; without one they are dropped unseen."""
    length = located.block.num_bytes
    sock, rest = _open(located, ReadBlock(located.block, _CLIENT, 0, length, token=located.token))
    with sock:
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        buffer[: len(rest)] = rest
        got = _drain(sock, buffer, len(rest), sink)
        sock.sendall(encode_read_status(Status.SUCCESS if sink is None else Status.CHECKSUM_OK))
    if got != length:
        raise Wrong(f"block {located.block.block_id} gave {got} bytes, not {length}")
    return got


def _drain(sock: socket.socket, buffer: memoryview, end: int, sink: Sink | None) -> int:
    got = start = 0
    while True:
        packets, start, needed = parse_packets(buffer, start, end)
        for packet in packets:
            got += len(packet.data)
            if sink is not None:
                sink(packet.data)
            if packet.is_last:
                return got
        left = end - start
        if start and (start == end or start + max(needed, LENGTHS_BYTES) > len(buffer)):
            buffer[:left] = bytes(buffer[start:end])
            start, end = 0, left
        count = sock.recv_into(buffer[end:])
        if not count:
            raise ConnectionError("the DataNode closed a connection in the middle of a block")
        end += count


def read_blocks(blocks: list[LocatedBlock], sink: Sink | None = None) -> int:
    return sum(read_block(located, sink) for located in blocks)


# --- writing -------------------------------------------------------------------------------------


class Pattern:
    """One megabyte in 16 packets, checksummed once."""

    def __init__(self) -> None:
        self.data = os.urandom(PATTERN_BYTES)
        view = memoryview(self.data)
        self._parts = [
            view[at : at + PACKET_DATA_BYTES] for at in range(0, PATTERN_BYTES, PACKET_DATA_BYTES)
        ]
        self._sums = [compute(CHECKSUM, part) for part in self._parts]

    def packets(self, megabyte: int) -> list[bytes | memoryview]:
        """What to send for this megabyte of a block."""
        out: list[bytes | memoryview] = []
        for index, (sums, part) in enumerate(zip(self._sums, self._parts, strict=True)):
            seqno = megabyte * _PACKETS + index
            header = encode_packet_header(
                seqno, seqno * PACKET_DATA_BYTES, PACKET_DATA_BYTES, len(sums)
            )
            out += (header, sums, part)
        return out

    def digest(self, megabytes: int) -> bytes:
        digest = hashlib.sha256()
        for _ in range(megabytes):
            digest.update(self.data)
        return digest.digest()


class _Acks:
    """Counts acknowledgements; raises ``Wrong`` at one that is no success."""

    def __init__(self, sock: socket.socket, rest: bytes) -> None:
        self._sock = sock
        self._data = rest
        self._expected = 0

    def take(self, data: bytes) -> None:
        self._data += data
        acks, stop = parse_acks(self._data, 0, len(self._data))
        self._data = self._data[stop:]
        for ack in acks:
            if ack.seqno == -1:
                continue
            if ack.seqno != self._expected or not ack.is_success:
                raise Wrong(f"packet {self._expected} was answered {ack}")
            self._expected += 1

    def take_what_is_there(self) -> None:
        # MSG_DONTWAIT does not help: a socket with a timeout is waited for all the same.
        self._sock.setblocking(False)
        try:
            self.take(self._sock.recv(_PREFIX_BYTES))
        except BlockingIOError:
            pass
        finally:
            self._sock.settimeout(_TIMEOUT_S)

    def take_until(self, count: int) -> None:
        while self._expected < count:
            self.take(_some(self._sock))


def write_block(located: LocatedBlock, megabytes: int, pattern: Pattern) -> None:
    """Send ``megabytes`` of the pattern down the pipeline; returns when all is acknowledged."""
    generation = located.block.generation_stamp
    request = WriteBlock(
        block=located.block,
        client_name=_CLIENT,
        targets=located.locations[1:],
        stage=Stage.PIPELINE_SETUP_CREATE,
        pipeline_size=len(located.locations),
        min_bytes_received=0,
        max_bytes_received=0,
        latest_generation_stamp=generation,
        checksum=CHECKSUM,
        storage_type=located.storage_types[0],
        target_storage_types=located.storage_types[1:],
        storage_id=located.storage_ids[0],
        target_storage_ids=located.storage_ids[1:],
        token=located.token,
    )
    sock, rest = _open(located, request)
    with sock:
        acks = _Acks(sock, rest)
        for megabyte in range(megabytes):
            _send_all(sock, pattern.packets(megabyte))
            acks.take_what_is_there()
        packets = megabytes * _PACKETS
        sock.sendall(encode_last_packet(packets, megabytes * PATTERN_BYTES))
        acks.take_until(packets + 1)


def _send_all(sock: socket.socket, parts: list[bytes | memoryview]) -> None:
    """``sendmsg`` of all parts, going on where a short one stopped."""
    sent = sock.sendmsg(parts)
    for part in parts:
        if sent >= len(part):
            sent -= len(part)
        else:
            sock.sendall(memoryview(part)[sent:])
            sent = 0


def write_file(world: World, path: str, megabytes: int, replication: int, pattern: Pattern) -> None:
    """One stream: a file of whole blocks, closed."""
    client = f"{_CLIENT}-{path}"
    with NameNode(world.cluster.port, SUPERUSER) as namenode:
        namenode.create(path, client, replication)
        last = None
        per_block = BLOCK_BYTES // PATTERN_BYTES
        for first in range(0, megabytes, per_block):
            count = min(per_block, megabytes - first)
            located = _added(namenode, path, client, last)
            if len(located.locations) != replication:
                raise Wrong(f"a block of {path} was given {len(located.locations)} DataNodes")
            write_block(located, count, pattern)
            last = encode_extended_block(located.block)
            last.numBytes = count * PATTERN_BYTES
        _retried(lambda: namenode.complete(path, client, last), f"{path} could not be closed")


def _added(namenode: NameNode, path: str, client: str, last: object) -> LocatedBlock:
    """A new block; Apache's NameNode refuses while the one before the last is unreported."""
    deadline = time.monotonic() + _REPORT_S
    while True:
        try:
            return decode_located_block(namenode.add_block(path, client, last))  # type: ignore[arg-type]
        except CairnError as error:
            if "NotReplicatedYet" not in repr(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.002)


def _retried(call: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _REPORT_S
    while not call():
        if time.monotonic() > deadline:
            raise Wrong(f"{otherwise} within {_REPORT_S} s")
        time.sleep(0.002)


# --- measures ------------------------------------------------------------------------------------


def _rows(name: str) -> tuple[Row, Row]:
    return Row(name, "MB/s"), Row(f"{name}, DataNode CPU", "s/GiB")


def _timed(world: World, rows: tuple[Row, Row], work: Callable[[], int]) -> None:
    """``work`` returns how many bytes it moved."""
    cpu, began = world.cluster.datanode_cpu_seconds(), time.perf_counter()
    size = work()
    seconds = time.perf_counter() - began
    cpu = world.cluster.datanode_cpu_seconds() - cpu
    world.record(rows[0], size / seconds / 1e6)
    world.record(rows[1], cpu / (size / 2**30))


def _blocks(world: World, path: str) -> list[LocatedBlock]:
    with NameNode(world.cluster.port, SUPERUSER) as namenode:
        return [decode_located_block(block) for block in namenode.located(path).blocks]


def _verify(world: World, path: str, megabytes: int, pattern: Pattern) -> None:
    digest = hashlib.sha256()
    read_blocks(_blocks(world, path), digest.update)
    if digest.digest() != pattern.digest(megabytes):
        raise Wrong(f"{path} was read back with other bytes than written")


def _write_streams(
    world: World, replication: int, streams: int, megabytes: int, pattern: Pattern
) -> list[str]:
    """Write ``streams`` files at once, timed; their paths. Each is verified."""
    paths = [world.name("/raw") for _ in range(streams)]
    rows = _rows(f"raw write, {streams} at a time, replication {replication}")

    def work() -> int:
        with ThreadPoolExecutor(streams) as threads:
            jobs = [
                threads.submit(write_file, world, path, megabytes, replication, pattern)
                for path in paths
            ]
            for job in jobs:
                job.result()
        return streams * megabytes * PATTERN_BYTES

    with world.attempt(*rows):
        quiet_disk()
        _timed(world, rows, work)
        for path in paths:
            _verify(world, path, megabytes, pattern)
    return paths


def _read_streams(world: World, streams: list[list[LocatedBlock]]) -> None:
    rows = _rows(f"raw read, {len(streams)} at a time")

    def work() -> int:
        with ThreadPoolExecutor(len(streams)) as threads:
            return sum(threads.map(read_blocks, streams))

    with world.attempt(*rows):
        _timed(world, rows, work)


def run(world: World) -> None:
    pattern, sizes = Pattern(), world.sizes
    megabytes = max(8, sizes.file_bytes // PATTERN_BYTES)
    one = _write_streams(world, 1, 1, megabytes, pattern)
    eight = _write_streams(world, 1, 8, megabytes // 8, pattern)
    three = _write_streams(world, 3, 1, megabytes, pattern)
    for paths in (one, eight):
        rows = _rows(f"raw read, {len(paths)} at a time")
        with world.attempt(*rows):
            _read_streams(world, [_blocks(world, path) * sizes.raw_passes for path in paths])
    with NameNode(world.cluster.port, SUPERUSER) as namenode:
        for path in (*one, *eight, *three):
            namenode.delete(path)


MEASURES = (Measure("raw", run),)
