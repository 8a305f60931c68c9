"""Operations, answers, packets and acknowledgements of the data-transfer protocol."""

from __future__ import annotations

import struct

import pytest
import wire_values as values
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnfs.errors import LocalProtocolError, RemoteProtocolError
from cairnfs.limits import PACKET_BYTES_MAX, PACKET_HEADER_BYTES_MAX, TRANSFER_OP_BYTES_MAX
from cairnfs.types import ChecksumType, ExtendedBlock
from cairnfs.wire.checksum import DataChecksum, compute
from cairnfs.wire.message import delimited
from cairnfs.wire.packet import (
    HEARTBEAT_PACKET,
    LENGTHS_BYTES,
    encode_last_packet,
    encode_packet_header,
    encode_packet_prefix,
    parse_packets,
)
from cairnfs.wire.pipeline_ack import (
    SEQNO_UNKNOWN,
    PipelineAck,
    encode_ack,
    flag_of,
    parse_acks,
    success,
)
from cairnfs.wire.proto import datatransfer_pb2 as pb
from cairnfs.wire.rpc import encode_varint
from cairnfs.wire.sasl_transfer import SASL_MAGIC, SaslNotOffered
from cairnfs.wire.transfer import CopyBlock, Op, ReadBlock, Request, Stage, WriteBlock
from cairnfs.wire.transfer_codec import encode_request, parse_request
from cairnfs.wire.transfer_reply import (
    BlockOpResponse,
    Status,
    encode_read_status,
    encode_response,
    encode_transfer_ack,
    parse_read_status,
    parse_response,
    parse_transfer_ack,
)

BLOCK = ExtendedBlock("BP-1-127.0.0.1-1", 1073741825, 1001, 0)

# --- requests and answers ------------------------------------------------------------------------


@given(request=values.requests, rest=st.binary(max_size=5))
@settings(max_examples=40)
def test_a_request_survives_and_leaves_the_rest(request: Request, rest: bytes) -> None:
    data = b"before" + encode_request(request) + rest
    assert parse_request(data, 6, len(data)) == (request, len(data) - len(rest))


def test_a_request_is_wanted_whole_and_not_before() -> None:
    request = ReadBlock(BLOCK, "client", 5, 100)
    data = encode_request(request)
    for end in range(len(data)):
        assert parse_request(data, 0, end) is None
    assert parse_request(memoryview(data), 0, len(data)) == (request, len(data))


def test_every_opcode_has_a_request() -> None:
    for code in range(256):
        data = struct.pack(">HB", 28, code)
        if code in Op.__members__.values():
            assert parse_request(data, 0, 3) is None
        else:
            with pytest.raises(RemoteProtocolError, match=f"operation {code} "):
                parse_request(data, 0, 3)


@pytest.mark.requirement("A26")
@pytest.mark.parametrize(
    "data", [b"\x00\x1b", b"GET / HTTP/1.1\r\n", b"\xde\xadno", b"\x00\x1d\x50"]
)
def test_another_version_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="version") as error:
        parse_request(data, 0, len(data))
    assert not isinstance(error.value, SaslNotOffered)


@pytest.mark.requirement("A26")
def test_a_huge_request_is_refused_by_its_length() -> None:
    head = struct.pack(">HB", 28, Op.READ_BLOCK)
    data = head + encode_varint(TRANSFER_OP_BYTES_MAX + 1)
    with pytest.raises(RemoteProtocolError, match=str(TRANSFER_OP_BYTES_MAX)):
        parse_request(data, 0, len(data))
    with pytest.raises(RemoteProtocolError, match="32-bit"):
        parse_request(head + b"\xff" * 5, 0, 8)


def test_protection_is_declined_in_the_clients_own_terms() -> None:
    for size in range(1, 4):
        assert parse_request(SASL_MAGIC, 0, size) is None
    with pytest.raises(SaslNotOffered) as error:
        parse_request(SASL_MAGIC + b"\x02\x08\x00", 0, 7)
    words = error.value.last_words
    answer = pb.DataTransferEncryptorMessageProto.FromString(words[2:])
    assert answer.status == pb.DataTransferEncryptorMessageProto.ERROR
    assert "dfs.data.transfer.protection" in answer.message


def _write(**changes: object) -> bytes:
    proto = pb.OpWriteBlockProto(
        header=pb.ClientOperationHeaderProto(
            baseHeader=pb.BaseHeaderProto(
                block={"poolId": "p", "blockId": 1, "generationStamp": 2}  # type: ignore[arg-type]
            ),
            clientName="c",
        ),
        stage=pb.OpWriteBlockProto.PIPELINE_SETUP_CREATE,
        pipelineSize=1,
        minBytesRcvd=0,
        maxBytesRcvd=0,
        latestGenerationStamp=0,
        requestedChecksum=pb.ChecksumProto(type="CHECKSUM_CRC32C", bytesPerChecksum=512),  # type: ignore[arg-type]
    )
    for name, value in changes.items():
        setattr(proto, name, value)
    return struct.pack(">HB", 28, Op.WRITE_BLOCK) + delimited(proto)


def test_what_a_sparse_client_leaves_away_gets_defaults() -> None:
    data = _write()
    found = parse_request(data, 0, len(data))
    assert found is not None
    assert found[0] == WriteBlock(
        ExtendedBlock("p", 1, 2, 0),
        "c",
        (),
        Stage.PIPELINE_SETUP_CREATE,
        1,
        0,
        0,
        0,
        DataChecksum(ChecksumType.CRC32C, 512),
    )


def test_values_that_no_client_sends_are_refused() -> None:
    for data in (
        _write(minBytesRcvd=1 << 63),
        encode_request(ReadBlock(BLOCK, "c", (1 << 63) + 5, 1)),
        encode_request(ReadBlock(BLOCK, "c", 1, 1 << 63)),
    ):
        with pytest.raises(RemoteProtocolError, match="negative"):
            parse_request(data, 0, len(data))
    for bytes_per_checksum in (0, 1 << 30):
        proto = pb.OpWriteBlockProto.FromString(_write()[4:])
        proto.requestedChecksum.bytesPerChecksum = bytes_per_checksum
        data = struct.pack(">HB", 28, Op.WRITE_BLOCK) + delimited(proto)
        with pytest.raises(RemoteProtocolError, match="bytes per checksum"):
            parse_request(data, 0, len(data))


def test_more_targets_than_any_pipeline_has_are_refused() -> None:
    proto = pb.OpWriteBlockProto.FromString(_write()[4:])
    node = {
        "ipAddr": "1",
        "hostName": "h",
        "datanodeUuid": "u",
        "xferPort": 1,
        "infoPort": 1,
        "ipcPort": 1,
    }
    for _ in range(65):
        proto.targets.add(id=node)
    data = struct.pack(">HB", 28, Op.WRITE_BLOCK) + delimited(proto)
    with pytest.raises(RemoteProtocolError, match="65 targets"):
        parse_request(data, 0, len(data))


@given(response=values.responses)
def test_answers_survive(response: BlockOpResponse) -> None:
    data = encode_response(response)
    assert parse_response(data, 0, len(data)) == (response, len(data))
    assert parse_response(data, 0, len(data) - 1) is None


@pytest.mark.parametrize("status", Status)
def test_short_answers(status: Status) -> None:
    for encode, parse in (
        (encode_read_status, parse_read_status),
        (encode_transfer_ack, parse_transfer_ack),
    ):
        data = encode(status)
        assert parse(data, 0, len(data)) == (status, len(data))
        assert parse(data, 0, 1) is None
        with pytest.raises(RemoteProtocolError):
            parse(b"\x02\x08\x63", 0, 3)


# --- acknowledgements ----------------------------------------------------------------------------

seqnos = st.integers(-3, 200) | values.longs
acks = st.builds(
    lambda seqno, pairs, time_ns: PipelineAck(
        seqno, tuple(pair[0] for pair in pairs), tuple(flag_of(*pair) for pair in pairs), time_ns
    ),
    seqnos,
    st.lists(st.tuples(st.sampled_from(Status), st.integers(0, 3), st.integers(0, 3)), max_size=4),
    st.just(0) | values.counts,
)


@given(sent=st.lists(acks, max_size=5), cut=st.integers(0, 200))
def test_acks_survive_however_they_are_cut(sent: list[PipelineAck], cut: int) -> None:
    data = b"".join(map(encode_ack, sent))
    cut = min(cut, len(data))
    first, left = parse_acks(data, 0, cut)
    second, end = parse_acks(memoryview(data), left, len(data))
    assert (first + second, end) == (sent, len(data))


@given(ack=acks)
def test_an_ack_is_protobufs(ack: PipelineAck) -> None:
    proto = pb.PipelineAckProto(
        seqno=ack.seqno,
        reply=map(int, ack.replies),  # type: ignore[arg-type]
        downstreamAckTimeNanos=ack.downstream_ack_time_ns,
        flag=ack.flags,
    )
    assert encode_ack(ack) == delimited(proto)
    # Fields in another order come from nobody we know, and mean the same.
    body = proto.SerializeToString()
    head = pb.PipelineAckProto(seqno=ack.seqno).SerializePartialToString()
    data = encode_varint(len(body)) + body[len(head) :] + head
    assert parse_acks(data, 0, len(data)) == ([ack], len(data))


def test_what_an_ack_says() -> None:
    good = PipelineAck(7, success(3))
    assert good.is_success
    assert good.out_of_band is None
    restart = PipelineAck(SEQNO_UNKNOWN, (Status.SUCCESS, Status.OOB_RESTART))
    assert restart.out_of_band is Status.OOB_RESTART
    assert not restart.is_success
    assert restart.flag(1) == Status.OOB_RESTART
    slow = PipelineAck(1, success(1), (flag_of(Status.SUCCESS, ecn=3, slow=2),))
    assert slow.flag(0) == 0b10_11_0_0000


def test_old_peers_send_no_flags() -> None:
    data = delimited(pb.PipelineAckProto(seqno=5, reply=[0, 1]))  # type: ignore[list-item]
    (ack,), _ = parse_acks(data, 0, len(data))
    assert ack == PipelineAck(5, (Status.SUCCESS, Status.ERROR))
    assert ack.flag(1) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x08",
        b"\x10\x00",
        b"\x08\x02\x10\x00\x22\x02\x00\x00",
        b"\x08\x02" + b"\x10\x00" * 65,
        # A second sequence number behind the first.
        b"\x08\x02\x10\x00\x08\x04",
        b"\x08" + b"\xff" * 10 + b"\x01",
    ],
)
def test_broken_acks_are_the_peers_fault(body: bytes) -> None:
    data = encode_varint(len(body)) + body
    with pytest.raises(RemoteProtocolError):
        parse_acks(data, 0, len(data))


def test_an_endless_ack_is_refused_by_its_length() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_acks(b"\xff\xff\x7f", 0, 3)


# --- packets -------------------------------------------------------------------------------------

CHECKSUM = DataChecksum(ChecksumType.CRC32C, 512)
packet_specs = st.tuples(
    values.counts, values.longs, st.binary(max_size=3000), st.booleans(), st.booleans()
)


def packet(offset: int, seqno: int, data: bytes, sync: bool = False, last: bool = False) -> bytes:
    sums = compute(CHECKSUM, data)
    return encode_packet_header(seqno, offset, len(data), len(sums), last, sync) + sums + data


@given(specs=st.lists(packet_specs, max_size=4), cut=st.integers(0, 20_000))
@settings(max_examples=40)
def test_packets_are_found_however_they_arrive(
    specs: list[tuple[int, int, bytes, bool, bool]], cut: int
) -> None:
    stream = b"".join(packet(*spec[:4]) for spec in specs)
    cut = min(cut, len(stream))
    buffer = memoryview(bytearray(b"xx" + stream))
    first, left, needed = parse_packets(buffer, 2, 2 + cut)
    second, end, rest = parse_packets(buffer, left, len(buffer))
    assert end == len(buffer)
    assert rest == LENGTHS_BYTES
    found = first + second
    assert [(p.offset, p.seqno, bytes(p.data), p.sync) for p in found] == [s[:4] for s in specs]
    for got, spec in zip(found, specs, strict=True):
        assert got.sums == compute(CHECKSUM, spec[2])
        assert buffer[got.start : got.stop] == packet(*spec[:4])
        assert not got.is_last
    if cut < len(stream):
        # What is asked for next is what makes the next packet whole, or its lengths.
        if 2 + cut - left >= LENGTHS_BYTES:
            assert left + needed == second[0].stop
        else:
            assert needed == LENGTHS_BYTES


@given(spec=packet_specs)
def test_a_header_is_protobufs(spec: tuple[int, int, bytes, bool, bool]) -> None:
    offset, seqno, data, sync, last = spec
    proto = pb.PacketHeaderProto(
        offsetInBlock=offset, seqno=seqno, lastPacketInBlock=last, dataLen=len(data)
    )
    if sync:
        proto.syncBlock = True
    body = proto.SerializeToString()
    sums = compute(CHECKSUM, data)
    lengths = struct.pack(">IH", 4 + len(sums) + len(data), len(body))
    assert packet(offset, seqno, data, sync, last) == lengths + body + sums + data
    # The same header in an order, or with a number written longer, that nobody we know uses.
    for odd in (body[9:] + body[:9], body[:18] + bytes((0x18, 0x80 | last, 0)) + body[20:]):
        lengths = struct.pack(">IH", 4 + len(sums) + len(data), len(odd))
        view = memoryview(lengths + odd + sums + data)
        (found,), _, _ = parse_packets(view, 0, len(view))
        assert (found.offset, found.seqno, bytes(found.data)) == (offset, seqno, data)
        assert (found.is_last, found.sync) == (last, sync)


def test_nothing_is_taken_for_a_packet_after_the_last() -> None:
    data = packet(0, 0, b"abc") + encode_last_packet(1, 3) + b"\xff" * 40
    found, left, _ = parse_packets(memoryview(data), 0, len(data))
    assert [p.is_last for p in found] == [False, True]
    assert data[left:] == b"\xff" * 40


def test_a_heartbeat() -> None:
    (beat,), _, _ = parse_packets(memoryview(HEARTBEAT_PACKET), 0, len(HEARTBEAT_PACKET))
    assert beat.is_heartbeat
    assert not beat.data
    assert not beat.is_last


def test_a_prefix_and_the_data_are_a_packet() -> None:
    data = b"z" * 1000
    prefix = encode_packet_prefix(3, 512, len(data), memoryview(compute(CHECKSUM, data)))
    assert prefix + data == packet(512, 3, data)


@pytest.mark.requirement("A26")
@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">IH", 3, 25),
        struct.pack(">IH", 0x7FFFFFFF, 25),
        struct.pack(">IH", 0xFFFFFFFF, 25),
        struct.pack(">IH", PACKET_BYTES_MAX, 25),
        struct.pack(">IH", 100, PACKET_HEADER_BYTES_MAX + 1),
        struct.pack(">IH", 4, PACKET_HEADER_BYTES_MAX + 1) + b"\0" * 2000,
        # More data than payload, negative data, negative offset, no header at all.
        encode_packet_header(0, 0, 8, 0)[:27] + b"\x09" + bytes(3) + b"\0" * 8,
        encode_packet_header(0, 0, 8, 0)[:27] + b"\xff" * 4 + b"\0" * 8,
        encode_packet_header(0, -1, 0, 0),
        struct.pack(">IH", 4, 0),
        struct.pack(">IH", 4, 25) + b"\xff" * 25,
    ],
)
def test_broken_packets_are_the_peers_fault(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_packets(memoryview(data), 0, len(data))


def test_a_packet_too_large_for_any_peer_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        encode_packet_header(0, 0, PACKET_BYTES_MAX, 0)


def test_copies_need_no_client_name() -> None:
    data = encode_request(CopyBlock(BLOCK))
    assert parse_request(data, 0, len(data)) == (CopyBlock(BLOCK), len(data))
