"""The durable store: formatting, opening, checkpoints, full and failing disks."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from lmdb_double import LmdbDouble, nothing

from cairnfs.errors import (
    DiskFull,
    LocalProtocolError,
    StartupError,
    StorageError,
    StoreDamaged,
    StoreFailed,
    StoreLocked,
)
from cairnfs.store import durable as durable_module
from cairnfs.store import journal as journal_module
from cairnfs.store.boot_state import load_state
from cairnfs.store.durable import DurableStore
from cairnfs.store.lmdb_store import LmdbStore
from cairnfs.store.memory import MemoryStore
from cairnfs.testing.faulty_disk import FaultyDisk

MAP_BYTES = 1 << 26
SEGMENT_BYTES = 4096


def make(path: Path, disk: FaultyDisk | None = None) -> DurableStore:
    return DurableStore.format(
        path, boot_id="first", disk=disk, map_bytes=MAP_BYTES, segment_bytes=SEGMENT_BYTES
    )


def reopen(path: Path, boot_id: str = "first", disk: FaultyDisk | None = None) -> DurableStore:
    return DurableStore(
        path, boot_id=boot_id, disk=disk, map_bytes=MAP_BYTES, segment_bytes=SEGMENT_BYTES
    )


def put(store: DurableStore, *numbers: int) -> int:
    sequence = 0
    for number in numbers:
        batch = store.batch()
        batch.put(b"%06d" % number, b"v" * 100)
        sequence = store.commit(batch)
    return sequence


def keys(store: DurableStore) -> list[int]:
    snapshot = store.snapshot()
    found = [int(key) for key, _ in snapshot.scan(b"0", b":")]
    snapshot.close()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


# --- formatting and opening --------------------------------------------------------------------


def test_a_new_store_is_empty_and_opens_again(path: Path) -> None:
    store = make(path)
    assert (store.last_sequence, store.durable_sequence, keys(store)) == (0, 0, [])
    identity = store.store_id
    store.close()
    store = reopen(path)
    assert store.store_id == identity
    store.close()
    assert path.stat().st_mode & 0o777 == 0o700
    for file in path.rglob("*"):
        assert file.stat().st_mode & 0o777 == (0o700 if file.is_dir() else 0o600), file


@pytest.mark.requirement("A19")
def test_formatting_refuses_what_is_there_by_name(path: Path) -> None:
    make(path).close()
    before = sorted(path.rglob("*"))
    with pytest.raises(StartupError, match=rf"{path} is not empty \(it holds '.*nothing was"):
        make(path)
    assert sorted(path.rglob("*")) == before
    other = path.parent / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(StartupError, match=r"letter\.txt"):
        make(other)
    (path.parent / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        make(path.parent / "file")


def test_opening_refuses_what_is_not_formatted_and_says_what_to_do(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StartupError, match="format it first"):
        reopen(path)
    assert list(path.iterdir()) == []


def test_opening_refuses_other_versions_and_lost_directories(path: Path) -> None:
    make(path).close()
    version = path / "VERSION"
    whole = version.read_text()
    version.write_text(json.dumps({**json.loads(whole), "format_version": 2}))
    with pytest.raises(StartupError, match="format version 2"):
        reopen(path)
    version.write_text("{")
    with pytest.raises(StoreDamaged, match="VERSION is damaged"):
        reopen(path)
    version.write_text(whole)
    (path / "checkpoints").rmdir()
    with pytest.raises(StoreDamaged, match="checkpoints is missing"):
        reopen(path)


@pytest.mark.requirement("A04")
def test_two_stores_on_one_directory_are_refused(path: Path) -> None:
    store = make(path)
    with pytest.raises(StoreLocked, match="in use by process"):
        reopen(path)
    store.close()
    reopen(path).close()


# --- committing --------------------------------------------------------------------------------


def test_commits_are_numbered_visible_at_once_and_durable_after_sync(path: Path) -> None:
    store = make(path)
    assert put(store, 1, 2, 3) == 3
    assert keys(store) == [1, 2, 3]
    assert (store.last_sequence, store.durable_sequence) == (3, 0)
    assert store.sync() == 3 == store.durable_sequence
    batch = store.batch()
    assert store.commit(batch) == 3, "nothing changed"
    batch = store.batch()
    batch.put(b"000004", b"value")
    batch.commit()
    assert store.last_sequence == 4
    store.close()


def test_the_journal_keeps_the_last_change_of_each_key(path: Path) -> None:
    store = make(path)
    batch = store.batch()
    for value in (b"1", b"2", b"3"):
        batch.put(b"parent", value)
    batch.put(b"000001", b"value")
    batch.delete(b"000001")
    store.commit(batch)
    assert list(store._journal.read(0)) == [(1, [(b"parent", b"3"), (b"000001", None)])]
    store.close(clean=False)
    store = reopen(path, "second")
    snapshot = store.snapshot()
    assert list(snapshot.scan(b"", b"\xff")) == [(b"parent", b"3")]
    snapshot.close()
    store.close()


def test_batches_of_other_stores_are_refused(path: Path) -> None:
    store = make(path)
    with pytest.raises(LocalProtocolError):
        store.commit(MemoryStore().batch())
    with pytest.raises(LocalProtocolError):
        store.commit(LmdbStore.batch(store._tree))
    store.close(clean=False)


def test_a_batch_beyond_the_limit_is_undone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "JOURNAL_RECORD_BYTES_MAX", 1000)
    store = make(path)
    batch = store.batch()
    batch.put(b"000001", bytes(2000))
    with pytest.raises(LocalProtocolError, match="in parts"):
        store.commit(batch)
    assert keys(store) == []
    assert put(store, 2) == 1
    store.close()


# --- opening again -----------------------------------------------------------------------------


@pytest.mark.requirement("A04")
@pytest.mark.parametrize("boot_id", ["first", "second"])
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_all_is_there_after_every_way_to_stop(
    path: Path, boot_id: str, clean: bool, checkpoint: bool
) -> None:
    store = make(path)
    put(store, *range(200))
    if checkpoint:
        assert store.checkpoint() == 200
        put(store, *range(200, 250))
    expected = keys(store)
    store.sync()
    store.close(clean=clean)
    assert load_state(path / "state").clean == clean
    store = reopen(path, boot_id)
    assert store.rebuilt == (boot_id == "second" and not clean)
    assert keys(store) == expected
    assert store.last_sequence == store.durable_sequence == len(expected)
    assert not load_state(path / "state").clean
    assert put(store, 999) == len(expected) + 1
    store.close()


@pytest.mark.requirement("A04")
def test_what_the_journal_has_and_lmdb_lacks_is_applied(path: Path) -> None:
    """The process died between the two, which in one process only a copy can show."""
    store = make(path)
    put(store, *range(10))
    shutil.copytree(path / "tree", path.parent / "older")
    put(store, *range(10, 60))
    store.close(clean=False)
    shutil.rmtree(path / "tree")
    (path.parent / "older").rename(path / "tree")
    store = reopen(path)
    assert not store.rebuilt
    assert keys(store) == list(range(60))
    store.close()


@pytest.mark.requirement("A04")
def test_a_damaged_tree_is_made_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = make(path)
    put(store, *range(100))
    store.checkpoint()
    put(store, 100)
    store.close()
    (path / "tree" / "data.mdb").write_bytes(b"damaged" * 10_000)
    with caplog.at_level(logging.WARNING):
        store = reopen(path)
    assert "made anew" in caplog.text
    assert store.rebuilt
    assert keys(store) == list(range(101))
    store.close()
    shutil.rmtree(path / "tree")
    store = reopen(path)
    assert keys(store) == list(range(101))
    store.close()


@pytest.mark.requirement("A04")
def test_a_tree_other_than_the_one_that_was_stopped_is_not_believed(path: Path) -> None:
    store = make(path)
    put(store, 1)
    store.close()
    shutil.copytree(path / "tree", path.parent / "older")
    store = reopen(path)
    put(store, 2)
    store.close()
    shutil.rmtree(path / "tree")
    (path.parent / "older").rename(path / "tree")
    store = reopen(path, "second")
    assert store.rebuilt
    assert keys(store) == [1, 2]
    store.close()


@pytest.mark.requirement("A04")
def test_a_journal_that_lost_its_end_is_mended_from_lmdb(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = make(path)
    put(store, *range(20))
    offset = store._journal.mark.offset
    segment = path / "journal" / f"{store._journal.mark.segment:020d}.log"
    store.close(clean=False)
    data = segment.read_bytes()
    segment.write_bytes(data[:offset] + bytes(len(data) - offset))
    with caplog.at_level(logging.WARNING):
        store = reopen(path)
    assert "begun anew" in caplog.text
    assert keys(store) == list(range(20))
    assert put(store, 20) == 21
    store.sync()
    store.close(clean=False)
    # What mended it is durable, too.
    store = reopen(path, "second")
    assert store.rebuilt
    assert keys(store) == list(range(21))
    store.close()


@pytest.mark.requirement("A04")
def test_damage_that_costs_durable_records_is_refused_with_a_sentence(path: Path) -> None:
    store = make(path)
    for number in range(50):
        put(store, number)
        store.sync()
    store.close(clean=False)
    segment = sorted((path / "journal").iterdir())[1]
    data = bytearray(segment.read_bytes())
    data[100] ^= 1
    segment.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"record \d+ at byte 64 is damaged .*restore the dir"):
        reopen(path, "second")
    # It is refused again and again: nothing was thrown away.
    with pytest.raises(StoreDamaged, match=str(segment)):
        reopen(path, "second")


@pytest.mark.requirement("A04")
def test_an_emptied_journal_is_refused(path: Path) -> None:
    store = make(path)
    put(store, *range(5))
    store.close()
    for segment in (path / "journal").iterdir():
        segment.unlink()
    shutil.rmtree(path / "tree")
    with pytest.raises(StoreDamaged, match=r"record 1 .* missing"):
        reopen(path)


# --- checkpoints -------------------------------------------------------------------------------


def test_a_checkpoint_trims_the_journal_and_replaces_the_one_before(path: Path) -> None:
    store = make(path)
    put(store, *range(200))
    segments = len(list((path / "journal").iterdir()))
    assert segments > 5
    assert store.checkpoint() == 200
    assert len(list((path / "journal").iterdir())) == 1
    assert store.checkpoint() == 200, "nothing new"
    put(store, 200)
    assert store.checkpoint() == 201
    assert [entry.name for entry in (path / "checkpoints").iterdir()] == [f"{201:020d}"]
    store.close()


def test_a_checkpoint_is_due_when_the_journal_outgrows_the_tree(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable_module, "_CHECKPOINT_BYTES_MIN", 1)
    store = make(path)
    due = [store.checkpoint_due]
    while not due[-1]:
        put(store, *range(100))
        due.append(store.checkpoint_due)
    assert len(due) > 1
    assert store._journal.size_bytes > store._tree.file_bytes
    store.checkpoint()
    assert not store.checkpoint_due
    store.close()


@pytest.mark.requirement("A04")
def test_commits_go_on_while_a_checkpoint_is_made(path: Path) -> None:
    store = make(path)
    put(store, *range(500))
    store.sync()
    made: list[int] = []
    thread = threading.Thread(target=lambda: made.append(store.checkpoint()))
    thread.start()
    number = 500
    while thread.is_alive() or number < 600:
        put(store, number)
        number += 1
    thread.join()
    assert 500 <= made[0] <= number
    store.sync()
    store.close(clean=False)
    store = reopen(path, "second")
    assert keys(store) == list(range(number))
    store.close()


@pytest.mark.requirement("A04")
def test_an_older_checkpoint_never_stands_in_for_a_damaged_one(path: Path) -> None:
    store = make(path)
    put(store, *range(100))
    store.checkpoint()
    older = f"{100:020d}"
    shutil.copytree(path / "checkpoints" / older, path.parent / older)
    put(store, *range(100, 200))
    store.checkpoint()
    store.close(clean=False)
    data = path / "checkpoints" / f"{200:020d}" / "data.mdb"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with pytest.raises(StoreDamaged, match="no checkpoint reads back"):
        reopen(path, "second")
    # With the one before it there are records missing between it and the journal.
    shutil.copytree(path.parent / older, path / "checkpoints" / older)
    with pytest.raises(StoreDamaged, match="record 101"):
        reopen(path, "second")


@pytest.mark.requirement("A04")
def test_a_checkpoint_that_does_not_read_back_replaces_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Liar(FaultyDisk):
        lies = False

        def pwrite(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
            if self.lies and len(data) > 4096:
                data = bytes(data[:-1]) + b"\xff"
            return super().pwrite(descriptor, data, offset)

    disk = Liar(path.parent)
    store = make(path, disk)
    put(store, *range(100))
    store.checkpoint()
    put(store, *range(100, 200))
    segments = sorted((path / "journal").iterdir())
    disk.lies = True
    with pytest.raises(StoreDamaged, match="replace this disk"):
        store.checkpoint()
    disk.lies = False
    assert sorted((path / "journal").iterdir()) == segments
    store.sync()
    store.close(clean=False)
    store = reopen(path, "second")
    assert keys(store) == list(range(200))
    store.close()


# --- disks that fail ---------------------------------------------------------------------------


@pytest.mark.requirement("A04")
def test_a_full_disk_refuses_commits_until_there_is_space(path: Path) -> None:
    disk = FaultyDisk(path.parent)
    store = make(path, disk)
    put(store, 0)
    disk.space_bytes = 0
    number = 1
    with pytest.raises(DiskFull, match="no space"):  # noqa: PT012 - until it does
        while number < 1000:
            put(store, number)
            number += 1
    assert 1 < number < 1000
    # The batch that was refused left nothing, and all before it can be made durable.
    assert keys(store) == list(range(number))
    assert store.sync() == number
    disk.space_bytes = None
    assert put(store, number) == number + 1
    store.sync()
    store.close(clean=False)
    store = reopen(path, "second")
    assert keys(store) == list(range(number + 1))
    store.close()


@pytest.mark.requirement("A04")
@pytest.mark.parametrize("space_bytes", [0, 1, 5000, 20_000])
def test_a_full_disk_in_a_checkpoint_loses_nothing(path: Path, space_bytes: int) -> None:
    disk = FaultyDisk(path.parent)
    store = make(path, disk)
    put(store, *range(300))
    store.checkpoint()
    put(store, *range(300, 400))
    names = sorted(path.rglob("*"))
    disk.space_bytes = space_bytes
    with pytest.raises(DiskFull, match="no space"):
        store.checkpoint()
    assert sorted(path.rglob("*")) == names
    disk.space_bytes = None
    store.sync()
    assert put(store, 400) == 401
    assert store.checkpoint() == 401
    store.close(clean=False)
    store = reopen(path, "second")
    assert keys(store) == list(range(401))
    store.close()


@pytest.mark.requirement("A04")
def test_a_failed_sync_ends_the_store(path: Path) -> None:
    disk = FaultyDisk(path.parent)
    store = make(path, disk)
    put(store, 1)
    store.sync()
    put(store, 2)
    disk.syncs_until_error = 0
    with pytest.raises(StoreFailed, match="cannot be synced"):
        store.sync()
    disk.syncs_until_error = None
    for refused in (store.sync, store.batch, store.checkpoint):
        with pytest.raises(StoreFailed):
            refused()
    assert store.durable_sequence == 1
    store.close()
    assert not load_state(path / "state").clean
    store = reopen(path, "second")
    assert keys(store)[0] == 1
    store.close()


def _lmdb_error(*_: object) -> None:
    error = lmdb.DiskError("mdb_txn_commit", errno.EIO)
    error.code = errno.EIO  # as the binding does
    raise error


def _defect(*_: object) -> None:
    raise RuntimeError("a defect")


@pytest.mark.requirement("A04")
@pytest.mark.parametrize(("failure", "ours"), [(_lmdb_error, False), (_defect, True)])
def test_a_failure_between_journal_and_lmdb_ends_the_store(
    path: Path,
    failure: Callable[..., None],
    ours: bool,
    monkeypatch: pytest.MonkeyPatch,
    our_faults: list[logging.LogRecord],
) -> None:
    double = LmdbDouble(monkeypatch)
    store = make(path)
    put(store, 1)
    batch = store.batch()
    batch.put(b"000002", b"value")
    double.committing = failure
    with pytest.raises(StoreFailed):
        store.commit(batch)
    double.committing = nothing
    assert bool(our_faults) == ours
    our_faults.clear()
    with pytest.raises(StoreFailed):
        store.batch()
    store.close()
    # The next process finds in LMDB what the journal has.
    store = reopen(path)
    assert keys(store) == [1, 2]
    store.close()


def test_a_reader_process_sees_what_is_committed(path: Path) -> None:
    store = make(path)
    put(store, 1)
    store.close()
    reader = DurableStore.open_reader(path, map_bytes=MAP_BYTES)
    snapshot = reader.snapshot()
    assert [key for key, _ in snapshot.scan(b"0", b":")] == [b"000001"]
    snapshot.close()
    reader.close()


def test_closing_twice_is_nothing(path: Path) -> None:
    store = make(path)
    store.close()
    store.close()
