"""Odd, broken and greedy peers of the transfer server: each costs its own connection only."""

from __future__ import annotations

import random
import resource
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dataset_world import content
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_transfer_client import CRC32C_512, RawClient, block, node
from transfer_world import Station, stations

from cairnfs.datanode import receive, transfer_server
from cairnfs.datanode.settings import TransferSettings
from cairnfs.errors import StartupError
from cairnfs.types import ReplicaState
from cairnfs.wire import transfer as t
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import BlockOpResponse, Status, encode_response

DATA = random.Random(6).randbytes(100_003)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    with stations(tmp_path, 1) as (station,):
        with RawClient(station.port) as client:
            client.write(block(1), DATA)
        yield station


def still_serves(station: Station) -> None:
    with RawClient(station.port) as client:
        assert client.read(block(1), 0, len(DATA)) == DATA


READ = encode_request(t.ReadBlock(block(1), "test", 0, 10))
WRITE = encode_request(
    t.WriteBlock(
        block=block(2),
        client_name="test",
        targets=(),
        stage=t.Stage.PIPELINE_SETUP_CREATE,
        pipeline_size=1,
        min_bytes_received=0,
        max_bytes_received=0,
        latest_generation_stamp=0,
        checksum=CRC32C_512,
    )
)


@pytest.mark.requirement("A26")
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x1b" + READ[2:],
        b"\x00\x1c\x00\x00",
        b"\x00\x1c\x51\xff\xff\xff\xff\x07",
        b"\x00\x1c\x51\xff\xff\xff\xff\xff\xff",
        b"\x00\x1c\x51\x02\xff\xff",
        b"\x00\x1c\x51\x00",
    ],
    ids=["http", "version", "opcode", "2 GiB", "varint", "garbage", "empty"],
)
def test_bytes_that_are_no_request_end_the_connection(one: Station, data: bytes) -> None:
    with RawClient(one.port) as client:
        client.send(data)
        assert client.ended()
    still_serves(one)


@pytest.mark.requirement("A26")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([READ, WRITE]), st.data())
def test_mangled_requests_end_the_connection_and_nothing_else(
    one: Station, request_bytes: bytes, data: st.DataObject
) -> None:
    mangled = bytearray(request_bytes)
    for _ in range(data.draw(st.integers(1, 4))):
        mangled[data.draw(st.integers(0, len(mangled) - 1))] = data.draw(st.integers(0, 255))
    with RawClient(one.port) as client:
        client.send(bytes(mangled))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()
    still_serves(one)


@pytest.mark.requirement("A26")
@pytest.mark.parametrize(
    "packet",
    [
        struct.pack(">IH", 0x7FFFFFFF, 25),
        struct.pack(">IH", 3, 25),
        struct.pack(">IH", 4, 0xFFFF) + b"x" * 70_000,
        struct.pack(">IH", 4, 25) + b"\xff" * 25,
    ],
    ids=["2 GiB", "too short", "header", "garbage"],
)
def test_packets_that_cannot_be_end_the_write_and_leave_the_replica(
    one: Station, packet: bytes
) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(2))
        client.send(client.packet(0, DATA[:1000]))
        client.acks(1)
        client.send(packet)
        assert client.ended()
    found = one.dataset.replica(block(2).pool_id, 2)
    assert found is not None
    assert (found.state, found.block.num_bytes) == (ReplicaState.RBW, 1000)
    still_serves(one)


@pytest.mark.requirement("A26")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 1 << 30))
def test_random_bytes_instead_of_packets(one: Station, junk: bytes, number: int) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block((1 << 40) + number), stamp=1002)
        client.send(junk)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()
    still_serves(one)


def test_a_client_that_wants_sasl_is_told_why_not(one: Station) -> None:
    with RawClient(one.port) as client:
        client.send(b"\xde\xad\xbe\xef\x00")
        assert client.ended()
        assert b"does not negotiate SASL" in bytes(client.data)
    still_serves(one)


@pytest.mark.parametrize("op", [87, 89, 90])
def test_what_is_not_offered_is_answered_so(one: Station, op: int) -> None:
    requests = {
        87: t.RequestShortCircuitFds(block(1), 1),
        89: t.RequestShortCircuitShm("test"),
        90: t.BlockGroupChecksum(
            block(1), (), (), t.ErasureCodingPolicy(1, "RS", "rs", 6, 3, 1024), (), 0
        ),
    }
    with RawClient(one.port) as client:
        client.send(encode_request(requests[op]))
        assert client.response().status is Status.ERROR_UNSUPPORTED
        # The connection goes on, as with HDFS.
        assert client.read(block(1), 0, 10) == DATA[:10]


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.requirement("A26")
def test_a_request_that_drips_is_given_up(one: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_server, "TRANSFER_OP_MS", 100)
    with RawClient(one.port) as client:
        client.send(READ[:10])
        assert client.ended()
    still_serves(one)


def test_idle_connections_are_closed_after_their_time(tmp_path: Path) -> None:
    short = TransferSettings(keepalive_ms=50, socket_timeout_ms=150, pool_ready_ms=0)
    with stations(tmp_path, 1, short) as (station,):
        with RawClient(station.port) as client:
            assert client.ended()
        with RawClient(station.port) as client:
            client.write(block(1), DATA)
        with RawClient(station.port) as client:
            assert client.read(block(1), 0, 100) == DATA[:100]
            assert client.ended()


@pytest.mark.requirement("E10")
def test_a_connection_serves_many_operations_parked_between(one: Station) -> None:
    with RawClient(one.port) as client:
        for turn in range(20):
            assert client.read(block(1), turn * 1000, 1000) == DATA[turn * 1000 :][:1000]
            if turn % 5 == 0:
                wait_until_parked(one, 1)
    assert one.server.counters.connections == 2


def wait_until_parked(station: Station, count: int) -> None:
    done = threading.Event()
    for _ in range(1000):
        parking = station.server._parking
        assert parking is not None
        if parking.parked >= count and not station.server.xceiver_count:
            return
        done.wait(0.01)
    raise AssertionError("the connections are not parked")


def test_a_silent_writer_is_given_up_and_its_replica_stays(tmp_path: Path) -> None:
    short = TransferSettings(socket_timeout_ms=100, pool_ready_ms=0)
    with stations(tmp_path, 1, short) as (station,), RawClient(station.port) as client:
        client.begin_write(block(1))
        client.send(client.packet(0, DATA[:1000]))
        client.acks(1)
        assert client.ended()
        assert content(station.dataset, block(1)) == DATA[:1000]


def test_a_next_node_that_takes_and_never_acknowledges_is_named(tmp_path: Path) -> None:
    """A node that hangs, not one that dies."""
    short = TransferSettings(socket_timeout_ms=400, pool_ready_ms=0)
    with (
        stations(tmp_path, 1, short) as (station,),
        socket.create_server(("127.0.0.1", 0)) as hanging,
        pytest.MonkeyPatch.context() as patch,
        RawClient(station.port) as client,
    ):
        patch.setattr(receive, "_HOP_MS", -200)

        def accept() -> None:
            peer, _ = hanging.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(encode_response(BlockOpResponse(Status.SUCCESS, first_bad_link="")))
                while peer.recv(65536):
                    pass

        thread = threading.Thread(target=accept)
        thread.start()
        answer = client.begin_write(block(1), node(hanging.getsockname()[1]))
        assert answer is not None
        assert answer.is_success
        client.send(client.packet(0, DATA[:1000]))
        (ack,) = client.acks(1)
        assert ack.replies == (Status.SUCCESS, Status.ERROR)
        client.socket.close()
        thread.join(10)


def test_a_reader_that_leaves_early_is_its_own_business(one: Station) -> None:
    data = random.Random(7).randbytes(8 << 20)
    with RawClient(one.port) as client:
        client.write(block(2), data)
    for _ in range(5):
        with RawClient(one.port) as client:
            client.send(encode_request(t.ReadBlock(block(2), "test", 0, len(data))))
            client.fill()
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    still_serves(one)


# --- many ----------------------------------------------------------------------------------------


def test_transfers_beyond_the_limit_are_refused_with_the_reason(tmp_path: Path) -> None:
    with (
        stations(tmp_path, 1, TransferSettings(threads_max=1, pool_ready_ms=0)) as (station,),
        RawClient(station.port) as writer,
    ):
        writer.begin_write(block(1))
        with RawClient(station.port) as client:
            client.send(READ)
            answer = client.response()
            assert answer.status is Status.ERROR
            assert "dfs.datanode.max.transfer.threads" in answer.message
            assert client.ended()
        writer.send(writer.packet(0, DATA) + writer.packet(len(DATA), b"", last=True))
        writer.acks(2)
        assert writer.ended()
        wait_until_parked(station, 0)
        still_serves(station)
        assert station.server.counters.connections_refused == 1


@pytest.mark.requirement("E10")
def test_thousands_of_idle_connections_cost_no_thread(one: Station) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 2000
    needed = 2 * count + 200
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    before = threading.active_count()
    idle: list[socket.socket] = []
    try:
        idle.extend(socket.create_connection(("127.0.0.1", one.port)) for _ in range(count))
        wait_until_parked(one, count)
        assert threading.active_count() <= before + 2
        still_serves(one)
        # Any of them can begin at any time.
        for sock in idle[:: count // 10]:
            sock.sendall(READ)
            assert sock.recv(100)
    finally:
        for sock in idle:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_port_in_use_is_one_clear_sentence(one: Station) -> None:
    second = transfer_server.TransferServer(one.dataset, TransferSettings())
    with pytest.raises(StartupError, match=r"dfs\.datanode\.address"):
        second.start("127.0.0.1", one.port)


def test_stopping_ends_what_is_under_way(one: Station) -> None:
    with RawClient(one.port) as writer, RawClient(one.port) as idle:
        writer.begin_write(block(2))
        writer.send(writer.packet(0, DATA[:1000]))
        writer.acks(1)
        one.server.stop()
        assert writer.ended()
        assert idle.ended()
    found = one.dataset.replica(block(2).pool_id, 2)
    assert found is not None
    assert found.block.num_bytes == 1000
