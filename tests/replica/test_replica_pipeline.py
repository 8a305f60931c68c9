"""The write pipeline's machine: single steps, and a model cluster whose nodes fail at random."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnfs.errors import ConnectionLost, NotFound
from cairnfs.replica import pipeline_messages as m
from cairnfs.replica.pipeline import HEARTBEAT_SEQNO, Phase, WritePipeline
from cairnfs.replica.pipeline_messages import Packet, PipelineNode, PipelineRules
from cairnfs.types import TOKEN_NONE, DatanodeID, DatanodeInfo, ExtendedBlock
from cairnfs.wire.transfer import Stage
from cairnfs.wire.transfer_reply import Status

BLOCK = ExtendedBlock("BP-1", 77, 1001, 0)
OK, BAD = Status.SUCCESS, Status.ERROR


def node(number: int) -> PipelineNode:
    return PipelineNode(
        DatanodeInfo(DatanodeID("10.0.0.9", f"n{number}", f"u{number}", number, 0, 0))
    )


NODES = [node(number) for number in range(6)]


def pipeline(count: int = 3, rules: PipelineRules | None = None, **more: object) -> WritePipeline:
    block = replace(BLOCK, num_bytes=int(more.pop("length", 0)))  # type: ignore[call-overload]
    append = bool(more.pop("append", False))
    return WritePipeline(
        block, NODES[:count], replication=3, rules=rules or PipelineRules(), append=append
    )


def streaming(count: int = 3, rules: PipelineRules | None = None) -> WritePipeline:
    found = pipeline(count, rules)
    (opened,) = found.handle(m.Start(0))
    assert isinstance(opened, m.OpenLink)
    assert (opened.stage, opened.generation_stamp) == (Stage.PIPELINE_SETUP_CREATE, 0)
    assert found.handle(m.LinkOpened(opened.attempt, 0)) == []
    return found


def packet(seqno: int, offset: int, length: int = 10, last: bool = False) -> Packet:
    return Packet(seqno, offset, 0 if last else length, last=last)


def acked(found: WritePipeline, seqno: int, *statuses: Status) -> list[m.Decision]:
    return found.handle(m.Ack(found.attempt, seqno, statuses or (OK,) * len(found.nodes), 0))


# --- single steps --------------------------------------------------------------------------------


def test_data_flows_and_the_end_waits_for_all_acknowledgements() -> None:
    found = streaming()
    first, second, end = packet(0, 0), packet(1, 10), packet(2, 20, last=True)
    assert found.handle(m.Write(first, 0)) == [m.SendPacket(first)]
    assert found.handle(m.Write(second, 0)) == [m.SendPacket(second)]
    assert found.held_bytes == 20
    assert found.handle(m.Write(end, 0)) == []
    assert acked(found, 0) == [m.Progress(0, 10)]
    assert acked(found, 1) == [m.Progress(1, 20), m.SendPacket(end)]
    assert found.held_bytes == 0
    block = replace(BLOCK, num_bytes=20)
    assert acked(found, 2) == [m.Progress(2, 20), m.CloseLink(), m.Finished(block)]
    assert found.ended


def test_packets_written_before_the_link_is_open_wait_for_it() -> None:
    found = pipeline()
    found.handle(m.Start(0))
    assert found.handle(m.Write(packet(0, 0), 0)) == []
    assert found.handle(m.LinkOpened(1, 0)) == [m.SendPacket(packet(0, 0))]


@pytest.mark.requirement("A22")
def test_a_new_block_whose_nodes_cannot_be_reached_is_given_up_for_another() -> None:
    found = pipeline()
    found.handle(m.Start(0))
    found.handle(m.Write(packet(0, 0), 0))
    decisions = found.handle(m.LinkRefused(1, 1, "it is down", 0))
    assert decisions == [
        m.CloseLink(),
        m.GiveUpBlock(BLOCK, (NODES[1],), f"{NODES[1].name}: it is down"),
    ]
    assert found.held_packets() == [packet(0, 0)]


@pytest.mark.requirement("A22")
def test_what_is_written_after_a_block_was_given_up_goes_into_the_next_as_well() -> None:
    found = pipeline()
    found.handle(m.Start(0))
    found.handle(m.Write(packet(0, 0), 0))
    found.handle(m.LinkRefused(1, 1, "it is down", 0))
    assert found.phase is Phase.GIVEN_UP
    assert found.handle(m.Write(packet(1, 10), 0)) == []
    assert found.held_packets() == [packet(0, 0), packet(1, 10)]
    assert found.held_bytes == 20


def test_a_chain_lost_before_anything_was_acknowledged_is_given_up_for_another() -> None:
    found = streaming(1)
    found.handle(m.Write(packet(0, 0), 0))
    decisions = found.handle(m.LinkLost(1, "gone", 0))
    assert isinstance(decisions[-1], m.GiveUpBlock)
    assert decisions[-1].excluded == (NODES[0],)
    assert found.held_packets() == [packet(0, 0)]


def test_a_chain_lost_with_acknowledged_data_on_it_fails() -> None:
    found = streaming(1)
    found.handle(m.Write(packet(0, 0), 0))
    acked(found, 0)
    decisions = found.handle(m.LinkLost(1, "gone", 0))
    assert isinstance(decisions[-1], m.Fail)
    assert isinstance(decisions[-1].error, ConnectionLost)


@pytest.mark.requirement("A05")
def test_a_node_that_fails_is_left_out_under_a_new_generation_and_packets_are_sent_again() -> None:
    found = streaming()
    for number in range(3):
        found.handle(m.Write(packet(number, number * 10), 0))
    acked(found, 0)
    decisions = acked(found, 1, OK, BAD)
    partly = replace(BLOCK, num_bytes=10)
    assert decisions == [m.CloseLink(), m.AskGeneration(partly)]
    assert found.nodes == (NODES[0], NODES[2])
    (opened,) = found.handle(m.GenerationGiven(1002, TOKEN_NONE))
    assert opened == m.OpenLink(
        2,
        partly,
        (NODES[0], NODES[2]),
        Stage.PIPELINE_SETUP_STREAMING_RECOVERY,
        1002,
        10,
        30,
        TOKEN_NONE,
    )
    renewed = replace(partly, generation_stamp=1002)
    assert found.handle(m.LinkOpened(2, 0)) == [
        m.UpdatePipeline(partly, renewed, (NODES[0], NODES[2]))
    ]
    assert found.handle(m.PipelineUpdated(0)) == [
        m.SendPacket(packet(1, 10)),
        m.SendPacket(packet(2, 20)),
    ]
    # What an older link still says means nothing.
    assert found.handle(m.Ack(1, 1, (OK, OK, OK), 0)) == []
    assert found.handle(m.LinkLost(1, "old", 0)) == []
    assert acked(found, 1) == [m.Progress(1, 20)]


def test_the_node_furthest_down_that_complains_is_the_bad_one() -> None:
    found = streaming()
    found.handle(m.Write(packet(0, 0), 0))
    acked(found, 0, OK, BAD, BAD)
    assert found.nodes == (NODES[0], NODES[1])


def test_a_broken_link_is_the_first_nodes_fault() -> None:
    found = streaming()
    found.handle(m.LinkLost(1, "reset", 0))
    assert found.nodes == (NODES[1], NODES[2])


@pytest.mark.parametrize("seqno", [1, 5])
def test_an_acknowledgement_out_of_order_breaks_the_link(seqno: int) -> None:
    found = streaming()
    found.handle(m.Write(packet(0, 0), 0))
    assert acked(found, seqno)[0] == m.CloseLink()


def test_more_answers_than_nodes_break_the_link() -> None:
    found = streaming()
    found.handle(m.Write(packet(0, 0), 0))
    assert acked(found, 0, OK, OK, OK, OK)[0] == m.CloseLink()


def test_the_end_of_a_block_is_recovered_by_finalising_not_by_sending() -> None:
    found = streaming()
    found.handle(m.Write(packet(0, 0), 0))
    acked(found, 0)
    end = packet(1, 10, last=True)
    assert found.handle(m.Write(end, 0)) == [m.SendPacket(end)]
    found.handle(m.LinkLost(1, "gone", 0))
    (opened,) = found.handle(m.GenerationGiven(1002, TOKEN_NONE))
    assert isinstance(opened, m.OpenLink)
    assert opened.stage is Stage.PIPELINE_CLOSE_RECOVERY
    found.handle(m.LinkOpened(2, 0))
    # The nodes close a link that has nothing more to carry.
    assert found.handle(m.LinkLost(2, "closed", 0)) == []
    finished = m.Finished(replace(BLOCK, num_bytes=10, generation_stamp=1002))
    assert found.handle(m.PipelineUpdated(0)) == [m.Progress(1, 10), m.CloseLink(), finished]


def test_a_link_lost_while_the_namenode_is_told_is_repaired_after_that() -> None:
    found = streaming()
    found.handle(m.Write(packet(0, 0), 0))
    found.handle(m.LinkLost(1, "gone", 0))
    found.handle(m.GenerationGiven(1002, TOKEN_NONE))
    found.handle(m.LinkOpened(2, 0))
    assert found.handle(m.LinkLost(2, "again", 0)) == []
    decisions = found.handle(m.PipelineUpdated(0))
    renewed = replace(BLOCK, generation_stamp=1002)
    assert decisions == [
        m.CloseLink(),
        m.AskNode(renewed, (NODES[2],), (NODES[0], NODES[1])),
    ]


def test_append_gets_a_new_generation_first() -> None:
    found = pipeline(append=True, length=700)
    stored = replace(BLOCK, num_bytes=700)
    assert found.handle(m.Start(0)) == [m.AskGeneration(stored)]
    (opened,) = found.handle(m.GenerationGiven(1002, TOKEN_NONE))
    assert isinstance(opened, m.OpenLink)
    assert opened.stage is Stage.PIPELINE_SETUP_APPEND
    assert (opened.bytes_acked, opened.bytes_sent) == (700, 700)
    # A node that cannot is left out, and the next attempt is a recovery.
    assert found.handle(m.LinkRefused(1, 2, "down", 0)) == [
        m.AskNode(stored, (NODES[0], NODES[1]), (NODES[2],))
    ]
    assert found.handle(m.NodeRefused("there is none")) == [m.AskGeneration(stored)]
    (opened,) = found.handle(m.GenerationGiven(1003, TOKEN_NONE))
    assert isinstance(opened, m.OpenLink)
    assert opened.stage is Stage.PIPELINE_SETUP_APPEND_RECOVERY


def lose_two(rules: PipelineRules) -> tuple[WritePipeline, list[m.Decision]]:
    """A chain of three that was flushed and then loses a node."""
    found = streaming(3, rules)
    found.handle(m.Write(packet(0, 0), 0))
    acked(found, 0)
    found.handle(m.Hflushed())
    return found, found.handle(m.LinkLost(found.attempt, "gone", 0))


@pytest.mark.requirement("A05")
def test_a_replacement_gets_a_copy_before_it_joins() -> None:
    found, decisions = lose_two(PipelineRules())
    partly = replace(BLOCK, num_bytes=10)
    assert decisions[-1] == m.AskNode(partly, (NODES[1], NODES[2]), (NODES[0],))
    grown = (NODES[1], NODES[4], NODES[2])
    assert found.handle(m.NodeGiven(grown, TOKEN_NONE)) == [
        m.TransferReplica(partly, NODES[1], NODES[4], TOKEN_NONE)
    ]
    # It fails: the next one is copied from the other node.
    assert found.handle(m.TransferFailed("no room")) == [
        m.AskNode(partly, (NODES[1], NODES[2]), (NODES[0], NODES[4]))
    ]
    grown = (NODES[1], NODES[2], NODES[5])
    assert found.handle(m.NodeGiven(grown, TOKEN_NONE)) == [
        m.TransferReplica(partly, NODES[2], NODES[5], TOKEN_NONE)
    ]
    assert found.handle(m.TransferDone()) == [m.AskGeneration(partly)]
    assert found.nodes == grown


def test_without_a_replacement_the_rules_decide() -> None:
    found, _ = lose_two(PipelineRules(best_effort=True))
    assert isinstance(found.handle(m.NodeRefused("none"))[0], m.AskGeneration)
    found, _ = lose_two(PipelineRules(best_effort=False))
    assert isinstance(found.handle(m.NodeRefused("none"))[-1], m.Fail)
    found, _ = lose_two(PipelineRules(best_effort=False, min_replication=2))
    assert isinstance(found.handle(m.NodeRefused("none"))[0], m.AskGeneration)
    # The NameNode may also answer with the chain as it is.
    found, _ = lose_two(PipelineRules(best_effort=False))
    assert isinstance(found.handle(m.NodeGiven(found.nodes, TOKEN_NONE))[-1], m.Fail)


def test_when_a_node_is_replaced() -> None:
    default, never, always = (PipelineRules(policy=p) for p in ("DEFAULT", "NEVER", "ALWAYS"))
    for appended, flushed in ((True, False), (False, True)):
        assert default.wants_replacement(3, 2, appended=appended, flushed=flushed)
        assert not default.wants_replacement(2, 1, appended=appended, flushed=flushed)
    assert default.wants_replacement(3, 1, appended=False, flushed=False)
    assert not default.wants_replacement(3, 2, appended=False, flushed=False)
    assert not never.wants_replacement(3, 1, appended=True, flushed=True)
    assert always.wants_replacement(2, 1, appended=False, flushed=False)
    for rules in (default, never, always):
        assert not rules.wants_replacement(3, 3, appended=True, flushed=True)
        assert not rules.wants_replacement(3, 0, appended=True, flushed=True)


def test_repairs_without_progress_end() -> None:
    found = streaming(3, PipelineRules(policy="ALWAYS", recoveries_max=2))
    found.handle(m.Write(packet(0, 0), 0))
    spare = 3
    for _ in range(2):
        found.handle(m.LinkLost(found.attempt, "gone", 0))
        found.handle(m.NodeGiven((*found.nodes, NODES[spare]), TOKEN_NONE))
        spare += 1
        found.handle(m.TransferDone())
        found.handle(m.GenerationGiven(1002, TOKEN_NONE))
        found.handle(m.LinkOpened(found.attempt, 0))
        found.handle(m.PipelineUpdated(0))
    assert isinstance(found.handle(m.LinkLost(found.attempt, "gone", 0))[-1], m.Fail)


def test_a_refusal_by_the_namenode_is_what_the_write_fails_with() -> None:
    found = streaming()
    found.handle(m.LinkLost(1, "gone", 0))
    error = NotFound("the file was deleted")
    assert found.handle(m.ControlFailed(error)) == [m.CloseLink(), m.Fail(error)]
    assert found.handle(m.TimePassed(10**9)) == []


# --- time ----------------------------------------------------------------------------------------


def test_a_quiet_pipeline_is_kept_alive_and_a_dead_one_noticed() -> None:
    found = streaming(3, PipelineRules(ack_timeout_ms=1000))
    assert found.wake_ms() == 500
    assert found.handle(m.TimePassed(499)) == []
    assert found.handle(m.TimePassed(500)) == [m.SendHeartbeat()]
    assert found.handle(m.Ack(1, HEARTBEAT_SEQNO, (OK, OK, OK), 510)) == []
    assert found.handle(m.TimePassed(1000)) == [m.SendHeartbeat()]
    # No answer: 1 s and 5 s for each node, then the first node is to blame.
    assert found.handle(m.TimePassed(1000 + 15_999))[0] == m.SendHeartbeat()
    assert found.wake_ms() == 1000 + 16_000
    assert found.handle(m.TimePassed(1000 + 16_000))[0] == m.CloseLink()
    assert found.nodes == (NODES[1], NODES[2])


def test_a_packet_without_acknowledgement_is_noticed() -> None:
    found = streaming(1, PipelineRules(ack_timeout_ms=1000))
    found.handle(m.Write(packet(0, 0), 400))
    assert found.handle(m.TimePassed(6399)) == [m.SendHeartbeat()]
    assert isinstance(found.handle(m.TimePassed(6400))[-1], m.GiveUpBlock)


def test_a_node_that_restarts_is_waited_for_where_it_is_the_last() -> None:
    found = streaming(1, PipelineRules(restart_timeout_ms=9_000))
    found.handle(m.Write(packet(0, 0), 0))
    decisions = found.handle(m.Ack(1, -2, (Status.OOB_RESTART,), 100))
    assert decisions == [m.CloseLink()]
    assert found.phase is Phase.RESTART_WAIT
    assert found.wake_ms() == 4_100
    assert found.handle(m.TimePassed(4_099)) == []
    assert found.handle(m.TimePassed(4_100)) == [m.AskGeneration(BLOCK)]
    found.handle(m.GenerationGiven(1002, TOKEN_NONE))
    assert found.handle(m.LinkRefused(2, 0, "not yet", 4_200)) == []
    assert found.handle(m.TimePassed(8_200)) == [m.AskGeneration(BLOCK)]
    found.handle(m.GenerationGiven(1003, TOKEN_NONE))
    found.handle(m.LinkOpened(3, 8_300))
    assert found.handle(m.PipelineUpdated(8_300)) == [m.SendPacket(packet(0, 0))]


def test_a_node_that_restarts_is_left_out_where_others_are_there() -> None:
    found = streaming()
    found.handle(m.Ack(1, -2, (OK, Status.OOB_RESTART, OK), 0))
    assert found.nodes == (NODES[0], NODES[2])


def test_a_node_that_does_not_come_back_is_left_out() -> None:
    found = streaming(2, PipelineRules(restart_timeout_ms=4_000, is_local=lambda node: True))
    found.handle(m.Ack(1, -2, (OK, Status.OOB_RESTART), 0))
    assert found.phase is Phase.RESTART_WAIT
    found.handle(m.TimePassed(4_000))
    found.handle(m.GenerationGiven(1002, TOKEN_NONE))
    found.handle(m.LinkRefused(2, 1, "not there", 4_001))
    assert found.nodes == (NODES[0],)


# --- a cluster that fails at random --------------------------------------------------------------


@dataclass
class Replica:
    data: bytearray = field(default_factory=bytearray)
    stamp: int = BLOCK.generation_stamp
    finalized: bool = False


@dataclass
class Cluster:
    """Nodes with replicas, a link with packets on it, and a NameNode: all as simple as can be."""

    found: WritePipeline
    truth: bytes
    alive: set[str] = field(default_factory=lambda: {n.info.id.datanode_uuid for n in NODES})
    replicas: dict[str, Replica] = field(default_factory=dict)
    stamp: int = BLOCK.generation_stamp
    chain: tuple[PipelineNode, ...] = ()
    sent: list[Packet] = field(default_factory=list)
    pending: list[m.Event] = field(default_factory=list)
    outcome: m.Decision | None = None
    acked: int = 0

    def up(self, which: PipelineNode) -> bool:
        return which.info.id.datanode_uuid in self.alive

    def replica(self, which: PipelineNode) -> Replica:
        return self.replicas[which.info.id.datanode_uuid]

    def do(self, decisions: list[m.Decision]) -> None:
        for decision in decisions:
            match decision:
                case m.OpenLink():
                    self.pending.append(self.open(decision))
                case m.CloseLink():
                    self.chain, self.sent = (), []
                case m.SendPacket(packet=sent):
                    self.sent.append(sent)
                case m.Progress(bytes_acked=count):
                    self.progress(count)
                case m.AskGeneration():
                    self.stamp += 1
                    self.pending.append(m.GenerationGiven(self.stamp, TOKEN_NONE))
                case m.AskNode(nodes=nodes, excluded=excluded):
                    self.pending.append(self.another(nodes, excluded))
                case m.TransferReplica(source=source, target=target):
                    self.pending.append(self.transfer(source, target))
                case m.UpdatePipeline():
                    self.pending.append(m.PipelineUpdated(0))
                case m.GiveUpBlock() | m.Finished() | m.Fail():
                    self.outcome = decision

    def open(self, asked: m.OpenLink) -> m.Event:
        for index, which in enumerate(asked.nodes):
            if not self.up(which):
                return m.LinkRefused(asked.attempt, index, "down", 0)
        for which in asked.nodes:
            uuid = which.info.id.datanode_uuid
            if asked.stage is Stage.PIPELINE_SETUP_CREATE:
                self.replicas[uuid] = Replica()
                continue
            held = self.replicas[uuid]
            assert held.stamp < asked.generation_stamp
            assert asked.bytes_acked <= len(held.data) <= asked.bytes_sent
            assert not held.finalized or asked.stage is Stage.PIPELINE_CLOSE_RECOVERY
            held.stamp = asked.generation_stamp
            held.finalized = asked.stage is Stage.PIPELINE_CLOSE_RECOVERY
        self.chain, self.sent = asked.nodes, []
        return m.LinkOpened(asked.attempt, 0)

    def another(
        self, nodes: tuple[PipelineNode, ...], excluded: tuple[PipelineNode, ...]
    ) -> m.Event:
        for which in NODES:
            if which not in nodes and which not in excluded:
                return m.NodeGiven((*nodes, which), TOKEN_NONE)
        return m.NodeRefused("there is none")

    def transfer(self, source: PipelineNode, target: PipelineNode) -> m.Event:
        if not (self.up(source) and self.up(target)):
            return m.TransferFailed("down")
        held = self.replica(source)
        self.replicas[target.info.id.datanode_uuid] = Replica(bytearray(held.data), held.stamp)
        return m.TransferDone()

    def deliver(self) -> None:
        """The first packet on the link goes down the chain as far as nodes live."""
        if not self.sent or not self.chain:
            return
        sent = self.sent.pop(0)
        attempt = self.found.attempt
        for index, which in enumerate(self.chain):
            if not self.up(which):
                # The node before says so; without one the link itself is gone.
                statuses = (OK,) * index + (BAD,)
                self.pending.append(
                    m.Ack(attempt, sent.seqno, statuses, 0)
                    if index
                    else m.LinkLost(attempt, "reset", 0)
                )
                self.chain = ()
                return
            held = self.replica(which)
            assert not held.finalized
            held.data[sent.offset : sent.end] = self.truth[sent.offset : sent.end]
            held.finalized = sent.last
        self.pending.append(m.Ack(attempt, sent.seqno, (OK,) * len(self.chain), 0))

    def progress(self, count: int) -> None:
        """The promise: acknowledged bytes are on every node of the chain that lives."""
        assert count >= self.acked
        self.acked = count
        for which in self.found.nodes:
            if self.up(which):
                assert self.replica(which).data[:count] == self.truth[:count]


def cut(length: int, sizes: list[int], overlaps: list[int]) -> list[Packet]:
    """Packets of a block. After a flush the open chunk is sent again: they may overlap."""
    packets: list[Packet] = []
    start = 0
    while start < length:
        back = min(overlaps[len(packets) % len(overlaps)], start)
        end = min(start + sizes[len(packets) % len(sizes)], length)
        packets.append(Packet(len(packets), start - back, end - start + back))
        start = end
    packets.append(Packet(len(packets), length, 0, last=True))
    return packets


def step(cluster: Cluster, move: str, packets: list[Packet], victim: int) -> None:
    found = cluster.found
    match move:
        case "write" if packets:
            cluster.do(found.handle(m.Write(packets.pop(0), 0)))
        case "answer" if cluster.pending:
            cluster.do(found.handle(cluster.pending.pop(0)))
        case "deliver":
            cluster.deliver()
        case "flushed":
            found.handle(m.Hflushed())
        case "kill":
            uuid = f"u{victim}"
            cluster.alive.discard(uuid)
            if cluster.chain and uuid == cluster.chain[0].info.id.datanode_uuid:
                cluster.pending.append(m.LinkLost(found.attempt, "reset", 0))
                cluster.chain, cluster.sent = (), []


MOVES = ["deliver", "answer", "write", "flushed", "kill"]


@pytest.mark.requirement("A05")
@given(
    length=st.integers(1, 120),
    sizes=st.lists(st.integers(5, 60), min_size=1, max_size=3),
    overlaps=st.lists(st.integers(0, 7), min_size=1, max_size=3),
    policy=st.sampled_from(["DEFAULT", "NEVER", "ALWAYS"]),
    best_effort=st.booleans(),
    moves=st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 5)), max_size=40),
)
@settings(max_examples=200)
def test_every_acknowledged_byte_is_on_every_surviving_replica(
    length: int,
    sizes: list[int],
    overlaps: list[int],
    policy: str,
    best_effort: bool,
    moves: list[tuple[str, int]],
) -> None:
    truth = bytes(index % 251 for index in range(length))
    rules = PipelineRules(policy=policy, best_effort=best_effort, recoveries_max=20)
    found = WritePipeline(BLOCK, NODES[:3], replication=3, rules=rules)
    cluster = Cluster(found, truth)
    packets = cut(length, sizes, overlaps)
    cluster.do(found.handle(m.Start(0)))
    for move, victim in moves:
        step(cluster, move, packets, victim)
    # From here on nothing more fails: it ends, one way or the other.
    for _ in range(1000):
        if cluster.outcome is not None:
            break
        for move in ("write", "answer", "deliver"):
            step(cluster, move, packets, 0)
    match cluster.outcome:
        case m.Finished(block=block):
            assert block.num_bytes == length
            for which in found.nodes:
                held = cluster.replica(which)
                if cluster.up(which):
                    assert bytes(held.data) == truth
                    assert held.finalized
                    assert held.stamp == block.generation_stamp
        case m.GiveUpBlock():
            assert found.bytes_acked == 0
            kept = {p.seqno for p in found.held_packets()} | {p.seqno for p in packets}
            assert kept == set(range(len(kept)))
        case m.Fail():
            # Only when no node was left, or the rules want one that is not there.
            assert len(found.nodes) <= 1 or not best_effort
        case _:
            raise AssertionError("the pipeline waits for ever")
