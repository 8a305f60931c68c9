"""Peers that break the RPC protocol cost their own connection, and idle ones next to nothing."""

from __future__ import annotations

import asyncio
import struct

import pytest
from namenode_world import World, mkdirs

from cairnfs.limits import RPC_FRAME_MS, RPC_HANDSHAKE_MS
from cairnfs.net.rpc_server import RpcServer
from cairnfs.wire.rpc_client import RpcClientConnection

pytestmark = pytest.mark.requirement("A26")
PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
HELLO = RpcClientConnection(PROTOCOL, "alice", b"0123456789abcdef").hello()
IDLE = 500


async def connect(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", world.port)


async def closed_by_server(reader: asyncio.StreamReader) -> bytes:
    """What the server says before it closes."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass


def sweep(world: World) -> None:
    """What the server does every few seconds."""
    server = world.cluster.namenode._server
    assert isinstance(server, RpcServer)
    assert server._sweeper is not None
    server._sweeper.cancel()
    server._sweep()


@pytest.mark.parametrize(
    "sent",
    [
        HELLO + struct.pack(">I", 0x7FFFFFFF),
        HELLO + struct.pack(">I", 0xFFFFFFFF),
        HELLO + struct.pack(">I", 129 * 1024 * 1024) + bytes(1000),
        HELLO + struct.pack(">I", 5) + b"\xff\xff\xff\xff\xff",
        HELLO + struct.pack(">I", 0),
        b"hrpc\x09\x00\x00" + struct.pack(">I", 0x7FFFFFFF),
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hrpc\x09\x00\x51",
        bytes(100_000),
    ],
    ids=["2GiB", "4GiB", "oversized", "no-varint", "empty", "2GiB-context", "http", "tls",
         "auth", "zeros"],
)  # fmt: skip
async def test_broken_frames(world: World, sent: bytes) -> None:
    reader, writer = await connect(world)
    writer.write(sent)
    await closed_by_server(reader)
    await hang_up(writer)
    await world.healthy()


async def test_a_handshake_that_drips_in_is_cut_off(world: World) -> None:
    reader, writer = await connect(world)
    for byte in HELLO[:5]:
        writer.write(bytes([byte]))
        await writer.drain()
        await world.turn(RPC_HANDSHAKE_MS // 5)
        sweep(world)
    await world.healthy()
    assert not reader.at_eof()
    await world.turn(RPC_HANDSHAKE_MS // 5)
    sweep(world)
    await closed_by_server(reader)
    await hang_up(writer)
    await world.healthy()


async def test_a_frame_that_never_ends_is_cut_off(world: World) -> None:
    reader, writer = await connect(world)
    writer.write(HELLO + struct.pack(">I", 1000) + bytes(10))
    await writer.drain()
    await world.healthy()
    await world.turn(RPC_FRAME_MS + 1)
    # The healthy client's connection is idle, which is no offence.
    sweep(world)
    await closed_by_server(reader)
    await hang_up(writer)
    await world.healthy()


async def test_peers_that_vanish_or_close_one_half(world: World) -> None:
    for number in range(20):
        reader, writer = await connect(world)
        writer.write(HELLO + struct.pack(">I", 100) + bytes(number))
        if number % 2:
            writer.write_eof()
            await closed_by_server(reader)
            await hang_up(writer)
        else:
            writer.transport.abort()
    await world.healthy()


async def test_a_peer_that_does_not_read_its_answers(world: World) -> None:
    for number in range(10):
        await mkdirs(world.root, f"/dir/{'x' * 200}{number}")
    wire = RpcClientConnection(PROTOCOL, "alice", b"0123456789abcdef")
    reader, writer = await connect(world)
    wire.hello()
    request = bytes.fromhex("0a042f646972") + b"\x12\x00\x18\x00"  # getListing of /dir
    writer.write(HELLO + b"".join(wire.request(n, "getListing", request) for n in range(20_000)))
    await world.healthy()
    writer.transport.abort()
    await world.healthy()
    assert reader is not None


@pytest.mark.requirement("E10")
async def test_hundreds_of_idle_connections(world: World) -> None:
    await world.healthy()
    connections = await asyncio.gather(*(connect(world) for _ in range(IDLE)))
    for _, writer in connections:
        writer.write(HELLO)
    server = world.cluster.namenode._server
    assert server is not None
    await world.healthy()
    assert server.connection_count == IDLE + 1
    await world.turn(10 * RPC_FRAME_MS)
    sweep(world)
    await world.healthy()
    assert server.connection_count == IDLE + 1
    for _, writer in connections:
        await hang_up(writer)
    async with asyncio.timeout(20):
        while server.connection_count > 1:  # noqa: ASYNC110 - one pass of the loop at a time
            await asyncio.sleep(0)
