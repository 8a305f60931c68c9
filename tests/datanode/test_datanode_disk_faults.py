"""Disks that are full, fail or lie: one clear error each, and nothing else is lost."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest
from dataset_world import POOL, Recorder, begin, block, content, feed, kill, open_dataset, put
from raw_transfer_client import RawClient
from transfer_world import Station, stations

from cairnfs.datanode import connection as connections
from cairnfs.datanode.index_records import ReplicaRecord
from cairnfs.datanode.volume import disk_errors
from cairnfs.errors import DiskFull, StartupError, StorageError, VolumeFailed
from cairnfs.types import ChecksumType, ReplicaState
from cairnfs.wire import transfer as t
from cairnfs.wire.checksum import DataChecksum
from cairnfs.wire.transfer_codec import encode_request

DATA = random.Random(8).randbytes(100_003)


def failing(number: int) -> Callable[..., Any]:
    """A system call that fails."""

    def call(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    with stations(tmp_path, 1) as (station,):
        yield station


def test_a_disk_that_fills_up_keeps_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(tmp_path)
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA[:10_000])
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", failing(errno.ENOSPC))
        with pytest.raises(DiskFull, match="free space"):
            feed(writer, 10_000, DATA[10_000:50_000])
    assert content(dataset, block(1)) == DATA[:10_000]
    # Room again: the same writer goes on where it was.
    feed(writer, 10_000, DATA[10_000:])
    dataset.writing.finalize(writer)
    writer.close()
    assert content(dataset, block(1)) == DATA
    dataset.close()


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(tmp_path)
    whole = os.pwritev

    def partial(descriptor: int, buffers: list[Any], offset: int) -> int:
        first = memoryview(buffers[0])
        return whole(descriptor, [first[: max(1, len(first) // 3)]], offset)

    monkeypatch.setattr(os, "pwritev", partial)
    put(dataset, block(1), DATA)
    assert content(dataset, block(1)) == DATA
    dataset.close()


def test_a_volume_that_fails_while_it_is_written_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, our_faults: list[object]
) -> None:
    with stations(tmp_path, 1) as (station,):
        with RawClient(station.port) as client:
            client.begin_write(block(1))
            monkeypatch.setattr(os, "pwritev", failing(errno.EIO))
            client.send(client.packet(0, DATA[:1000]))
            assert client.ended()
        monkeypatch.undo()
        assert station.recorder.failed_volumes == [str(tmp_path / "node0" / "data0")]
        (report,) = station.dataset.storage_reports(POOL)
        assert report.failed
        assert len(our_faults) == 1
        our_faults.clear()


@pytest.mark.requirement("A16")
def test_a_replica_that_the_disk_does_not_give_back_is_reported(
    one: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(9).randbytes(1 << 20)
    with RawClient(one.port) as client:
        client.write(block(1), data)
    for name, module, length in (("pread", os, 1000), ("sendfile", connections.os, len(data))):
        with monkeypatch.context() as patch, RawClient(one.port) as client:
            patch.setattr(module, name, failing(errno.EIO))
            client.send(encode_request(t.ReadBlock(block(1), "test", 0, length)))
            assert client.ended()
        assert one.recorder.told[-1][:2] == ("corrupt", 1)
        one.recorder.told.clear()


def test_a_replica_that_is_cut_short_on_disk_ends_the_read(one: Station, tmp_path: Path) -> None:
    with RawClient(one.port) as client:
        client.write(block(1), DATA * 3)
    (file,) = tmp_path.rglob("blk_1_1001")
    os.truncate(file, 1000)
    for length in (len(DATA) * 3, 50_000):
        with RawClient(one.port) as client:
            client.send(encode_request(t.ReadBlock(block(1), "test", 0, length)))
            assert client.ended()


def test_a_failed_sync_takes_the_volume_out_and_settles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, our_faults: list[object]
) -> None:
    recorder = Recorder()
    dataset = open_dataset(tmp_path, recorder, boot_id="first", sync_interval_ms=60_000)
    put(dataset, block(1), DATA)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing(errno.EIO))
        dataset._syncer.sync_all()
    assert recorder.failed_volumes == [str(tmp_path / "data0")]
    our_faults.clear()
    kill(dataset)
    again = open_dataset(tmp_path, boot_id="second")
    assert again.findings.hashed == 1
    again.close()


def test_hsync_that_fails_is_not_acknowledged(
    one: Station, monkeypatch: pytest.MonkeyPatch, our_faults: list[object]
) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", failing(errno.EIO))
            client.send(client.packet(0, DATA[:1000], sync=True))
            assert client.ended()
            assert not client.data
    our_faults.clear()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_sync_that_fails_when_a_block_closes_takes_the_volume_out(
    one: Station, monkeypatch: pytest.MonkeyPatch, our_faults: list[object], number: int
) -> None:
    with RawClient(one.port) as client:
        client.begin_write(block(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", failing(number))
            client.send(
                client.packet(0, DATA[:1000]) + client.packet(1000, b"", last=True, sync=True)
            )
            assert client.ended()
            assert not client.data
    assert one.recorder.failed_volumes
    assert one.dataset.replica(POOL, 1) is None
    our_faults.clear()


def test_an_index_without_room_leaves_the_replica_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(tmp_path)
    writer = begin(dataset, block(1))
    feed(writer, 0, DATA)

    def full(*_: object, **__: object) -> None:
        raise DiskFull("the index is full")

    with monkeypatch.context() as patch:
        patch.setattr(dataset.table.index, "put", full)
        with pytest.raises(DiskFull):
            dataset.writing.finalize(writer)
    assert dataset.replica(POOL, 1).state is ReplicaState.RBW  # type: ignore[union-attr]
    dataset.writing.finalize(writer)
    writer.close()
    assert content(dataset, block(1)) == DATA
    dataset.close()


def test_an_index_that_reaches_its_limit_says_so(tmp_path: Path) -> None:
    dataset = open_dataset(tmp_path, index_bytes_max=1 << 20, sync_interval_ms=60_000)

    def fill() -> None:
        for number in range(100_000):
            dataset.table.index.put(1, _record(number), DATA[: 4 * 4000], None)

    with pytest.raises(DiskFull, match=r"cairn\.datanode\.index\.bytes\.max"):
        fill()
    kill(dataset)


def _record(number: int) -> ReplicaRecord:
    return ReplicaRecord(
        number, 1, 4000 * 8192, ReplicaState.FINALIZED, 1,
        DataChecksum(ChecksumType.CRC32C, 8192), 512,
    )  # fmt: skip


def test_damage_in_the_index_is_a_storage_error_and_not_lmdbs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(tmp_path)
    put(dataset, block(1), DATA)

    class Damaged:
        def begin(self, **_: object) -> Any:
            raise lmdb.CorruptedError("a page is not what it should be")

    with monkeypatch.context() as patch:
        patch.setattr(dataset.table.index, "_fresh", Damaged())
        with pytest.raises(StorageError, match="damaged"):
            dataset.open_for_read(block(1))
    dataset.close()


@pytest.mark.parametrize("tolerated", [0, 1])
def test_a_volume_that_fails_while_the_node_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, our_faults: list[object], tolerated: int
) -> None:
    dataset = open_dataset(tmp_path, volumes=2)
    for number in range(4):
        put(dataset, block(number), DATA)
    dataset.close()
    listing = os.scandir

    def broken(path: str) -> Any:
        if "data0" in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return listing(path)

    monkeypatch.setattr(os, "scandir", broken)
    if tolerated:
        again = open_dataset(tmp_path, volumes=2, failed_volumes_tolerated=1)
        assert len(list(again.iter_replicas(POOL))) == 2
        again.close()
    else:
        with pytest.raises(StartupError, match="1 of 2 volumes"):
            open_dataset(tmp_path, volumes=2)
    our_faults.clear()


def test_disk_errors_say_what_where_why_and_what_next(tmp_path: Path) -> None:
    for number, kind, advice in (
        (errno.ENOSPC, DiskFull, "free space"),
        (errno.EDQUOT, DiskFull, "free space"),
        (errno.EIO, VolumeFailed, "replace the drive"),
        (errno.EROFS, VolumeFailed, "replace the drive"),
        (errno.EACCES, StorageError, "Permission denied"),
    ):
        with (
            pytest.raises(kind, match=f"/data: writing: .*{advice}|/data: writing: {advice}"),
            disk_errors("writing", "/data"),
        ):
            raise OSError(number, os.strerror(number))


def test_two_threads_that_finalize_and_delete_the_same_block_agree(tmp_path: Path) -> None:
    """Whoever comes first, the block is whole or gone."""
    recorder = Recorder()
    dataset = open_dataset(tmp_path, recorder)
    for number in range(30):
        writer = begin(dataset, block(number))
        feed(writer, 0, DATA[:5000])
        start = threading.Barrier(2)

        def delete(number: int = number, start: threading.Barrier = start) -> None:
            start.wait()
            dataset.invalidate(POOL, [block(number).block])

        thread = threading.Thread(target=delete)
        thread.start()
        start.wait()
        try:
            dataset.writing.finalize(writer)
        except StorageError:
            pass
        writer.close()
        thread.join()
    recorder.wait_for("deleted", 30)
    assert [replica for _, replica in dataset.iter_replicas(POOL)] == []
    assert not list(tmp_path.rglob("blk_*"))
    dataset.close()


def test_a_file_system_that_cannot_spread_directories_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "ioctl", failing(errno.ENOTTY))
        dataset = open_dataset(tmp_path)
    put(dataset, block(1), DATA)
    assert content(dataset, block(1)) == DATA
    dataset.close()
