"""A NameNode with a large namespace starts again: seconds to its first answer, and memory.

The files are empty and made through RPC. Apache's writes a checkpoint before it is ended, as
it would have one from its secondary; ours is ended as it is.
"""

from __future__ import annotations

import random
import time

from bench import namenode_calls as calls
from bench.figures import Row, at_most
from bench.namenode_calls import SUPERUSER, NameNode
from bench.namespace_load import CONNECTIONS, create_files, fill, load
from bench.processes import memory
from bench.world import Measure, World

_FILES_PER_DIR = 1000
_DIRS_AT_A_TIME = 50
_FIRST_ANSWER_S = 300.0
_POLL_S = 0.002


def _path(number: int) -> str:
    return f"/bench/big/d{number // _FILES_PER_DIR}/f{number}"


def _build(world: World, files: int) -> None:
    with NameNode(world.cluster.port, SUPERUSER) as superuser:
        superuser.mkdirs("/bench", 0o777)
    step = _DIRS_AT_A_TIME * _FILES_PER_DIR
    with NameNode(world.cluster.port) as namenode:
        for first in range(0, files, step):
            paths = [_path(number) for number in range(first, min(first + step, files))]
            for directory in dict.fromkeys(path.rpartition("/")[0] for path in paths):
                namenode.mkdirs(directory)
            create_files(world, paths)
        directories = -(-files // _FILES_PER_DIR) + 1
        namenode.check_count("/bench/big", files=files, directories=directories)


def _first_answer_s(world: World, files: int) -> float:
    """Start the NameNode; seconds until it answered for the last file."""
    processes = world.cluster.processes
    began = time.perf_counter()
    processes.namenode.start()
    while True:
        try:
            with NameNode(world.cluster.port) as namenode:
                namenode.check_file(_path(files - 1), 0)
                return time.perf_counter() - began
        except OSError:
            processes.namenode.check_alive()
            if time.perf_counter() - began > _FIRST_ANSWER_S:
                raise
        time.sleep(_POLL_S)


def _use(world: World, files: int) -> None:
    chance = random.Random(4)
    count = min(files, 50_000)
    load(
        world, fill(lambda: calls.file_info(_path(chance.randrange(files))), count, CONNECTIONS, 8)
    )


def run(world: World) -> None:
    files = world.sizes.namespace_files
    what = f"{files:,} files: "
    stopped = Row(f"{what}NameNode start to first answer, stopped", "s", at_most(1))
    killed = Row(f"{what}NameNode start to first answer, killed", "s", at_most(1))
    first = Row(f"{what}NameNode RSS after the first answer", "MB", at_most(150))
    used = Row(f"{what}NameNode memory of its own after 50,000 random stats", "MB", at_most(150))
    mapped = Row(f"{what}the same with the pages of its store that it has mapped (RSS)", "MB")
    build = Row(f"{what}made through RPC", "files/s")
    with (
        world.attempt(stopped, killed, first, used, mapped),
        world.new_cluster("restart", datanodes=0) as cluster,
    ):
        world.use(cluster)
        began = time.perf_counter()
        _build(world, files)
        world.record(build, files / (time.perf_counter() - began))
        if world.maker == "apache":
            with NameNode(cluster.port, SUPERUSER) as superuser:
                superuser.save_namespace()
        role = cluster.processes.namenode
        role.stop()
        world.record(stopped, _first_answer_s(world, files))
        world.record(first, memory([role.pid]).rss_mb)
        _use(world, files)
        found = memory([role.pid])
        world.record(used, found.anonymous_mb)
        world.record(mapped, found.rss_mb)
        role.kill()
        world.record(killed, _first_answer_s(world, files))


MEASURES = (Measure("restart", run, alone=True),)
