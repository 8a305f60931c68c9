"""``kill -9`` of a process that commits, syncs and checkpoints: what it acknowledged is there."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from cairnfs.store.durable import DurableStore

MAP_BYTES = 1 << 28
KILLS = 15

# Commits in one thread, syncs in a second, makes checkpoints in a third, and prints each
# sequence number once it is durable.
NAMENODE = """
import sys, threading
sys.setswitchinterval(0.0005)
from pathlib import Path
from cairnfs.store.durable import DurableStore

store = DurableStore(Path(sys.argv[1]), map_bytes=int(sys.argv[2]), segment_bytes=65536)

def acknowledge():
    while True:
        print(store.sync(), flush=True)

def checkpoint():
    pause = threading.Event()
    while True:
        pause.wait(0.05)
        store.checkpoint()

for target in (acknowledge, checkpoint):
    threading.Thread(target=target, daemon=True).start()
number = store.last_sequence
while True:
    number += 1
    batch = store.batch()
    batch.put(b"%012d" % number, b"%d" % number * 20)
    batch.put(b"last", b"%d" % number)
    batch.delete(b"%012d" % (number - 1000))
    assert store.commit(batch) == number
"""


def check(path: Path, acknowledged: int) -> int:
    store = DurableStore(path, map_bytes=MAP_BYTES, segment_bytes=65536)
    try:
        last = store.last_sequence
        assert not store.rebuilt
        assert last >= acknowledged
        snapshot = store.snapshot()
        found = dict(snapshot.scan(b"0", b"z"))
        snapshot.close()
        assert found.pop(b"last", b"0") == b"%d" % last
        first = max(1, last - 999)
        assert found == {b"%012d" % n: b"%d" % n * 20 for n in range(first, last + 1)}
        return last
    finally:
        store.close(clean=False)


@pytest.mark.requirement("A04")
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "store"
    DurableStore.format(path, map_bytes=MAP_BYTES, segment_bytes=65536).close()
    chance = random.Random(0)
    last = 0
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", NAMENODE, str(path), str(MAP_BYTES)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            acknowledged = 0
            for _ in range(chance.randrange(1, 40)):
                acknowledged = int(process.stdout.readline())
            process.kill()
            # A line that the kill cut short was not read by anybody.
            whole = [line for line in process.stdout.read().splitlines(True) if line[-1:] == b"\n"]
            acknowledged = int(whole[-1]) if whole else acknowledged
        assert acknowledged >= last
        found = check(path, acknowledged)
        assert found >= last
        last = found
    assert last > KILLS
