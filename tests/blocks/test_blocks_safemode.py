"""Safe mode: when it is on, why, and what ends it."""

from __future__ import annotations

import pytest
from blocks_model import ModelCluster

from cairnfs.blocks.notices import SafeModeLeft
from cairnfs.blocks.safemode import SafeMode, SafeModeState
from cairnfs.blocks.settings import BlockSettings
from cairnfs.types import Block

SETTINGS = BlockSettings(safemode_extension_ms=5_000)


def begun(total: int, *, survived: bool = False, settings: BlockSettings = SETTINGS) -> SafeMode:
    mode = SafeMode(settings)
    mode.begin(total, 0, survived=survived)
    return mode


def test_a_map_that_survived_needs_no_reports() -> None:
    assert not begun(1_000_000, survived=True).on
    assert not begun(0).on


def test_blocks_are_waited_for_then_the_extension() -> None:
    mode = begun(1_000)
    mode.block_safe(998)
    assert not mode.look(10)
    assert mode.state == SafeModeState.PENDING
    assert "998 of 1000 are known, 999 are required, 1 are lacking." in mode.reason(10)
    mode.block_safe(1)
    assert not mode.look(20)
    assert mode.state == SafeModeState.EXTENSION
    assert "It ends by itself in 5 s." in mode.reason(20)
    # It starts again when a block is lost meanwhile.
    mode.block_safe(-1)
    assert not mode.look(30)
    assert mode.state == SafeModeState.PENDING
    mode.block_safe(1)
    mode.look(40)
    assert not mode.look(5_039)
    assert mode.look(5_040)
    assert mode.reason(5_040) == "Safe mode is off."
    assert not mode.look(5_050)


def test_datanodes_may_be_required() -> None:
    mode = begun(10, survived=True, settings=BlockSettings(safemode_min_datanodes=2))
    assert mode.on
    assert not mode.counting
    assert "0 DataNodes are live; 2 are required." in mode.reason(0)
    mode.live_datanodes = 2
    assert mode.look(1)


def test_an_operator_has_the_last_word() -> None:
    mode = begun(0)
    mode.enter()
    assert mode.on
    assert "operator" in mode.reason(0)
    assert not mode.look(1_000_000)
    assert mode.leave()
    assert not mode.on


def test_data_newer_than_the_namespace_is_not_given_up_lightly() -> None:
    mode = begun(1)
    mode.block_safe(1)
    mode.future_replica("DS-1", Block(5, 9_000, 700))
    mode.future_replica("DS-1", Block(5, 9_000, 700))
    mode.look(0)
    assert mode.state == SafeModeState.PENDING
    assert "700 bytes in blocks that are newer" in mode.reason(0)
    assert not mode.leave()
    assert mode.leave(force=True)
    assert mode.future_accepted
    assert mode.future_bytes == 0


@pytest.mark.requirement("A03")
def test_a_namenode_without_a_map_learns_it_from_reports() -> None:
    cluster = ModelCluster(SETTINGS)
    for _ in range(3):
        cluster.add_node()
    cluster.heal()
    ids = []
    for _ in range(4):
        facts = cluster.write(2)
        assert facts is not None
        ids.append(facts.block_id)
    cluster.heal()
    cluster.start(survived=False)
    mode = cluster.manager.safe_mode
    assert (mode.state, mode.blocks_total) == (SafeModeState.PENDING, 4)
    for node in cluster.nodes.values():
        cluster.register(node)
        cluster.heartbeat(node)
        assert not node.orders
        cluster.begin_report(node)
    while cluster.reports:
        cluster.step_report()
    assert mode.blocks_safe == 4
    # A replica that is lost meanwhile, and comes again.
    cluster.tick()
    assert mode.state == SafeModeState.EXTENSION
    # Nothing is copied or removed before the end.
    assert cluster.manager.statistics().under_replicated == 0
    cluster.tick(5_000)
    assert not mode.on
    assert any(isinstance(one, SafeModeLeft) for one in cluster.notices)
    cluster.heal()
    assert all(
        cluster.manager.live_replicas(cluster.store.snapshot(), block_id) == 2 for block_id in ids
    )


def test_no_orders_are_given_in_safe_mode() -> None:
    cluster = ModelCluster(SETTINGS)
    for _ in range(3):
        cluster.add_node()
    cluster.heal()
    facts = cluster.write(3)
    assert facts is not None
    cluster.heal()
    cluster.manager.enter_safe_mode()
    cluster.set_replication(facts.block_id, 1)
    cluster.tick()
    for node in cluster.nodes.values():
        cluster.heartbeat(node)
        assert not node.orders
    assert cluster.manager.leave_safe_mode()
    assert cluster.manager.leave_safe_mode()
    cluster.heal()
    assert cluster.manager.live_replicas(cluster.store.snapshot(), facts.block_id) == 1
