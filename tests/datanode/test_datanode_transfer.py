"""Block transfer over real sockets: one node, pipelines, copies, the balancer's moves."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from dataset_world import content, put
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from raw_transfer_client import CRC32C_512, POOL, RawClient, block, node
from transfer_world import Station, stations

from cairnfs.datanode.settings import TransferSettings
from cairnfs.datanode.transfer_block import send_replica
from cairnfs.errors import ChecksumMismatch, ReplicaNotFound
from cairnfs.types import Block, ChecksumType, ExtendedBlock, ReplicaState, StorageType
from cairnfs.wire import transfer as t
from cairnfs.wire.block_checksum import BlockChecksumType
from cairnfs.wire.checksum import DataChecksum, compute
from cairnfs.wire.packet import HEARTBEAT_PACKET
from cairnfs.wire.pipeline_ack import SEQNO_UNKNOWN
from cairnfs.wire.transfer_codec import encode_request
from cairnfs.wire.transfer_reply import Status, parse_transfer_ack

DATA = random.Random(3).randbytes(300_007)
_IDS = itertools.count(1 << 40)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    with stations(tmp_path, 1) as (station,):
        yield station


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Station]]:
    with stations(tmp_path, 3) as opened:
        yield opened


# --- one node ------------------------------------------------------------------------------------


@pytest.mark.requirement("A01")
def test_a_block_is_written_acknowledged_and_read_back(one: Station) -> None:
    with RawClient(one.port) as client:
        acks = client.write(block(1), DATA)
        assert [ack.seqno for ack in acks] == list(range(len(acks)))
        assert all(ack.replies == (Status.SUCCESS,) for ack in acks)
        assert client.ended()
    assert one.recorder.told == [("receiving", 1, 1001, 0), ("received", 1, 1001, len(DATA))]
    with RawClient(one.port) as client:
        for offset, length in (
            (0, len(DATA)), (0, 1), (8191, 2), (8192, 8192), (100_000, 131_072), (300_006, 1),
        ):  # fmt: skip
            for sums in (True, False):
                found = client.read(block(1), offset, length, sums=sums)
                assert found == DATA[offset : offset + length]


def test_reads_of_many_packets(one: Station) -> None:
    data = random.Random(4).randbytes(3 * (1 << 20) + 12_345)
    with RawClient(one.port) as client:
        client.write(block(1), data)
    with RawClient(one.port) as client:
        assert client.read(block(1), 0, len(data)) == data
        assert client.read(block(1), 5, len(data) - 5) == data[5:]
        assert client.read(block(1), 5, len(data) - 5, sums=False) == data[5:]


def test_an_empty_block(one: Station) -> None:
    with RawClient(one.port) as client:
        assert len(client.write(block(1), b"")) == 1
    with RawClient(one.port) as client:
        assert client.read(block(1), 0, 0) == b""


def test_the_report_comes_before_the_last_ack(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1))
        client.send(client.packet(0, DATA[:100]) + client.packet(100, b"", last=True))
        client.acks(2)
        assert ("received", 1, 1001, 100) in one.recorder.told


def test_a_read_of_what_is_not_here_is_answered_with_the_reason(one: Station) -> None:
    with RawClient(one.port) as client, pytest.raises(OSError, match="no replica"):
        client.read(block(7), 0, 10)
    with RawClient(one.port) as client:
        client.write(block(1), DATA)
    with RawClient(one.port) as client, pytest.raises(OSError, match="not within"):
        client.read(block(1), 0, len(DATA) + 1)
    with RawClient(one.port) as client, pytest.raises(OSError, match="block pool"):
        client.read(ExtendedBlock("BP-other", 1, 1001, 0), 0, 10)


def test_a_refused_write_names_this_node_and_the_reason(one: Station) -> None:
    with RawClient(one.port) as client:
        client.write(block(1), DATA)
    with RawClient(one.port) as client:
        answer = client.begin_write(block(1))
        assert answer is not None
        assert answer.status is Status.ERROR
        assert answer.first_bad_link == f"127.0.0.1:{one.port}"
        assert "already" in answer.message
        assert client.ended()
    assert content(one.dataset, block(1)) == DATA


@pytest.mark.requirement("A16")
def test_wrong_data_is_refused_and_what_came_before_it_is_kept(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1))
        bad = bytearray(client.packet(1024, DATA[1024:2048]))
        bad[-1] ^= 1
        client.send(client.packet(0, DATA[:1024], seqno=0) + bytes(bad))
        first, second = client.acks(2)
        assert (first.seqno, first.replies) == (0, (Status.SUCCESS,))
        assert second.replies == (Status.ERROR_CHECKSUM,)
        assert client.ended()
    assert content(one.dataset, block(1)) == DATA[:1024]
    assert one.server.counters.checksum_errors == 1


def test_heartbeats_are_acknowledged(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1))
        client.send(HEARTBEAT_PACKET + client.packet(0, DATA[:10]) + HEARTBEAT_PACKET)
        assert [ack.seqno for ack in client.acks(3)] == [-1, 0, -1]
        client.send(client.packet(10, b"", last=True))
        client.acks(1)


def test_what_was_acknowledged_can_be_read_while_the_block_is_written(one: Station) -> None:
    with RawClient(one.port) as writer:
        writer.begin_write(block(1))
        position = 0
        for size in (10, 600, 9000, 1):
            writer.send(writer.packet(position, DATA[position : position + size]))
            writer.acks(1)
            position += size
            assert one.dataset.visible_length(block(1)) == position
            with RawClient(one.port) as reader:
                assert reader.read(block(1), 0, position) == DATA[:position]
    assert one.dataset.replica(POOL, 1).state is ReplicaState.RBW  # type: ignore[union-attr]


def test_hsync_makes_data_and_record_durable(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1))
        client.send(client.packet(0, DATA[:5000], sync=True))
        client.acks(1)
        record = one.dataset.table.index.find(one.dataset.table.pool_number(POOL), 1)
        assert record is not None
        assert (record.state, record.length) == (ReplicaState.RBW, 5000)
        assert record.flags & 4
        client.send(client.packet(5000, b"", last=True, sync=True))
        client.acks(1)
    assert content(one.dataset, block(1)) == DATA[:5000]


@pytest.mark.parametrize("type_", [ChecksumType.CRC32, ChecksumType.NULL])
def test_other_checksum_types(one: Station, type_: ChecksumType) -> None:
    checksum = DataChecksum(type_, 512)
    with RawClient(one.port) as client:
        client.begin_write(block(1), checksum=checksum)
        client.send(client.packet(0, DATA) + client.packet(len(DATA), b"", last=True))
        client.acks(2)
    assert content(one.dataset, block(1)) == DATA
    with RawClient(one.port) as client:
        # An append with other checksums than those at rest: data is verified, sums computed.
        client.begin_write(
            block(1), stage=t.Stage.PIPELINE_SETUP_APPEND, stamp=1002, least=len(DATA)
        )
        client.send(client.packet(len(DATA), b"tail") + client.packet(0, b"", last=True))
        client.acks(2)
    assert content(one.dataset, block(1, 1002)) == DATA + b"tail"


def test_packets_larger_than_the_receive_buffer(one: Station) -> None:
    data = random.Random(5).randbytes(6 << 20)
    with RawClient(one.port) as client:
        client.write(block(1), data, packet_bytes=5 << 20)
    assert content(one.dataset, block(1)) == data


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([64, 512, 1000, 8192, 100_000]),
    st.lists(st.tuples(st.integers(1, 30_000), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 999),
)
def test_random_packets_appends_and_reads_equal_plain_bytes(
    one: Station, chunk: int, pieces: list[tuple[int, bool]], seed: int
) -> None:
    """Random packet sizes, chunk sizes, appends between, and reads at random places."""
    chance = random.Random(seed)
    block_id = next(_IDS)
    checksum = DataChecksum(ChecksumType.CRC32C, chunk)
    stamp, expected = 1001, b""
    with contextlib.ExitStack() as clients:
        client = clients.enter_context(RawClient(one.port))
        client.begin_write(block(block_id), checksum=checksum)
        for size, closes in pieces:
            data = chance.randbytes(size)
            client.send(client.packet(len(expected), data))
            expected += data
            client.acks(1)
            if closes:
                client.send(client.packet(len(expected), b"", last=True))
                client.acks(1)
                client = clients.enter_context(RawClient(one.port))
                answer = client.begin_write(
                    block(block_id, stamp),
                    checksum=checksum,
                    stage=t.Stage.PIPELINE_SETUP_APPEND,
                    stamp=stamp + 1,
                    least=len(expected),
                )
                assert answer is not None
                assert answer.is_success, answer
                stamp += 1
            with RawClient(one.port) as reader:
                start = chance.randrange(len(expected) + 1)
                length = chance.randrange(len(expected) - start + 1)
                found = reader.read(block(block_id, stamp), start, length)
                assert found == expected[start : start + length]


# --- pipelines -----------------------------------------------------------------------------------


@pytest.mark.requirement("A05")
def test_a_pipeline_of_three_stores_and_acknowledges_in_order(three: list[Station]) -> None:
    first, *others = three
    with RawClient(first.port) as client:
        acks = client.write(block(1), DATA, *(s.info for s in others), packet_bytes=64_512)
        assert [ack.seqno for ack in acks] == list(range(len(acks)))
        assert all(ack.replies == (Status.SUCCESS,) * 3 for ack in acks)
    for station in three:
        assert content(station.dataset, block(1)) == DATA
        assert station.recorder.told[-1] == ("received", 1, 1001, len(DATA))


def test_checksums_travel_end_to_end(three: list[Station]) -> None:
    """Only the last node looks at the data: it is the one that finds what is wrong, and the
    node before it takes the blame by ending its connection."""
    first, *others = three
    with RawClient(first.port) as client:
        client.begin_write(block(1), *(s.info for s in others))
        client.send(client.packet(0, DATA[:512], sums=b"bad!"))
        (ack,) = client.acks(1)
        assert ack.replies == (Status.SUCCESS, Status.ERROR)
    assert [s.server.counters.checksum_errors for s in three] == [0, 0, 1]


@pytest.mark.parametrize("bad", [1, 2])
def test_a_node_that_cannot_be_reached_is_named(three: list[Station], bad: int) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = node(unused.getsockname()[1])
        targets = [nobody] if bad == 1 else [three[1].info, nobody]
        with RawClient(three[0].port) as client:
            answer = client.begin_write(block(1), *targets)
            assert answer is not None
            assert answer.status is Status.ERROR
            assert answer.first_bad_link == nobody.id.xfer_addr
            assert client.ended()


def test_a_node_that_refuses_is_named_through_the_whole_pipeline(three: list[Station]) -> None:
    with RawClient(three[2].port) as client:
        client.write(block(1), DATA)
    with RawClient(three[0].port) as client:
        answer = client.begin_write(block(1), three[1].info, three[2].info)
        assert answer is not None
        assert answer.first_bad_link == three[2].info.id.xfer_addr
        assert "already" in answer.message


def test_a_first_node_that_refuses_ends_what_the_nodes_behind_began(three: list[Station]) -> None:
    first, second, third = three
    put(first.dataset, block(1), DATA)
    with RawClient(first.port) as client:
        answer = client.begin_write(block(1), second.info, third.info)
        assert answer is not None
        assert answer.status is Status.ERROR
        assert answer.first_bad_link == f"127.0.0.1:{first.port}"
    deadline = time.monotonic() + 10
    while any(station.server.xceiver_count for station in three):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    # The client tries again under a new stamp, which takes over whatever was left.
    with RawClient(second.port) as client:
        client.begin_write(block(1), third.info, stamp=1002)
        client.send(client.packet(0, DATA) + client.packet(len(DATA), b"", last=True))
        client.acks(2)
    assert content(third.dataset, block(1, 1002)) == DATA


@pytest.mark.requirement("A05")
def test_a_node_lost_in_mid_write_is_named_and_the_write_goes_on_without_it(
    three: list[Station],
) -> None:
    half = 150_000
    with RawClient(three[0].port) as client:
        client.begin_write(block(1), three[1].info, three[2].info)
        client.send(client.packet(0, DATA[:half]))
        client.acks(1)
        three[1].server.stop()
        client.send(client.packet(half, DATA[half : half + 1000]))
        (ack,) = client.acks(1)
        assert ack.seqno == SEQNO_UNKNOWN
        assert ack.replies == (Status.SUCCESS, Status.ERROR)
    with RawClient(three[0].port) as client:
        answer = client.begin_write(
            block(1),
            three[2].info,
            stage=t.Stage.PIPELINE_SETUP_STREAMING_RECOVERY,
            stamp=1002,
            least=half,
            most=half + 1000,
        )
        assert answer is not None
        assert answer.is_success, answer
        client.send(client.packet(half, DATA[half:]) + client.packet(len(DATA), b"", last=True))
        acks = client.acks(2)
        assert all(ack.replies == (Status.SUCCESS,) * 2 for ack in acks)
    for station in (three[0], three[2]):
        assert content(station.dataset, block(1, 1002)) == DATA


@pytest.mark.requirement("A05")
@pytest.mark.parametrize("lost", [1, 2])
def test_the_client_hears_which_node_of_the_pipeline_was_lost(
    three: list[Station], lost: int
) -> None:
    with RawClient(three[0].port) as client:
        client.begin_write(block(1), three[1].info, three[2].info)
        client.send(client.packet(0, DATA[:1000]))
        client.acks(1)
        three[lost].server.stop()
        client.send(client.packet(1000, DATA[1000:2000]))
        (ack,) = client.acks(1)
        assert ack.replies == (Status.SUCCESS,) * lost + (Status.ERROR,)
        # What the client sent before it heard is taken, not answered.
        client.send(client.packet(2000, DATA[2000:3000]))


def test_a_new_writer_takes_over_from_one_that_hangs(one: Station) -> None:
    with RawClient(one.port) as old, RawClient(one.port) as new:
        old.begin_write(block(1))
        old.send(old.packet(0, DATA[:1000]))
        old.acks(1)
        answer = new.begin_write(
            block(1), stage=t.Stage.PIPELINE_SETUP_STREAMING_RECOVERY, stamp=1002,
            least=1000, most=1000,
        )  # fmt: skip
        assert answer is not None
        assert answer.is_success, answer
        assert old.ended()
        new.send(new.packet(1000, DATA[1000:]) + new.packet(len(DATA), b"", last=True))
        new.acks(2)
    assert content(one.dataset, block(1, 1002)) == DATA


def test_a_lost_last_ack_is_recovered_on_every_node(three: list[Station]) -> None:
    with RawClient(three[0].port) as client:
        client.write(block(1), DATA, three[1].info)
    with RawClient(three[0].port) as client:
        answer = client.begin_write(
            block(1), three[1].info, stage=t.Stage.PIPELINE_CLOSE_RECOVERY, stamp=1003,
            least=len(DATA),
        )  # fmt: skip
        assert answer is not None
        assert answer.is_success
    for station in three[:2]:
        assert station.recorder.told[-1] == ("received", 1, 1003, len(DATA))
        assert content(station.dataset, block(1, 1003)) == DATA


def test_a_write_without_end_is_left_for_recovery(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1))
        client.send(client.packet(0, DATA[:1000]))
        client.acks(1)
    found = one.dataset.init_replica_recovery(block(1), 1010)
    assert found is not None
    assert found.block == Block(1, 1001, 1000)


# --- copies --------------------------------------------------------------------------------------


@pytest.mark.requirement("C08")
def test_a_replica_is_sent_to_other_nodes_in_a_chain(three: list[Station]) -> None:
    with RawClient(three[0].port) as client:
        client.write(block(1), DATA)
    send_replica(
        three[0].dataset,
        TransferSettings(),
        three[0].info.id,
        block(1, 1001, len(DATA)),
        [three[1].info, three[2].info],
        [StorageType.DISK] * 2,
    )
    for station in three[1:]:
        station.recorder.wait_for("received")
        assert content(station.dataset, block(1)) == DATA
        with station.dataset.open_for_read(block(1)) as reader:
            assert reader.writer_bytes_per_checksum == 512
    with pytest.raises(ReplicaNotFound):
        send_replica(
            three[0].dataset, TransferSettings(), three[0].info.id, block(9), [three[1].info]
        )


@pytest.mark.parametrize("chunk", [64, 512, 1000, 8192, 65_536])
def test_a_copy_keeps_the_writers_chunks(three: list[Station], chunk: int) -> None:
    """Apache's nodes refuse appends to replicas with others, and their checksums would differ."""
    data = random.Random(chunk).randbytes((1 << 20) + 12_345)
    with RawClient(three[0].port) as client:
        client.begin_write(block(1), checksum=DataChecksum(ChecksumType.CRC32C, chunk))
        client.send(client.packet(0, data) + client.packet(len(data), b"", last=True))
        client.acks(2)
    settings, own = TransferSettings(), three[0].info.id
    send_replica(three[0].dataset, settings, own, block(1), [three[1].info])
    with RawClient(three[2].port) as client:
        client.send(encode_request(t.ReplaceBlock(block(1), "old-node", three[1].info)))
        assert client.response().is_success
    for station in three:
        assert content(station.dataset, block(1)) == data
        with station.dataset.open_for_read(block(1)) as reader:
            assert reader.writer_bytes_per_checksum == chunk


@pytest.mark.requirement("A16")
def test_a_corrupt_replica_is_not_copied_but_reported(three: list[Station], tmp_path: Path) -> None:
    with RawClient(three[0].port) as client:
        client.write(block(1), DATA)
    (file,) = tmp_path.rglob("blk_1_1001")
    with file.open("r+b") as stream:
        stream.seek(200_000)
        stream.write(b"rot")
    with pytest.raises(ChecksumMismatch, match="not copied"):
        send_replica(
            three[0].dataset, TransferSettings(), three[0].info.id, block(1), [three[1].info]
        )
    assert three[0].recorder.told[-1][:2] == ("corrupt", 1)
    three[1].server.stop()
    assert three[1].dataset.replica(POOL, 1) is None


def test_wrong_data_in_a_copy_is_reported_against_its_source(one: Station) -> None:
    source = node(1, "the source")
    with RawClient(one.port) as client:
        client.begin_write(block(1), client_name="", source=source)
        client.send(client.packet(0, DATA[:512], sums=b"bad!"))
        assert client.ended()
    assert one.recorder.told == [("corrupt_elsewhere", 1, 1001, 0)]
    assert one.dataset.replica(POOL, 1) is None


def test_a_client_lets_a_node_copy_its_half_written_replica(three: list[Station]) -> None:
    with RawClient(three[0].port) as writer:
        writer.begin_write(block(1))
        writer.send(writer.packet(0, DATA[:20_001]))
        writer.acks(1)
        with RawClient(three[0].port) as client:
            client.send(encode_request(t.TransferBlock(block(1), "test", (three[1].info,))))
            assert client.response().is_success
    joined = three[1].dataset.replica(POOL, 1)
    assert joined is not None
    assert (joined.state, joined.block.num_bytes) == (ReplicaState.RBW, 20_001)
    with RawClient(three[1].port) as client:
        answer = client.begin_write(
            block(1), stage=t.Stage.PIPELINE_SETUP_STREAMING_RECOVERY, stamp=1002,
            least=20_001, most=20_001,
        )  # fmt: skip
        assert answer is not None
        assert answer.is_success, answer
        client.send(client.packet(20_001, DATA[20_001:]) + client.packet(0, b"", last=True))
        client.acks(2)
    assert content(three[1].dataset, block(1, 1002)) == DATA


def test_a_finalized_copy_for_an_append_is_confirmed_and_not_reported(
    three: list[Station],
) -> None:
    with RawClient(three[0].port) as client:
        client.write(block(1), DATA)
    with RawClient(three[0].port) as client:
        client.send(encode_request(t.TransferBlock(block(1), "test", (three[1].info,))))
        assert client.response().is_success
    assert content(three[1].dataset, block(1)) == DATA
    assert three[1].recorder.told == []
    with RawClient(three[0].port) as client:
        client.send(encode_request(t.TransferBlock(block(9), "test", (three[1].info,))))
        assert client.response().status is Status.ERROR


def test_a_transfer_to_several_targets_is_no_pipeline(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1), node(1), stage=t.Stage.TRANSFER_RBW)
        assert client.ended()


def test_a_transfer_is_confirmed(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1), stage=t.Stage.TRANSFER_FINALIZED)
        client.send(client.packet(0, DATA) + client.packet(len(DATA), b"", last=True))
        assert client.take(parse_transfer_ack) is Status.SUCCESS
    assert content(one.dataset, block(1)) == DATA


@pytest.mark.requirement("A15")
def test_the_balancer_moves_a_replica_between_nodes(three: list[Station]) -> None:
    with RawClient(three[0].port) as client:
        client.write(block(1), DATA)
    with RawClient(three[1].port) as client:
        client.send(encode_request(t.ReplaceBlock(block(1), "old-node", three[0].info)))
        assert client.response().is_success
    assert content(three[1].dataset, block(1)) == DATA
    assert three[1].recorder.told == [("received", 1, 1001, len(DATA))]
    with RawClient(three[1].port) as client:
        client.send(encode_request(t.ReplaceBlock(block(9), "old-node", three[0].info)))
        answer = client.response()
        assert answer.status is Status.ERROR
        assert "no replica" in answer.message


def test_moves_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    settings = TransferSettings(balance_moves_max=0)
    with stations(tmp_path, 1, settings) as (station,), RawClient(station.port) as client:
        client.send(encode_request(t.CopyBlock(block(1))))
        answer = client.response()
        assert answer.status is Status.ERROR
        assert "moves 0 blocks already" in answer.message


# --- block checksums -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [len(DATA), 8192, 100_000, 512, 300])
def test_block_checksums_are_those_of_a_node_that_stores_the_writers_chunks(
    one: Station, length: int
) -> None:
    with RawClient(one.port) as client:
        client.write(block(1), DATA)
    with RawClient(one.port) as client:
        for kind in BlockChecksumType:
            client.send(encode_request(t.BlockChecksum(block(1, 1001, length), kind)))
            reply = client.response().checksum_reply
            assert reply is not None
            assert (reply.bytes_per_crc, reply.crc_per_block) == (512, -(-len(DATA) // 512))
            if kind is BlockChecksumType.MD5CRC:
                good = hashlib.md5(compute(CRC32C_512, DATA[:length])).digest()
            else:
                whole = DataChecksum(ChecksumType.CRC32C, 1 << 20)
                good = compute(whole, DATA[:length])
            assert reply.block_checksum == good


def test_the_crc_of_zlib_writers_is_zlibs(one: Station) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1), checksum=DataChecksum(ChecksumType.CRC32, 8192))
        client.send(client.packet(0, DATA) + client.packet(len(DATA), b"", last=True))
        client.acks(2)
    with RawClient(one.port) as client:
        request = t.BlockChecksum(block(1, 1001, len(DATA)), BlockChecksumType.COMPOSITE_CRC)
        client.send(encode_request(request))
        reply = client.response().checksum_reply
        assert reply is not None
        assert reply.block_checksum == zlib.crc32(DATA).to_bytes(4, "big")


def test_readers_and_writers_side_by_side(three: list[Station]) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            first, *others = three[number % 3 :] + three[: number % 3]
            data = random.Random(number).randbytes(50_000 + number)
            for turn in range(3):
                what = block(1000 * number + turn)
                with RawClient(first.port) as client:
                    client.write(what, data, *(s.info for s in others))
                for station in three:
                    with RawClient(station.port) as client:
                        assert client.read(what, 0, len(data)) == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
