"""Reads that are answered from memory say what reads from the store say, whatever changed.

The oracle is the same call with nothing remembered.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from namenode_world import World

from cairnfs.client.filesystem import FileSystem
from cairnfs.errors import CairnError
from cairnfs.namenode.client_protocol import hot_reads
from cairnfs.namenode.locations import LocationEncoder
from cairnfs.namenode.remembered import ReadMemory, Remembered
from cairnfs.namenode.turn import Turn
from cairnfs.namespace import attributes, creating, deleting, mkdirs, renaming, writing
from cairnfs.types import AdminState, Caller, CreateFlag
from cairnfs.wire.proto import client_namenode_pb2 as pb
from cairnfs.wire.proto import hdfs_pb2

ROOT = Caller("root", (), True, "127.0.0.1")
ALICE = Caller("alice", ("staff",), False, "127.0.0.1")
BOB = Caller("bob", ("users",), False, "127.0.0.1")
CALLERS = (ROOT, ALICE, BOB)
NAMES = ("a", "b", "c")
PATHS = ["/", *(f"/{x}" for x in NAMES), *(f"/{x}/{y}" for x in NAMES for y in NAMES)] + [
    f"/{x}/{y}/{z}" for x in NAMES for y in NAMES for z in NAMES
]
HOLDER = "writer"


def answer(read: Callable[..., bytes], system: Any, request: bytes, caller: Caller) -> object:
    try:
        return read(system, request, caller)
    except CairnError as error:
        return type(error), str(error)


class Reads:
    """Every hot read of some paths, as it is remembered and as it is."""

    def __init__(self, system: Any) -> None:
        self.system = system

    def compare(self, paths: list[str]) -> None:
        for path in paths:
            name = pb.GetFileInfoRequestProto(src=path).SerializeToString()
            listing = pb.GetListingRequestProto(src=path, startAfter=b"", needLocation=False)
            blocks = pb.GetBlockLocationsRequestProto(src=path, offset=0, length=1 << 40)
            for caller in CALLERS:
                self._compare(hot_reads.get_file_info, name, caller)
                self._compare(hot_reads.list_directory, listing.SerializeToString(), caller)
                self._compare(hot_reads.locate_blocks, blocks.SerializeToString(), caller)

    def _compare(self, read: Callable[..., bytes], request: bytes, caller: Caller) -> None:
        system = self.system
        memory = system.memory
        told = answer(read, system, request, caller)
        system.memory = ReadMemory(system.namespace)
        try:
            assert told == answer(read, system, request, caller)
        finally:
            system.memory = memory


def _change(system: Any, chance: random.Random) -> Callable[[Turn], object]:
    """A random change of the namespace, which may well be refused."""
    ns = system.namespace
    one, other = chance.choice(PATHS), chance.choice(PATHS)
    mode = chance.choice((0o700, 0o711, 0o755, 0o750, 0o777, 0o644))

    def create(turn: Turn) -> object:
        creating.create(
            ns,
            turn.namespace,
            system.replica_view(turn),
            ROOT,
            turn.now_ms,
            one,
            0o644,
            HOLDER,
            CreateFlag.CREATE | CreateFlag.OVERWRITE,
            create_parent=True,
            replication=1,
            block_size=1 << 20,
        )
        if chance.random() < 0.5:
            return writing.add_block(
                ns, turn.namespace, system.replica_view(turn), ROOT, one, 0, HOLDER, None
            )
        return writing.complete(
            ns,
            turn.namespace,
            system.replica_view(turn),
            ROOT,
            turn.now_ms,
            one,
            0,
            HOLDER,
            None,
        )

    return chance.choice(
        [
            lambda turn: mkdirs.mkdirs(
                ns, turn.namespace, ROOT, turn.now_ms, one, mode, create_parent=True
            ),
            create,
            create,
            lambda turn: renaming.rename2(
                ns,
                turn.namespace,
                ROOT,
                turn.now_ms,
                one,
                other,
                renaming.RenameOption.OVERWRITE,
            ),
            lambda turn: renaming.rename(ns, turn.namespace, ROOT, turn.now_ms, one, other),
            lambda turn: deleting.delete(
                ns, turn.namespace, ROOT, turn.now_ms, one, recursive=chance.random() < 0.7
            ),
            lambda turn: attributes.set_permission(ns, turn.namespace, ROOT, one, mode),
            lambda turn: attributes.set_owner(
                ns, turn.namespace, ROOT, one, chance.choice(("alice", "bob")), "staff"
            ),
        ]
    )


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_remembered_of_the_namespace_holds(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = World(tmp_path, {"dfs.ls.limit": "2"})
    await world.start()
    system = world.system
    reads = Reads(system)
    made = 0
    for _ in range(150):
        # Several in a batch: what is forgotten must be what the whole batch changed.
        for operation in [_change(system, chance) for _ in range(chance.choice((1, 1, 4)))]:
            done = system.writer.run(operation)
            done.add_done_callback(lambda future: future.exception())
        await system.writer.drained()
        made += done.exception() is None
        reads.compare(chance.sample(PATHS, 12))
    assert made > 30
    await world.close()


async def test_a_second_read_is_answered_from_memory(tmp_path: Path) -> None:
    """The test above would pass, too, if nothing were remembered."""
    world = World(tmp_path)
    await world.start()
    system = world.system
    await system.writer.run(
        lambda turn: mkdirs.mkdirs(
            system.namespace, turn.namespace, ROOT, 0, "/a/b", 0o755, create_parent=True
        )
    )
    request = pb.GetListingRequestProto(src="/a", startAfter=b"", needLocation=False)
    first = hot_reads.list_directory(system, request.SerializeToString(), ALICE)
    assert hot_reads.list_directory(system, request.SerializeToString(), ALICE) is first
    await system.writer.run(
        lambda turn: mkdirs.mkdirs(
            system.namespace, turn.namespace, ROOT, 0, "/other", 0o755, create_parent=True
        )
    )
    assert hot_reads.list_directory(system, request.SerializeToString(), ALICE) is first
    assert system.memory.listings.get(request.SerializeToString(), BOB) is None
    await world.close()


def test_memory_is_bounded_and_keeps_what_is_asked_for() -> None:
    memory: Remembered[bytes] = Remembered(20_000)
    memory.keep(b"hot", ROOT, b"subject0", 100, b"answer")
    for number in range(1_000):
        memory.keep(b"%d" % number, ROOT, b"%08d" % number, 100, b"cold")
        assert memory.get(b"hot", ROOT) == b"answer"
    kept = sum(memory.get(b"%d" % number, ROOT) is not None for number in range(1_000))
    assert 50 <= kept <= 200
    memory.forget(b"subject0")
    assert memory.get(b"hot", ROOT) is None


@pytest.mark.requirement("C06")
async def test_locations_follow_the_nodes_and_their_replicas(tmp_path: Path) -> None:
    world = World(tmp_path, {"dfs.replication": "3"}, datanodes=3, turned=False)
    await world.start()
    system = world.system
    fs = await FileSystem.connect(world.cluster.url)
    await fs.write_bytes("/f", b"x" * 1000)
    await fs.close()
    request = pb.GetBlockLocationsRequestProto(src="/f", offset=0, length=1)
    record = hot_reads._find_blocks(system, request.SerializeToString(), ROOT).blocks[0]
    nodes = list(system.blocks.registry.nodes.values())

    def told(encoder: LocationEncoder) -> list[list[str]]:
        """The block with each of its replicas first that may come first: DataNodes."""
        answers = {encoder.block(system.views.replicas, record, "10.0.0.9") for _ in range(12)}
        parsed = [hdfs_pb2.LocatedBlockProto.FromString(one) for one in answers]
        return [[node.id.datanodeUuid for node in block.locs] for block in parsed]

    async def check(change: Callable[[Turn], object], replicas: int, first: int) -> None:
        await system.writer.run(change, volatile=True)
        fresh = LocationEncoder(system.info.pool_id, system.blocks.locator, system.wall_offset_ms)
        ours, wanted = told(system.locations), told(fresh)
        assert {frozenset(each) for each in ours} == {frozenset(each) for each in wanted}
        assert {len(each) for each in ours} == {replicas}
        assert {each[0] for each in ours} == {each[0] for each in wanted}
        assert len({each[0] for each in ours}) == first

    registry = system.blocks.registry
    leaving = AdminState.DECOMMISSION_INPROGRESS
    await check(lambda turn: None, replicas=3, first=3)
    await check(
        lambda turn: registry.set_admin_state(turn.replicas, nodes[0], leaving), replicas=3, first=2
    )
    await check(
        lambda turn: system.blocks.report_bad_replica(
            system.block_turn(turn), record.block, nodes[1].uuid, "a test says so"
        ),
        replicas=2,
        first=1,
    )
    await check(lambda turn: registry.retire(nodes[2]), replicas=1, first=1)
    await world.close()
