"""Where new replicas go: Hadoop's default placement and its sentences."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from cairnfs.blocks.manager import BlockManager
from cairnfs.blocks.registry import Heartbeat
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.storage_policy import POLICIES, storage_policy
from cairnfs.blocks.targets import TargetRequest
from cairnfs.blocks.turn import Turn
from cairnfs.errors import FileSystemError
from cairnfs.store.memory import MemoryStore
from cairnfs.types import (
    BlockFacts,
    DatanodeID,
    DatanodeStorage,
    StorageReport,
    StorageType,
)

BLOCK = 100
SPACE = 10_000
REQUEST = TargetRequest("/f", 3, BLOCK)


class Racks:
    """A manager with nodes ``h1``.. in given racks; they hold no data."""

    def __init__(self, *racks: str, seed: int = 1, settings: BlockSettings | None = None) -> None:
        self.table = {f"h{number}": rack for number, rack in enumerate(racks, 1)}
        self.manager = BlockManager(
            settings or BlockSettings(), "BP", random.Random(seed), resolve=self.table.get
        )
        self.turn = Turn(MemoryStore().batch(), None, 0)  # type: ignore[arg-type]
        for host in self.table:
            self.manager.register(self.turn, DatanodeID(host, host, host, 9866, 1, 2), "")
            self.beat(host)

    def beat(
        self,
        host: str,
        *,
        free: int = SPACE,
        load: int = 0,
        kinds: tuple[StorageType, ...] = (StorageType.DISK,),
    ) -> None:
        reports = tuple(
            StorageReport(
                DatanodeStorage(f"DS-{host}-{kind.name}", storage_type=kind),
                False,
                SPACE,
                SPACE - free,
                free,
                SPACE - free,
            )
            for kind in kinds
        )
        self.manager.heartbeat(self.turn, Heartbeat(host, reports, xceiver_count=load))

    def choose(self, request: TargetRequest = REQUEST) -> list[str]:
        return [one.node.uuid for one in self.manager.choose_targets(request).targets]

    def rack(self, host: str) -> str:
        return self.table[host]


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("seed", range(20))
def test_writer_then_another_rack_then_that_rack_again(seed: int) -> None:
    racks = Racks("/a", "/a", "/a", "/b", "/b", "/b", seed=seed)
    first, second, third = racks.choose(replace(REQUEST, client_host="h2"))
    assert first == "h2"
    assert racks.rack(second) == racks.rack(third) == "/b"
    assert second != third
    # A writer that is no DataNode: its own rack if that is known.
    racks.table["client"] = "/b"
    assert racks.rack(racks.choose(replace(REQUEST, client_host="client"))[0]) == "/b"
    # Local write not wanted.
    assert len(racks.choose(replace(REQUEST, client_host="h2", local=False))) == 3


@pytest.mark.requirement("A10")
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=12),
    st.integers(1, 8),
    st.integers(0, 1 << 20),
)
def test_any_cluster(where: list[int], replicas: int, seed: int) -> None:
    racks = Racks(*(f"/r{rack}" for rack in where), seed=seed)
    chosen = racks.choose(replace(REQUEST, replicas=replicas))
    # As many as there can be, each node once, and never all in one rack without need.
    assert len(chosen) == len(set(chosen)) == min(replicas, len(where))
    used = Counter(racks.rack(host) for host in chosen)
    if len(set(where)) > 1 and len(chosen) > 1:
        assert len(used) > 1


def test_excluded_nodes_are_not_chosen_and_favoured_ones_are() -> None:
    racks = Racks("/a", "/a", "/b", "/b", "/b")
    for _ in range(10):
        assert set(racks.choose(replace(REQUEST, excluded=frozenset({"h1", "h3"})))) == {
            "h2",
            "h4",
            "h5",
        }
        chosen = racks.choose(replace(REQUEST, favoured=("h5:9866", "h1", "h9", "h2:1")))
        assert {"h5", "h1"} <= set(chosen)


def test_nodes_of_the_pipeline_are_not_chosen_again() -> None:
    racks = Racks("/a", "/a", "/b", "/b")
    request = replace(REQUEST, replicas=1, existing=(("h1", "DS-h1-DISK"), ("h3", "?")))
    for _ in range(10):
        assert set(racks.choose(request)) <= {"h2", "h4"}
    full = replace(REQUEST, replicas=1, existing=tuple((f"h{n}", "") for n in range(1, 5)))
    assert racks.choose(full) == []


@pytest.mark.requirement("A10")
def test_promised_space_is_taken() -> None:
    racks = Racks("/a", "/a")
    for number in range(SPACE // BLOCK):
        targets = racks.manager.choose_targets(replace(REQUEST, replicas=2)).targets
        assert len(targets) == 2
        facts = BlockFacts(number, 1001, 0, 2)
        racks.manager.allocated(racks.turn, facts, BLOCK, targets)
    with pytest.raises(FileSystemError, match="no DISK storage with 100 bytes free"):
        racks.choose()


@pytest.mark.requirement("A10", "C09")
def test_a_new_empty_node_gets_more_but_not_all() -> None:
    racks = Racks(*["/a"] * 6)
    for host in list(racks.table)[:5]:
        racks.beat(host, free=SPACE // 2)
    counts = Counter(
        host for _ in range(600) for host in racks.choose(replace(REQUEST, replicas=1))
    )
    mean = 100
    assert 1.3 * mean < counts["h6"] < 3 * mean
    assert all(counts[host] > mean / 3 for host in racks.table)


def test_an_overloaded_node_is_avoided_while_there_are_others() -> None:
    racks = Racks("/a", "/a", "/a", "/a")
    racks.beat("h1", load=100)
    assert all("h1" not in racks.choose(replace(REQUEST, client_host="h1")) for _ in range(10))
    assert "h1" in racks.choose(replace(REQUEST, replicas=4))


def test_a_silent_node_is_avoided_while_there_are_others() -> None:
    settings = BlockSettings(stale_after_ms=10, dead_after_ms=1_000)
    racks = Racks("/a", "/a", "/a", "/a", settings=settings)
    racks.turn = replace(racks.turn, now_ms=11)
    for host in ("h2", "h3", "h4"):
        racks.beat(host)
    racks.manager.check_liveness(racks.turn)
    assert all("h1" not in racks.choose() for _ in range(10))
    assert "h1" in racks.choose(replace(REQUEST, replicas=4))


@pytest.mark.requirement("A11")
def test_too_few_nodes_are_enough_above_the_minimum() -> None:
    assert len(Racks("/a").choose()) == 1
    assert len(Racks("/a", "/b").choose()) == 2
    with pytest.raises(FileSystemError, match="only be written to 1 of the 2 minReplication"):
        Racks("/a", settings=BlockSettings(replication_min=2)).choose()
    # A file that wants fewer than the minimum gets what it wants.
    single = replace(REQUEST, replicas=1)
    assert Racks("/a", settings=BlockSettings(replication_min=2)).choose(single) == ["h1"]


@pytest.mark.requirement("D03")
def test_nobody_to_write_to_is_explained() -> None:
    with pytest.raises(FileSystemError) as error:
        Racks().choose()
    assert str(error.value) == (
        "File /f could only be written to 0 of the 1 minReplication nodes. There are 0 "
        "datanode(s) running and 0 node(s) are excluded in this operation. "
        "Start a DataNode, or wait until one has registered."
    )
    racks = Racks("/a", "/a")
    racks.beat("h2", free=10)
    with pytest.raises(FileSystemError) as error:
        racks.choose(replace(REQUEST, excluded=frozenset({"h1", "unknown"})))
    assert "There are 2 datanode(s) running and 1 node(s) are excluded" in str(error.value)
    assert "h1:9866: excluded by the client" in str(error.value)
    assert "h2:9866: no DISK storage with 100 bytes free" in str(error.value)


def test_reasons_of_a_large_cluster_are_cut() -> None:
    racks = Racks(*["/a"] * 40)
    for host in racks.table:
        racks.beat(host, free=0)
    with pytest.raises(FileSystemError, match="and 30 more"):
        racks.choose()


def test_storage_policies_choose_the_medium() -> None:
    disk, ssd, archive = StorageType.DISK, StorageType.SSD, StorageType.ARCHIVE
    assert storage_policy(0).name == storage_policy(99).name == "HOT"
    assert storage_policy(10).wanted(3) == [ssd, disk, disk]
    assert storage_policy(15).wanted(2) == [disk, disk]
    assert storage_policy(5).missing(3, [archive], new_block=True) == [disk, archive]
    assert storage_policy(12).missing(2, [], {ssd}, new_block=True) == [disk, disk]
    assert storage_policy(7).missing(2, [], {disk}, new_block=True) == []
    assert storage_policy(7).missing(2, [disk], {disk}, new_block=False) == [archive]
    # A replica on a fallback stands for one that is wanted.
    assert storage_policy(12).missing(2, [disk], new_block=True) == [ssd]
    assert set(POLICIES) == {1, 2, 5, 7, 10, 12, 14, 15}
    racks = Racks("/a", "/a", "/a")
    racks.beat("h1", kinds=(disk, ssd))
    placed = racks.manager.choose_targets(replace(REQUEST, storage_policy=10)).targets
    assert sorted(one.storage_type for one in placed) == [disk, disk, ssd]
    assert [one.node.uuid for one in placed if one.storage_type == ssd] == ["h1"]
    # ALL_SSD with one SSD: the rest falls back to disks.
    placed = racks.manager.choose_targets(replace(REQUEST, storage_policy=12)).targets
    assert sorted(one.storage_type for one in placed) == [disk, disk, ssd]
    with pytest.raises(FileSystemError, match="no ARCHIVE storage"):
        racks.choose(replace(REQUEST, storage_policy=2))
