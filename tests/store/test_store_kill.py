"""``kill -9`` of a process that commits, syncs and checkpoints: what it acknowledged is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cairnfs.store.durable import DurableStore

MAP_BYTES = 1 << 28
KILLS = 40

# Forks a process for each line it reads, so that Python starts once. Each commits in one
# thread, syncs in a second, makes checkpoints in a third, and prints each sequence number
# once it is durable.
NAMENODES = """
import os, sys, threading
from pathlib import Path
from cairnfs.store.durable import DurableStore

def namenode(path, map_bytes):
    os.write(1, b"%d\\n" % os.getpid())
    sys.setswitchinterval(0.0005)
    store = DurableStore(path, map_bytes=map_bytes, segment_bytes=65536)

    def acknowledge():
        last = store.durable_sequence
        while True:
            if store.sync() > last:
                last = store.durable_sequence
                os.write(1, b"%d\\n" % last)

    def checkpoint():
        pause = threading.Event()
        while True:
            pause.wait(0.02)
            store.checkpoint()

    for target in (acknowledge, checkpoint):
        threading.Thread(target=target, daemon=True).start()
    number = store.last_sequence
    while True:
        number += 1
        batch = store.batch()
        batch.put(b"%012d" % number, b"%d" % number * 20)
        batch.put(b"last", b"%d" % number)
        batch.delete(b"%012d" % (number - 300))
        assert store.commit(batch) == number

for _ in sys.stdin:
    pid = os.fork()
    if not pid:
        namenode(Path(sys.argv[1]), int(sys.argv[2]))
    os.waitpid(pid, 0)
    os.write(1, b"\\ndead\\n")
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
        first = max(1, last - 299)
        assert found == {b"%012d" % n: b"%d" % n * 20 for n in range(first, last + 1)}
        return last
    finally:
        store.close(clean=False)


@pytest.mark.requirement("A04")
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "store"
    DurableStore.format(path, map_bytes=MAP_BYTES, segment_bytes=65536).close()
    chance = random.Random(0)
    last = kills = 0
    with subprocess.Popen(
        [sys.executable, "-c", NAMENODES, str(path), str(MAP_BYTES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:
        assert starter.stdin is not None
        assert starter.stdout is not None
        for _ in range(KILLS):
            starter.stdin.write(b"start\n")
            starter.stdin.flush()
            pid = int(starter.stdout.readline())
            acknowledged = last
            for _ in range(chance.randrange(12)):
                acknowledged = int(starter.stdout.readline())
            os.kill(pid, signal.SIGKILL)
            kills += 1
            while (line := starter.stdout.readline()) != b"dead\n":
                # A line is written at once, so it is whole or was not written.
                acknowledged = int(line) if line.strip() else acknowledged
            found = check(path, acknowledged)
            assert found >= acknowledged >= last
            last = found
        starter.stdin.close()
    assert last > kills == KILLS
