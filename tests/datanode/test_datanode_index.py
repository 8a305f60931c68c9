"""The block index against a plain dict: what is found, settled, and left after which death."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnfs.datanode import index_records as records
from cairnfs.datanode.index import Index
from cairnfs.datanode.index_records import RANGE_CRCS, ReplicaRecord
from cairnfs.errors import StorageError, StoreDamaged
from cairnfs.types import ChecksumType, ReplicaState
from cairnfs.wire.checksum import DataChecksum

CHECKSUM = DataChecksum(ChecksumType.CRC32C, 8192)
POOL = 1


def record(
    block_id: int, stamp: int = 1, chunks: int = 3, volume: int = 1, flags: int = 0
) -> ReplicaRecord:
    return ReplicaRecord(
        block_id, stamp, chunks * 8192, ReplicaState.FINALIZED, volume, CHECKSUM, 512, flags
    )


def sums(found: ReplicaRecord, seed: int = 0) -> bytes:
    return b"".join(
        (found.block_id * 31 + chunk + seed & 0xFFFFFFFF).to_bytes(4, "big")
        for chunk in range(found.checksum.chunks(found.length))
    )


def open_index(directory: Path, boot_id: str = "boot") -> Index:
    return Index.open(directory / "index", 256 << 20, boot_id)


def everything(index: Index) -> dict[tuple[int, int], tuple[ReplicaRecord, bytes]]:
    return {
        (r.block_id, r.generation_stamp): (
            r,
            index.checksums(POOL, r, 0, r.checksum.chunks(r.length)),
        )
        for r in index.scan(POOL)
    }


@given(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 63) - 1),
    st.sampled_from(ReplicaState),
    st.integers(0, 65_535),
    st.integers(0, 255),
)
def test_records_survive_encoding(
    block_id: int, stamp: int, length: int, state: ReplicaState, volume: int, flags: int
) -> None:
    made = ReplicaRecord(block_id, stamp, length, state, volume, CHECKSUM, 512, flags)
    key = records.replica_key(7, block_id, stamp)
    assert records.decode_record(key, made.encode()) == made
    assert (records.pool_of(key), records.block_of(key), records.stamp_of(key)) == (
        7, block_id, stamp,
    )  # fmt: skip


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_bytes_that_are_no_record_are_damage_and_nothing_else(key: bytes, value: bytes) -> None:
    try:
        records.decode_record(key, value)
    except StoreDamaged:
        pass


@pytest.mark.requirement("E03")
def test_metadata_and_checksums_stand_in_separate_key_ranges(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    found = record(5, chunks=2 * RANGE_CRCS + 10)
    index.put(POOL, found, sums(found))
    with index._fresh.begin() as txn:
        keys = [bytes(key[:1]) for key, _ in txn.cursor()]
    assert keys == [b"c", b"c", b"c", b"m"]
    index.abandon()


def test_a_slice_of_checksums_across_ranges(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    found = record(5, chunks=2 * RANGE_CRCS + 10)
    all_sums = sums(found)
    index.put(POOL, found, all_sums)
    for first, count in ((0, 1), (RANGE_CRCS - 1, 2), (10, 2 * RANGE_CRCS), (2 * RANGE_CRCS, 10)):
        assert index.checksums(POOL, found, first, count) == all_sums[4 * first :][: 4 * count]
    with pytest.raises(StoreDamaged):
        index.checksums(POOL, found, 2 * RANGE_CRCS, 11)
    index.abandon()


def test_the_newest_generation_is_found(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    for stamp in (3, 9, 5):
        index.put(POOL, record(1, stamp), sums(record(1, stamp)))
    assert index.find(POOL, 1) == record(1, 9)
    assert index.find(POOL, 2) is None
    assert index.find(POOL + 1, 1) is None
    index.remove(POOL, [(1, 9)])
    assert index.find(POOL, 1) == record(1, 5)
    index.abandon()


def test_a_record_can_change_without_its_checksums(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    found = record(1)
    index.put(POOL, found, sums(found))
    index.settle(index.unsettled())
    flagged = record(1, flags=records.FLAG_SYNCED)
    index.put(POOL, flagged, None)
    assert everything(index) == {(1, 1): (flagged, sums(found))}
    index.close()


def test_numbers_of_pools_and_volumes_last(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    numbers = [index.pool_number("BP-1"), index.pool_number("BP-2"), index.volume_number("uuid")]
    assert numbers == [1, 2, 1]
    index.abandon()
    again = open_index(tmp_path, "another boot")
    assert [again.pool_number("BP-2"), again.volume_number("uuid")] == [2, 1]
    assert again.knows_volume("uuid")
    assert not again.knows_volume("other")
    again.abandon()


def test_how_it_was_found_is_told(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    assert (index.opening.complete, index.opening.rebuilt) == (False, True)
    index.walked()
    index.close()
    index = open_index(tmp_path, "another boot")
    assert index.opening.complete
    index.abandon()
    index = open_index(tmp_path, "another boot")
    assert index.opening.complete
    index.abandon()
    index = open_index(tmp_path, "a third boot")
    assert (index.opening.complete, index.opening.rebuilt) == (False, False)
    index.abandon()
    # Killed in the middle of the walk that this asks for: the next start asks for it again.
    index = open_index(tmp_path, "a third boot")
    assert not index.opening.complete
    index.walked()
    index.abandon()
    index = open_index(tmp_path, "a third boot")
    assert index.opening.complete
    index.abandon()


def test_damage_is_moved_aside(tmp_path: Path) -> None:
    open_index(tmp_path).close()
    data = tmp_path / "index" / "base" / "data.mdb"
    data.write_bytes(b"\x5a" * 8192)
    index = open_index(tmp_path)
    assert index.opening.rebuilt
    assert (tmp_path / "index" / "base.damaged-0" / "data.mdb").exists()
    index.close()


def test_an_index_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    with index._base.begin(write=True) as txn:
        txn.put(b"slayout", b"2")
    index.abandon()
    with pytest.raises(StorageError, match="layout"):
        open_index(tmp_path)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5), st.integers(1, 3)),
        st.tuples(st.just("replace"), st.integers(0, 5), st.integers(1, 3)),
        st.tuples(st.just("remove"), st.integers(0, 5), st.integers(1, 3)),
        st.tuples(st.just("settle"), st.integers(0, 5), st.integers(1, 3)),
        st.tuples(st.just("settle all"), st.just(0), st.just(0)),
        st.tuples(st.just("kill"), st.just(0), st.just(0)),
        st.tuples(st.just("stop"), st.just(0), st.just(0)),
        st.tuples(st.just("power cut"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(OPERATIONS)
def test_random_changes_and_deaths_equal_a_dict(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int, int]]
) -> None:
    """``live`` is what must be found; ``durable`` what must be found after a power cut."""
    root = tmp_path_factory.mktemp("index")
    live: dict[tuple[int, int], tuple[ReplicaRecord, bytes]] = {}
    durable: dict[tuple[int, int], tuple[ReplicaRecord, bytes]] = {}
    boot = 0
    index = open_index(root, str(boot))
    index.walked()
    try:
        for turn, (name, block_id, stamp) in enumerate(operations):
            key = (block_id, stamp)
            match name:
                case "put" | "replace":
                    made = record(block_id, stamp, chunks=1 + turn % 5)
                    crcs = sums(made, turn)
                    old = stamp - 1 if name == "replace" and (block_id, stamp - 1) in live else None
                    index.put(POOL, made, crcs, old)
                    if old is not None:
                        del live[block_id, old]
                    live[key] = (made, crcs)
                case "remove":
                    index.remove(POOL, [key])
                    live.pop(key, None)
                case "settle":
                    index.settle([records.replica_key(POOL, *key)])
                    durable.pop(key, None)
                    if key in live:
                        durable[key] = live[key]
                case "settle all":
                    index.settle(index.unsettled())
                    assert index.unsettled() == []
                    durable = dict(live)
                case "kill":
                    index.abandon()
                    index = open_index(root, str(boot))
                    assert index.opening.complete
                case "stop":
                    index.close()
                    boot += 1
                    index = open_index(root, str(boot))
                    assert index.opening.complete
                    durable = dict(live)
                case "power cut":
                    index.abandon()
                    boot += 1
                    index = open_index(root, str(boot))
                    assert not index.opening.complete
                    index.walked()
                    live = dict(durable)
            assert everything(index) == live
            assert index.used(1) == (sum(r.length for r, _ in live.values()), len(live))
            for block in {block for block, _ in live}:
                newest = max(s for b, s in live if b == block)
                assert index.find(POOL, block) == live[block, newest][0]
    finally:
        index.abandon()
        shutil.rmtree(root)
