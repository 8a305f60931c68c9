"""Hadoop RPC without I/O: both sides against each other, and the server against garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.errors import (
    AuthorizationFailed,
    CairnError,
    NotFound,
    RemoteProtocolError,
    VersionMismatch,
)
from cairnfs.wire import rpc
from cairnfs.wire.rpc_client import RpcClientConnection
from cairnfs.wire.rpc_server import (
    HTTP_ANSWER,
    RpcFatal,
    RpcServerConnection,
    decode_method,
    error_answer,
    success_answer,
)

CLIENT_ID = bytes(range(16))
PROTOCOL = "org.example.Protocol"


def let_in(context: rpc.ConnectionContext) -> None:
    pass


def pair() -> tuple[RpcClientConnection, RpcServerConnection]:
    return RpcClientConnection(PROTOCOL, "alice", CLIENT_ID), RpcServerConnection(let_in)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**31 - 1), st.binary(max_size=300), st.integers(-1, 5)),
        max_size=8,
    ),
    st.integers(1, 64),
)
def test_calls_arrive_whole_however_the_bytes_are_cut(
    calls: list[tuple[int, bytes, int]], cut: int
) -> None:
    client, server = pair()
    stream = client.hello()
    for call_id, body, retry in calls:
        stream += client.request(call_id, "stat", body, retry) + client.ping()
    got = []
    for at in range(0, len(stream), cut):
        got += server.receive(stream[at : at + cut])
    assert [(c.call_id, c.request, c.origin.retry_count) for c in got] == calls
    assert all(c.origin.client_id == CLIENT_ID for c in got)
    assert server.ready
    assert server.context == rpc.ConnectionContext("alice", None, PROTOCOL)
    assert server.pending_bytes == 0


@given(st.integers(0, 2**31 - 1), st.binary(max_size=70_000))
def test_an_answer_is_what_the_client_understands(call_id: int, body: bytes) -> None:
    client, server = pair()
    [call] = server.receive(client.hello() + client.request(call_id, "stat", b"x"))
    assert decode_method(call.method_header) == rpc.MethodName(PROTOCOL, "stat", 1)
    [good, bad] = client.receive(
        success_answer(call, body) + error_answer(call, NotFound("no such file: /x"))
    )
    assert (good.call_id, good.body, good.error) == (call_id, body, None)
    assert isinstance(bad.error, NotFound)
    assert str(bad.error) == "no such file: /x"


def test_a_user_who_may_not_enter_is_told_so() -> None:
    def turn_away(context: rpc.ConnectionContext) -> None:
        raise AuthorizationFailed("alice may not enter")

    client = RpcClientConnection(PROTOCOL, "alice", CLIENT_ID)
    server = RpcServerConnection(turn_away)
    with pytest.raises(RpcFatal) as fatal:
        server.receive(client.hello())
    with pytest.raises(AuthorizationFailed, match="alice may not enter"):
        client.receive(fatal.value.last_words)


def test_a_web_browser_gets_a_readable_answer() -> None:
    _, server = pair()
    with pytest.raises(RpcFatal) as fatal:
        server.receive(b"GET / HTTP/1.1\r\n\r\n")
    assert fatal.value.last_words == HTTP_ANSWER


def test_another_version_is_refused_by_name() -> None:
    client, server = pair()
    with pytest.raises(RpcFatal) as fatal:
        server.receive(b"hrpc\x0a\x00\x00")
    with pytest.raises(VersionMismatch):
        client.receive(fatal.value.last_words)


def test_sasl_is_answered_with_simple() -> None:
    from cairnfs.wire.proto.rpc_header_pb2 import RpcRequestHeaderProto, RpcSaslProto

    client, server = pair()
    header = RpcRequestHeaderProto(
        rpcKind=2, rpcOp=0, callId=rpc.CALL_ID_SASL, clientId=b"", retryCount=-1
    ).SerializeToString()
    negotiate = RpcSaslProto(state=RpcSaslProto.NEGOTIATE).SerializeToString()
    hello = client.hello()
    assert server.receive(b"hrpc\x09\x00\xdf" + rpc.frame(header, negotiate)) == []
    [answer] = server.outgoing
    assert b"\x08" in answer
    server.receive(hello[rpc.CONNECTION_HEADER_BYTES :])
    assert server.ready


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 128 * 1024 * 1024 + 1])
@pytest.mark.requirement("A26")
def test_a_hostile_length_is_refused_before_it_is_buffered(length: int) -> None:
    client, server = pair()
    server.receive(client.hello())
    with pytest.raises(RpcFatal):
        server.receive(length.to_bytes(4, "big"))
    assert server.pending_bytes == 0


@pytest.mark.requirement("A26")
@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_garbage_gives_calls_or_the_declared_error(
    garbage: bytes, greeted: bool, framed: bool
) -> None:
    client, server = pair()
    data = garbage if not framed else len(garbage).to_bytes(4, "big") + garbage
    if greeted:
        server.receive(client.hello())
    try:
        server.receive(data)
    except RpcFatal:
        pass


@pytest.mark.requirement("A26")
@given(st.data())
def test_a_damaged_stream_gives_calls_or_the_declared_error(data: st.DataObject) -> None:
    client, server = pair()
    stream = bytearray(client.hello() + client.request(7, "mkdirs", b"some request bytes"))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    try:
        for call in server.receive(bytes(stream)):
            decode_method(call.method_header)
    except RemoteProtocolError:
        pass


@pytest.mark.requirement("A26")
@given(st.binary(max_size=200))
def test_a_broken_server_gives_the_client_an_error(garbage: bytes) -> None:
    client, _ = pair()
    try:
        client.receive(len(garbage).to_bytes(4, "big") + garbage)
    except CairnError:
        pass
