"""What one DataNode's block transfer costs, without a NameNode: raw writes, reads, small blocks,
idle connections.

    python bench/transfer.py [--mib 512] [--streams 1] [--small 300] [--idle 10000]

The node runs in a process of its own; the load sends packets that were encoded before and
drains answers into one buffer, so that the node is what is measured. CPU is the node's.
Beside the writes stands the floor: the same bytes through ``recv_into`` and ``pwrite`` alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.interface import SilentListener
from cairnfs.datanode.settings import DatasetSettings, StorageSpec, TransferSettings
from cairnfs.datanode.transfer_server import TransferServer
from cairnfs.types import ChecksumType, ExtendedBlock, StorageType
from cairnfs.wire.checksum import DataChecksum, compute
from cairnfs.wire.packet import encode_last_packet, encode_packet_header
from cairnfs.wire.pipeline_ack import parse_acks
from cairnfs.wire.transfer import ReadBlock, Stage, WriteBlock
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import parse_response

POOL = "BP-1-127.0.0.1-1"
CRC32C = DataChecksum(ChecksumType.CRC32C, 512)
# What Java's client sends: 126 chunks of 512 bytes.
PACKET_BYTES = 126 * 512
TICK = os.sysconf("SC_CLK_TCK")


def serve(directory: Path) -> None:
    """The node: its port on stdout, until stdin ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    spec = StorageSpec(StorageType.DISK, (directory / "data",))
    dataset = Dataset.open(DatasetSettings((spec,), directory / "index"), SilentListener())
    dataset.add_block_pool(POOL, "CID-bench")
    server = TransferServer(dataset, TransferSettings(socket_timeout_ms=600_000))
    print(server.start("127.0.0.1", 0), flush=True)
    sys.stdin.read()
    server.stop()
    dataset.close()


def floor(directory: Path) -> None:
    """Takes bytes and writes them to a file, once for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    view = memoryview(bytearray(4 << 20))
    while True:
        peer, _ = listener.accept()
        with peer, (directory / "floor").open("wb", buffering=0) as file:
            offset = 0
            while size := peer.recv_into(view):
                offset += os.pwrite(file.fileno(), view[:size], offset)


class Process:
    """A process under measurement."""

    def __init__(self, role: str, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, f"--{role}", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def cpu_s(self) -> float:
        text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        fields = text.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def status(self, name: str) -> int:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
        raise KeyError(name)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def block(number: int) -> ExtendedBlock:
    return ExtendedBlock(POOL, number, 1001, 0)


def encoded(size: int) -> tuple[bytes, int]:
    """All packets of a block of ``size`` bytes, and how many they are."""
    piece = os.urandom(PACKET_BYTES)
    sums = compute(CRC32C, piece)
    parts = []
    for seqno, at in enumerate(range(0, size - PACKET_BYTES, PACKET_BYTES)):
        parts += [encode_packet_header(seqno, at, PACKET_BYTES, len(sums)), sums, piece]
    count = len(parts) // 3
    parts.append(encode_last_packet(count, count * PACKET_BYTES))
    return b"".join(parts), count + 1


def write(port: int, what: ExtendedBlock, raw: bytes, packets: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = WriteBlock(
            block=what,
            client_name="bench",
            targets=(),
            stage=Stage.PIPELINE_SETUP_CREATE,
            pipeline_size=1,
            min_bytes_received=0,
            max_bytes_received=0,
            latest_generation_stamp=0,
            checksum=CRC32C,
        )
        sock.sendall(encode_request(request))
        answer = sock.recv(65536)
        assert parse_response(answer, 0, len(answer))
        sender = threading.Thread(target=sock.sendall, args=(raw,))
        sender.start()
        acks = b""
        seen = 0
        while seen < packets:
            more = sock.recv(1 << 20)
            assert more, "the node closed the connection"
            acks += more
            if len(acks) > 4096 or seen + len(acks) // 8 >= packets:
                found, position = parse_acks(acks, 0, len(acks))
                seen += len(found)
                acks = acks[position:]
        sender.join()


def read(port: int, what: ExtendedBlock, size: int) -> None:
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(encode_request(ReadBlock(what, "bench", 0, size)))
        taken = 0
        while taken < size:
            more = sock.recv_into(buffer)
            assert more, "the node closed the connection"
            taken += more


def push(port: int, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)


def side_by_side(streams: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(what: str, process: Process, gib: float, work: Callable[[], None]) -> None:
    cpu, wall = process.cpu_s(), time.perf_counter()
    work()
    wall = time.perf_counter() - wall
    cpu = process.cpu_s() - cpu
    print(f"{what:28} {gib / wall:6.2f} GiB/s   {cpu / gib:5.2f} CPU s/GiB")


def big(directory: Path, mib: int, streams: int) -> None:
    node, bare = Process("serve", directory), Process("floor", directory)
    raw, packets = encoded(mib << 20)
    size = (packets - 1) * PACKET_BYTES
    gib = streams * size / (1 << 30)
    try:
        write(node.port, block(1), *encoded(1 << 20))
        for turn in range(3):
            measure("floor (one stream)", bare, size / (1 << 30), lambda: push(bare.port, raw))
            first = 100 * (turn + 1)
            measure(
                f"write, {streams} streams",
                node,
                gib,
                lambda first=first: side_by_side(  # type: ignore[misc]
                    streams, lambda n: write(node.port, block(first + n), raw, packets)
                ),
            )
            measure(
                f"read, {streams} streams",
                node,
                gib,
                lambda first=first: side_by_side(  # type: ignore[misc]
                    streams, lambda n: read(node.port, block(first + n), size)
                ),
            )
    finally:
        node.stop()
        bare.stop()


def small(directory: Path, count: int) -> None:
    node = Process("serve", directory)
    raw, packets = encoded(100_000)
    try:
        write(node.port, block(1), raw, packets)
        for what, work in (
            ("written", lambda n: write(node.port, block(10 + n), raw, packets)),
            ("read", lambda n: read(node.port, block(10 + n), 64_512)),
        ):
            cpu, wall = node.cpu_s(), time.perf_counter()
            for number in range(count):
                work(number)
            wall, cpu = time.perf_counter() - wall, node.cpu_s() - cpu
            print(
                f"100 KB blocks {what:14} {count / wall:6.0f} /s      "
                f"{1000 * cpu / count:5.2f} CPU ms each"
            )
    finally:
        node.stop()


def idle(directory: Path, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(count, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    node = Process("serve", directory)
    held: list[socket.socket] = []
    try:
        write(node.port, block(1), *encoded(100_000))
        memory = node.status("VmRSS")
        held.extend(socket.create_connection(("127.0.0.1", node.port)) for _ in range(count))
        time.sleep(1)
        cpu, wall = node.cpu_s(), time.perf_counter()
        time.sleep(5)
        share = (node.cpu_s() - cpu) / (time.perf_counter() - wall)
        more = (node.status("VmRSS") - memory) * 1024 / count
        print(
            f"{count} idle connections: {node.status('Threads')} threads, "
            f"{more:.0f} bytes each, {100 * share:.2f} % of a core"
        )
        read(node.port, block(1), 64_512)
    finally:
        for sock in held:
            sock.close()
        node.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--small", type=int, default=300)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--floor", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.floor:
        floor(options.floor)
    else:
        for work, amount in (
            (lambda d: big(d, options.mib, options.streams), options.mib),
            (lambda d: small(d, options.small), options.small),
            (lambda d: idle(d, options.idle), options.idle),
        ):
            if amount:
                with tempfile.TemporaryDirectory(dir=options.directory) as directory:
                    work(Path(directory))


if __name__ == "__main__":
    main()
