"""What the durable store costs: durable changes/s and CPU for each, reads, opening, checkpoints.

    python bench/store.py [--directory D] [--changes N]

A change is what mkdir writes: a directory entry, the way back to it, its parent's entry.
Groups of 1, 16 and 100 changes share a commit and a sync, one after the other; "overlapped"
is as the NameNode does it, the next group being committed while a thread syncs the last.
"""

from __future__ import annotations

import argparse
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cairnfs.store.durable import DurableStore
from cairnfs.store.interface import Batch

GROUPS = (1, 16, 100)
RECORD = b"r" * 90


def change(batch: Batch, number: int) -> None:
    inode = number.to_bytes(8, "big")
    parent = (number // 1000).to_bytes(8, "big")
    name = b"directory-%d" % number
    assert batch.get(b"D" + parent + name) is None
    batch.put(b"D" + parent + name, RECORD)
    batch.put(b"I" + inode, parent + name)
    batch.put(b"P" + parent, RECORD + inode)


@contextmanager
def measured(what: str, count: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<44} {count / wall:>12,.0f} /s {cpu / count * 1e6:>9.2f} us CPU each")


def write(store: DurableStore, first: int, count: int, group: int) -> None:
    for start in range(first, first + count, group):
        batch = store.batch()
        for number in range(start, start + group):
            change(batch, number)
        store.commit(batch)
        store.sync()


def write_overlapped(store: DurableStore, first: int, count: int, group: int) -> None:
    # One group may wait for its sync while the next is made.
    committed: queue.Queue[int | None] = queue.Queue(maxsize=1)

    def sync() -> None:
        while (sequence := committed.get()) is not None:
            if store.durable_sequence < sequence:
                store.sync()

    thread = threading.Thread(target=sync)
    thread.start()
    for start in range(first, first + count, group):
        batch = store.batch()
        for number in range(start, start + group):
            change(batch, number)
        committed.put(store.commit(batch))
    committed.put(None)
    thread.join()
    assert store.durable_sequence == store.last_sequence


def read(store: DurableStore, count: int) -> None:
    for number in range(count):
        snapshot = store.snapshot()
        get = snapshot.get
        parent = (number // 1000).to_bytes(8, "big")
        for _ in range(5):
            get(b"D" + parent + b"directory-%d" % number)
        snapshot.close()


def scan(store: DurableStore) -> int:
    snapshot = store.snapshot()
    found = sum(1 for _ in snapshot.scan(b"D", b"E"))
    snapshot.close()
    return found


def run(path: Path, changes: int) -> None:
    store = DurableStore.format(path)
    written = 0
    for group in GROUPS:
        for how in (write, write_overlapped):
            count = max(group, min(changes, 2000 * group) // group * group)
            name = "overlapped" if how is write_overlapped else "in turn"
            with measured(f"changes, durable, groups of {group}, {name}", count):
                how(store, written, count, group)
            written += count
    with measured("snapshot and 5 gets", 20_000):
        read(store, 20_000)
    with measured("names scanned", written):
        assert scan(store) == written
    with measured(f"checkpoint of {written:,} directories", 1):
        store.checkpoint()
    store.close()
    with measured("opening after a clean stop", 1):
        store = DurableStore(path)
    store.close(clean=False)
    with measured("opening after the process died", 1):
        store = DurableStore(path)
    store.close(clean=False)
    with measured("opening after the machine died", 1):
        store = DurableStore(path, boot_id="another boot")
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--directory", type=Path, help="on the disk to measure (default: here)")
    parser.add_argument("--changes", type=int, default=50_000, help="for each line at most")
    options = parser.parse_args()
    made = Path(tempfile.mkdtemp(prefix="bench-store-", dir=options.directory or Path.cwd()))
    try:
        run(made / "store", options.changes)
    finally:
        shutil.rmtree(made)


if __name__ == "__main__":
    main()
