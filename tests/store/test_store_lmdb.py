"""What is LMDB's own: other processes, full maps, damaged files, rights."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cairnfs.errors import DiskFull, LocalProtocolError, StorageError, StoreDamaged
from cairnfs.store.lmdb_store import LmdbStore

MAP_BYTES = 1 << 26


def put(store: LmdbStore, key: bytes, value: bytes) -> None:
    batch = store.batch()
    batch.put(key, value)
    batch.commit()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES)
    put(store, b"key", b"value")
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    for file in (tmp_path / "store").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.close()


def test_get_of_a_snapshot_has_no_frame_of_ours(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES)
    snapshot = store.snapshot()
    batch = store.batch()
    assert type(snapshot.get).__name__ == type(batch.get).__name__ == "builtin_function_or_method"
    batch.abort()
    snapshot.close()
    store.close()


def test_another_process_sees_each_commit(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES)
    script = """
import sys
from cairnfs.store.lmdb_store import LmdbStore
store = LmdbStore(sys.argv[1], map_bytes=int(sys.argv[2]), read_only=True)
for line in sys.stdin:
    snapshot = store.snapshot()
    print((snapshot.get(line.strip().encode()) or b"none").decode(), flush=True)
    snapshot.close()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "store"), str(MAP_BYTES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for number in range(3):
            print("key", file=reader.stdin, flush=True)
            assert reader.stdout.readline().strip() == ("none" if number == 0 else str(number - 1))
            put(store, b"key", b"%d" % number)
        reader.stdin.close()
        assert reader.wait(10) == 0
    store.close()


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        LmdbStore(tmp_path / "none", map_bytes=MAP_BYTES, read_only=True)
    assert not (tmp_path / "none").exists()
    LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES).close()
    reader = LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES, read_only=True)
    with pytest.raises(StorageError):
        reader.batch()
    reader.close()


def test_snapshots_of_many_threads(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES)
    done = threading.Event()
    torn: list[tuple[bytes | None, bytes | None]] = []

    def read() -> None:
        while not done.is_set():
            snapshot = store.snapshot()
            pair = snapshot.get(b"a"), snapshot.get(b"b")
            snapshot.close()
            if pair[0] != pair[1]:
                torn.append(pair)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(300):
        batch = store.batch()
        batch.put(b"a", b"%d" % number)
        batch.put(b"b", b"%d" % number)
        batch.commit()
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []
    store.close()


def test_a_full_map_is_a_full_disk(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", map_bytes=1 << 17)
    put(store, b"before", b"value")
    batch = store.batch()
    with pytest.raises(DiskFull, match="size it was opened with"):
        batch.put(b"large", bytes(1 << 18))
    batch.abort()
    put(store, b"after", b"value")
    snapshot = store.snapshot()
    assert [key for key, _ in snapshot.scan(b"", b"\xff")] == [b"after", b"before"]
    snapshot.close()
    store.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store"
    LmdbStore(path, map_bytes=MAP_BYTES).close()
    (path / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreDamaged, match=str(path)):
        LmdbStore(path, map_bytes=MAP_BYTES)


def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file/store"):
        LmdbStore(tmp_path / "file" / "store", map_bytes=MAP_BYTES)


def test_one_process_opens_a_store_once(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES)
    with pytest.raises(LocalProtocolError, match="already open"):
        LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES)
    store.close()
