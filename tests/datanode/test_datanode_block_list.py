"""The list of replicas in a full report, against a decoder written for the test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.datanode.block_list import BUFFER_BYTES, BlockList
from cairnfs.types import Block, Replica, ReplicaState

replicas = st.builds(
    Replica,
    st.builds(
        Block,
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.integers(0, (1 << 63) - 1),
        st.integers(0, (1 << 48) - 1),
    ),
    st.sampled_from(ReplicaState),
)


def decoded(buffers: list[bytes]) -> list[Replica]:
    """One varint after the other, as slow as it is plain."""
    numbers, value, shift = [], 0, 0
    for byte in b"".join(buffers):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    assert shift == 0
    rows = zip(*[iter(numbers)] * 4, strict=True)
    return [
        Replica(Block(block_id >> 1 ^ -(block_id & 1), stamp, length), ReplicaState(state))
        for block_id, length, stamp, state in rows
    ]


@given(st.lists(replicas, max_size=20))
def test_replicas_come_back(listed: list[Replica]) -> None:
    block_list = BlockList(listed)
    assert len(block_list) == len(listed)
    assert decoded(block_list.buffers()) == listed


def test_golden_bytes() -> None:
    one = Replica(Block(1073741825, 1001, 134217728), ReplicaState.FINALIZED)
    assert BlockList([one]).buffers() == [bytes.fromhex("8280808008 80808040 e907 00")]


@pytest.mark.requirement("E05")
def test_long_lists_are_cut_into_buffers() -> None:
    listed = [
        Replica(Block(1073741825 + n, 1001 + n, 1 << 27), ReplicaState.FINALIZED)
        for n in range(10_000)
    ]
    buffers = BlockList(listed).buffers()
    assert len(buffers) > 1
    assert {len(one) for one in buffers[:-1]} == {BUFFER_BYTES}
    assert decoded(buffers) == listed


def test_empty_storage_has_one_empty_buffer() -> None:
    assert BlockList().buffers() == [b""]
