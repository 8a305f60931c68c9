"""Replicas that are lacking, surplus, corrupt: what is done about them, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from blocks_model import BLOCK_BYTES, ModelCluster, ModelDatanode

from cairnfs.blocks.commands import Invalidate, Transfer
from cairnfs.blocks.notices import ReplicaCorrupt, TransferTimedOut
from cairnfs.blocks.settings import BlockSettings
from cairnfs.types import AdminState, Block, BlockFacts, ReplicaState

SETTINGS = BlockSettings(
    stale_after_ms=10_000,
    dead_after_ms=30_000,
    redundancy_grace_ms=5_000,
    pending_timeout_ms=20_000,
    excess_timeout_ms=60_000,
)


def cluster_of(nodes: int, settings: BlockSettings = SETTINGS, racks: int = 1) -> ModelCluster:
    """A cluster at rest: every node has reported in full."""
    cluster = ModelCluster(settings, racks=racks)
    for _ in range(nodes):
        cluster.add_node()
    cluster.heal()
    return cluster


def write(cluster: ModelCluster, replication: int) -> int:
    """A complete file of one block, reported by all its nodes; its block's id."""
    facts = cluster.write(replication)
    assert facts is not None
    for node in cluster.nodes.values():
        cluster.send_changes(node)
    # Past the grace of fresh blocks.
    beat_all(cluster, cluster.settings.redundancy_grace_ms)
    return facts.block_id


def holders(cluster: ModelCluster, block_id: int) -> list[ModelDatanode]:
    facts = cluster.catalog.blocks[block_id]
    return [node for node in cluster.nodes.values() if cluster.is_valid(node, facts)]


def beat_all(cluster: ModelCluster, ms: int = 0) -> None:
    cluster.now_ms += ms
    for node in cluster.nodes.values():
        cluster.heartbeat(node)
    cluster.tick()


def orders(cluster: ModelCluster, kind: type) -> list[tuple[str, object]]:
    """Orders that wait at DataNodes."""
    return [
        (node.uuid, order)
        for node in cluster.nodes.values()
        for order in node.orders
        if isinstance(order, kind)
    ]


# --- lacking -------------------------------------------------------------------------------------


@pytest.mark.requirement("A09")
def test_replication_3_5_2() -> None:
    cluster = cluster_of(6)
    block_id = write(cluster, 3)
    for replication in (5, 2):
        cluster.set_replication(block_id, replication)
        cluster.heal()
        assert len(holders(cluster, block_id)) == replication
    stats = cluster.manager.statistics()
    assert stats.under_replicated == stats.pending_replication == stats.pending_deletion == 0


@pytest.mark.requirement("A09")
def test_lacking_replicas_are_copied_in_parallel() -> None:
    cluster = cluster_of(6)
    block_id = write(cluster, 2)
    cluster.set_replication(block_id, 5)
    cluster.tick()
    beat_all(cluster)
    transfers = orders(cluster, Transfer)
    targets = [
        target
        for _, order in transfers
        for transfer in order.orders  # type: ignore[attr-defined]
        for target in transfer.targets
    ]
    assert len(targets) == 3
    assert cluster.manager.statistics().pending_replication == 1


@pytest.mark.requirement("A07")
def test_a_dead_nodes_blocks_are_copied_after_the_grace() -> None:
    cluster = cluster_of(4)
    ids = [write(cluster, 3) for _ in range(10)]
    gone = cluster.nodes["dn-1"]
    held = [block_id for block_id in ids if gone.find(block_id)]
    cluster.stop(gone)
    for _ in range(10):
        beat_all(cluster, 3_000)
    beat_all(cluster, 1_000)
    assert not cluster.manager.registry.nodes["dn-1"].alive
    assert cluster.manager.statistics().under_replicated == 0
    assert not orders(cluster, Transfer)
    for _ in range(4):
        beat_all(cluster, 3_000)
    assert cluster.manager.statistics().under_replicated + len(orders(cluster, Transfer)) > 0
    del cluster.nodes["dn-1"]
    cluster.heal()
    assert held
    assert all(len(holders(cluster, block_id)) == 3 for block_id in ids)


@pytest.mark.requirement("A14")
def test_a_short_outage_moves_nothing() -> None:
    cluster = cluster_of(4)
    ids = [write(cluster, 3) for _ in range(10)]
    before = cluster.state()
    gone = cluster.nodes["dn-1"]
    cluster.stop(gone)
    for _ in range(11):
        beat_all(cluster, 3_000)
    assert not cluster.manager.registry.nodes["dn-1"].alive
    cluster.restart(gone)
    cluster.heal()
    assert cluster.state() == before
    assert all(len(holders(cluster, block_id)) == 3 for block_id in ids)


@pytest.mark.requirement("A14")
def test_fresh_blocks_have_time_to_be_reported() -> None:
    cluster = cluster_of(4)
    facts = cluster.open_block(3)
    assert facts is not None
    cluster.finish_block(facts)
    first, *rest = [node for node in cluster.nodes.values() if node.find(facts.block_id)]
    cluster.send_changes(first)
    cluster.tick()
    beat_all(cluster, 3_000)
    assert cluster.manager.statistics().under_replicated == 0
    assert not orders(cluster, Transfer)
    # What does not come within the grace is copied.
    cluster.send_changes(rest[0])
    beat_all(cluster, 3_000)
    beat_all(cluster, 3_000)
    assert len(orders(cluster, Transfer)) == 1


@pytest.mark.requirement("A11")
def test_a_write_at_the_minimum_is_completed_later() -> None:
    cluster = cluster_of(1)
    block_id = write(cluster, 3)
    assert len(holders(cluster, block_id)) == 1
    cluster.heal()
    assert cluster.manager.statistics().low_redundancy_highest == 1
    cluster.add_node()
    cluster.add_node()
    cluster.heal()
    assert len(holders(cluster, block_id)) == 3
    assert cluster.manager.statistics().under_replicated == 0


@pytest.mark.requirement("A07")
def test_streams_of_a_node_are_bounded() -> None:
    cluster = cluster_of(1)
    for _ in range(30):
        write(cluster, 2)
    cluster.add_node()
    beat_all(cluster, 6_000)
    cluster.tick()
    source = cluster.manager.registry.nodes["dn-1"]
    # The most urgent ones may use the hard limit.
    assert len(source.transfers) == SETTINGS.streams_hard_max
    cluster.heartbeat(cluster.nodes["dn-1"])
    given = sum(len(order.orders) for _, order in orders(cluster, Transfer))  # type: ignore[attr-defined]
    assert given == SETTINGS.streams_hard_max
    cluster.heal(2_000)
    assert cluster.manager.statistics().under_replicated == 0


@pytest.mark.requirement("A07")
def test_a_copy_that_never_arrives_is_tried_again() -> None:
    cluster = cluster_of(2)
    block_id = write(cluster, 2)
    cluster.heartbeat(cluster.add_node())
    cluster.set_replication(block_id, 3)
    cluster.tick()
    for node in cluster.nodes.values():
        cluster.heartbeat(node, reply_lost=True)
    for _ in range(6):
        beat_all(cluster, 3_000)
    assert not orders(cluster, Transfer)
    beat_all(cluster, 3_000)
    cluster.tick()
    assert TransferTimedOut(block_id, "dn-3") in cluster.notices
    cluster.heal()
    assert len(holders(cluster, block_id)) == 3


def test_blocks_in_one_rack_get_another() -> None:
    cluster = ModelCluster(SETTINGS, racks=2)
    # dn-2 and dn-4 stand in /rack0, dn-1 and dn-3 in /rack1.
    cluster.racks = 1
    for _ in range(2):
        cluster.add_node()
    cluster.heal()
    block_id = write(cluster, 2)
    cluster.racks = 2
    cluster.locations["10.0.0.3"] = "/rack1"
    cluster.add_node()
    with cluster.turn() as turn:
        cluster.manager.replication_changed(turn, [block_id])
    assert cluster.manager.statistics().badly_distributed == 1
    cluster.heal()
    racks = {cluster.locations[node.id.ip_addr] for node in holders(cluster, block_id)}
    assert len(racks) == len(holders(cluster, block_id)) == 2
    assert cluster.manager.statistics().badly_distributed == 0


# --- surplus -------------------------------------------------------------------------------------


@pytest.mark.requirement("A13")
def test_a_node_that_returns_has_its_surplus_trimmed() -> None:
    cluster = cluster_of(4)
    ids = [write(cluster, 3) for _ in range(10)]
    gone = cluster.nodes.pop("dn-1")
    cluster.stop(gone)
    for _ in range(20):
        beat_all(cluster, 3_000)
    cluster.heal()
    assert all(len(holders(cluster, block_id)) == 3 for block_id in ids)
    cluster.nodes["dn-1"] = gone
    cluster.restart(gone)
    surplus = sum(len(holders(cluster, block_id)) - 3 for block_id in ids)
    assert surplus > 0
    cluster.heal()
    assert all(len(holders(cluster, block_id)) == 3 for block_id in ids)


@pytest.mark.requirement("A13")
def test_nothing_is_trimmed_before_nodes_have_reported_in_full() -> None:
    cluster = cluster_of(3)
    block_id = write(cluster, 3)
    cluster.start(survived=True)
    for node in cluster.nodes.values():
        cluster.heartbeat(node)  # is told to register
        cluster.heartbeat(node)
    cluster.set_replication(block_id, 1)
    cluster.tick()
    assert cluster.manager.statistics().postponed == 1
    assert cluster.manager.statistics().pending_deletion == 0
    cluster.heal()
    assert len(holders(cluster, block_id)) == 1


@pytest.mark.requirement("A13")
def test_a_removal_is_called_off_when_the_others_are_lost_first() -> None:
    cluster = cluster_of(3)
    block_id = write(cluster, 3)
    cluster.set_replication(block_id, 1)
    doomed = [
        node
        for node in cluster.nodes.values()
        if cluster.manager.registry.nodes[node.uuid].doomed(block_id)
    ]
    assert len(doomed) == 2
    (kept,) = [node for node in holders(cluster, block_id) if node not in doomed]
    # The one that was to stay falls silent before the others are told.
    cluster.stop(kept)
    cluster.now_ms += SETTINGS.stale_after_ms
    with cluster.turn() as turn:
        cluster.manager.check_liveness(turn)
    for node in doomed:
        cluster.heartbeat(node)
    removals = [uuid for uuid, _ in orders(cluster, Invalidate)]
    assert len(removals) <= 1
    while doomed[0].orders or doomed[1].orders:
        for node in doomed:
            if node.orders:
                cluster.carry_out(node)
    assert any(node.find(block_id) for node in doomed)


def test_a_lost_removal_is_ordered_again_for_the_same_replica() -> None:
    cluster = cluster_of(3)
    block_id = write(cluster, 3)
    cluster.set_replication(block_id, 2)
    (victim,) = [
        node
        for node in cluster.nodes.values()
        if cluster.manager.registry.nodes[node.uuid].doomed(block_id)
    ]
    cluster.heartbeat(victim, reply_lost=True)
    for _ in range(25):
        beat_all(cluster, 3_000)
    assert [uuid for uuid, _ in orders(cluster, Invalidate)] == [victim.uuid]
    cluster.heal()
    assert victim.find(block_id) is None
    assert len(holders(cluster, block_id)) == 2


def test_a_restart_remembers_what_was_ordered() -> None:
    cluster = cluster_of(3)
    block_id = write(cluster, 3)
    cluster.set_replication(block_id, 2)
    for node in cluster.nodes.values():
        cluster.heartbeat(node)
    (victim,) = [uuid for uuid, _ in orders(cluster, Invalidate)]
    # The order lies at the node, not carried out, when the NameNode is replaced.
    cluster.start(survived=True)
    view = cluster.store.snapshot()
    assert cluster.manager.live_replicas(view, block_id) == 2
    assert len(cluster.manager.survey(view, block_id).excess) == 1
    cluster.heal()
    assert cluster.nodes[victim].find(block_id) is None
    assert len(holders(cluster, block_id)) == 2


@pytest.mark.requirement("A13")
def test_surplus_is_taken_from_the_crowded_rack() -> None:
    cluster = cluster_of(6, racks=3)
    for _ in range(5):
        block_id = write(cluster, 5)
        cluster.set_replication(block_id, 2)
        cluster.heal()
        racks = {cluster.locations[node.id.ip_addr] for node in holders(cluster, block_id)}
        assert len(racks) == 2


def test_a_balancers_hint_is_followed() -> None:
    cluster = cluster_of(4)
    block_id = write(cluster, 2)
    source, other = holders(cluster, block_id)
    (target, *_) = [node for node in cluster.nodes.values() if not node.find(block_id)]
    facts = cluster.catalog.blocks[block_id]
    block = Block(block_id, facts.generation_stamp, facts.num_bytes)
    target.put(next(iter(target.disks)), block, ReplicaState.FINALIZED)
    storage_uuid, change = target.changes.pop()
    target.changes.append((storage_uuid, replace(change, delete_hint=source.uuid)))
    cluster.heal()
    assert {node.uuid for node in holders(cluster, block_id)} == {other.uuid, target.uuid}


# --- deletion ------------------------------------------------------------------------------------


@pytest.mark.requirement("A18")
def test_deletion_is_lazy_and_in_batches() -> None:
    cluster = cluster_of(3, replace(SETTINGS, invalidate_limit=4))
    ids = [write(cluster, 3) for _ in range(10)]
    for block_id in ids:
        cluster.delete(block_id)
    stats = cluster.manager.statistics()
    assert stats.pending_deletion == 10
    assert all(cluster.nodes["dn-1"].find(block_id) for block_id in ids)
    while cluster.manager.background or cluster.manager.statistics().pending_deletion < 30:
        cluster.tick()
    node = cluster.nodes["dn-1"]
    sizes = []
    for _ in range(4):
        cluster.heartbeat(node)
        sizes += [len(order.blocks) for order in node.orders]  # type: ignore[attr-defined]
        while node.orders:
            cluster.carry_out(node)
    assert sizes == [4, 4, 2]
    assert node.changes == type(node.changes)()  # removals of gone blocks are not reported
    cluster.heal()
    assert not any(disk for one in cluster.nodes.values() for disk in one.disks.values())


@pytest.mark.requirement("A21")
def test_abandoned_blocks_are_removed() -> None:
    cluster = cluster_of(3)
    facts = cluster.open_block(3)
    assert facts is not None
    assert cluster.manager.statistics().open_blocks == 1
    cluster.delete(facts.block_id)
    cluster.heal()
    assert not any(node.find(facts.block_id) for node in cluster.nodes.values())
    assert cluster.manager.statistics().open_blocks == 0
    assert not cluster.manager.parts.intents


# --- corrupt -------------------------------------------------------------------------------------


def spoil(cluster: ModelCluster, node: ModelDatanode, block_id: int) -> None:
    node.find(block_id)[1].rotten = True  # type: ignore[index]
    assert cluster.report_bad(node, block_id)


@pytest.mark.requirement("A16")
def test_a_corrupt_replica_is_replaced_before_it_is_removed() -> None:
    cluster = cluster_of(4)
    block_id = write(cluster, 3)
    victim, *_ = holders(cluster, block_id)
    spoil(cluster, victim, block_id)
    assert any(isinstance(one, ReplicaCorrupt) for one in cluster.manager.take_notices())
    located = cluster.manager.locate(
        cluster.store.snapshot(), cluster.catalog.blocks[block_id], 0, "10.9.9.9"
    )
    assert victim.id not in [one.id for one in located.locations]
    assert not located.corrupt
    beat_all(cluster)
    beat_all(cluster)
    assert not orders(cluster, Invalidate)
    assert orders(cluster, Transfer)
    cluster.heal()
    assert len(holders(cluster, block_id)) == 3
    assert victim.find(block_id) is None
    assert cluster.manager.statistics().corrupt_blocks == 0


@pytest.mark.requirement("A16")
def test_a_corrupt_replica_makes_room_where_every_node_holds_one() -> None:
    cluster = cluster_of(3)
    block_id = write(cluster, 3)
    spoil(cluster, cluster.nodes["dn-2"], block_id)
    cluster.heal()
    good = holders(cluster, block_id)
    assert len(good) == 3
    assert not any(node.find(block_id)[1].rotten for node in good)  # type: ignore[index]


@pytest.mark.requirement("A16")
def test_the_last_copy_is_never_removed() -> None:
    cluster = cluster_of(3)
    block_id = write(cluster, 1)
    (only,) = holders(cluster, block_id)
    spoil(cluster, only, block_id)
    cluster.heal()
    assert only.find(block_id) is not None
    assert cluster.manager.statistics().missing_blocks == 1
    located = cluster.manager.locate(
        cluster.store.snapshot(), cluster.catalog.blocks[block_id], 0, "10.9.9.9"
    )
    assert located.corrupt
    assert [one.id for one in located.locations] == [only.id]


def test_reports_of_replicas_that_nobody_has_change_nothing() -> None:
    cluster = cluster_of(2)
    block_id = write(cluster, 1)
    (holder,) = holders(cluster, block_id)
    (other,) = [node for node in cluster.nodes.values() if node is not holder]
    facts = cluster.catalog.blocks[block_id]
    block = Block(block_id, facts.generation_stamp, BLOCK_BYTES)
    old = replace(block, generation_stamp=facts.generation_stamp - 1)
    gone = replace(block, block_id=5)
    with cluster.turn() as turn:
        report = cluster.manager.report_bad_replica
        assert not report(turn, block, other.uuid, "client")
        assert not report(turn, block, "nobody", "client")
        assert not report(turn, old, holder.uuid, "client")
        assert not report(turn, gone, holder.uuid, "client")
    assert cluster.manager.statistics().corrupt_blocks == 0


# --- nodes that are leaving ----------------------------------------------------------------------


@pytest.mark.requirement("A20")
def test_a_node_that_is_leaving_gets_nothing_new_and_its_blocks_are_copied() -> None:
    cluster = cluster_of(4)
    ids = [write(cluster, 3) for _ in range(5)]
    leaving = cluster.manager.registry.nodes["dn-1"]
    with cluster.turn() as turn:
        cluster.manager.set_admin_state(turn, leaving, AdminState.DECOMMISSION_INPROGRESS)
    cluster.heal()
    for block_id in ids:
        others = [node for node in holders(cluster, block_id) if node.uuid != "dn-1"]
        assert len(others) == 3
    late = write(cluster, 4)
    assert cluster.nodes["dn-1"].find(late) is None
    # It still serves, last in line.
    facts = cluster.catalog.blocks[ids[0]]
    located = cluster.manager.locate(cluster.store.snapshot(), facts, 0, "10.0.0.1")
    if len(located.locations) == 4:
        assert located.locations[-1].id.datanode_uuid == "dn-1"


def test_maintenance_counts_but_not_for_the_last_replica() -> None:
    cluster = cluster_of(4)
    block_id = write(cluster, 2)
    one, two = holders(cluster, block_id)
    nodes = cluster.manager.registry.nodes
    with cluster.turn() as turn:
        cluster.manager.set_admin_state(turn, nodes[one.uuid], AdminState.IN_MAINTENANCE)
    cluster.heal()
    assert len(holders(cluster, block_id)) == 2
    with cluster.turn() as turn:
        cluster.manager.set_admin_state(turn, nodes[two.uuid], AdminState.IN_MAINTENANCE)
    cluster.heal()
    assert len(holders(cluster, block_id)) == 3


def test_files_of_unfinished_blocks_are_left_alone() -> None:
    cluster = cluster_of(3)
    facts = cluster.open_block(2)
    assert facts is not None
    with cluster.turn() as turn:
        cluster.manager.replication_changed(turn, [facts.block_id, 1234])
    assert cluster.manager.statistics().under_replicated == 0
    assert isinstance(cluster.catalog.blocks[facts.block_id], BlockFacts)


@pytest.mark.requirement("A16")
def test_a_surplus_replica_that_is_found_bad_is_not_kept_after_all() -> None:
    cluster = cluster_of(4)
    block_id = write(cluster, 3)
    cluster.set_replication(block_id, 2)
    (victim,) = [
        node
        for node in cluster.nodes.values()
        if cluster.manager.registry.nodes[node.uuid].doomed(block_id)
    ]
    spoil(cluster, victim, block_id)
    cluster.set_replication(block_id, 3)
    assert len(cluster.manager.survey(cluster.store.snapshot(), block_id).live) == 2
    cluster.heal()
    good = holders(cluster, block_id)
    assert len(good) == 3
    assert not any(node.find(block_id)[1].rotten for node in good)  # type: ignore[index]


def test_a_removal_dies_with_its_storage() -> None:
    cluster = ModelCluster(SETTINGS, disks=2)
    for _ in range(2):
        cluster.add_node()
    cluster.heal()
    block_id = write(cluster, 2)
    cluster.set_replication(block_id, 1)
    (victim,) = [
        node
        for node in cluster.nodes.values()
        if cluster.manager.registry.nodes[node.uuid].doomed(block_id)
    ]
    lost = victim.find(block_id)[0]  # type: ignore[index]
    victim.disks[lost].clear()
    victim.failed.add(lost)
    cluster.heartbeat(victim, reply_lost=True)
    cluster.set_replication(block_id, 2)
    cluster.heal()
    # Its new replica, on the other disk, is not taken for the old one.
    assert len(holders(cluster, block_id)) == 2
    assert not cluster.manager.registry.nodes[victim.uuid].doomed(block_id)
