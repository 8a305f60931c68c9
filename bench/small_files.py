"""Files of 100 KB with hdfs-native, three replicas, written and read 1 and 16 at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import hdfs_native

from bench.figures import Row, ratio_at_least
from bench.namenode_calls import Wrong
from bench.world import Measure, World

FILE_BYTES = 100_000
_AT_A_TIME = (1, 16)


def _contents(count: int) -> list[bytes]:
    """No two alike."""
    pool = os.urandom(FILE_BYTES + count)
    return [pool[number : number + FILE_BYTES] for number in range(count)]


def _all(call: Callable[[int], bytes | None], count: int, threads: int) -> list[bytes | None]:
    if threads == 1:
        return [call(number) for number in range(count)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, range(count)))


def run(world: World) -> None:
    count = world.sizes.small_files
    contents = _contents(count)
    client = hdfs_native.Client(world.cluster.url)

    for threads in _AT_A_TIME:
        directory = world.name("/small")
        goals = {"written": ratio_at_least(5), "read": ratio_at_least(1.2)}
        rows = {
            what: (
                Row(f"100 KB files {what}, {threads} at a time", "files/s", goal),
                Row(f"100 KB files {what}, {threads} at a time, server CPU", "ms/file"),
            )
            for what, goal in goals.items()
        }

        def write(number: int, directory: str = directory) -> None:
            options = hdfs_native.WriteOptions(replication=3)
            with client.create(f"{directory}/f{number}", options) as file:
                file.write(contents[number])

        def read(number: int, directory: str = directory) -> bytes:
            return client.read(f"{directory}/f{number}").read()

        with world.attempt(*rows["written"], *rows["read"]):
            client.mkdirs(directory)
            _timed(world, rows["written"], lambda: _all(write, count, threads))  # noqa: B023
            found = _timed(world, rows["read"], lambda: _all(read, count, threads))  # noqa: B023
            if found != contents:
                raise Wrong("a file was read back with other bytes than written")


def _timed(
    world: World, rows: tuple[Row, Row], work: Callable[[], list[bytes | None]]
) -> list[bytes | None]:
    cpu, began = world.cluster.cpu_seconds(), time.perf_counter()
    found = work()
    seconds = time.perf_counter() - began
    cpu = world.cluster.cpu_seconds() - cpu
    world.record(rows[0], len(found) / seconds)
    world.record(rows[1], cpu / len(found) * 1000)
    return found


MEASURES = (Measure("small", run),)
