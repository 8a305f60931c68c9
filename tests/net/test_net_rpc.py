"""The RPC server and client over real sockets."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Coroutine

import pytest

from cairnfs.errors import (
    CairnError,
    CallTimeout,
    ConnectFailed,
    ConnectionLost,
    FileSystemError,
    NoSuchMethod,
    NoSuchProtocol,
    NotFound,
    StartupError,
    VersionMismatch,
)
from cairnfs.net.rpc_client import RpcClient
from cairnfs.net.rpc_server import LATER, Answer, RpcServer, RpcService, ServerCall
from cairnfs.testing import free_port
from cairnfs.wire import rpc
from cairnfs.wire.proto.rpc_engine_pb2 import RequestHeaderProto
from cairnfs.wire.rpc_client import RpcClientConnection

ECHO = "org.example.Echo"


class Echo:
    def __init__(self) -> None:
        self.held: list[ServerCall] = []
        self.called = asyncio.Event()
        self.coroutines: list[Coroutine[None, None, bytes]] = []

    def echo(self, request: bytes, call: ServerCall) -> Answer:
        return request + call.caller.user.encode()

    async def slow(self, request: bytes, call: ServerCall) -> bytes:
        await asyncio.sleep(0)
        return request[::-1]

    def announced(self, request: bytes, call: ServerCall) -> Answer:
        self.called.set()
        self.coroutines.append(coroutine := self.slow(request, call))
        return coroutine

    def hold(self, request: bytes, call: ServerCall) -> Answer:
        self.held.append(call)
        return LATER

    def fail(self, request: bytes, call: ServerCall) -> Answer:
        raise NotFound("File does not exist: /x")

    def crash(self, request: bytes, call: ServerCall) -> Answer:
        raise ZeroDivisionError("secret")


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, RpcServer, RpcClient]]:
    service = Echo()
    names = ("echo", "slow", "announced", "hold", "fail", "crash")
    methods = {name: getattr(service, name) for name in names}
    server = RpcServer([RpcService(ECHO, 1, methods)])
    await server.start("127.0.0.1", free_port())
    client = RpcClient("127.0.0.1", server.port, ECHO, user="bob", timeout_ms=10_000)
    yield service, server, client
    await client.close()
    await server.close()


Fixture = tuple[Echo, RpcServer, RpcClient]


async def test_many_calls_share_a_connection(echo: Fixture) -> None:
    _, server, client = echo
    answers = await asyncio.gather(*(client.call("echo", b"%d" % i) for i in range(500)))
    assert answers == [b"%dbob" % i for i in range(500)]
    assert server.connection_count == 1
    assert server.call_counts() == {"Echo.echo": 500}


async def test_coroutines_and_late_answers(echo: Fixture) -> None:
    service, _, client = echo
    assert await client.call("slow", b"abc") == b"cba"
    waiting = [asyncio.ensure_future(client.call("hold", b"")) for _ in range(3)]
    assert await client.call("echo", b"x") == b"xbob"
    service.held[1].reply(b"second")
    service.held[0].fail(NotFound("gone"))
    service.held[2].reply(b"")
    assert await waiting[1] == b"second"
    assert await waiting[2] == b""
    with pytest.raises(NotFound, match="gone"):
        await waiting[0]
    assert len(service.held[0].retry_key) == 20


@pytest.mark.requirement("A26")
@pytest.mark.parametrize("name", [b"\x0a\x02\xff\xfe", b"\xff\xff", b""])
async def test_a_method_header_that_is_none_costs_only_its_call(echo: Fixture, name: bytes) -> None:
    _, server, _ = echo
    wire = RpcClientConnection(ECHO, "bob", bytes(16))
    whole = wire.request(1, "echo", b"x")
    header = RequestHeaderProto(
        methodName="echo", declaringClassProtocolName=ECHO, clientProtocolVersion=1
    ).SerializeToString()
    start = whole.index(header) - 1
    assert whole[start] == len(header)
    broken = whole[4:start] + rpc.encode_varint(len(name)) + name + b"\x01x"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(wire.hello() + len(broken).to_bytes(4, "big") + broken)
    writer.write(wire.request(2, "echo", b"y"))
    answers = []
    while len(answers) < 2:
        data = await reader.read(1 << 16)
        assert data, "the connection ended"
        answers += wire.receive(data)
    writer.close()
    await writer.wait_closed()
    assert [answer.call_id for answer in answers] == [1, 2]
    assert isinstance(answers[0].error, CairnError)
    assert answers[1].body == b"ybob"


async def test_errors_cross_the_wire(echo: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    _, server, client = echo
    with pytest.raises(NotFound, match="/x"):
        await client.call("fail", b"")
    with pytest.raises(NoSuchMethod, match="nothing"):
        await client.call("nothing", b"")
    other = RpcClient("127.0.0.1", server.port, "org.example.Other", user="bob")
    with pytest.raises(NoSuchProtocol):
        await other.call("echo", b"")
    await other.close()
    newer = RpcClient("127.0.0.1", server.port, ECHO, user="bob", protocol_version=9)
    with pytest.raises(VersionMismatch):
        await newer.call("echo", b"")
    await newer.close()


async def test_a_defect_is_our_fault_and_tells_the_peer_nothing(
    echo: Fixture, our_faults: list[logging.LogRecord]
) -> None:
    _, _, client = echo
    with pytest.raises(FileSystemError) as error:
        await client.call("crash", b"")
    assert "secret" not in str(error.value)
    assert our_faults
    our_faults.clear()
    assert await client.call("echo", b"") == b"bob"


async def test_a_lost_connection_is_made_anew(echo: Fixture) -> None:
    _, server, client = echo
    await client.call("echo", b"")
    held = asyncio.ensure_future(client.call("hold", b""))
    await client.call("echo", b"")
    port = server.port
    await server.close()
    with pytest.raises(ConnectionLost):
        await held
    with pytest.raises(ConnectFailed, match="is it running"):
        await client.call("echo", b"")
    await server.start("127.0.0.1", port)
    assert await client.call("echo", b"") == b"bob"


async def test_a_coroutine_that_has_not_begun_is_closed_with_the_server(echo: Fixture) -> None:
    service, server, client = echo
    call = asyncio.ensure_future(client.call("announced", b""))
    # Whoever waits for this runs before the coroutine's first step, and so does `close`.
    await service.called.wait()
    (coroutine,) = service.coroutines
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
    await server.close()
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    with pytest.raises(ConnectionLost):
        await call


async def test_a_call_times_out_alone(echo: Fixture) -> None:
    _, _, client = echo
    with pytest.raises(CallTimeout):
        await client.call("hold", b"", timeout_ms=20)
    assert await client.call("echo", b"") == b"bob"


async def test_a_port_in_use_is_one_sentence(echo: Fixture) -> None:
    _, server, _ = echo
    second = RpcServer([])
    with pytest.raises(StartupError, match=str(server.port)):
        await second.start("127.0.0.1", server.port)


@pytest.mark.requirement("A26")
@pytest.mark.parametrize(
    "hello",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 7,
        b"hrpc\x09\x00\x00\xff\xff\xff\xff",
        b"hrpc\x01\x00\x00",
    ],
)
async def test_a_hostile_peer_costs_its_own_connection(echo: Fixture, hello: bytes) -> None:
    _, server, client = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(hello)
    await reader.read()
    writer.close()
    await writer.wait_closed()
    assert await client.call("echo", b"") == b"bob"
