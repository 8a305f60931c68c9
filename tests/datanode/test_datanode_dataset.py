"""The dataset: what is written can be read, is counted, is reported, and goes when it should."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dataset_world import (
    CLUSTER,
    POOL,
    SOURCE,
    Recorder,
    begin,
    block,
    content,
    feed,
    open_dataset,
    put,
    settings,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cairnfs.datanode.dataset import Dataset
from cairnfs.datanode.settings import StorageSpec
from cairnfs.errors import (
    DiskFull,
    FileSystemError,
    RecoveryInProgress,
    RemoteProtocolError,
    ReplicaAlreadyExists,
    ReplicaNotFound,
    StartupError,
    StorageError,
    StoreLocked,
)
from cairnfs.types import Block, ChecksumType, Replica, ReplicaState, StorageType
from cairnfs.wire.checksum import DataChecksum, compute

DATA = random.Random(1).randbytes(100_003)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def dataset(tmp_path: Path, recorder: Recorder) -> Iterator[Dataset]:
    opened = open_dataset(tmp_path, recorder)
    yield opened
    opened.close()


# --- writing and reading -------------------------------------------------------------------------


def test_a_finalized_replica_is_read_back_with_matching_checksums(dataset: Dataset) -> None:
    assert put(dataset, block(1), DATA) == Block(1, 1001, len(DATA))
    assert content(dataset, block(1)) == DATA
    assert dataset.replica(POOL, 1) == Replica(Block(1, 1001, len(DATA)), ReplicaState.FINALIZED)


@pytest.mark.requirement("E03")
def test_one_checksum_is_kept_for_each_8_kib_whatever_the_writer_sends(dataset: Dataset) -> None:
    for number, source in enumerate(
        [
            SOURCE,
            DataChecksum(ChecksumType.CRC32C, 1000),
            DataChecksum(ChecksumType.CRC32, 512),
            DataChecksum(ChecksumType.NULL, 512),
            DataChecksum(ChecksumType.CRC32C, 65_536),
        ]
    ):
        writer = begin(dataset, block(number), source)
        feed(writer, 0, DATA, source)
        dataset.writing.finalize(writer)
        writer.close()
        with dataset.open_for_read(block(number)) as reader:
            assert reader.checksum.bytes_per_checksum == 8192
            assert len(reader.sums) == 4 * 13
            assert reader.writer_bytes_per_checksum == source.bytes_per_checksum
        assert content(dataset, block(number)) == DATA


def test_a_range_is_widened_to_whole_chunks_and_no_further(dataset: Dataset) -> None:
    put(dataset, block(1), DATA)
    with dataset.open_for_read(block(1), 10_000, 100) as reader:
        assert (reader.start, reader.stop, len(reader.sums)) == (8192, 16384, 4)
    with dataset.open_for_read(block(1), len(DATA) - 1, 1) as reader:
        assert (reader.start, reader.stop) == (98_304, len(DATA))
    for offset, length in ((0, len(DATA) + 1), (len(DATA) + 1, 0), (-1, 5)):
        with pytest.raises(FileSystemError, match="not within"):
            dataset.open_for_read(block(1), offset, length)


def test_a_reader_of_a_replica_that_is_written_sees_bytes_and_checksums_that_fit(
    dataset: Dataset,
) -> None:
    writer = begin(dataset, block(1))
    for stop in (700, 8192, 20_000, 20_001):
        start = writer.life.on_disk
        feed(writer, start, DATA[start:stop])
        assert content(dataset, block(1)) == DATA[:stop]
        assert dataset.visible_length(block(1)) == stop
    writer.write([(20_001, DATA[20_001:30_000], compute(SOURCE, DATA[20_001:30_000]))])
    assert dataset.visible_length(block(1)) == 20_001
    writer.close()
    assert content(dataset, block(1))[:20_001] == DATA[:20_001]


def test_a_reader_waits_for_bytes_that_are_just_being_written(dataset: Dataset) -> None:
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA[:100])
    found: list[int] = []

    def read() -> None:
        with dataset.open_for_read(block(1), 0, 5000) as reader:
            found.append(reader.stop)

    thread = threading.Thread(target=read)
    thread.start()
    feed(writer, 100, DATA[100:5000])
    thread.join(10)
    writer.close()
    assert found == [5000]


def test_data_that_leaves_a_gap_or_has_too_few_checksums_is_refused(dataset: Dataset) -> None:
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA[:1000])
    with pytest.raises(RemoteProtocolError):
        feed(writer, 1500, DATA[1500:2000])
    with pytest.raises(RemoteProtocolError):
        writer.write([(1000, DATA[1000:2000], b"1234")])
    # Nothing of it was taken: the right data still fits.
    feed(writer, 1000, DATA[1000:9000])
    writer.close()
    assert content(dataset, block(1)) == DATA[:9000]


def test_the_same_block_is_not_created_twice(dataset: Dataset) -> None:
    put(dataset, block(1), DATA)
    with pytest.raises(ReplicaAlreadyExists):
        begin(dataset, block(1))
    assert content(dataset, block(1)) == DATA


# --- append and pipeline recovery ----------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 511, 512, 8191, 8192, 8193, 100_003])
def test_append_goes_on_in_mid_chunk(dataset: Dataset, length: int) -> None:
    put(dataset, block(1), DATA[:length])
    writer = dataset.writing.append(block(1, 1001, 0), 1002, length)
    writer.begin(SOURCE)
    position = length
    # As Java's client does: first up to its chunk boundary, then whole chunks.
    for size in (-length % 512, 5 * 512, 700):
        feed(writer, position, DATA[:size])
        position += size
    dataset.writing.finalize(writer)
    writer.close()
    assert content(dataset, block(1, 1002)) == DATA[:length] + (
        DATA[: -length % 512] + DATA[: 5 * 512] + DATA[:700]
    )
    with pytest.raises(ReplicaNotFound):
        dataset.open_for_read(block(1, 1003))


def test_a_reader_keeps_what_it_opened_while_an_append_goes_on(dataset: Dataset) -> None:
    put(dataset, block(1), DATA[:9000])
    with dataset.open_for_read(block(1)) as reader:
        writer = dataset.writing.append(block(1), 1002, 9000)
        writer.begin(SOURCE)
        feed(writer, 9000, b"more")
        dataset.writing.finalize(writer)
        writer.close()
        data = os.pread(reader.descriptor, reader.stop, 0)
        assert data == DATA[:9000]
        assert compute(reader.checksum, data) == reader.sums


def test_pipeline_recovery_stops_the_old_writer_and_keeps_the_acked_bytes(
    dataset: Dataset,
) -> None:
    old = begin(dataset, block(1))
    feed(old, 0, DATA[:20_000])
    old.write([(20_000, DATA[20_000:30_000], compute(SOURCE, DATA[20_000:30_000]))])
    stopped = threading.Event()
    old.on_stop(stopped.set)

    def writer_thread() -> None:
        stopped.wait(10)
        old.close()

    thread = threading.Thread(target=writer_thread)
    thread.start()
    new = dataset.writing.recover_rbw(block(1), 1005, 20_000, 30_000)
    thread.join(10)
    assert (new.life.on_disk, new.life.generation_stamp) == (20_000, 1005)
    new.begin(SOURCE)
    feed(new, 20_000, DATA[20_000:50_000])
    dataset.writing.finalize(new)
    new.close()
    assert content(dataset, block(1, 1005)) == DATA[:50_000]
    with pytest.raises(StorageError, match="told to stop"):
        feed(old, 30_000, DATA[30_000:31_000])


def test_a_writer_that_does_not_stop_is_an_error_and_keeps_its_replica(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path, writer_stop_ms=50)
    old = begin(dataset, block(1))
    feed(old, 0, DATA[:100])
    with pytest.raises(StorageError, match="did not stop"):
        dataset.writing.recover_rbw(block(1), 1005, 0, 1000)
    old.close()
    dataset.close()


def test_close_recovery_of_a_finalized_replica_gives_it_the_new_stamp(dataset: Dataset) -> None:
    put(dataset, block(1), DATA)
    found, storage_uuid = dataset.writing.recover_close(block(1), 1007, len(DATA))
    assert found == Block(1, 1007, len(DATA))
    assert storage_uuid == dataset.storages()[0].storage_uuid
    assert content(dataset, block(1, 1007)) == DATA
    assert [r.block for _, r in dataset.iter_replicas(POOL)] == [found]


def test_close_recovery_of_an_open_replica_finalizes_it(dataset: Dataset) -> None:
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA)
    writer.close()
    assert dataset.writing.recover_close(block(1), 1007, len(DATA))[0].num_bytes == len(DATA)
    assert content(dataset, block(1, 1007)) == DATA


def test_a_copy_that_fails_leaves_nothing(dataset: Dataset) -> None:
    writer = dataset.writing.create_temporary(block(1), StorageType.DISK, "", SOURCE)
    writer.begin(SOURCE)
    feed(writer, 0, DATA)
    with pytest.raises(ReplicaNotFound):
        dataset.open_for_read(block(1))
    dataset.writing.abandon(writer)
    writer.close()
    assert dataset.replica(POOL, 1) is None


def test_a_copy_can_join_a_pipeline(dataset: Dataset) -> None:
    writer = dataset.writing.create_temporary(block(1), StorageType.DISK, "", SOURCE, True)
    writer.begin(SOURCE)
    feed(writer, 0, DATA[:5000])
    dataset.writing.convert_temporary(writer, block(1, 1001, 5000))
    writer.close()
    joined = dataset.writing.recover_rbw(block(1), 1002, 5000, 5000)
    joined.begin(SOURCE)
    feed(joined, 5000, DATA[5000:])
    dataset.writing.finalize(joined)
    joined.close()
    assert content(dataset, block(1, 1002)) == DATA


# --- block recovery ------------------------------------------------------------------------------


@pytest.mark.requirement("A21")
def test_block_recovery_cuts_a_replica_to_the_agreed_length(
    dataset: Dataset, recorder: Recorder
) -> None:
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA[:20_000])
    writer.close()
    found = dataset.init_replica_recovery(block(1), 1010)
    assert found is not None
    assert (found.block, found.original_state) == (Block(1, 1001, 20_000), ReplicaState.RBW)
    with pytest.raises(RecoveryInProgress):
        dataset.init_replica_recovery(block(1), 1010)
    dataset.update_replica_under_recovery(block(1, 1001, 20_000), 1010, 12_345)
    assert content(dataset, block(1, 1010)) == DATA[:12_345]
    assert recorder.told[-1] == ("received", 1, 1010, 12_345)


def test_recovery_of_a_finalized_replica_keeps_it_readable_meanwhile(dataset: Dataset) -> None:
    put(dataset, block(1), DATA)
    dataset.init_replica_recovery(block(1), 1010)
    assert content(dataset, block(1)) == DATA
    assert [r.state for _, r in dataset.iter_replicas(POOL)] == [ReplicaState.FINALIZED]
    dataset.update_replica_under_recovery(block(1, 1001, len(DATA)), 1010, len(DATA))
    assert content(dataset, block(1, 1010)) == DATA


def test_a_truncate_that_must_keep_the_old_block_makes_a_new_one(dataset: Dataset) -> None:
    put(dataset, block(1), DATA)
    dataset.init_replica_recovery(block(1), 1010)
    dataset.update_replica_under_recovery(block(1, 1001, len(DATA)), 1010, 12_345, 2)
    assert content(dataset, block(2, 1010)) == DATA[:12_345]
    assert content(dataset, block(1)) == DATA


def test_a_replica_that_is_not_here_needs_no_recovery(dataset: Dataset) -> None:
    assert dataset.init_replica_recovery(block(9), 1010) is None
    with pytest.raises(ReplicaNotFound):
        dataset.update_replica_under_recovery(block(9), 1010, 0)


# --- deletion ------------------------------------------------------------------------------------


@pytest.mark.requirement("A18")
def test_deletion_refuses_new_readers_at_once_and_frees_the_space_later(
    dataset: Dataset, recorder: Recorder, tmp_path: Path
) -> None:
    put(dataset, block(1), DATA)
    with dataset.open_for_read(block(1)) as reader:
        dataset.invalidate(POOL, [Block(1, 1001, 0)])
        with pytest.raises(ReplicaNotFound):
            dataset.open_for_read(block(1))
        recorder.wait_for("deleted")
        assert os.pread(reader.descriptor, 100, 0) == DATA[:100]
    assert not list(tmp_path.rglob("blk_*"))
    assert dataset.storage_reports(POOL)[0].dfs_used == 0
    assert not dataset.block_report(POOL)[dataset.storages()[0]]


def test_only_the_generation_that_was_named_is_deleted(dataset: Dataset) -> None:
    put(dataset, block(1), DATA)
    dataset.invalidate(POOL, [Block(1, 1000, 0), Block(7, 1001, 0)])
    assert content(dataset, block(1)) == DATA


def test_a_block_deleted_and_copied_here_again_is_the_new_copy(
    dataset: Dataset, recorder: Recorder
) -> None:
    for number in range(20):
        put(dataset, block(1), DATA[: 100 + number])
        dataset.invalidate(POOL, [Block(1, 1001, 0)])
    put(dataset, block(1), DATA)
    recorder.wait_for("deleted", 20)
    assert content(dataset, block(1)) == DATA


def test_deleting_a_replica_that_is_written_stops_its_writer(
    dataset: Dataset, recorder: Recorder
) -> None:
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA[:1000])
    stopped = threading.Event()
    writer.on_stop(stopped.set)
    dataset.invalidate(POOL, [Block(1, 1001, 0)])
    assert stopped.wait(10)
    with pytest.raises(StorageError):
        dataset.writing.finalize(writer)
    writer.close()
    recorder.wait_for("deleted")
    assert dataset.replica(POOL, 1) is None


@pytest.mark.requirement("A17")
def test_the_node_knows_which_blocks_are_in_motion(dataset: Dataset) -> None:
    writer = begin(dataset, block(1))
    assert dataset.in_motion().receiving == {(POOL, 1)}
    writer.close()
    dataset.writing.recover_close(block(1), 1002, 0)
    assert dataset.in_motion().receiving == frozenset()


# --- corruption ----------------------------------------------------------------------------------


@pytest.mark.requirement("A16")
def test_wrong_data_at_rest_is_found_and_reported(
    dataset: Dataset, recorder: Recorder, tmp_path: Path
) -> None:
    put(dataset, block(1), DATA)
    assert dataset.check_replica(block(1))
    (file,) = tmp_path.rglob("blk_1_1001")
    with file.open("r+b") as stream:
        stream.seek(50_000)
        stream.write(b"\x00rot")
    assert not dataset.check_replica(block(1))
    assert recorder.told[-1][:2] == ("corrupt", 1)


def test_a_replica_whose_file_is_gone_is_forgotten_and_reported(
    dataset: Dataset, recorder: Recorder, tmp_path: Path
) -> None:
    put(dataset, block(1), DATA)
    (file,) = tmp_path.rglob("blk_1_1001")
    file.unlink()
    with pytest.raises(ReplicaNotFound):
        dataset.open_for_read(block(1))
    assert recorder.told[-1][:2] == ("deleted", 1)
    assert dataset.replica(POOL, 1) is None


# --- space, volumes, identity --------------------------------------------------------------------


@pytest.mark.requirement("A08")
def test_space_is_counted_by_storage_and_pool(dataset: Dataset) -> None:
    for number in range(5):
        put(dataset, block(number), DATA[: 1000 * (number + 1)])
    (report,) = dataset.storage_reports(POOL)
    assert report.dfs_used == report.block_pool_used == 15_000
    assert report.capacity > report.remaining > 0
    assert not report.failed


@pytest.mark.requirement("E04")
def test_a_storage_is_a_group_of_volumes_that_are_all_used(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path, volumes=3)
    for number in range(9):
        put(dataset, block(number), DATA[:5000])
    assert [space.replicas for space in dataset.volume_spaces()] == [3, 3, 3]
    assert len(dataset.storages()) == 1
    assert len(next(iter(dataset.block_report(POOL).values()))) == 9
    dataset.close()


def test_a_failed_volume_is_taken_out_and_the_node_goes_on(
    tmp_path: Path, our_faults: list[object]
) -> None:
    recorder = Recorder()
    dataset = open_dataset(tmp_path, recorder, volumes=2)
    for number in range(4):
        put(dataset, block(number), DATA[:5000])
    dataset.volume_failed(str(tmp_path / "data0"), "a test said so")
    our_faults.clear()
    assert recorder.failed_volumes == [str(tmp_path / "data0")]
    left = [replica for _, replica in dataset.iter_replicas(POOL)]
    assert len(left) == 2
    put(dataset, block(10), DATA)
    assert content(dataset, block(10)) == DATA
    assert [failure.path for failure in dataset.volume_failures()] == [str(tmp_path / "data0")]
    dataset.close()


def test_a_full_volume_is_one_clear_sentence(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path, reserved_bytes=1 << 60)
    with pytest.raises(DiskFull, match="free space or add a volume"):
        begin(dataset, block(1, 1001, 100))
    dataset.close()


def test_a_storage_type_that_is_not_here_is_refused(dataset: Dataset) -> None:
    with pytest.raises(DiskFull, match="SSD"):
        dataset.writing.create_rbw(block(1), StorageType.SSD, "", SOURCE)


def test_files_are_for_this_user_only(dataset: Dataset, tmp_path: Path) -> None:
    put(dataset, block(1), DATA)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_two_processes_cannot_use_one_directory(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(StoreLocked, match="in use by process"):
        Dataset.open(settings(tmp_path), Recorder())


def test_the_node_keeps_its_identity_and_refuses_another_cluster(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path)
    uuid, storages = dataset.datanode_uuid, dataset.storages()
    with pytest.raises(StartupError, match=CLUSTER):
        dataset.add_block_pool("BP-2", "CID-other")
    dataset.close()
    again = Dataset.open(settings(tmp_path), Recorder())
    assert (again.datanode_uuid, again.storages(), again.cluster_id) == (uuid, storages, CLUSTER)
    with pytest.raises(StartupError, match=CLUSTER):
        again.add_block_pool(POOL, "CID-other")
    again.close()


def test_a_directory_that_holds_something_else_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "data0").mkdir()
    (tmp_path / "data0" / "holiday.jpg").touch()
    with pytest.raises(StartupError, match=r"holiday\.jpg"):
        Dataset.open(settings(tmp_path), Recorder())


def test_volumes_of_two_nodes_cannot_be_mixed(tmp_path: Path) -> None:
    open_dataset(tmp_path / "one").close()
    open_dataset(tmp_path / "two").close()
    storages = tuple(
        StorageSpec(StorageType.DISK, (tmp_path / name / "data0",)) for name in ("one", "two")
    )
    with pytest.raises(StartupError, match="belongs to DataNode"):
        Dataset.open(settings(tmp_path / "one", storages=storages), Recorder())


def test_an_unreadable_volume_stops_the_start_unless_it_is_tolerated(tmp_path: Path) -> None:
    open_dataset(tmp_path, volumes=2).close()
    (tmp_path / "data1").rename(tmp_path / "away")
    (tmp_path / "data1").write_text("not a directory")
    with pytest.raises(StartupError, match="data1"):
        Dataset.open(settings(tmp_path, volumes=2), Recorder())
    dataset = open_dataset(tmp_path, volumes=2, failed_volumes_tolerated=1)
    put(dataset, block(1), DATA)
    assert len(dataset.volume_failures()) == 1
    dataset.close()


def test_a_pool_that_is_not_served_has_no_replicas_and_can_be_deleted(
    dataset: Dataset, tmp_path: Path
) -> None:
    put(dataset, block(1), DATA)
    with pytest.raises(FileSystemError, match="in use"):
        dataset.delete_block_pool(POOL, force=True)
    dataset.remove_block_pool(POOL)
    with pytest.raises(ReplicaNotFound, match="not served"):
        dataset.open_for_read(block(1))
    with pytest.raises(FileSystemError, match="1 replicas"):
        dataset.delete_block_pool(POOL, force=False)
    dataset.delete_block_pool(POOL, force=True)
    assert not list(tmp_path.rglob("blk_*"))


def test_a_replica_moves_to_another_storage(tmp_path: Path) -> None:
    recorder = Recorder()
    storages = (
        StorageSpec(StorageType.DISK, (tmp_path / "data0",)),
        StorageSpec(StorageType.SSD, (tmp_path / "data1",)),
    )
    dataset = open_dataset(tmp_path, recorder, storages=storages)
    put(dataset, block(1), DATA)
    fast = dataset.move_replica(block(1), StorageType.SSD)
    assert dataset.storage(fast) in dataset.storages()
    assert content(dataset, block(1)) == DATA
    assert [path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("blk_*")] == ["data1"]
    assert [used.replicas for used in dataset.volume_spaces()] == [0, 1]
    assert [entry[0] for entry in recorder.told] == ["received", "deleted"]
    dataset.close()


# --- random writes against plain bytes -----------------------------------------------------------

WRITES = st.lists(
    st.tuples(
        st.sampled_from(["write", "again", "close", "append", "recover", "read"]),
        st.integers(1, 20_000),
    ),
    min_size=1,
    max_size=12,
)


@hypothesis_settings(max_examples=40)
@given(WRITES, st.sampled_from([64, 512, 1000, 8192, 65_536]), st.integers(0, 99))
def test_random_writes_appends_and_recoveries_equal_plain_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    operations: list[tuple[str, int]],
    chunk: int,
    seed: int,
) -> None:
    chance = random.Random(seed)
    dataset = open_dataset(tmp_path_factory.mktemp("random"), sync_interval_ms=10_000)
    try:
        source = DataChecksum(ChecksumType.CRC32C, chunk)
        stamp, expected = 1001, b""
        writer = begin(dataset, block(1), source)
        for name, size in operations:
            if name in ("write", "again") and writer is not None:
                back = chance.randrange(len(expected) + 1) if name == "again" else 0
                start = len(expected) - back
                data = expected[start:] + chance.randbytes(size)
                feed(writer, start, data, source)
                expected = expected[:start] + data
            elif name == "close" and writer is not None:
                dataset.writing.finalize(writer)
                writer.close()
                writer = None
            elif name == "append" and writer is None:
                writer = dataset.writing.append(block(1, stamp), stamp + 1, len(expected))
                stamp += 1
                writer.begin(source)
            elif name == "recover" and writer is not None:
                writer.close()
                kept = len(expected)
                writer = dataset.writing.recover_rbw(block(1, stamp), stamp + 1, kept, kept)
                stamp += 1
                writer.begin(source)
            assert content(dataset, block(1, stamp)) == expected
        if writer is not None:
            dataset.writing.finalize(writer)
            writer.close()
        assert content(dataset, block(1, stamp)) == expected
        assert dataset.check_replica(block(1, stamp))
    finally:
        dataset.close()
