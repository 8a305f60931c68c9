"""Both stores do what a dictionary does, with savepoints, scans and old snapshots."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from cairnfs.errors import LocalProtocolError
from cairnfs.limits import STORE_KEY_BYTES_MAX
from cairnfs.store.interface import Batch, Change, Reader, Snapshot, Store
from cairnfs.store.lmdb_store import LmdbStore
from cairnfs.store.memory import MemoryStore

MAP_BYTES = 1 << 26
# Few and nearly alike, so that they meet; one is as long as a key may be.
KEYS = st.binary(min_size=1, max_size=2).map(lambda key: bytes(byte % 4 for byte in key)) | st.just(
    b"\x01" * STORE_KEY_BYTES_MAX
)
VALUES = st.binary(max_size=6) | st.binary(min_size=5000, max_size=5001)
BOUNDS = st.binary(max_size=2).map(lambda key: bytes(byte % 5 for byte in key))
Model = dict[bytes, bytes]


def compare(reader: Reader, model: Model, start: bytes = b"", stop: bytes = b"\xff") -> None:
    expected = [(key, model[key]) for key in sorted(model) if start <= key < stop]
    assert list(reader.scan(start, stop)) == expected
    assert list(reader.scan_reverse(start, stop)) == expected[::-1]
    for key in (*model, b"\x04", b"\x05\x05"):
        assert reader.get(key) == model.get(key)


def applied(changes: list[Change], model: Model) -> Model:
    result = dict(model)
    for key, value in changes:
        if value is None:
            del result[key]
        else:
            result[key] = value
    return result


class StoreMachine(RuleBasedStateMachine):
    snapshots = Bundle("snapshots")

    def make(self) -> Store:
        return MemoryStore()

    @initialize()
    def begin(self) -> None:
        self.store = self.make()
        self.committed: Model = {}
        self.batch: Batch | None = None
        self.written: Model = {}
        self.savepoints: list[tuple[int, Model]] = []
        self.open: list[Snapshot] = []

    @rule(target=snapshots)
    def snapshot(self) -> tuple[Snapshot, Model]:
        snapshot = self.store.snapshot()
        self.open.append(snapshot)
        return snapshot, dict(self.committed)

    @rule(taken=snapshots, start=BOUNDS, stop=BOUNDS)
    def read(self, taken: tuple[Snapshot, Model], start: bytes, stop: bytes) -> None:
        compare(*taken, start, stop)

    @rule(taken=consumes(snapshots))
    def close(self, taken: tuple[Snapshot, Model]) -> None:
        compare(*taken)
        taken[0].close()
        self.open.remove(taken[0])

    @precondition(lambda self: self.batch is None)
    @rule()
    def begin_batch(self) -> None:
        self.batch = self.store.batch()
        self.written = dict(self.committed)
        self.savepoints = []

    @precondition(lambda self: self.batch is not None)
    @rule()
    def there_is_one_writer(self) -> None:
        with pytest.raises(LocalProtocolError):
            self.store.batch()

    @precondition(lambda self: self.batch is not None)
    @rule(key=KEYS, value=VALUES)
    def put(self, key: bytes, value: bytes) -> None:
        assert self.batch is not None
        self.batch.put(key, value)
        self.written[key] = value

    @precondition(lambda self: self.batch is not None)
    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        assert self.batch is not None
        assert self.batch.delete(key) == (key in self.written)
        self.written.pop(key, None)

    @precondition(lambda self: self.batch is not None)
    @rule(start=BOUNDS, stop=BOUNDS)
    def read_own_changes(self, start: bytes, stop: bytes) -> None:
        assert self.batch is not None
        compare(self.batch, self.written, start, stop)

    @precondition(lambda self: self.batch is not None)
    @rule()
    def savepoint(self) -> None:
        assert self.batch is not None
        self.savepoints.append((self.batch.savepoint(), dict(self.written)))

    @precondition(lambda self: self.savepoints)
    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        assert self.batch is not None
        index = data.draw(st.integers(0, len(self.savepoints) - 1))
        mark, self.written = self.savepoints[index]
        del self.savepoints[index:]
        self.batch.rollback(mark)
        compare(self.batch, self.written)

    @precondition(lambda self: self.batch is not None)
    @rule(commit=st.booleans())
    def end(self, commit: bool) -> None:
        assert self.batch is not None
        assert applied(self.batch.changes, self.committed) == self.written
        if commit:
            self.batch.commit()
            self.committed = self.written
        else:
            self.batch.abort()
        self.batch = None
        self.savepoints = []

    @invariant()
    def others_see_what_is_committed(self) -> None:
        if hasattr(self, "store"):
            snapshot = self.store.snapshot()
            assert dict(snapshot.scan(b"", b"\xff")) == self.committed
            snapshot.close()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            if self.batch is not None:
                self.batch.abort()
            for snapshot in self.open:
                snapshot.close()
            self.store.close()


class LmdbMachine(StoreMachine):
    def make(self) -> Store:
        self.directory = Path(tempfile.mkdtemp())
        return LmdbStore(self.directory / "store", map_bytes=MAP_BYTES)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory)


TestMemoryStore = StoreMachine.TestCase
TestLmdbStore = LmdbMachine.TestCase
TestMemoryStore.settings = settings(max_examples=40, stateful_step_count=40)
TestLmdbStore.settings = settings(max_examples=40, stateful_step_count=40)


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore()
    if request.param == "lmdb":
        made = LmdbStore(tmp_path / "store", map_bytes=MAP_BYTES)
    yield made
    made.close()


@pytest.mark.parametrize("key", [b"", b"k" * (STORE_KEY_BYTES_MAX + 1)])
def test_keys_that_no_store_takes(store: Store, key: bytes) -> None:
    batch = store.batch()
    with pytest.raises(LocalProtocolError):
        batch.put(key, b"value")
    assert batch.changes == []
    batch.put(b"good", b"value")
    batch.commit()


def test_a_batch_ends_once(store: Store) -> None:
    batch = store.batch()
    batch.put(b"key", b"value")
    batch.commit()
    for again in (batch.commit, batch.abort, lambda: batch.put(b"other", b"value")):
        with pytest.raises(LocalProtocolError):
            again()
    with pytest.raises(LocalProtocolError):
        batch.rollback(5)
    # The ended batch does not stand in the way of the next.
    following = store.batch()
    with pytest.raises(LocalProtocolError):
        batch.commit()
    following.put(b"key", b"other")
    following.commit()
    snapshot = store.snapshot()
    assert snapshot.get(b"key") == b"other"
    snapshot.close()
    snapshot.close()


def test_many_changes_in_one_batch(store: Store) -> None:
    model: Model = {}
    for step in (1, 3, 7):
        batch = store.batch()
        for number in range(0, 3000, step):
            key = b"%06d" % number
            if number % 2 and key in model:
                assert batch.delete(key)
                del model[key]
            else:
                model[key] = b"%d" % step
                batch.put(key, model[key])
        batch.commit()
    snapshot = store.snapshot()
    compare(snapshot, model)
    snapshot.close()
