"""What a DataNode does towards one NameNode, on a clock that the test turns."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cairnfs.datanode.incremental import FactStatus, PendingFacts, ReplicaFact
from cairnfs.datanode.service_events import (
    AskVersion,
    FactsDelivered,
    FactsFailed,
    FactsHappened,
    Failure,
    FullReportDelivered,
    FullReportFailed,
    HandshakeFailed,
    HeartbeatAnswered,
    HeartbeatFailed,
    NamespaceAccepted,
    NamespaceRefused,
    Register,
    Registered,
    ReportWanted,
    SendFacts,
    SendFullReport,
    SendHeartbeat,
    ServiceAction,
    ServiceEvent,
    Tick,
)
from cairnfs.datanode.service_state import (
    DISALLOWED_RETRY_MS,
    FACTS_LINGER_MS,
    Phase,
    ServiceSettings,
    ServiceState,
)
from cairnfs.types import Block, DatanodeStorage

STORAGE = DatanodeStorage("DS-1")


def fact(block_id: int, status: FactStatus = FactStatus.RECEIVED) -> FactsHappened:
    return FactsHappened((ReplicaFact(STORAGE, Block(block_id, 1000, 1), status),))


class Service:
    """A service on a turned clock; ``random`` is fixed so that waits are known."""

    def __init__(self, random: float = 0.0, **intervals: int) -> None:
        self.now_ms = 1_000_000
        self.state = ServiceState(ServiceSettings(**intervals), lambda: random)

    def __call__(self, event: ServiceEvent) -> list[ServiceAction]:
        return self.state.handle(event, self.now_ms)

    def turn(self, duration_ms: int) -> list[ServiceAction]:
        self.now_ms += duration_ms
        return self(Tick())

    def until_wake(self) -> int:
        return self.state.wake_at_ms - self.now_ms

    def serving(self, lease_id: int = 0) -> Service:
        """Through the handshake and the first heartbeat (and full report under a lease)."""
        assert self(Tick()) == [AskVersion()]
        assert self(NamespaceAccepted()) == [Register()]
        assert self(Registered()) == [SendHeartbeat(want_lease=True)]
        answer = self(HeartbeatAnswered(lease_id))
        if lease_id:
            assert answer == [SendFullReport(lease_id)]
            assert self(FullReportDelivered()) == []
        return self


@pytest.mark.requirement("A03")
def test_handshake_then_heartbeat_then_report_without_a_pause() -> None:
    service = Service()
    assert service(Tick()) == [AskVersion()]
    assert service(Tick()) == []
    assert service(NamespaceAccepted()) == [Register()]
    assert service(Registered()) == [SendHeartbeat(want_lease=True)]
    assert service(HeartbeatAnswered(lease_id=77)) == [SendFullReport(77)]
    assert service(FullReportDelivered()) == []
    assert service.until_wake() == 3_000


@pytest.mark.requirement("A08")
def test_heartbeats_keep_their_interval_and_never_overlap() -> None:
    service = Service(heartbeat_interval_ms=250).serving(lease_id=1)
    assert service.turn(249) == []
    assert service.turn(1) == [SendHeartbeat(want_lease=False)]
    assert service.turn(250) == []  # the first one is still unanswered
    assert service(HeartbeatAnswered()) == [SendHeartbeat(want_lease=False)]


@pytest.mark.requirement("D05")
def test_quarter_of_a_second_is_a_valid_heartbeat() -> None:
    service = Service(heartbeat_interval_ms=250).serving(lease_id=1)
    sent = 0
    for _ in range(1_000):
        for action in service.turn(10):
            assert isinstance(action, SendHeartbeat)
            sent += 1
            assert service(HeartbeatAnswered()) == []
    assert sent == 40


@pytest.mark.requirement("A02")
def test_namenode_that_is_not_there_is_tried_for_ever_and_less_often() -> None:
    service = Service(random=0.0)
    waits = []
    assert service(Tick()) == [AskVersion()]
    for _ in range(10):
        assert service(HandshakeFailed(Failure.UNREACHABLE)) == []
        waits.append(service.until_wake())
        assert service.turn(waits[-1] - 1) == []
        assert service.turn(1) == [AskVersion()]
    assert waits[:4] == [200, 400, 800, 1600]
    assert waits[-1] == max(waits) == 6_000
    assert service(NamespaceAccepted()) == [Register()]


def test_jitter_spreads_retries_over_half_of_the_wait() -> None:
    waits = []
    for random in (0.0, 0.5, 0.999):
        service = Service(random=random)
        service(Tick())
        service(HandshakeFailed(Failure.UNREACHABLE))
        waits.append(service.until_wake())
    assert waits == [200, 150, 100]


@pytest.mark.requirement("A06")
def test_restarted_namenode_is_found_by_heartbeat_and_registered_with_again() -> None:
    service = Service().serving(lease_id=1)
    service.now_ms += 60_000
    assert service(Tick()) == [SendHeartbeat(want_lease=False)]
    assert service(HeartbeatFailed(Failure.UNREACHABLE)) == []
    assert service.until_wake() == 200
    assert service.turn(200) == [SendHeartbeat(want_lease=False)]
    assert service(HeartbeatAnswered(register=True)) == [AskVersion()]
    assert service(NamespaceAccepted()) == [Register()]
    assert service(Registered()) == [SendHeartbeat(want_lease=True)]


@pytest.mark.parametrize(
    "event",
    [
        HeartbeatFailed(Failure.UNREGISTERED),
        FactsFailed(1, Failure.UNREGISTERED),
        FullReportFailed(Failure.UNREGISTERED),
    ],
)
@pytest.mark.requirement("A06")
def test_any_call_that_finds_us_unknown_leads_to_registration(event: ServiceEvent) -> None:
    service = Service().serving()
    service.now_ms += 60_000
    assert AskVersion() in service(event)


def test_namenode_that_keeps_asking_for_registration_gets_it_ever_less_often() -> None:
    service = Service().serving()
    assert service(HeartbeatAnswered(register=True)) == [AskVersion()]
    service(NamespaceAccepted())
    service(Registered())
    waits = []
    for _ in range(8):
        service(HeartbeatAnswered(register=True))
        waits.append(service.until_wake())
        assert service.turn(waits[-1]) == [AskVersion()]
        service(NamespaceAccepted())
        service(Registered())
    assert waits[0] == 200
    assert waits[-1] == 10_000


def test_other_cluster_is_refused_for_good() -> None:
    service = Service()
    service(Tick())
    assert service(NamespaceRefused("another cluster")) == []
    assert service.state.phase is Phase.REFUSED
    assert service.state.refusal == "another cluster"
    assert service.turn(1 << 40) == []


def test_datanode_that_may_not_register_asks_rarely_but_for_ever() -> None:
    service = Service()
    service(Tick())
    service(NamespaceAccepted())
    service(HandshakeFailed(Failure.DISALLOWED))
    assert service.until_wake() >= DISALLOWED_RETRY_MS
    assert service.turn(service.until_wake()) == [AskVersion()]


def batches(actions: list[ServiceAction]) -> list[list[int]]:
    return [
        [one.block.block_id for one in action.batch.facts]
        for action in actions
        if isinstance(action, SendFacts)
    ]


def test_received_replica_is_told_at_once_and_without_waiting_for_answers() -> None:
    service = Service().serving()
    for block_id in range(8):
        assert batches(service(fact(block_id))) == [[block_id]]
    # Eight reports are under way; what comes now shares the next one.
    assert service(fact(8)) == []
    assert service(fact(9)) == []
    assert batches(service(FactsDelivered(1))) == [[8, 9]]


def test_being_received_waits_for_company_but_not_long() -> None:
    service = Service(heartbeat_interval_ms=60_000).serving(lease_id=1)
    assert service(fact(1, FactStatus.RECEIVING)) == []
    assert service.until_wake() == FACTS_LINGER_MS
    assert service.turn(FACTS_LINGER_MS - 1) == []
    assert batches(service.turn(1)) == [[1]]
    service(FactsDelivered(1))
    assert service(fact(2, FactStatus.DELETED)) == []
    assert batches(service(fact(3))) == [[2, 3]]


def test_facts_go_with_the_heartbeat() -> None:
    service = Service(heartbeat_interval_ms=500).serving(lease_id=1)
    service(fact(1, FactStatus.DELETED))
    actions = service.turn(500)
    assert batches(actions) == [[1]]
    assert SendHeartbeat(want_lease=False) in actions


def test_incremental_interval_is_obeyed() -> None:
    service = Service(incremental_interval_ms=300).serving(lease_id=1)
    assert batches(service(fact(1))) == [[1]]
    service(FactsDelivered(1))
    assert service(fact(2)) == []
    assert service.until_wake() == 300
    assert batches(service.turn(300)) == [[2]]


def test_lost_connection_counts_as_one_failure_and_facts_survive_it() -> None:
    service = Service().serving(lease_id=1)
    for block_id in range(8):
        service(fact(block_id))
    for number in range(1, 9):
        assert service(FactsFailed(number, Failure.UNREACHABLE)) == []
    assert service.until_wake() == 200
    assert [sorted(one) for one in batches(service.turn(200))] == [list(range(8))]


def test_answered_heartbeat_ends_the_wait_of_facts() -> None:
    service = Service(heartbeat_interval_ms=100).serving(lease_id=1)
    service(fact(1))
    service(FactsFailed(1, Failure.UNREACHABLE))
    assert service.turn(100) == [SendHeartbeat(want_lease=False)]
    assert batches(service(HeartbeatAnswered())) == [[1]]


@pytest.mark.requirement("E05")
def test_no_fact_overtakes_a_full_report() -> None:
    service = Service().serving()
    service(fact(1, FactStatus.RECEIVING))
    service.now_ms += 3_000
    service(Tick())
    actions = service(HeartbeatAnswered(lease_id=5))
    assert actions == [SendFullReport(5)]
    assert service(fact(2)) == []
    assert batches(service(FullReportDelivered())) == [[2]]


def test_facts_that_wait_go_before_a_full_report() -> None:
    service = Service().serving()
    service.turn(3_000)
    service(fact(1, FactStatus.DELETED))
    actions = service(HeartbeatAnswered(lease_id=5))
    assert batches(actions[:1]) == [[1]]
    assert actions[1:] == [SendFullReport(5)]


def test_namenode_that_grants_no_lease_is_asked_with_each_heartbeat() -> None:
    service = Service().serving(lease_id=0)
    for _ in range(3):
        assert service.turn(3_000) == [SendHeartbeat(want_lease=True)]
        assert service(HeartbeatAnswered(lease_id=0)) == []


def test_invalid_lease_is_asked_for_again() -> None:
    service = Service().serving()
    service.turn(3_000)
    service(HeartbeatAnswered(lease_id=5))
    assert service(FullReportFailed(Failure.LEASE_INVALID)) == []
    assert service.turn(3_000) == [SendHeartbeat(want_lease=True)]


def test_report_that_the_namenode_cannot_take_is_repeated_ever_less_often() -> None:
    service = Service(heartbeat_interval_ms=1_000).serving()
    asked_at = []
    for _ in range(200):
        (heartbeat,) = service.turn(1_000)
        assert isinstance(heartbeat, SendHeartbeat)
        if heartbeat.want_lease:
            asked_at.append(service.now_ms)
            assert service(HeartbeatAnswered(lease_id=9)) == [SendFullReport(9)]
            service(FullReportFailed(Failure.OTHER))
        else:
            service(HeartbeatAnswered())
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert gaps == [5_000, 10_000, 20_000, 40_000, 80_000]


def test_reports_repeat_after_their_interval_spread_out_at_first() -> None:
    service = Service(random=0.5, block_report_interval_ms=100_000, heartbeat_interval_ms=1_000)
    service.serving(lease_id=1)
    asked = []
    for step in range(1, 300):
        for action in service.turn(1_000):
            assert isinstance(action, SendHeartbeat)
            if action.want_lease:
                asked.append(step)
                service(HeartbeatAnswered(lease_id=1))
                service(FullReportDelivered())
            else:
                service(HeartbeatAnswered())
    assert asked == [75, 175, 275]


def test_initial_delay_puts_the_first_report_off() -> None:
    service = Service(random=0.5, block_report_initial_delay_ms=10_000)
    service(Tick())
    service(NamespaceAccepted())
    assert service(Registered()) == [SendHeartbeat(want_lease=False)]
    service(HeartbeatAnswered())
    service.now_ms += 5_000
    assert service(Tick()) == [SendHeartbeat(want_lease=True)]


@pytest.mark.requirement("C08")
def test_reports_on_demand() -> None:
    service = Service(heartbeat_interval_ms=60_000).serving(lease_id=1)
    assert service(ReportWanted(incremental=False)) == [SendFullReport(0)]
    assert service(ReportWanted(incremental=False)) == []
    assert service(FullReportDelivered()) == [SendFullReport(0)]
    service(FullReportDelivered())
    service(fact(1, FactStatus.DELETED))
    assert batches(service(ReportWanted(incremental=True))) == [[1]]


def test_too_many_facts_become_a_full_report() -> None:
    service = Service()
    service.state.pending = PendingFacts(facts_max=3)
    assert service(Tick()) == [AskVersion()]
    for block_id in range(5):
        service(fact(block_id))
    assert service.state.pending.overflowed
    service(NamespaceAccepted())
    assert SendHeartbeat(want_lease=True) in service(Registered())
    assert service(HeartbeatAnswered(lease_id=1))[-1] == SendFullReport(1)
    assert not service.state.pending.overflowed


def test_overflow_while_a_report_is_under_way_asks_for_another() -> None:
    service = Service().serving()
    service.state.pending = PendingFacts(facts_max=3)
    service.turn(3_000)
    service(HeartbeatAnswered(lease_id=1))
    for block_id in range(5):
        service(fact(block_id))
    service(FullReportDelivered())
    assert SendHeartbeat(want_lease=True) in service.turn(3_000)


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: no call twice at once, never a stop, never a spin."""

    def __init__(self) -> None:
        super().__init__()
        self.service = Service(heartbeat_interval_ms=1_000)
        self.open: list[ServiceAction] = []
        self.ticks_without_time = 0

    def feed(self, event: ServiceEvent) -> None:
        for action in self.service(event):
            if not isinstance(action, SendFacts):
                kinds = (AskVersion, Register) if not _serves(action) else (type(action),)
                # A handshake may begin while a heartbeat of before is still unanswered.
                assert not [one for one in self.open if isinstance(one, kinds)]
            self.open.append(action)

    @rule()
    def time_passes(self) -> None:
        self.service.now_ms = max(self.service.now_ms, min(self.service.state.wake_at_ms, 1 << 50))
        self.feed(Tick())

    @rule(block_id=st.integers(1, 4), status=st.sampled_from(FactStatus))
    def replica(self, block_id: int, status: FactStatus) -> None:
        self.feed(fact(block_id, status))

    @rule(incremental=st.booleans())
    def wanted(self, incremental: bool) -> None:
        self.feed(ReportWanted(incremental))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), lease=st.integers(0, 1), register=st.booleans())
    def answered(self, data: st.DataObject, lease: int, register: bool) -> None:
        action = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        match action:
            case AskVersion():
                self.feed(NamespaceAccepted())
            case Register():
                self.feed(Registered())
            case SendHeartbeat():
                self.feed(HeartbeatAnswered(lease, register))
            case SendFacts(batch):
                self.feed(FactsDelivered(batch.number))
            case SendFullReport():
                self.feed(FullReportDelivered())

    @precondition(lambda self: self.open)
    @rule(data=st.data(), failure=st.sampled_from(Failure))
    def fails(self, data: st.DataObject, failure: Failure) -> None:
        action = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        match action:
            case AskVersion() | Register():
                self.feed(HandshakeFailed(failure))
            case SendHeartbeat():
                self.feed(HeartbeatFailed(failure))
            case SendFacts(batch):
                self.feed(FactsFailed(batch.number, failure))
            case SendFullReport():
                self.feed(FullReportFailed(failure))

    @invariant()
    def something_is_under_way_or_planned(self) -> None:
        assert self.open or self.service.state.wake_at_ms < 1 << 60

    @invariant()
    def tick_in_time_leaves_nothing_overdue(self) -> None:
        state = self.service.state
        if state.wake_at_ms <= self.service.now_ms:
            self.feed(Tick())
            assert state.wake_at_ms > self.service.now_ms


def _serves(action: ServiceAction) -> bool:
    return not isinstance(action, AskVersion | Register)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
