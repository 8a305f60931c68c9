"""64 KB at random places of a large file with hdfs-native, 1 and 16 at a time."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import hdfs_native

from bench.bulk import put
from bench.figures import Row, ratio_at_least
from bench.namenode_calls import Wrong
from bench.world import Measure, World

READ_BYTES = 64 << 10
_AT_A_TIME = (1, 16)


def run(world: World) -> None:
    chance = random.Random(3)
    path = world.name("/random")
    all_rows = {
        threads: (
            Row(f"64 KB random reads, {threads} at a time", "reads/s", ratio_at_least(1.2)),
            Row(f"64 KB random reads, {threads} at a time, DataNode CPU", "us/read"),
        )
        for threads in _AT_A_TIME
    }
    with world.attempt(*(row for rows in all_rows.values() for row in rows)):
        client = hdfs_native.Client(world.cluster.url)
        put(world, client, path, 1)
        reader = client.read(path)
        for threads, rows in all_rows.items():
            with world.attempt(*rows):
                starts = [
                    chance.randrange(world.source.size - READ_BYTES)
                    for _ in range(world.sizes.random_reads)
                ]
                _read(world, reader, starts[: len(starts) // 10], threads)
                cpu, began = world.cluster.datanode_cpu_seconds(), time.perf_counter()
                found = _read(world, reader, starts, threads)
                seconds = time.perf_counter() - began
                cpu = world.cluster.datanode_cpu_seconds() - cpu
                _verify(world, starts, found)
                world.record(rows[0], len(starts) / seconds)
                world.record(rows[1], cpu * 1e6 / len(starts))
        client.delete(path)


def _read(
    world: World, reader: hdfs_native.FileReader, starts: list[int], threads: int
) -> list[bytes]:
    if threads == 1:
        return [reader.read_range(start, READ_BYTES) for start in starts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda start: reader.read_range(start, READ_BYTES), starts))


def _verify(world: World, starts: list[int], found: list[bytes]) -> None:
    with world.source.path.open("rb") as file:
        for start, data in zip(starts, found, strict=True):
            file.seek(start)
            if file.read(READ_BYTES) != data:
                raise Wrong(f"{READ_BYTES} bytes at {start} were read wrong")


MEASURES = (Measure("random", run),)
