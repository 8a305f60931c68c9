"""What a writer's parts do by themselves: leases, memory, idle connections, sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnfs.client import connect_async
from cairnfs.client.buffers import BufferPool
from cairnfs.client.context import NodeMemory, is_local
from cairnfs.client.data_socket import DataSocket
from cairnfs.client.filesystem import FileSystem
from cairnfs.client.leases import LeaseRenewer
from cairnfs.config import Configuration
from cairnfs.errors import (
    CallTimeout,
    ConnectFailed,
    ConnectionLost,
    RemoteProtocolError,
    RetriableError,
    TransportError,
)
from cairnfs.testing.mini_cluster import MiniCluster
from cairnfs.types import DatanodeID, DatanodeInfo
from cairnfs.wire.transfer_reply import parse_response

# --- leases --------------------------------------------------------------------------------------


class FakeNamenode:
    client_name = "me"

    def __init__(self) -> None:
        self.renewed = 0
        self.error: RetriableError | None = None

    async def renew_lease(self) -> None:
        self.renewed += 1
        if self.error is not None:
            raise self.error


class StepClock:
    """Sleeping lasts until the test lets it end."""

    def __init__(self) -> None:
        self.steps: asyncio.Queue[None] = asyncio.Queue()
        self.slept_ms: list[float] = []

    def now_ms(self) -> int:
        return 0

    def steady_ms(self) -> int:
        return 0

    async def sleep_ms(self, duration_ms: float) -> None:
        self.slept_ms.append(duration_ms)
        await self.steps.get()

    async def step(self) -> None:
        self.steps.put_nowait(None)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.mark.requirement("A21")
async def test_a_lease_is_renewed_only_while_files_are_open() -> None:
    namenode, clock = FakeNamenode(), StepClock()
    renewer = LeaseRenewer(namenode, clock, 30_000)  # type: ignore[arg-type]
    one, two = object(), object()
    renewer.add(one)  # type: ignore[arg-type]
    renewer.add(two)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await clock.step()
    await clock.step()
    assert (namenode.renewed, clock.slept_ms) == (2, [30_000] * 3)
    # A NameNode that cannot do it now is asked again.
    namenode.error = RetriableError("busy")
    await clock.step()
    assert namenode.renewed == 3
    renewer.remove(one)  # type: ignore[arg-type]
    await clock.step()
    assert namenode.renewed == 4
    renewer.remove(two)  # type: ignore[arg-type]
    await clock.step()
    assert namenode.renewed == 4
    await renewer.close()


# --- memory --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9 << 20)), max_size=30))
@settings(max_examples=50)
def test_buffers_are_large_enough_and_few_are_kept(moves: list[tuple[bool, int]]) -> None:
    pool = BufferPool(16 << 20)
    taken: list[memoryview] = []
    for give, size in moves:
        if give and taken:
            pool.give(taken.pop())
        else:
            buffer = pool.take(size)
            assert len(buffer) >= size
            assert all(buffer is not other for other in taken)
            taken.append(buffer)
    kept = sum(len(buffer) for free in pool._free.values() for buffer in free)
    assert kept == pool._kept_bytes <= 16 << 20


def test_a_returned_buffer_is_used_again() -> None:
    pool = BufferPool(16 << 20)
    first = pool.take(1_000_000)
    pool.give(first)
    assert pool.take(990_000) is first
    pool.give(first)
    pool.clear()
    assert pool.take(1_000_000) is not first


@pytest.fixture
async def fs(tmp_path: Path) -> AsyncIterator[FileSystem]:
    conf = Configuration({"cairn.client.write.window": "1m", "dfs.client-write-packet-size": "64k"})
    async with (
        MiniCluster(tmp_path, datanodes=1) as cluster,
        await connect_async(cluster.url, conf) as found,
    ):
        yield found


async def test_a_writer_waits_when_too_much_is_on_its_way(fs: FileSystem) -> None:
    most = 0
    async with await fs.create("/window", replication=1) as writer:
        for _ in range(100):
            await writer.write(b"x" * 100_000)
            if writer.block is not None:
                most = max(most, writer.block.held_bytes)
    assert 64 << 10 <= most <= 1 << 20
    assert (await fs.stat("/window")).size == 10_000_000


# --- nodes ---------------------------------------------------------------------------------------


def test_nodes_are_remembered_for_a_while() -> None:
    now = 0
    memory = NodeMemory(100, lambda: now)
    one, two = (DatanodeInfo(DatanodeID("1.2.3.4", "h", f"u{n}", 1, 2, 3)) for n in (1, 2))
    memory.add(one)
    now = 60
    memory.add(two)
    assert one in memory
    now = 100
    assert one not in memory
    assert memory.nodes() == [two]
    memory.discard(two)
    assert memory.nodes() == []
    memory.add(one)
    memory.clear()
    assert one not in memory


def test_which_addresses_are_ours() -> None:
    assert is_local("127.0.0.1")
    assert is_local("127.9.9.9")
    assert not is_local("192.0.2.1")
    assert not is_local("no address")


# --- sockets -------------------------------------------------------------------------------------


async def test_a_connection_that_nobody_accepts() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ConnectFailed, match=f"127.0.0.1:{port} cannot be reached"):
            await DataSocket.connect("127.0.0.1", port, 1000)
    with pytest.raises(ConnectFailed, match=r"no-such-host\.invalid"):
        await DataSocket.connect("no-such-host.invalid", 1, 5000)


async def pair() -> tuple[DataSocket, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sock = await DataSocket.connect("localhost", listener.getsockname()[1], 5000)
        return sock, listener.accept()[0]


async def test_much_is_sent_as_the_peer_takes_it() -> None:
    sock, peer = await pair()
    data = bytes(range(256)) * 64 * 1024
    with peer:
        for start in range(0, len(data), 1 << 20):
            sock.send(data[start : start + (1 << 19)], data[start + (1 << 19) : start + (1 << 20)])
        assert sock.queued_bytes > 0

        def drain() -> bytes:
            got = bytearray()
            while len(got) < len(data):
                got += peer.recv(1 << 20)
            return bytes(got)

        assert await asyncio.to_thread(drain) == data
        sock.close()
        sock.close()
        sock.send(b"nothing")
        assert peer.recv(1) == b""


async def test_a_peer_that_goes_is_told_once() -> None:
    sock, peer = await pair()
    lost: list[str] = []
    sock.on_lost = lost.append
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    peer.close()
    async with asyncio.timeout(5):
        while not lost:
            sock.send(b"x" * 100_000)
            await asyncio.sleep(0)
    assert sock.closed
    sock.send(b"x")
    assert len(lost) == 1


async def test_messages_that_do_not_come() -> None:
    sock, peer = await pair()
    with peer:
        with pytest.raises(CallTimeout, match="did not answer a test within 20 ms"):
            await sock.receive(parse_response, 20, "a test")
        peer.sendall(b"\x05\x08")
        peer.close()
        with pytest.raises(ConnectionLost):
            await sock.receive(parse_response, 5000, "a test")
    sock.close()
    with pytest.raises(TransportError):
        await sock.receive(parse_response, 5000, "a test")


@given(st.binary(max_size=200))
@settings(max_examples=60)
async def test_any_answer_is_one_or_an_error(data: bytes) -> None:
    sock, peer = await pair()
    try:
        with peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            try:
                await sock.receive(parse_response, 5000, "a test")
            except (ConnectionLost, RemoteProtocolError):
                pass
    finally:
        sock.close()
