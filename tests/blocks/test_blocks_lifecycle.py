"""Blocks between their writer and the block layer: pipelines, appends, recovery."""

from __future__ import annotations

from dataclasses import replace

import pytest
from blocks_model import BLOCK_BYTES, ModelCluster

from cairnfs.blocks.commands import RecoverBlocks
from cairnfs.blocks.notices import BlockReachedMinimum, RecoveryOverdue
from cairnfs.blocks.settings import BlockSettings
from cairnfs.types import Block, BlockFacts, BlockState, ReplicaState

SETTINGS = BlockSettings(heartbeat_interval_ms=1_000, stale_after_ms=10_000)


def cluster_of(nodes: int, settings: BlockSettings = SETTINGS) -> ModelCluster:
    cluster = ModelCluster(settings)
    for _ in range(nodes):
        cluster.add_node()
    cluster.heal()
    return cluster


def set_facts(cluster: ModelCluster, facts: BlockFacts, **changes: object) -> BlockFacts:
    changed = replace(facts, **changes)  # type: ignore[arg-type]
    cluster.catalog.blocks[facts.block_id] = changed
    return changed


def opened(cluster: ModelCluster, replication: int = 3) -> BlockFacts:
    facts = cluster.open_block(replication)
    assert facts is not None
    for node in cluster.nodes.values():
        cluster.send_changes(node)
    return facts


def pipeline(cluster: ModelCluster, block_id: int) -> list[str]:
    block = cluster.manager.parts.open_blocks.get(block_id)
    assert block is not None
    return [storage.node.uuid for storage in block.storages]


def live(cluster: ModelCluster, block_id: int) -> int:
    return cluster.manager.live_replicas(cluster.store.snapshot(), block_id)


@pytest.mark.requirement("A05")
def test_a_block_is_read_while_it_is_written() -> None:
    cluster = cluster_of(4)
    facts = opened(cluster)
    view = cluster.store.snapshot()
    located = cluster.manager.locate(view, facts, 0, "10.9.9.9")
    assert {one.id.datanode_uuid for one in located.locations} == set(
        pipeline(cluster, facts.block_id)
    )
    assert cluster.manager.expected_locations(view, facts.block_id) == 3
    assert live(cluster, facts.block_id) == 0
    # After a restart of the process as well.
    cluster.start(survived=True)
    again = cluster.manager.locate(cluster.store.snapshot(), facts, 0, "10.9.9.9")
    assert {one.id for one in again.locations} == {one.id for one in located.locations}


@pytest.mark.requirement("A11")
def test_the_minimum_of_replicas_is_told_once_it_is_there() -> None:
    cluster = cluster_of(3, replace(SETTINGS, replication_min=2))
    facts = opened(cluster)
    nodes = [cluster.nodes[uuid] for uuid in pipeline(cluster, facts.block_id)]
    block = Block(facts.block_id, facts.generation_stamp, 500)
    for node in nodes:
        node.put(node.find(block.block_id)[0], block, ReplicaState.FINALIZED)  # type: ignore[index]
    cluster.send_changes(nodes[0])
    # The writer asks before the reports are in.
    facts = set_facts(cluster, facts, state=BlockState.COMMITTED, num_bytes=500)
    with cluster.turn() as turn:
        assert cluster.manager.committed(turn, facts) == 1
    assert not [
        one for one in cluster.manager.take_notices() if isinstance(one, BlockReachedMinimum)
    ]
    cluster.send_changes(nodes[1])
    assert BlockReachedMinimum(block.block_id) in cluster.notices
    assert cluster.catalog.blocks[block.block_id].state == BlockState.COMPLETE
    assert cluster.manager.statistics().open_blocks == 0


@pytest.mark.requirement("A05")
def test_a_pipeline_that_lost_a_node_goes_on_without_it() -> None:
    cluster = cluster_of(4)
    facts = opened(cluster)
    first, second, lost = (cluster.nodes[uuid] for uuid in pipeline(cluster, facts.block_id))
    # The lost one had finalised its replica; then the generation changed.
    old = Block(facts.block_id, facts.generation_stamp, 700)
    lost.put(lost.find(old.block_id)[0], old, ReplicaState.FINALIZED)  # type: ignore[index]
    cluster.send_changes(lost)
    facts = set_facts(cluster, facts, generation_stamp=cluster.catalog.next_stamp())
    fresh = Block(facts.block_id, facts.generation_stamp, 900)
    first.put(first.find(old.block_id)[0], fresh, ReplicaState.FINALIZED)  # type: ignore[index]
    cluster.send_changes(first)  # reported under the new stamp before the writer tells
    with cluster.turn() as turn:
        cluster.manager.pipeline_updated(
            turn,
            facts,
            [first.uuid, second.uuid],
            [first.find(old.block_id)[0], ""],  # type: ignore[index]
        )
    assert pipeline(cluster, facts.block_id) == [first.uuid, second.uuid]
    assert live(cluster, facts.block_id) == 1
    assert (
        "missed generation"
        in next(iter(cluster.manager.parts.corrupt.of(facts.block_id).values())).reason
    )
    second.put(second.find(old.block_id)[0], fresh, ReplicaState.FINALIZED)  # type: ignore[index]
    cluster.send_changes(second)
    cluster.commit(facts, 900)
    cluster.heal()
    # The stale replica is gone and a third good one has been made.
    good = [
        n
        for n in cluster.nodes.values()
        if cluster.is_valid(n, cluster.catalog.blocks[old.block_id])
    ]
    assert len(good) == 3
    assert cluster.manager.statistics().corrupt_blocks == 0


def test_replicas_of_another_length_are_corrupt_once_the_block_is_committed() -> None:
    cluster = cluster_of(4)
    facts = opened(cluster)
    nodes = [cluster.nodes[uuid] for uuid in pipeline(cluster, facts.block_id)]
    for node, length in zip(nodes, (500, 500, 400), strict=True):
        block = Block(facts.block_id, facts.generation_stamp, length)
        node.put(node.find(block.block_id)[0], block, ReplicaState.FINALIZED)  # type: ignore[index]
        cluster.send_changes(node)
    assert live(cluster, facts.block_id) == 3
    facts = set_facts(cluster, facts, state=BlockState.COMPLETE, num_bytes=500)
    with cluster.turn() as turn:
        cluster.manager.completed(turn, facts)
    assert live(cluster, facts.block_id) == 2
    assert (
        "it has 400 bytes"
        in next(iter(cluster.manager.parts.corrupt.of(facts.block_id).values())).reason
    )
    cluster.heal()
    assert live(cluster, facts.block_id) == 3


@pytest.mark.requirement("C01")
def test_append_opens_a_block_again() -> None:
    cluster = cluster_of(4)
    facts = cluster.write(3)
    assert facts is not None
    cluster.heal()
    facts = set_facts(
        cluster, cluster.catalog.blocks[facts.block_id], state=BlockState.UNDER_CONSTRUCTION
    )
    with cluster.turn() as turn:
        cluster.manager.reopened(turn, facts, BLOCK_BYTES)
    members = pipeline(cluster, facts.block_id)
    assert len(members) == 3
    # The append goes on with a new generation on two of them.
    facts = set_facts(cluster, facts, generation_stamp=cluster.catalog.next_stamp())
    fresh = Block(facts.block_id, facts.generation_stamp, 2 * BLOCK_BYTES)
    for uuid in members[:2]:
        node = cluster.nodes[uuid]
        node.put(node.find(facts.block_id)[0], fresh, ReplicaState.RBW)  # type: ignore[index]
        cluster.send_changes(node)
    with cluster.turn() as turn:
        cluster.manager.pipeline_updated(turn, facts, members[:2], [])
    cluster.finish_block(facts, 2 * BLOCK_BYTES)
    cluster.heal()
    done = cluster.catalog.blocks[facts.block_id]
    assert done.state == BlockState.COMPLETE
    assert sum(cluster.is_valid(node, done) for node in cluster.nodes.values()) == 3
    stamps = {
        held[1].stamp for node in cluster.nodes.values() if (held := node.find(done.block_id))
    }
    assert stamps == {done.generation_stamp}


@pytest.mark.requirement("A21")
def test_recovery_is_led_by_one_node_after_the_other() -> None:
    cluster = cluster_of(3)
    facts = opened(cluster)
    facts = set_facts(cluster, facts, state=BlockState.UNDER_RECOVERY)
    led: list[str] = []
    for _ in range(4):
        with cluster.turn() as turn:
            assert cluster.manager.recover(turn, facts, cluster.catalog.next_stamp())
        for node in cluster.nodes.values():
            cluster.heartbeat(node)
        (leader,) = [node for node in cluster.nodes.values() if node.orders]
        (order,) = leader.orders
        assert isinstance(order, RecoverBlocks)
        (recovering,) = order.blocks
        assert recovering.block.generation_stamp == facts.generation_stamp
        assert recovering.new_generation_stamp == cluster.catalog.stamp
        assert len(recovering.locations) == len(recovering.storage_ids) == 3
        leader.orders.clear()
        led.append(leader.uuid)
        assert cluster.manager.statistics().recovering_blocks == 1
        # Nothing comes of it.
        for _ in range(30):
            cluster.now_ms += 1_000
            for node in cluster.nodes.values():
                cluster.heartbeat(node)
        with cluster.turn() as turn:
            cluster.manager.check_liveness(turn)
        assert RecoveryOverdue(facts.block_id) in cluster.manager.take_notices()
        assert cluster.manager.statistics().recovering_blocks == 0
    assert len(set(led[:3])) == 3
    assert led[3] in led[:3]


@pytest.mark.requirement("A21")
def test_recovery_ends_with_the_new_generation() -> None:
    cluster = cluster_of(3)
    facts = opened(cluster)
    facts = set_facts(cluster, facts, state=BlockState.UNDER_RECOVERY)
    silent = cluster.nodes[pipeline(cluster, facts.block_id)[2]]
    stamp = cluster.catalog.next_stamp()
    cluster.stop(silent)
    cluster.now_ms += SETTINGS.stale_after_ms
    others = [node for node in cluster.nodes.values() if node is not silent]
    for node in others:
        cluster.heartbeat(node)
    with cluster.turn() as turn:
        cluster.manager.check_liveness(turn)
        assert cluster.manager.recover(turn, facts, stamp, new_length=300)
    for node in others:
        cluster.heartbeat(node)
    (leader,) = [node for node in cluster.nodes.values() if node.orders]
    (recovering,) = leader.orders.popleft().blocks  # type: ignore[attr-defined]
    # Silent nodes are left out while there are two others.
    assert {one.id.datanode_uuid for one in recovering.locations} == {n.uuid for n in others}
    assert recovering.new_length == 300
    for node in others:
        block = Block(facts.block_id, stamp, 300)
        node.put(node.find(block.block_id)[0], block, ReplicaState.FINALIZED)  # type: ignore[index]
    cluster.send_changes(others[0])  # before the primary tells the NameNode
    facts = set_facts(
        cluster, facts, state=BlockState.COMMITTED, generation_stamp=stamp, num_bytes=300
    )
    with cluster.turn() as turn:
        cluster.manager.pipeline_updated(turn, facts, [node.uuid for node in others], [])
        assert cluster.manager.committed(turn, facts) == 1
    cluster.complete(facts.block_id)
    cluster.heal()
    done = cluster.catalog.blocks[facts.block_id]
    assert cluster.manager.statistics().recovering_blocks == 0
    assert sum(cluster.is_valid(node, done) for node in cluster.nodes.values()) == 3


def test_recovery_without_anybody_there_is_told() -> None:
    cluster = cluster_of(1)
    facts = set_facts(cluster, opened(cluster, 1), state=BlockState.UNDER_RECOVERY)
    cluster.start(survived=True)  # nobody has registered with this process
    with cluster.turn() as turn:
        assert not cluster.manager.recover(turn, facts, cluster.catalog.next_stamp())
        cluster.manager.check_liveness(turn)
    assert not cluster.manager.take_notices()
    for node in cluster.nodes.values():
        cluster.heartbeat(node)
    with cluster.turn() as turn:
        cluster.manager.check_liveness(turn)
    assert RecoveryOverdue(facts.block_id) in cluster.manager.take_notices()


def test_a_primary_that_dies_before_it_is_told_is_replaced() -> None:
    settings = replace(SETTINGS, dead_after_ms=15_000)
    cluster = cluster_of(2, settings)
    facts = set_facts(cluster, opened(cluster, 2), state=BlockState.UNDER_RECOVERY)
    with cluster.turn() as turn:
        cluster.manager.recover(turn, facts, cluster.catalog.next_stamp())
    (primary,) = [
        cluster.nodes[uuid]
        for uuid, node in cluster.manager.registry.nodes.items()
        if node.recoveries
    ]
    (other,) = [node for node in cluster.nodes.values() if node is not primary]
    for _ in range(16):
        cluster.now_ms += 1_000
        cluster.heartbeat(other)
        with cluster.turn() as turn:
            cluster.manager.check_liveness(turn)
    assert RecoveryOverdue(facts.block_id) in cluster.manager.take_notices()
    with cluster.turn() as turn:
        assert cluster.manager.recover(turn, facts, cluster.catalog.next_stamp())
    cluster.heartbeat(other)
    assert isinstance(other.orders[0], RecoverBlocks)
