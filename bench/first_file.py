"""From nothing to a first file: ``cairn up`` against formatting and starting Apache's servers.

Both end when hdfs-native has written 1 MiB with three replicas and read it back. Then the
memory of idle servers: of roles that run by themselves (both makers), and of ``cairn up``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import hdfs_native

from bench.figures import Row, at_most
from bench.namenode_calls import Wrong
from bench.processes import memory
from bench.world import Measure, World

_UP_TO_FILE = Row("nothing to first file written and read", "s", at_most(2))
_UP_PSS = Row("idle memory of cairn up with 3 DataNodes (PSS)", "MB", at_most(250))
_PSS = Row("idle memory, NameNode + 3 DataNodes (PSS)", "MB", at_most(250))
_RSS = Row("idle memory, NameNode + 3 DataNodes (RSS, summed)", "MB")
_FILE_BYTES = 1 << 20
_IDLE_S = 5.0
_STOP_S = 30.0
_URL = re.compile(r"hdfs://[0-9.]+:\d+")


def _write_and_read(url: str) -> None:
    client, data = hdfs_native.Client(url), os.urandom(_FILE_BYTES)
    with client.create("/first", hdfs_native.WriteOptions(replication=3)) as file:
        file.write(data)
    if client.read("/first").read() != data:
        raise Wrong("the first file was read back with other bytes than written")


def _cairn_up(world: World) -> None:
    directory = world.directory / "up"
    command = [str(world.cairn), "up", "--dir", str(directory),
               "--port", "0", "--http-port", "0"]  # fmt: skip
    log = Path(world.directory / "up.log")
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = _URL.search(line)
        if found is None:
            raise Wrong(f"cairn up said {line!r} {log.read_text()[-300:]}")
        _write_and_read(found.group())
        world.record(_UP_TO_FILE, time.perf_counter() - began)
        time.sleep(_IDLE_S)
        world.record(_UP_PSS, memory([process.pid]).pss_mb)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def run_first_file(world: World) -> None:
    if world.maker == "cairn":
        with world.attempt(_UP_TO_FILE, _UP_PSS):
            _cairn_up(world)
        return
    with world.attempt(_UP_TO_FILE):
        began = time.perf_counter()
        with world.new_cluster("first") as cluster:
            _write_and_read(cluster.url)
            world.record(_UP_TO_FILE, time.perf_counter() - began)


def run_idle(world: World) -> None:
    with world.attempt(_PSS, _RSS):
        time.sleep(_IDLE_S)
        found = memory(role.pid for role in world.cluster.processes.roles)
        world.record(_PSS, found.pss_mb)
        world.record(_RSS, found.rss_mb)


MEASURES = (Measure("first-file", run_first_file, alone=True), Measure("idle", run_idle))
