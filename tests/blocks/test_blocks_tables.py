"""The replica store's tables against plain sets and dicts."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from cairnfs.blocks import tables
from cairnfs.store.memory import MemoryStore

block_ids = st.one_of(
    st.integers(1 << 30, (1 << 30) + 600),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
prints = st.integers(0, (1 << 32) - 1)


@given(
    st.lists(st.tuples(block_ids, prints, st.booleans()), max_size=80),
    st.integers(1, 40),
    st.integers(0, (1 << 64) - 1),
)
def test_a_storage_holds_what_was_put_and_not_deleted(
    changes: list[tuple[int, int, bool]], limit: int, first: int
) -> None:
    batch = MemoryStore().batch()
    model: dict[int, int] = {}
    tables.put_storage_block(batch, 8, 1 << 30, 1)  # a neighbour that must not be seen
    for block_id, print_, deletes in changes:
        if deletes:
            known = model.pop(block_id, None)
            assert tables.delete_storage_block(batch, 7, block_id) == (known is not None)
        else:
            new = block_id not in model
            assert tables.put_storage_block(batch, 7, block_id, print_) == new
            model[block_id] = print_
        assert tables.read_fingerprint(batch, 7, block_id) == model.get(block_id)
    assert tables.count_storage(batch, 7) == len(model)
    found: list[tuple[int, int]] = []
    following: int | None = first
    while following is not None:
        ids, values, following = tables.scan_storage(batch, 7, following, limit)
        found += zip(tables.signed(ids), values.tolist(), strict=True)
    wanted = [pair for pair in model.items() if tables.unsigned(pair[0]) >= first]
    assert found == sorted(wanted, key=lambda pair: tables.unsigned(pair[0]))


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 48)), min_size=1))
def test_fingerprints_of_arrays_are_those_of_single_replicas(pairs: list[tuple[int, int]]) -> None:
    stamps = np.array([stamp for stamp, _ in pairs], dtype=np.uint64)
    lengths = np.array([length for _, length in pairs], dtype=np.uint64)
    expected = [tables.fingerprint(stamp, length) for stamp, length in pairs]
    assert tables.fingerprints(stamps, lengths).tolist() == expected
    assert tables.FINGERPRINT_NONE not in expected


def test_fingerprints_tell_neighbours_apart() -> None:
    near = {tables.fingerprint(1000 + s, (1 << 27) - n) for s in range(300) for n in range(300)}
    assert len(near) > 300 * 300 - 5


@given(block_ids, st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 7))))
def test_replicas_are_read_as_written(block_id: int, replicas: list[tuple[int, int]]) -> None:
    batch = MemoryStore().batch()
    tables.write_replicas(batch, block_id, replicas)
    assert tables.read_replicas(batch, block_id) == replicas
    tables.write_replicas(batch, block_id, [])
    assert batch.get(tables.REPLICAS + tables.block_key(block_id)) is None


def test_indexes_are_never_given_twice() -> None:
    batch = MemoryStore().batch()
    assert [tables.next_index(batch) for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("block_id", [0, 1, 1 << 30, -1, -(1 << 63)])
def test_block_ids_survive_their_keys(block_id: int) -> None:
    assert tables.block_id_of(tables.REPLICAS + tables.block_key(block_id)) == block_id
