"""Full and incremental reports: in any order, repeated, late, in slices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from blocks_model import BLOCK_BYTES, ModelCluster

from cairnfs.blocks import full_report
from cairnfs.blocks.incremental import ChangeStatus, ReplicaChange
from cairnfs.blocks.notices import ReportProcessed
from cairnfs.blocks.report import ReportedReplicas
from cairnfs.blocks.settings import BlockSettings
from cairnfs.errors import FileSystemError, InvalidBlockReportLease
from cairnfs.types import (
    Block,
    BlockFacts,
    BlockState,
    DatanodeStorage,
    Replica,
    ReplicaState,
)

SETTINGS = BlockSettings(report_lease_ms=50_000, report_leases_max=2)
STORAGE = DatanodeStorage("DS-1-0")


def cluster_with(nodes: int, blocks: int = 0, settings: BlockSettings = SETTINGS) -> ModelCluster:
    """Registered nodes, and complete blocks of replication 1 that nobody has reported."""
    cluster = ModelCluster(settings)
    for _ in range(nodes):
        cluster.heartbeat(cluster.add_node())
    cluster.catalog.stamp = 5_000
    for block_id in range(1, blocks + 1):
        cluster.catalog.blocks[block_id] = BlockFacts(block_id, 1001, BLOCK_BYTES, 1)
    return cluster


def listed(
    *ids: int, stamp: int = 1001, state: ReplicaState = ReplicaState.FINALIZED
) -> list[Replica]:
    return [Replica(Block(block_id, stamp, BLOCK_BYTES), state) for block_id in ids]


def report(
    cluster: ModelCluster, replicas: list[Replica], *, node: str = "dn-1", lease: int | None = None
) -> ReportProcessed:
    cluster.heartbeat(cluster.nodes[node])
    lease_id = cluster.nodes[node].lease_id if lease is None else lease
    with cluster.turn() as turn:
        task = cluster.manager.full_report(
            turn, node, STORAGE, ReportedReplicas.of(replicas), lease_id, last_of_node=True
        )
    while True:
        with cluster.turn() as turn:
            if task.step(turn):
                break
    cluster.nodes[node].lease_id = 0
    (done,) = [one for one in cluster.manager.take_notices() if isinstance(one, ReportProcessed)]
    return done


def change(cluster: ModelCluster, status: ChangeStatus, block: Block, node: str = "dn-1") -> None:
    with cluster.turn() as turn:
        cluster.manager.incremental_report(turn, node, STORAGE, [ReplicaChange(block, status)])


def live(cluster: ModelCluster, block_id: int) -> int:
    return cluster.manager.live_replicas(cluster.store.snapshot(), block_id)


@pytest.mark.requirement("A03", "E05")
def test_a_full_report_tells_what_is_there_and_what_is_not() -> None:
    cluster = cluster_with(1, blocks=6)
    assert report(cluster, listed(1, 2, 3)).differing == 3
    assert [live(cluster, block_id) for block_id in range(1, 7)] == [1, 1, 1, 0, 0, 0]
    # The same again costs nothing; then one is gone and one is new.
    again = report(cluster, listed(1, 2, 3))
    assert (again.differing, again.removed, again.replicas) == (0, 0, 3)
    third = report(cluster, listed(1, 3, 5))
    assert (third.differing, third.removed) == (1, 1)
    assert [live(cluster, block_id) for block_id in range(1, 7)] == [1, 0, 1, 0, 1, 0]
    assert cluster.manager.registry.nodes["dn-1"].block_count == 3
    cluster.check_indexes()


@pytest.mark.requirement("A03")
def test_unknown_replicas_are_removed_and_stale_ones_are_corrupt() -> None:
    cluster = cluster_with(1, blocks=4)
    replicas = [
        *listed(1, 77),
        *listed(2, stamp=1000),
        *listed(3, state=ReplicaState.RWR),
        Replica(Block(4, 1001, 3), ReplicaState.FINALIZED),
    ]
    report(cluster, replicas)
    assert [live(cluster, block_id) for block_id in range(1, 5)] == [1, 0, 0, 0]
    corrupt = cluster.manager.parts.corrupt
    assert set(corrupt.blocks()) == {2, 3, 4}
    reasons = [next(iter(corrupt.of(block_id).values())).reason for block_id in (2, 3, 4)]
    assert "generation stamp is 1000, that of the block 1001" in reasons[0]
    assert "never finished" in reasons[1]
    assert "length is 3" in reasons[2]
    node = cluster.manager.registry.nodes["dn-1"]
    assert list(node.invalidate) == [77]
    # A right replica takes the place of each: it is believed.
    report(cluster, listed(1, 2, 3, 4))
    assert [live(cluster, block_id) for block_id in range(1, 5)] == [1, 1, 1, 1]
    assert len(corrupt) == 0


def test_a_replica_found_bad_by_its_content_stays_bad_in_reports() -> None:
    cluster = cluster_with(1, blocks=1)
    report(cluster, listed(1))
    with cluster.turn() as turn:
        cluster.manager.report_bad_replica(turn, Block(1, 1001, BLOCK_BYTES), "dn-1", "scanner")
    report(cluster, listed(1))
    change(cluster, ChangeStatus.RECEIVED, Block(1, 1001, BLOCK_BYTES))
    assert live(cluster, 1) == 0
    # The flag survives the process, the reason does not.
    cluster.start(survived=True)
    cluster.heartbeat(cluster.nodes["dn-1"])
    report(cluster, listed(1))
    assert live(cluster, 1) == 0
    assert (
        "before this NameNode started"
        in next(iter(cluster.manager.parts.corrupt.of(1).values())).reason
    )


@pytest.mark.requirement("E05")
def test_replicas_newer_than_the_namespace_are_kept() -> None:
    cluster = cluster_with(1)
    report(cluster, listed(9, stamp=9_999))
    assert not cluster.manager.registry.nodes["dn-1"].invalidate
    assert cluster.manager.safe_mode.future_bytes == BLOCK_BYTES


@pytest.mark.requirement("E05")
@pytest.mark.parametrize("slice_max", [1, 3, 7, 10_000])
def test_a_report_in_slices_is_a_report_at_once(
    slice_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_report, "SLOW_IN_SLICE_MAX", 5)
    cluster = cluster_with(1, 60, replace(SETTINGS, report_slice=slice_max))
    report(cluster, listed(*range(1, 41)))
    report(cluster, listed(*range(21, 61), 100, 300))
    held = {block_id for block_id in range(1, 61) if live(cluster, block_id)}
    assert held == set(range(21, 61))
    assert set(cluster.manager.registry.nodes["dn-1"].invalidate) == {100, 300}
    report(cluster, [])
    assert not any(live(cluster, block_id) for block_id in range(1, 61))
    cluster.check_indexes()


@pytest.mark.requirement("E05")
def test_no_slice_is_large() -> None:
    cluster = cluster_with(1, 2_000, replace(SETTINGS, report_slice=400))
    replicas = ReportedReplicas.of(listed(*range(1, 2_001)))
    cluster.heartbeat(cluster.nodes["dn-1"])
    with cluster.turn() as turn:
        task = cluster.manager.full_report(
            turn, "dn-1", STORAGE, replicas, cluster.nodes["dn-1"].lease_id, last_of_node=True
        )
    changes, steps, done = [], 0, False
    while not done:
        with cluster.turn() as turn:
            done = task.step(turn)
            changes.append(len(turn.tx.changes))  # type: ignore[attr-defined]
            steps += 1
    assert steps >= 4
    assert max(changes) <= 4 * full_report.SLOW_IN_SLICE_MAX
    assert sum(live(cluster, block_id) for block_id in range(1, 2_001)) == 2_000


@pytest.mark.requirement("E05")
def test_what_happens_while_a_report_travels_is_newer_than_it() -> None:
    cluster = cluster_with(1, 10)
    report(cluster, listed(1, 2, 3, 4))
    node = cluster.nodes["dn-1"]
    cluster.heartbeat(node)  # the lease; the report is made now
    old = ReportedReplicas.of(listed(1, 2, 3, 4))
    change(cluster, ChangeStatus.DELETED, Block(2, 1001, BLOCK_BYTES))
    change(cluster, ChangeStatus.RECEIVED, Block(7, 1001, BLOCK_BYTES))
    with cluster.turn() as turn:
        task = cluster.manager.full_report(
            turn, "dn-1", STORAGE, old, node.lease_id, last_of_node=True
        )
    change(cluster, ChangeStatus.DELETED, Block(3, 1001, BLOCK_BYTES))
    with cluster.turn() as turn:
        assert task.step(turn)
    assert [live(cluster, block_id) for block_id in (1, 2, 3, 4, 7)] == [1, 0, 0, 1, 1]


@pytest.mark.requirement("E05")
def test_a_late_or_repeated_full_report_is_refused() -> None:
    cluster = cluster_with(3, 4)
    node = cluster.nodes["dn-1"]
    lease_id = node.lease_id
    assert lease_id
    report(cluster, listed(1, 2))
    with pytest.raises(InvalidBlockReportLease):
        report(cluster, [], lease=lease_id)
    assert live(cluster, 1) == 1
    # Only so many nodes report at once; the third waits for a lease to end.
    cluster.heartbeat(cluster.nodes["dn-2"])
    cluster.heartbeat(cluster.nodes["dn-1"])
    assert cluster.nodes["dn-3"].lease_id == 0
    cluster.heartbeat(cluster.nodes["dn-3"])
    assert cluster.nodes["dn-3"].lease_id == 0
    cluster.now_ms += SETTINGS.report_lease_ms
    cluster.heartbeat(cluster.nodes["dn-3"])
    assert cluster.nodes["dn-3"].lease_id
    with pytest.raises(InvalidBlockReportLease), cluster.turn() as turn:
        cluster.manager.full_report(
            turn, "dn-2", STORAGE, ReportedReplicas.of([]), 12345, last_of_node=True
        )
    # An operator asks for one: no lease.
    report(cluster, listed(1, 2, 3), lease=0)
    assert live(cluster, 3) == 1


def test_a_report_that_a_new_registration_overtakes_is_void() -> None:
    cluster = cluster_with(1, 4)
    report(cluster, listed(1, 2))
    node = cluster.nodes["dn-1"]
    cluster.heartbeat(node)
    with cluster.turn() as turn:
        task = cluster.manager.full_report(
            turn, "dn-1", STORAGE, ReportedReplicas.of([]), node.lease_id, last_of_node=True
        )
    cluster.register(node)
    with cluster.turn() as turn:
        assert task.step(turn)
    assert task.void
    assert live(cluster, 1) == 1


@pytest.mark.requirement("E05")
def test_incremental_reports_repeat_and_trail() -> None:
    cluster = cluster_with(1, 2)
    block = Block(1, 1001, BLOCK_BYTES)
    for _ in range(2):
        change(cluster, ChangeStatus.RECEIVED, block)
        assert live(cluster, 1) == 1
    change(cluster, ChangeStatus.RECEIVING, replace(block, num_bytes=0))
    assert live(cluster, 1) == 1
    # The removal of an older generation says nothing of this one.
    change(cluster, ChangeStatus.DELETED, replace(block, generation_stamp=1000))
    assert live(cluster, 1) == 1
    for _ in range(2):
        change(cluster, ChangeStatus.DELETED, block)
        assert live(cluster, 1) == 0
    cluster.check_indexes()


def test_nobody_else_is_removed_for_an_unexpected_replica() -> None:
    cluster = cluster_with(2, 1)
    report(cluster, listed(1))
    cluster.heartbeat(cluster.nodes["dn-2"])
    other = DatanodeStorage("DS-2-0")
    received = ReplicaChange(Block(1, 1001, BLOCK_BYTES), ChangeStatus.RECEIVED)
    with cluster.turn() as turn:
        cluster.manager.incremental_report(turn, "dn-2", other, [received])
    # A repeated old message would have said the same: the one that is certain stays.
    nodes = cluster.manager.registry.nodes
    assert nodes["dn-2"].doomed(1)
    assert not nodes["dn-1"].doomed(1)
    # Wanted, it is read from at once; certain it is once it was reported in full.
    cluster.set_replication(1, 2)
    assert live(cluster, 1) == 2
    survey = cluster.manager.survey(cluster.store.snapshot(), 1)
    assert (len(survey.live), len(survey.fresh)) == (2, 1)
    for _ in range(2):  # what was touched since the first one's lease is left to the second
        with cluster.turn() as turn:
            task = cluster.manager.full_report(
                turn, "dn-2", other, ReportedReplicas.of(listed(1)), 0, last_of_node=True
            )
            task.step(turn)
    assert len(cluster.manager.survey(cluster.store.snapshot(), 1).fresh) == 2


def test_unregistered_nodes_report_nothing() -> None:
    cluster = cluster_with(0, 1)
    with pytest.raises(FileSystemError, match="registers again"):
        change(cluster, ChangeStatus.RECEIVED, Block(1, 1001, BLOCK_BYTES))
    with pytest.raises(FileSystemError, match="registers again"), cluster.turn() as turn:
        cluster.manager.full_report(
            turn, "dn-1", STORAGE, ReportedReplicas.of([]), 0, last_of_node=True
        )


def test_a_replica_that_moves_within_its_node_is_one_replica() -> None:
    cluster = ModelCluster(SETTINGS, disks=2)
    cluster.heartbeat(cluster.add_node())
    cluster.catalog.stamp = 5_000
    cluster.catalog.blocks[1] = BlockFacts(1, 1001, BLOCK_BYTES, 1)
    change(cluster, ChangeStatus.RECEIVED, Block(1, 1001, BLOCK_BYTES))
    moved = ReplicaChange(Block(1, 1001, BLOCK_BYTES), ChangeStatus.RECEIVED)
    with cluster.turn() as turn:
        cluster.manager.incremental_report(turn, "dn-1", DatanodeStorage("DS-1-1"), [moved])
    assert live(cluster, 1) == 1
    change(cluster, ChangeStatus.DELETED, Block(1, 1001, BLOCK_BYTES))
    assert live(cluster, 1) == 1
    cluster.check_indexes()


def test_open_blocks_are_always_looked_at() -> None:
    cluster = cluster_with(1)
    cluster.catalog.blocks[1] = BlockFacts(1, 1001, 0, 1, BlockState.UNDER_CONSTRUCTION)
    report(cluster, listed(1))
    report(cluster, listed(1))
    opened = cluster.manager.parts.open_blocks.get(1)
    assert opened is not None
    assert [one.state for one in opened.replicas] == [ReplicaState.FINALIZED]
    # The namespace goes on under another generation: what is here is stale.
    cluster.catalog.blocks[1] = BlockFacts(1, 1002, 0, 1, BlockState.UNDER_CONSTRUCTION)
    report(cluster, listed(1))
    assert set(cluster.manager.parts.corrupt.blocks()) == {1}
