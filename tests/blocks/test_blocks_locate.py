"""Where a block is read: nearest first, doubtful ones last."""

from __future__ import annotations

from dataclasses import replace

import pytest
from blocks_model import ModelCluster

from cairnfs.blocks import tables
from cairnfs.blocks.settings import BlockSettings
from cairnfs.types import AdminState, BlockFacts

SETTINGS = BlockSettings(stale_after_ms=10_000, dead_after_ms=30_000)


def three_racks() -> tuple[ModelCluster, BlockFacts]:
    """Six nodes in three racks (node n in /rack n%3), a block on all of them."""
    cluster = ModelCluster(SETTINGS, racks=3)
    for _ in range(6):
        cluster.add_node()
    cluster.heal()
    facts = cluster.write(6)
    assert facts is not None
    cluster.heal()
    return cluster, cluster.catalog.blocks[facts.block_id]


def order(cluster: ModelCluster, facts: BlockFacts, client: str) -> list[str]:
    located = cluster.manager.locate(cluster.store.snapshot(), facts, 0, client)
    assert len(located.locations) == len(located.storage_ids) == len(located.storage_types)
    return [one.id.datanode_uuid for one in located.locations]


@pytest.mark.requirement("C06")
def test_same_host_then_same_rack_then_the_rest() -> None:
    cluster, facts = three_racks()
    firsts = set()
    for _ in range(20):
        found = order(cluster, facts, "10.0.0.2")
        assert found[:2] == ["dn-2", "dn-5"]
        assert len(found) == 6
        firsts.add(found[2])
    # Equals come in random order, so that readers spread.
    assert len(firsts) > 1
    cluster.locations["client"] = "/rack0"
    assert set(order(cluster, facts, "client")[:2]) == {"dn-3", "dn-6"}


def test_stale_leaving_and_vanishing_replicas_come_last() -> None:
    cluster, facts = three_racks()
    registry = cluster.manager.registry
    with cluster.turn() as turn:
        cluster.manager.set_admin_state(
            turn, registry.nodes["dn-5"], AdminState.DECOMMISSION_INPROGRESS
        )
        index = next(iter(registry.nodes["dn-3"].storages.values())).index
        replicas = [
            (one, flags | (tables.DELETING if one == index else 0))
            for one, flags in tables.read_replicas(turn.tx, facts.block_id)
        ]
        tables.write_replicas(turn.tx, facts.block_id, replicas)
    cluster.now_ms += SETTINGS.stale_after_ms
    for uuid, node in cluster.nodes.items():
        if uuid != "dn-2":
            cluster.heartbeat(node)
    with cluster.turn() as turn:
        cluster.manager.check_liveness(turn)
    assert order(cluster, facts, "10.0.0.2")[-3:] == ["dn-2", "dn-5", "dn-3"]


@pytest.mark.requirement("A16", "A07")
def test_corrupt_and_dead_replicas_are_left_out() -> None:
    cluster, facts = three_racks()
    assert cluster.report_bad(cluster.nodes["dn-2"], facts.block_id)
    cluster.now_ms += SETTINGS.dead_after_ms
    for uuid, node in cluster.nodes.items():
        if uuid != "dn-5":
            cluster.manager.lifeline(node.uuid, cluster.now_ms)
    with cluster.turn() as turn:
        cluster.manager.check_liveness(turn)
    assert set(order(cluster, facts, "10.0.0.2")) == {"dn-1", "dn-3", "dn-4", "dn-6"}


def test_a_block_that_nobody_holds() -> None:
    cluster, facts = three_racks()
    missing = replace(facts, block_id=3)
    located = cluster.manager.locate(cluster.store.snapshot(), missing, 77, "10.0.0.2")
    assert (located.locations, located.corrupt, located.offset) == ((), False, 77)
