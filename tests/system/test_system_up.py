"""``cairn up`` as a user runs it: stopped, killed, crippled, started again."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from pathlib import Path

import pytest
from system_world import Process, Start, alive, cairn, children, refusal, wait_until

import cairnfs
from cairnfs.testing import free_port

DATA = os.urandom(3_000_000)


class Up:
    """A running ``cairn up`` and what it said of itself."""

    def __init__(self, process: Process) -> None:
        self.process = process
        found = process.wait_for(r"Cairn is up at (hdfs://127\.0\.0\.1:\d+) .*(?:\n.*)*Ctrl-C")
        self.url = found[1]
        self.web = re.findall(r"(http://127\.0\.0\.1:\d+)/health", found[0])[0]
        self.pids = children(process.pid)

    def write(self, path: str, data: bytes = DATA) -> None:
        with cairnfs.connect(self.url) as fs, fs.open(path, "wb") as out:
            out.write(data)

    def read(self, path: str) -> bytes:
        with cairnfs.connect(self.url) as fs, fs.open(path, "rb") as back:
            data: bytes = back.read()
            return data

    def live(self) -> int:
        with cairnfs.connect(self.url) as fs:
            return len(fs.datanodes("LIVE"))

    def namenode_pid(self) -> int:
        for pid in children(self.process.pid):
            log = os.readlink(f"/proc/{pid}/fd/2")
            if log.endswith("namenode.log"):
                return pid
        raise AssertionError("no NameNode runs")


@pytest.fixture
def up_again(tmp_path: Path, start: Start) -> object:
    """Start ``cairn up`` on the test's directory."""

    # Roles that are started again come back to them.
    ports = ("--port", free_port(), "--http-port", free_port())

    def begin(*more: object) -> Up:
        return Up(start("up", "--dir", tmp_path / "c", "--datanodes", 3, *ports, *more))

    return begin


@pytest.mark.requirement("A01")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_clean_stop_and_the_next_start(up_again, how: signal.Signals) -> None:  # type: ignore[no-untyped-def]
    up = up_again()
    up.write("/a/file")
    with urllib.request.urlopen(up.web + "/health") as answer:
        assert json.load(answer)["status"] == "ok"
    if how is signal.SIGINT:
        os.killpg(up.process.pid, how)  # as a terminal does
        assert up.process.ends() == 0
    else:
        assert up.process.stop(how) == 0
    assert not any(alive(pid) for pid in up.pids)
    assert "Traceback" not in up.process.output()
    assert "did not stop in time" not in up.process.output()
    again = up_again()
    assert again.read("/a/file") == DATA
    assert again.process.stop() == 0


def test_a_stop_while_it_starts(tmp_path: Path, start: Start) -> None:
    """Ctrl-C is obeyed at once, though not every DataNode is there."""
    process = start("up", "--dir", tmp_path / "c", "--port", 0, "--http-port", 0)
    wait_until(lambda: len(children(process.pid)) == 4, "all processes")
    began = time.monotonic()
    process.send(signal.SIGINT)
    assert process.ends() == 0
    assert time.monotonic() - began < 20
    assert "Traceback" not in process.output()


@pytest.mark.requirement("A04")
def test_the_parents_sudden_death_leaves_no_orphans(up_again) -> None:  # type: ignore[no-untyped-def]
    up = up_again()
    up.write("/file")
    up.process.kill()
    wait_until(lambda: not any(alive(pid) for pid in up.pids), "the end of every role")
    again = up_again()
    assert again.read("/file") == DATA
    assert again.process.stop() == 0


@pytest.mark.requirement("A06")
def test_a_role_that_dies_is_started_again(up_again) -> None:  # type: ignore[no-untyped-def]
    up = up_again()
    up.write("/file")
    namenode = up.namenode_pid()
    datanode = next(pid for pid in up.pids if pid != namenode)
    os.kill(datanode, signal.SIGKILL)
    up.process.wait_for(r"datanode\d ended \(signal SIGKILL\); starting it again")
    assert up.read("/file") == DATA
    os.kill(namenode, signal.SIGKILL)
    up.process.wait_for(r"namenode ended \(signal SIGKILL\); starting it again")
    wait_until(lambda: len(children(up.process.pid)) == 4, "four roles")
    # The same addresses serve again.
    assert up.read("/file") == DATA
    with urllib.request.urlopen(up.web + "/metrics") as answer:
        assert b"cairn_namenode_files" in answer.read()
    wait_until(lambda: up.live() == 3, "three live DataNodes")
    up.write("/second")
    assert up.read("/second") == DATA
    assert up.process.stop() == 0


def test_one_directory_one_cluster(up_again, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    up = up_again()
    said = refusal(cairn("up", "--dir", tmp_path / "c", "--port", 0, "--http-port", 0))
    assert f"in use by process {up.process.pid}" in said
    up.write("/file")
    assert up.read("/file") == DATA
    assert up.process.stop() == 0
