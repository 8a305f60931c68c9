"""Power cuts at any operation of the disk: what was synced is there, nothing is invented."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lmdb_double import LmdbDouble

from cairnfs.store.boot_state import load_state
from cairnfs.store.durable import DurableStore
from cairnfs.testing.faulty_disk import FaultyDisk, PowerCut

MAP_BYTES = 1 << 26
SEGMENT_BYTES = 2048
PAGE_BYTES = 4096
State = dict[bytes, bytes]


class Machine:
    """A machine with one store that loses its power again and again, and what it promised."""

    def __init__(
        self, directory: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.directory = directory
        self.chance = chance
        self.boots = 0
        self.root = directory / "0"
        self.root.mkdir()
        self.disk = FaultyDisk(self.root)
        # What the store holds after each record that may still be there: number -> content.
        self.history: dict[int, State] = {0: {}}
        self.acknowledged = 0
        self.store: DurableStore | None = None
        self.synced_tree: Path | None = None
        self.rebuilds = 0
        self.cuts_while_opening = 0
        LmdbDouble(monkeypatch).synced = self.keep_the_tree

    def keep_the_tree(self, tree: Path) -> None:
        self.synced_tree = self.directory / "synced"
        shutil.copyfile(tree / "data.mdb", self.synced_tree)

    def format(self) -> None:
        self.store = self.start(DurableStore.format)

    def start(self, make: Callable[..., DurableStore]) -> DurableStore:
        return make(
            self.root / "store",
            disk=self.disk,
            boot_id=f"boot {self.boots}",
            map_bytes=MAP_BYTES,
            segment_bytes=SEGMENT_BYTES,
        )

    def open(self) -> None:
        """Start the process and compare what it finds with what was promised."""
        self.store = self.start(DurableStore)
        last = self.store.last_sequence
        assert self.acknowledged <= last, f"{self.acknowledged} was synced, {last} is the last"
        assert last in self.history, f"record {last} was never written"
        snapshot = self.store.snapshot()
        try:
            found = dict(snapshot.scan(b"\0", b"\xff"))
        finally:
            snapshot.close()
        assert found == self.history[last]
        self.history = {last: found}
        self.acknowledged = self.store.durable_sequence
        assert self.acknowledged == last, "what was found is durable, whatever happens now"
        self.rebuilds += self.store.rebuilt

    def work(self) -> None:
        """One step of a NameNode's life."""
        assert self.store is not None
        step = self.chance.random()
        if step < 0.55:
            self.commit()
        elif step < 0.85:
            synced = self.store.sync()
            assert synced >= self.acknowledged
            self.acknowledged = synced
        elif step < 0.91:
            self.store.checkpoint()
            self.acknowledged = self.store.durable_sequence
        else:
            clean = step < 0.95
            self.store.close(clean=clean)
            self.open()

    def commit(self) -> None:
        assert self.store is not None
        state = dict(self.history[self.store.last_sequence])
        batch = self.store.batch()
        try:
            for _ in range(self.chance.randrange(1, 6)):
                key = b"k%d" % self.chance.randrange(40)
                if self.chance.random() < 0.25:
                    batch.delete(key)
                    state.pop(key, None)
                else:
                    value = self.chance.randbytes(self.chance.randrange(120))
                    batch.put(key, value)
                    state[key] = value
        except BaseException:
            batch.abort()
            raise
        self.history[self.store.last_sequence + 1] = state
        number = self.store.commit(batch)
        assert number == self.store.last_sequence
        if not batch.changes:
            assert state == self.history[number]

    def lose_power(self) -> None:
        if self.store is not None:
            # Frees what this process holds; writes nothing.
            self.store.close(clean=False)
            self.store = None
        self.boots += 1
        after = self.directory / str(self.boots)
        self.disk.power_cut(after, self.chance)
        self.leave_some_of_the_tree(after / "store" / "tree")
        shutil.rmtree(self.root)
        self.root = after
        self.disk = FaultyDisk(after)

    def leave_some_of_the_tree(self, target: Path) -> None:
        """Of each page of LMDB's file what was synced last, or what was written since."""
        shutil.rmtree(target, ignore_errors=True)
        source = self.root / "store" / "tree" / "data.mdb"
        if not source.exists() or not target.parent.exists():
            return
        now = source.read_bytes()
        then = self.synced_tree.read_bytes() if self.synced_tree is not None else b""
        pages = bytearray(then.ljust(len(now), b"\0"))
        for at in range(0, len(now), PAGE_BYTES):
            if self.chance.random() < 0.5:
                pages[at : at + PAGE_BYTES] = now[at : at + PAGE_BYTES]
        target.mkdir()
        (target / "data.mdb").write_bytes(pages)

    def live_until_the_power_goes(self) -> None:
        self.disk.operations_until_cut = int(self.chance.expovariate(1 / 40))
        with contextlib.suppress(PowerCut):
            if self.store is None:
                self.cuts_while_opening += 1
                self.open()
                self.cuts_while_opening -= 1
            while True:
                self.work()
        self.lose_power()


@pytest.mark.requirement("A04")
@pytest.mark.parametrize("seed", range(6))
def test_power_cuts_lose_nothing_acknowledged(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, random.Random(seed), monkeypatch)
    machine.format()
    for _ in range(50):
        machine.live_until_the_power_goes()
    machine.disk.operations_until_cut = None
    machine.open()
    assert machine.store is not None
    machine.store.close()
    # The test went where it means to go.
    assert machine.rebuilds > 10
    assert machine.cuts_while_opening > 0


def test_a_formatting_cut_short_leaves_no_store_or_a_whole_one(tmp_path: Path) -> None:
    chance = random.Random(0)
    formatted = 0
    for cut in range(60):
        root = tmp_path / f"{cut}"
        root.mkdir()
        disk = FaultyDisk(root)
        disk.operations_until_cut = cut
        store = None
        with contextlib.suppress(PowerCut):
            store = DurableStore.format(
                root / "store", disk=disk, boot_id="one", map_bytes=MAP_BYTES
            )
        if store is not None:
            store.close(clean=False)
        after = tmp_path / f"{cut}-after"
        disk.power_cut(after, chance)
        if (after / "store" / "VERSION").exists():
            again = DurableStore(after / "store", boot_id="two", map_bytes=MAP_BYTES)
            formatted += 1
        else:
            again = DurableStore.format(after / "store", boot_id="two", map_bytes=MAP_BYTES)
            assert store is None, "format returned, so the store must be there"
        assert again.last_sequence == 0
        again.close()
        assert load_state(after / "store" / "state").clean
    assert 0 < formatted < 60
