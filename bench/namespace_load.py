"""Calls/s and NameNode CPU of reads, changes, and the mix of a production cluster.

The tree: 10,000 empty files at depth 4 in directories of 100, and 200 files with one block.
Changes are verified by counting what is there afterwards, reads by looking at some answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import hdfs_native

from bench import namenode_calls as calls
from bench.figures import Goal, Row, ratio_at_least, ratio_at_most
from bench.namenode_calls import SUPERUSER, USER, NameNode, Wrong
from bench.rpc_load import Call, Load, drive
from bench.world import Measure, World, eventually

CONNECTIONS = 16
_FILE_DIRS = [f"/bench/tree/d{d}/e{e}" for d in range(10) for e in range(10)]
_FILES_PER_DIR = 100
_BLOCK_FILES = [f"/bench/blocks/d{d}/f{f}" for d in range(2) for f in range(100)]
_BLOCK_FILE_BYTES = 1000
_CHECKED = 20
_CPU = ratio_at_most(0.8)

Scripts = list[list[list[Call]]]


def load(world: World, scripts: Scripts) -> Load:
    """Raises ``Wrong`` if any answer was an error."""
    cluster = world.cluster
    done = drive(calls.HOST, cluster.port, USER, scripts, cluster.namenode_pids)
    if done.errors:
        raise Wrong(f"{done.errors} of {done.calls} answers were errors")
    return done


def fill(call: Callable[[], Call], count: int, connections: int, slots: int) -> Scripts:
    each = max(1, count // (connections * slots))
    return [[[call() for _ in range(each)] for _ in range(slots)] for _ in range(connections)]


def create_files(world: World, paths: list[str]) -> None:
    """Empty files, as fast as it goes; their directories exist."""
    connections, slots = CONNECTIONS, 8
    scripts: Scripts = [[[] for _ in range(slots)] for _ in range(connections)]
    for number, path in enumerate(paths):
        script = scripts[number % connections][number // connections % slots]
        client = f"bench-{number % (connections * slots)}"
        script += (calls.create(path, client), calls.complete(path, client))
    load(world, scripts)


# --- the tree ------------------------------------------------------------------------------------


def _build(world: World) -> None:
    with NameNode(world.cluster.port, SUPERUSER) as superuser:
        superuser.mkdirs("/bench", 0o777)
    with NameNode(world.cluster.port) as namenode:
        for directory in (*_FILE_DIRS, "/bench/changes"):
            namenode.mkdirs(directory)
        for directory in {path.rpartition("/")[0] for path in _BLOCK_FILES}:
            namenode.mkdirs(directory, 0o777)
        create_files(
            world, [f"{path}/f{number}" for path in _FILE_DIRS for number in range(_FILES_PER_DIR)]
        )
        client = hdfs_native.Client(world.cluster.url)

        def write(path: str) -> None:
            with client.create(path, hdfs_native.WriteOptions(replication=3)) as file:
                file.write(b"x" * _BLOCK_FILE_BYTES)

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            list(threads.map(write, _BLOCK_FILES))
        eventually(lambda: _check_tree(namenode))


def _check_tree(namenode: NameNode) -> None:
    namenode.check_count(
        "/bench/tree", files=len(_FILE_DIRS) * _FILES_PER_DIR, directories=len(_FILE_DIRS) + 11
    )
    for directory in _FILE_DIRS[::10]:
        namenode.check_listing(directory, _FILES_PER_DIR)
        namenode.check_file(f"{directory}/f7", 0)
    for path in _BLOCK_FILES:
        namenode.check_file(path, _BLOCK_FILE_BYTES)
        located = namenode.located(path)
        if [len(block.locs) for block in located.blocks] != [3]:
            raise Wrong(f"{path} should have one block with three replicas")


# --- one measure and its two rows ----------------------------------------------------------------


def _rows(what: str, connections: int, slots: int, speed: Goal) -> tuple[Row, Row]:
    name = f"{what}, {connections} x {slots}"
    return Row(name, "calls/s", speed), Row(f"{name}, NameNode CPU", "us/call", _CPU)


def _record(world: World, rows: tuple[Row, Row], done: Load) -> None:
    world.record(rows[0], done.per_second)
    world.record(rows[1], done.cpu_us_per_call)


# --- reads ---------------------------------------------------------------------------------------


def run_reads(world: World) -> None:
    chance = random.Random(1)
    sizes = world.sizes
    kinds: list[tuple[str, int, Callable[[], Call]]] = [
        ("getFileInfo", sizes.read_calls, lambda: calls.file_info(_some_file(chance))),
        ("getListing of 100", sizes.listing_calls, lambda: calls.listing(_some_dir(chance))),
        (
            "getBlockLocations",
            sizes.read_calls,
            lambda: calls.block_locations(chance.choice(_BLOCK_FILES)),
        ),
    ]
    all_rows = [
        _rows(what, CONNECTIONS, slots, ratio_at_least(1.2))
        for what, _, _ in kinds
        for slots in (1, 8)
    ]
    with world.attempt(*(row for rows in all_rows for row in rows)):
        _build(world)
        for what, count, call in kinds:
            load(world, fill(call, min(count, sizes.warm_calls), CONNECTIONS, 8))
            for slots in (1, 8):
                rows = _rows(what, CONNECTIONS, slots, ratio_at_least(1.2))
                with world.attempt(*rows):
                    _record(world, rows, load(world, fill(call, count, CONNECTIONS, slots)))


def _some_dir(chance: random.Random) -> str:
    return chance.choice(_FILE_DIRS)


def _some_file(chance: random.Random) -> str:
    return f"{_some_dir(chance)}/f{chance.randrange(_FILES_PER_DIR)}"


# --- changes -------------------------------------------------------------------------------------


def _make_slots(world: World, connections: int, slots: int) -> tuple[str, list[list[str]]]:
    """A new directory with one directory for each slot."""
    base = "/bench/changes/" + world.name("c")
    names = [[f"{base}/{c}-{s}" for s in range(slots)] for c in range(connections)]
    with NameNode(world.cluster.port) as namenode:
        for each in names:
            for path in each:
                namenode.mkdirs(path)
    return base, names


def _run_mkdirs(world: World, count: int, connections: int, slots: int) -> Load:
    base, names = _make_slots(world, connections, slots)
    each = max(1, count // (connections * slots))
    done = load(
        world,
        [[[calls.mkdirs(f"{p}/d{n}") for n in range(each)] for p in paths] for paths in names],
    )
    with NameNode(world.cluster.port) as namenode:
        made = connections * slots * (each + 1) + 1
        namenode.check_count(base, files=0, directories=made)
    return done


def _run_creates(world: World, count: int, connections: int, slots: int) -> Load:
    base, names = _make_slots(world, connections, slots)
    each = max(1, count // 2 // (connections * slots))
    scripts = [
        [
            [
                call
                for n in range(each)
                for call in (calls.create(f"{p}/f{n}", p), calls.complete(f"{p}/f{n}", p))
            ]
            for p in paths
        ]
        for paths in names
    ]
    done = load(world, scripts)
    with NameNode(world.cluster.port) as namenode:
        total = connections * slots
        namenode.check_count(base, files=total * each, directories=total + 1)
        for path in [path for paths in names for path in paths][:_CHECKED]:
            namenode.located(f"{path}/f{each - 1}")
    return done


def run_changes(world: World) -> None:
    sizes = world.sizes
    for what, run in (("mkdirs", _run_mkdirs), ("create + complete", _run_creates)):
        shapes = ((CONNECTIONS, 1), (CONNECTIONS, 8), (1, 1))
        all_rows = [_rows(what, *shape, ratio_at_least(1.0)) for shape in shapes]
        with world.attempt(*(row for rows in all_rows for row in rows)):
            _ensure_base(world)
            run(world, sizes.warm_calls, CONNECTIONS, 8)
            for (connections, slots), rows in zip(shapes, all_rows, strict=True):
                count = sizes.serial_calls if connections == 1 else sizes.change_calls
                with world.attempt(*rows):
                    _record(world, rows, run(world, count, connections, slots))


def _ensure_base(world: World) -> None:
    with NameNode(world.cluster.port, SUPERUSER) as superuser:
        superuser.mkdirs("/bench", 0o777)
        superuser.mkdirs("/bench/changes", 0o777)


# --- the mix -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Mixer:
    """One slot's calls, and how many of its own files there are in the end."""

    directory: str
    chance: random.Random
    files: list[str]
    made_files: int = 0
    made_directories: int = 0

    def calls(self, count: int) -> Iterator[Call]:
        """Percent: 47 listing, 42 open, 3 create (with its complete), 3 mkdir, 2 rename,
        1 delete, 2 stat."""
        for number in range(count):
            roll = self.chance.randrange(100)
            if roll < 47:
                yield calls.listing(_some_dir(self.chance))
            elif roll < 89:
                yield calls.block_locations(self.chance.choice(_BLOCK_FILES))
            elif roll < 92:
                path = f"{self.directory}/f{number}"
                yield calls.create(path, self.directory)
                yield calls.complete(path, self.directory)
                self.files.append(path)
                self.made_files += 1
            elif roll < 95:
                yield calls.mkdirs(f"{self.directory}/d{number}")
                self.made_directories += 1
            elif roll < 97 and self.files:
                path = self.files.pop(0)
                yield calls.rename(path, f"{path}-renamed")
                self.files.append(f"{path}-renamed")
            elif roll == 97 and self.files:
                yield calls.delete(self.files.pop())
            else:
                yield calls.file_info(_some_file(self.chance))


def _run_mix(world: World, count: int, connections: int, slots: int) -> Load:
    base, names = _make_slots(world, connections, slots)
    chance = random.Random(2)
    mixers = [[_Mixer(path, chance, []) for path in paths] for paths in names]
    each = max(1, count // (connections * slots))
    done = load(world, [[list(mixer.calls(each)) for mixer in row] for row in mixers])
    with NameNode(world.cluster.port) as namenode:
        flat = [mixer for row in mixers for mixer in row]
        namenode.check_count(
            base,
            files=sum(len(mixer.files) for mixer in flat),
            directories=1 + sum(1 + mixer.made_directories for mixer in flat),
        )
    return done


def run_mix(world: World) -> None:
    all_rows = [_rows("production mix", CONNECTIONS, s, ratio_at_least(1.2)) for s in (1, 8)]
    # The issue sets no goal for its CPU.
    all_rows = [(speed, Row(cpu.measure, cpu.unit)) for speed, cpu in all_rows]
    with world.attempt(*(row for rows in all_rows for row in rows)):
        # The tree of the reads, unless they were left out.
        with NameNode(world.cluster.port) as namenode:
            try:
                namenode.check_file(_BLOCK_FILES[-1], _BLOCK_FILE_BYTES)
            except Wrong:
                _build(world)
            eventually(lambda: _check_tree(namenode))
        _ensure_base(world)
        _run_mix(world, world.sizes.warm_calls, CONNECTIONS, 8)
        for slots, rows in zip((1, 8), all_rows, strict=True):
            with world.attempt(*rows):
                done = _run_mix(world, world.sizes.mix_calls, CONNECTIONS, slots)
                _record(world, rows, done)


MEASURES = (
    Measure("reads", run_reads),
    Measure("changes", run_changes),
    Measure("mix", run_mix),
)
