"""Storms: nodes die and return, messages come late, twice or never; then all heals.

Afterwards every block that a good replica was left of is at its replication, nothing
surplus or corrupt remains, and no removal ever endangered a block."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from blocks_model import ModelCluster, ModelDatanode
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cairnfs.blocks.settings import BlockSettings
from cairnfs.types import BlockFacts, BlockState, ReplicaState

SETTINGS = BlockSettings(
    heartbeat_interval_ms=3_000,
    stale_after_ms=10_000,
    dead_after_ms=30_000,
    redundancy_grace_ms=5_000,
    pending_timeout_ms=20_000,
    excess_timeout_ms=60_000,
    report_slice=3,
    report_lease_ms=100_000,
    safemode_extension_ms=5_000,
)


class Storm(RuleBasedStateMachine):
    """The rules are what can happen; the machine's end is the healing."""

    @initialize(
        seed=st.integers(0, 1 << 30),
        nodes=st.integers(2, 6),
        racks=st.integers(1, 3),
        disks=st.integers(1, 2),
    )
    def begin(self, seed: int, nodes: int, racks: int, disks: int) -> None:
        self.cluster = ModelCluster(SETTINGS, seed, racks, disks)
        for _ in range(nodes):
            self.cluster.add_node()
        self.cluster.heal()

    def _node(self, number: int) -> ModelDatanode:
        nodes = list(self.cluster.nodes.values())
        return nodes[number % len(nodes)]

    def _block(self, number: int, state: BlockState) -> int | None:
        ids = [
            facts.block_id for facts in self.cluster.catalog.blocks.values() if facts.state == state
        ]
        return ids[number % len(ids)] if ids else None

    numbers = st.integers(0, 1 << 16)

    # --- files ---------------------------------------------------------------------------------

    @precondition(lambda self: not self.cluster.manager.safe_mode.on)
    @rule(replication=st.integers(1, 4))
    def write(self, replication: int) -> None:
        self.cluster.write(replication)

    @precondition(lambda self: not self.cluster.manager.safe_mode.on)
    @rule(replication=st.integers(1, 4))
    def open_block(self, replication: int) -> None:
        self.cluster.open_block(replication)

    @precondition(lambda self: not self.cluster.manager.safe_mode.on)
    @rule(number=numbers)
    def finish_block(self, number: int) -> None:
        block_id = self._block(number, BlockState.UNDER_CONSTRUCTION)
        if block_id is not None:
            self.cluster.finish_block(self.cluster.catalog.blocks[block_id])

    @precondition(lambda self: not self.cluster.manager.safe_mode.on)
    @rule(number=numbers, replication=st.integers(1, 5))
    def set_replication(self, number: int, replication: int) -> None:
        block_id = self._block(number, BlockState.COMPLETE)
        if block_id is not None:
            self.cluster.set_replication(block_id, replication)

    @precondition(lambda self: not self.cluster.manager.safe_mode.on)
    @rule(number=numbers)
    def delete(self, number: int) -> None:
        ids = list(self.cluster.catalog.blocks)
        if ids:
            self.cluster.delete(ids[number % len(ids)])

    # --- nodes ---------------------------------------------------------------------------------

    @rule()
    def add_node(self) -> None:
        if len(self.cluster.nodes) < 8:
            self.cluster.add_node()

    @rule(number=numbers)
    def stop(self, number: int) -> None:
        self.cluster.stop(self._node(number))

    @rule(number=numbers, wiped=st.booleans())
    def restart(self, number: int, wiped: bool) -> None:
        node = self._node(number)
        if node.up:
            return
        held = [facts for facts in self.cluster.catalog.blocks.values() if facts.num_bytes]
        may_lose = all(self._sound_elsewhere(node, facts) for facts in held)
        self.cluster.restart(node, wiped=wiped and may_lose)

    @rule(number=numbers, at=numbers)
    def rot(self, number: int, at: int) -> None:
        """A scanner finds a bad replica of a block that has good ones elsewhere."""
        cluster, node = self.cluster, self._node(number)
        candidates = [
            block_id
            for disk in node.disks.values()
            for block_id, replica in disk.items()
            if replica.state == ReplicaState.FINALIZED and not replica.rotten
        ]
        if not candidates or not node.up:
            return
        block_id = candidates[at % len(candidates)]
        facts = cluster.catalog.get(block_id)
        if facts is not None and self._sound_elsewhere(node, facts):
            replica = node.find(block_id)[1]  # type: ignore[index]
            replica.rotten = cluster.report_bad(node, block_id)

    def _sound_elsewhere(self, node: ModelDatanode, facts: BlockFacts) -> bool:
        """Whether another node holds the block well and is not about to remove it."""
        cluster = self.cluster
        return any(
            cluster.is_valid(other, facts)
            and not other.find(facts.block_id)[1].rotten  # type: ignore[index]
            and (other.uuid, facts.block_id) not in cluster.on_the_way
            for other in cluster.nodes.values()
            if other is not node
        )

    @rule(number=numbers)
    def fail_disk(self, number: int) -> None:
        """A disk is lost with all that is on it; the next heartbeat says so."""
        cluster, node = self.cluster, self._node(number)
        working = [uuid for uuid in node.disks if uuid not in node.failed]
        if not node.up or not node.registered or len(working) < 2:
            return
        facts = [cluster.catalog.get(block_id) for block_id in node.disks[working[0]]]
        if all(
            one is None or one.num_bytes == 0 or self._sound_elsewhere(node, one) for one in facts
        ):
            node.disks[working[0]].clear()
            node.failed.add(working[0])
            cluster.heartbeat(node)

    @rule(number=numbers)
    def repair_disk(self, number: int) -> None:
        """An empty disk in its place: it is reported as any storage is."""
        node = self._node(number)
        if node.up and node.failed:
            node.failed.clear()
            node.reported = False
            self.cluster.heartbeat(node)

    # --- messages ------------------------------------------------------------------------------

    @rule(number=numbers, reply_lost=st.booleans())
    def heartbeat(self, number: int, reply_lost: bool) -> None:
        self.cluster.heartbeat(self._node(number), reply_lost=reply_lost)

    @rule()
    def all_heartbeat(self) -> None:
        for node in self.cluster.nodes.values():
            self.cluster.heartbeat(node)

    @rule(number=numbers)
    def carry_out(self, number: int) -> None:
        node = self._node(number)
        if node.up and node.orders:
            self.cluster.carry_out(node)

    @rule()
    def all_carry_out(self) -> None:
        for node in self.cluster.nodes.values():
            while node.up and node.orders:
                self.cluster.carry_out(node)

    @rule(number=numbers, count=st.integers(1, 5), twice=st.booleans())
    def send_changes(self, number: int, count: int, twice: bool) -> None:
        self.cluster.send_changes(self._node(number), count, twice=twice)

    @rule()
    def all_send_changes(self) -> None:
        for node in self.cluster.nodes.values():
            self.cluster.send_changes(node)

    @rule(number=numbers, at=numbers)
    def replay(self, number: int, at: int) -> None:
        self.cluster.replay(self._node(number), at)

    @rule(number=numbers)
    def begin_report(self, number: int) -> None:
        self.cluster.begin_report(self._node(number))

    @rule(count=st.integers(1, 4))
    def step_report(self, count: int) -> None:
        for _ in range(count):
            self.cluster.step_report()

    # --- time and the NameNode -----------------------------------------------------------------

    @rule(ms=st.sampled_from([1_000, 3_000, 6_000, 12_000, 35_000]))
    def tick(self, ms: int) -> None:
        self.cluster.tick(ms)

    @rule(beats=st.integers(1, 4), works=st.booleans())
    def pass_time(self, beats: int, works: bool) -> None:
        """Time passes as it mostly does: nodes that run speak; they may be slow to act."""
        for _ in range(beats):
            self.cluster.now_ms += 3_000
            for node in self.cluster.nodes.values():
                self.cluster.heartbeat(node)
                while works and node.up and node.orders:
                    self.cluster.carry_out(node)
                if works:
                    self.cluster.send_changes(node)
            self.cluster.tick()

    @rule(survived=st.booleans())
    def restart_namenode(self, survived: bool) -> None:
        # Without a map nobody knows of bad replicas until they are scanned again.
        rotten = any(
            replica.rotten
            for node in self.cluster.nodes.values()
            for disk in node.disks.values()
            for replica in disk.values()
        )
        self.cluster.start(survived=survived or rotten)

    # --- what always holds ---------------------------------------------------------------------

    @invariant()
    def indexes_agree(self) -> None:
        if hasattr(self, "cluster"):
            self.cluster.check_indexes()

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        for facts in list(cluster.catalog.blocks.values()):
            if facts.state != BlockState.COMPLETE:
                cluster.delete(facts.block_id)
        cluster.heal()
        self.check_healed()

    def check_healed(self) -> None:
        cluster = self.cluster
        for facts in cluster.catalog.blocks.values():
            good, bad = 0, 0
            for node in cluster.nodes.values():
                held = node.find(facts.block_id)
                if held is None:
                    continue
                if cluster.is_valid(node, facts) and not held[1].rotten:
                    good += 1
                else:
                    bad += 1
            assert good, f"{facts} was lost"
            wanted = min(facts.replication, len(cluster.nodes))
            assert good == wanted, f"{facts} has {good} good replicas, not {wanted}"
            assert not bad, f"{facts} still has {bad} bad replicas"
        for node in cluster.nodes.values():
            for disk in node.disks.values():
                garbage = [one for one in disk if one not in cluster.catalog.blocks]
                assert not garbage, f"{node.uuid} still has {garbage}"
        cluster.check_indexes()
        stats = cluster.manager.statistics()
        assert stats.missing_blocks == stats.corrupt_blocks == 0
        assert not cluster.manager.parts.intents
        assert not cluster.manager.safe_mode.on


TestStorm = pytest.mark.requirement("A07", "A09", "A13", "A16", "A18", "E05")(Storm.TestCase)
TestStorm.settings = hypothesis_settings(max_examples=40, stateful_step_count=50)
