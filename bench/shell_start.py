"""``-ls /`` as a whole process: ``cairn fs`` against Hadoop's FsShell, median of ten."""

from __future__ import annotations

import statistics
import subprocess
import time

import hdfs_native

from bench.figures import Row, at_most
from bench.namenode_calls import Wrong
from bench.world import FSSHELL, Measure, World

_TIMES = 10
_ENTRIES = 5
_ROW = Row("fs -ls /, whole process", "s", at_most(0.15))


def run(world: World) -> None:
    with world.attempt(_ROW):
        client = hdfs_native.Client(world.cluster.url)
        directories = [world.name("/listed") for _ in range(_ENTRIES)]
        for directory in directories:
            client.mkdirs(directory)
        arguments = ("-ls", f"{world.cluster.url}/")
        command = [str(world.cairn), "fs", *arguments]
        if world.maker == "apache":
            # With the options that let a short-lived JVM start soonest.
            command = world.hadoop.command(FSSHELL, world.cluster.conf, *arguments)
        seconds = []
        for _ in range(_TIMES):
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            seconds.append(time.perf_counter() - began)
            missing = [each for each in directories if each not in done.stdout]
            if done.returncode or missing:
                said = done.stderr[-200:]
                raise Wrong(f"-ls ended with {done.returncode}, misses {missing}: {said}")
        world.record(_ROW, statistics.median(seconds))


MEASURES = (Measure("ls", run),)
