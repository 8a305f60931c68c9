"""One large file put and got: hdfs-native in this process, Java's FsShell as whole commands.

The source lies in the page cache. Replication 1 and 3 on 3 DataNodes.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

import hdfs_native

from bench.figures import Row, ratio_at_least, ratio_at_most
from bench.namenode_calls import Wrong
from bench.world import FSSHELL, SHELL_OPTIONS, Measure, World, quiet_disk

_REPLICATIONS = (1, 3)
_COMMAND_S = 600


class _Clock:
    """Wall seconds, and CPU seconds of the DataNodes, since it was made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cpu = world.cluster.datanode_cpu_seconds()
        self._began = time.perf_counter()

    def record(self, speed: Row, cpu: Row) -> None:
        seconds = time.perf_counter() - self._began
        used = self._world.cluster.datanode_cpu_seconds() - self._cpu
        size = self._world.source.size
        self._world.record(speed, size / seconds / 1e6)
        self._world.record(cpu, used / (size / 2**30))


def put(world: World, client: hdfs_native.Client, path: str, replication: int) -> None:
    options = hdfs_native.WriteOptions(replication=replication)
    with client.create(path, options) as file:
        for piece in world.source.pieces():
            file.write(piece)


def verify(world: World, client: hdfs_native.Client, path: str) -> None:
    """Raises ``Wrong`` unless ``path`` holds the source's bytes."""
    digest = hashlib.sha256()
    for piece in client.read(path).read_range_stream(0, world.source.size):
        digest.update(piece)
    if digest.digest() != world.source.digest:
        raise Wrong(f"{path} was read back with other bytes than written")


def _get(world: World, client: hdfs_native.Client, path: str) -> None:
    reader = client.read(path)
    got = sum(len(piece) for piece in reader.read_range_stream(0, len(reader)))
    if got != world.source.size:
        raise Wrong(f"{path} gave {got} bytes, not {world.source.size}")


def _rows(what: str, replication: int) -> tuple[Row, Row]:
    name = f"hdfs-native {what}, replication {replication}"
    speed = Row(name, "MB/s", ratio_at_least(1.3))
    return speed, Row(f"{name}, DataNode CPU", "s/GiB", ratio_at_most(0.7))


def run_native(world: World) -> None:
    client = hdfs_native.Client(world.cluster.url)
    for replication in _REPLICATIONS:
        rows = {what: _rows(what, replication) for what in ("put", "get")}
        path = world.name("/native")
        with world.attempt(*rows["put"], *rows["get"]):
            quiet_disk()
            clock = _Clock(world)
            put(world, client, path, replication)
            clock.record(*rows["put"])
            verify(world, client, path)
            clock = _Clock(world)
            _get(world, client, path)
            clock.record(*rows["get"])
        _remove(client, path)


def _remove(client: hdfs_native.Client, path: str) -> None:
    try:
        client.delete(path)
    except Exception as error:
        print(f"  {path} could not be deleted: {error}")


def _shell(world: World, *arguments: str) -> None:
    """Raises ``Wrong`` if the command fails."""
    command = world.hadoop.command(FSSHELL, world.cluster.conf, *arguments, options=SHELL_OPTIONS)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMMAND_S)
    if done.returncode:
        raise Wrong(f"FsShell {arguments} ended with {done.returncode}: {done.stderr[-300:]}")


def _verify_local(world: World, path: Path) -> None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").digest() != world.source.digest:
            raise Wrong(f"{path} was got with other bytes than put")


def run_java(world: World) -> None:
    client = hdfs_native.Client(world.cluster.url)
    size = world.source.size
    for replication in _REPLICATIONS:
        rows = [
            Row(f"FsShell -{what}, replication {replication}", "MB/s", ratio_at_least(1.0))
            for what in ("put", "get")
        ]
        path, local = world.name("/java"), world.directory / "got"
        with world.attempt(*rows):
            quiet_disk()
            began = time.perf_counter()
            _shell(world, "-D", f"dfs.replication={replication}", "-put", str(world.source.path),
                   path)  # fmt: skip
            world.record(rows[0], size / (time.perf_counter() - began) / 1e6)
            verify(world, client, path)
            quiet_disk()
            began = time.perf_counter()
            _shell(world, "-get", path, str(local))
            world.record(rows[1], size / (time.perf_counter() - began) / 1e6)
            _verify_local(world, local)
        local.unlink(missing_ok=True)
        _remove(client, path)


MEASURES = (Measure("native", run_native), Measure("fsshell", run_java))
