"""Registration, heartbeats, liveness and storages."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from blocks_model import CAPACITY, ModelCluster
from hypothesis import given

from cairnfs.blocks.commands import BalancerBandwidth, Register
from cairnfs.blocks.hosts import HostSets
from cairnfs.blocks.nodes import DatanodeDescriptor
from cairnfs.blocks.notices import DatanodeDead, DatanodeRegistered, DatanodeStale, StorageFailed
from cairnfs.blocks.registry import Heartbeat, NodeRegistry
from cairnfs.blocks.settings import BlockSettings
from cairnfs.blocks.statistics import ReportType
from cairnfs.config import Configuration
from cairnfs.errors import DisallowedDatanode, FileSystemError
from cairnfs.store.memory import MemoryStore
from cairnfs.types import AdminState, DatanodeID

SETTINGS = BlockSettings(stale_after_ms=1_000, dead_after_ms=5_000, redundancy_grace_ms=0)


def cluster_of(nodes: int, settings: BlockSettings = SETTINGS) -> ModelCluster:
    cluster = ModelCluster(settings)
    for _ in range(nodes):
        cluster.heartbeat(cluster.add_node())
    return cluster


@pytest.mark.requirement("A06")
def test_an_unknown_node_is_told_to_register() -> None:
    cluster = cluster_of(0)
    with cluster.turn() as turn:
        reply = cluster.manager.heartbeat(turn, Heartbeat("nobody", ()))
    assert reply.commands == (Register(),)


@pytest.mark.requirement("A02")
def test_a_node_registers_and_comes_back_under_another_address() -> None:
    cluster = cluster_of(1)
    node = cluster.nodes["dn-1"]
    assert DatanodeRegistered("dn-1", "10.0.0.1:9866", False) in cluster.manager.take_notices()
    node.id = replace(node.id, ip_addr="10.0.0.77", host_name="moved")
    cluster.register(node)
    assert DatanodeRegistered("dn-1", "10.0.0.77:9866", True) in cluster.manager.take_notices()
    registry = cluster.manager.registry
    assert [one.uuid for one in registry.at_host("10.0.0.77")] == ["dn-1"]
    assert list(registry.at_host("10.0.0.1")) == []
    assert registry.at_address("10.0.0.1:9866") is None
    assert len(registry.nodes) == len(registry.topology) == registry.totals.live == 1


def test_a_new_node_at_an_old_address_replaces_the_old_one() -> None:
    cluster = cluster_of(2)
    facts = cluster.write(2)
    assert facts is not None
    for node in cluster.nodes.values():
        cluster.send_changes(node)
    old = cluster.nodes.pop("dn-1")
    old.id = replace(old.id, datanode_uuid="dn-fresh")
    old.disks = {"DS-fresh": {}}
    old.changes.clear()
    cluster.nodes["dn-fresh"] = old
    cluster.register(old)
    cluster.heartbeat(old)
    cluster.tick()
    assert set(cluster.manager.registry.nodes) == {"dn-2", "dn-fresh"}
    cluster.heal()
    assert old.find(facts.block_id) is not None
    cluster.check_indexes()


@pytest.mark.requirement("A30")
def test_hosts_that_may_not_join() -> None:
    cluster = cluster_of(1)
    cluster.manager.registry.hosts = HostSets.of(include={"10.0.0.1"})
    with pytest.raises(DisallowedDatanode, match=r"dfs\.hosts"):
        cluster.add_node()
    with cluster.turn() as turn:
        cluster.manager.set_hosts(turn, HostSets.of(include={"elsewhere"}))
    with cluster.turn() as turn, pytest.raises(DisallowedDatanode):
        cluster.manager.heartbeat(turn, Heartbeat("dn-1", ()))
    assert not cluster.manager.registry.nodes["dn-1"].alive


def test_excluded_hosts_begin_to_leave_and_may_stay_after_all() -> None:
    cluster = cluster_of(2)
    node = cluster.manager.registry.nodes["dn-1"]
    with cluster.turn() as turn:
        cluster.manager.set_hosts(turn, HostSets.of(exclude={"10.0.0.1"}))
    assert node.admin_state == AdminState.DECOMMISSION_INPROGRESS
    assert cluster.manager.registry.totals.in_service == 1
    assert len(cluster.manager.datanodes(ReportType.DECOMMISSIONING)) == 1
    cluster.register(cluster.nodes["dn-1"])
    assert node.admin_state == AdminState.DECOMMISSION_INPROGRESS
    with cluster.turn() as turn:
        cluster.manager.set_hosts(turn, HostSets())
    assert node.admin_state == AdminState.NORMAL
    assert cluster.manager.registry.totals.in_service == 2


@pytest.mark.requirement("A07", "D05")
def test_silence_makes_stale_then_dead() -> None:
    cluster = cluster_of(3)
    cluster.manager.take_notices()
    first, second = cluster.nodes["dn-1"], cluster.nodes["dn-2"]
    cluster.now_ms += 999
    cluster.heartbeat(second)
    cluster.tick(1)
    assert {one.datanode_uuid for one in cluster.notices} == {"dn-1", "dn-3"}
    assert all(isinstance(one, DatanodeStale) for one in cluster.notices)
    assert cluster.manager.registry.totals.stale == 2
    cluster.heartbeat(first)
    assert cluster.manager.registry.totals.stale == 1
    cluster.notices.clear()
    cluster.tick(4_000)
    died = [one.datanode_uuid for one in cluster.notices if isinstance(one, DatanodeDead)]
    assert died == ["dn-3"]
    assert len(cluster.manager.datanodes(ReportType.DEAD)) == 1
    assert len(cluster.manager.datanodes(ReportType.LIVE)) == 2
    assert len(cluster.manager.registry.topology) == 2
    # A dead node must register, so that it reports everything anew.
    cluster.heartbeat(cluster.nodes["dn-3"])
    assert cluster.manager.registry.nodes["dn-3"].alive
    assert cluster.manager.registry.totals.live == 3


def test_a_lifeline_keeps_a_busy_node_alive() -> None:
    cluster = cluster_of(1)
    for _ in range(10):
        cluster.now_ms += 900
        cluster.manager.lifeline("dn-1", cluster.now_ms)
        cluster.manager.lifeline("nobody", cluster.now_ms)
        cluster.tick()
    node = cluster.manager.registry.nodes["dn-1"]
    assert node.alive
    assert not node.stale


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2_500), st.sampled_from("hhhr")), max_size=40
    )
)
@pytest.mark.requirement("A29")
def test_liveness_is_that_of_a_plain_scan(steps: list[tuple[int, int, str]]) -> None:
    registry = NodeRegistry(SETTINGS, lambda host: None, HostSets())
    batch = MemoryStore().batch()
    heard: dict[str, int] = {}
    now_ms = 0
    for number, pause_ms, action in steps:
        now_ms += pause_ms
        registry.expire(now_ms)
        uuid = f"dn-{number}"
        node = registry.nodes.get(uuid)
        if node is None or not node.registered or action == "r":
            host = f"10.0.0.{number}"
            registry.register(batch, DatanodeID(host, host, uuid, 1, 2, 3), "", now_ms)
        else:
            registry.heartbeat(batch, node, Heartbeat(uuid, ()), now_ms)
        heard[uuid] = now_ms
        _check_liveness(registry, heard, now_ms)
    now_ms += 4_000
    registry.expire(now_ms)
    _check_liveness(registry, heard, now_ms)


def _check_liveness(registry: NodeRegistry, heard: dict[str, int], now_ms: int) -> None:
    for uuid, heard_ms in heard.items():
        node = registry.nodes[uuid]
        assert node.alive == (now_ms - heard_ms < SETTINGS.dead_after_ms)
        assert node.stale == (now_ms - heard_ms >= SETTINGS.stale_after_ms)
    live = [node for node in registry.nodes.values() if node.alive]
    assert registry.totals.live == len(live) == len(registry.topology)
    assert registry.totals.stale == sum(node.stale for node in live)


@pytest.mark.requirement("A08")
def test_heartbeats_carry_figures() -> None:
    cluster = cluster_of(2)
    stats = cluster.manager.statistics()
    assert (stats.capacity, stats.remaining) == (2 * CAPACITY, 2 * CAPACITY)
    assert stats.live_datanodes == 2
    beat = Heartbeat("dn-1", (), xceiver_count=7, failed_volumes=1, cache_capacity=5, cache_used=2)
    with cluster.turn() as turn:
        cluster.manager.heartbeat(turn, beat)
    node = cluster.manager.registry.nodes["dn-1"]
    assert (node.xceivers, node.failed_volumes, node.cache_used) == (7, 1, 2)
    assert cluster.manager.statistics().xceivers == 7
    cluster.manager.wall_offset_ms = 500
    info = node.info(500)
    assert info.last_update_ms == cluster.now_ms + 500
    assert info is node.info(500)
    version = node.version
    cluster.heartbeat(cluster.nodes["dn-1"])
    assert node.version > version


def test_a_storage_that_is_missing_or_failed_holds_nothing() -> None:
    cluster = ModelCluster(SETTINGS, disks=2)
    nodes = [cluster.add_node() for _ in range(3)]
    for node in nodes:
        cluster.heartbeat(node)
    facts = cluster.write(2)
    assert facts is not None
    cluster.heal()
    holder = next(node for node in nodes if node.find(facts.block_id))
    storage_uuid = holder.find(facts.block_id)[0]  # type: ignore[index]
    holder.failed.add(storage_uuid)
    cluster.heartbeat(holder)
    assert StorageFailed(holder.uuid, storage_uuid) in cluster.manager.take_notices()
    cluster.heal()
    facts = cluster.catalog.blocks[facts.block_id]
    assert len([node for node in nodes if cluster.is_valid(node, facts)]) == 2
    # Named failed in every heartbeat, it is struck off once.
    storages = cluster.manager.registry.nodes[holder.uuid].storages
    assert set(storages) == set(holder.disks) - {storage_uuid}
    assert max(cluster.manager.registry.storages) == 5
    # Repaired, it is a storage like any other.
    holder.failed.clear()
    cluster.heartbeat(holder)
    assert set(storages) == set(holder.disks)
    cluster.check_indexes()


@pytest.mark.requirement("A04")
def test_a_restarted_namenode_answers_reads_before_any_heartbeat() -> None:
    cluster = cluster_of(3)
    facts = cluster.write(3)
    assert facts is not None
    for node in cluster.nodes.values():
        cluster.send_changes(node)
    cluster.start(survived=True)
    assert not cluster.manager.safe_mode.on
    facts = cluster.catalog.blocks[facts.block_id]
    located = cluster.manager.locate(cluster.store.snapshot(), facts, 0, "10.0.0.2")
    assert len(located.locations) == 3
    assert located.locations[0].id.ip_addr == "10.0.0.2"
    # But nobody is given work before it has registered.
    with pytest.raises(FileSystemError):
        cluster.manager.choose_targets(_request())
    cluster.heartbeat(cluster.nodes["dn-1"])
    assert cluster.manager.registry.nodes["dn-1"].registered


def _request() -> object:
    from cairnfs.blocks.targets import TargetRequest

    return TargetRequest("/f", 1, 1)


def test_balancer_bandwidth_is_told_once() -> None:
    cluster = cluster_of(1)
    cluster.manager.set_balancer_bandwidth(1 << 20)
    cluster.heartbeat(cluster.nodes["dn-1"])
    cluster.heartbeat(cluster.nodes["dn-1"])
    assert list(cluster.nodes["dn-1"].orders) == [BalancerBandwidth(1 << 20)]


def test_a_node_that_stays_away_is_forgotten() -> None:
    cluster = cluster_of(3, replace(SETTINGS, dead_forget_ms=60_000))
    facts = cluster.write(3)
    assert facts is not None
    cluster.heal()
    gone = cluster.nodes.pop("dn-1")
    cluster.heal()
    for _ in range(40):
        for node in cluster.nodes.values():
            cluster.heartbeat(node)
        cluster.tick(3_000)
    assert gone.uuid not in cluster.manager.registry.nodes
    cluster.check_indexes()


def test_settings_follow_hadoops_formula() -> None:
    settings = BlockSettings.of(Configuration({}))
    assert settings == BlockSettings()
    fast = BlockSettings.of(
        Configuration(
            {"dfs.heartbeat.interval": "250ms", "dfs.namenode.heartbeat.recheck-interval": "0"}
        )
    )
    assert (fast.dead_after_ms, fast.stale_after_ms) == (2_500, 2_500)


def test_descriptors_name_their_node() -> None:
    node = DatanodeDescriptor(DatanodeID("10.0.0.1", "h", "u", 9866, 1, 2), "/r", 0)
    assert "10.0.0.1:9866" in repr(node)
