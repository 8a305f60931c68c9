"""Full reports as bytes: what Hadoop's DataNodes send, and what nobody should."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given

from cairnfs.blocks.report import ReportedReplicas, decode_buffers, decode_longs
from cairnfs.errors import RemoteProtocolError
from cairnfs.types import Block, Replica, ReplicaState

replicas = st.builds(
    Replica,
    st.builds(
        Block,
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.integers(0, 1 << 40),
        st.integers(0, (1 << 48) - 1),
    ),
    st.sampled_from(ReplicaState),
)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def encode(listed: list[Replica], reserved: bool = False) -> bytes:
    """As BlockListAsLongs.Builder does; ``reserved`` sets bits that are not ours."""
    out = b""
    for replica in listed:
        block = replica.block
        zigzag = (block.block_id << 1) ^ (block.block_id >> 63)
        out += varint(zigzag & ((1 << 64) - 1))
        out += varint(block.num_bytes | (1 << 50 if reserved else 0))
        out += varint(block.generation_stamp)
        out += varint(replica.state | (1 << 9 if reserved else 0))
    return out


def as_dict(report: ReportedReplicas) -> dict[int, tuple[int, int, int]]:
    columns = (report.num_bytes, report.generation_stamps, report.states)
    ids = report.block_ids.astype("int64").tolist()
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return dict(zip(ids, rows, strict=True))


def wanted(listed: list[Replica]) -> dict[int, tuple[int, int, int]]:
    return {
        one.block.block_id: (one.block.num_bytes, one.block.generation_stamp, int(one.state))
        for one in listed
    }


@given(st.lists(replicas, max_size=30), st.booleans(), st.data())
def test_buffers_cut_anywhere(listed: list[Replica], reserved: bool, data: st.DataObject) -> None:
    stream = encode(listed, reserved)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    edges = [0, *cuts, len(stream)]
    buffers = [stream[a:b] for a, b in itertools.pairwise(edges)]
    report = decode_buffers(buffers, len(listed))
    assert as_dict(report) == wanted(listed)
    ids = report.block_ids.tolist()
    assert ids == sorted(set(ids))


def test_a_report_as_hadoop_writes_it() -> None:
    # 1073741825 finalised, 128 MiB, stamp 1001; 1073741826 being written, 10 bytes, 1002.
    stream = bytes.fromhex("828080800880808040e9070084808080080aea0701")
    assert as_dict(decode_buffers([stream], 2)) == {
        1073741825: (1 << 27, 1001, 0),
        1073741826: (10, 1002, 1),
    }


@given(st.lists(st.binary(max_size=60), max_size=3), st.integers(0, 20))
def test_any_bytes_are_a_report_or_refused(buffers: list[bytes], count: int) -> None:
    try:
        report = decode_buffers(buffers, count)
    except RemoteProtocolError:
        return
    assert len(report) <= count


@pytest.mark.parametrize(
    ("stream", "count"),
    [
        (b"\x80", 1),  # ends within a number
        (b"\x02\x01\x01", 1),  # a number is lacking
        (b"\x02\x01\x01\x00", 2),  # fewer than announced
        (b"\x02\x01\x01\x05", 1),  # no such state
        (b"\x80" * 10 + b"\x01\x01\x01\x00", 1),  # eleven bytes of one number
    ],
)
def test_broken_reports_are_refused(stream: bytes, count: int) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_buffers([stream], count)


@given(st.lists(replicas, max_size=20, unique_by=lambda one: one.block.block_id))
def test_the_older_form_of_longs(listed: list[Replica]) -> None:
    done = [one for one in listed if one.state == ReplicaState.FINALIZED]
    others = [one for one in listed if one.state != ReplicaState.FINALIZED]
    longs = [len(done), len(others)]
    for one in done:
        longs += [one.block.block_id, one.block.num_bytes, one.block.generation_stamp]
    longs += [-1, -1, -1]
    for one in others:
        longs += [one.block.block_id, one.block.num_bytes, one.block.generation_stamp, one.state]
    assert as_dict(decode_longs(longs)) == wanted(listed)
    if listed:
        with pytest.raises(RemoteProtocolError):
            decode_longs(longs[:-1])


def test_an_empty_storage_in_the_older_form() -> None:
    assert len(decode_longs([])) == len(decode_longs([0, 0])) == 0


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=12))
def test_any_longs_are_a_report_or_refused(longs: list[int]) -> None:
    try:
        decode_longs(longs)
    except RemoteProtocolError:
        pass


def test_of_replicas() -> None:
    listed = [Replica(Block(-5, 1001, 7), ReplicaState.RWR), Replica(Block(9, 1002, 8), 0)]  # type: ignore[arg-type]
    assert as_dict(ReportedReplicas.of(listed)) == wanted(listed)
