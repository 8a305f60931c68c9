"""What a DataNode does towards one NameNode, and when: event in, actions out.

No I/O and no clock: every event comes with ``now_ms`` (steady time). The shell in
:mod:`cairnfs.datanode.service` performs the actions and feeds back what came of them.

::

    CONNECTING --namespace accepted--> REGISTERING --registered--> SERVING
        ^                                                            |
        +--------------- told to register, or unknown ---------------+
    any --another cluster, another version--> REFUSED (for good)

A NameNode that cannot be reached is tried for ever, ever more rarely up to a bound, with
jitter, so that many DataNodes do not come back in one moment. While it serves, a lost
connection costs no state: heartbeats go on and tell when the NameNode is back.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

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
from cairnfs.limits import REPORT_CALLS_IN_FLIGHT_MAX

# First wait after a failure. A restarted NameNode is back within a second or two, and
# whoever set a short heartbeat interval wants to find it at that pace.
RETRY_FIRST_MS = 200
RETRY_MAX_MS = 10_000
# Being received and deleted may wait this long for company; received never does.
FACTS_LINGER_MS = 1_000
# A NameNode that refuses this DataNode's address (include and exclude files) is asked rarely.
DISALLOWED_RETRY_MS = 30_000
# A full report that the NameNode could not take is a burden: the next one waits.
REPORT_RETRY_FIRST_MS = 5_000
REPORT_RETRY_MAX_MS = 600_000


class Phase(enum.Enum):
    """How far the handshake with the NameNode is."""

    CONNECTING = "connecting"
    REGISTERING = "registering"
    SERVING = "serving"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Intervals, all in milliseconds (see ``config.datanode_keys``)."""

    heartbeat_interval_ms: int = 3_000
    block_report_interval_ms: int = 21_600_000
    block_report_initial_delay_ms: int = 0
    incremental_interval_ms: int = 0


@dataclass(slots=True)
class _Backoff:
    """Waits that double up to a bound, each shortened by up to a half at random."""

    random: Callable[[], float]
    max_ms: int
    _next_ms: int = RETRY_FIRST_MS
    _until_ms: int = 0

    def until_ms(self, now_ms: int) -> int:
        """When to try again. Failures that come together (one lost connection fails all
        its calls) count as one."""
        if now_ms >= self._until_ms:
            wait_ms = min(self._next_ms, self.max_ms)
            self._next_ms = min(wait_ms * 2, self.max_ms)
            self._until_ms = now_ms + round(wait_ms * (1 - 0.5 * self.random()))
        return self._until_ms

    def reset(self) -> None:
        self._next_ms = RETRY_FIRST_MS
        self._until_ms = 0


_NEVER_MS = 1 << 62


@dataclass(slots=True)
class ServiceState:
    """The state of one service. :meth:`handle` is the only door.

    ``random`` returns floats in [0, 1)."""

    settings: ServiceSettings
    random: Callable[[], float]
    pending: PendingFacts = field(default_factory=PendingFacts)
    phase: Phase = Phase.CONNECTING
    refusal: str = ""
    _backoff: _Backoff = field(init=False)
    _anew: _Backoff = field(init=False)
    _welcome: bool = True
    _call_open: bool = False
    _retry_at_ms: int = 0
    _heartbeat_open: bool = False
    _heartbeat_at_ms: int = 0
    _facts_at_ms: int = _NEVER_MS
    _facts_not_before_ms: int = 0
    _report_open: bool = False
    _report_at_ms: int = _NEVER_MS
    _report_spread: bool = True
    _report_forced: bool = False
    _report_failures: int = 0
    _lease_id: int = 0

    def __post_init__(self) -> None:
        bound_ms = min(max(2 * self.settings.heartbeat_interval_ms, 1_000), RETRY_MAX_MS)
        self._backoff = _Backoff(self.random, bound_ms)
        self._anew = _Backoff(self.random, RETRY_MAX_MS)

    @property
    def wake_at_ms(self) -> int:
        """When the next :class:`Tick` is due, unless another event comes first."""
        if self.phase is Phase.REFUSED:
            return _NEVER_MS
        if self.phase is not Phase.SERVING:
            return _NEVER_MS if self._call_open else self._retry_at_ms
        wake_ms = _NEVER_MS if self._heartbeat_open else self._heartbeat_at_ms
        # With a report or a batch under way its answer wakes us.
        if self.pending and not self._report_open and not self.pending.batches_in_flight:
            due_ms = 0 if self.pending.urgent else self._facts_at_ms
            wake_ms = min(wake_ms, max(due_ms, self._facts_not_before_ms))
        return wake_ms

    def handle(self, event: ServiceEvent, now_ms: int) -> list[ServiceAction]:
        """Take an event; what to do now. Nothing is ever done once refused."""
        match event:
            case FactsHappened(facts):
                for fact in facts:
                    self._on_fact(fact, now_ms)
            case FactsDelivered(number):
                self.pending.delivered(number)
            case FactsFailed(number, failure):
                self._on_facts_failed(number, failure, now_ms)
            case HeartbeatAnswered(lease_id, register):
                self._on_heartbeat(lease_id, register, now_ms)
            case HeartbeatFailed(failure):
                self._heartbeat_open = False
                self._heartbeat_at_ms = self._backoff.until_ms(now_ms)
                self._on_failure(failure, now_ms)
            case NamespaceAccepted():
                self._call_open = False
                self._retry_at_ms = now_ms
                self.phase = Phase.REGISTERING
            case NamespaceRefused(reason):
                self.phase = Phase.REFUSED
                self.refusal = reason
            case Registered():
                self._on_registered(now_ms)
            case HandshakeFailed(failure):
                self._on_handshake_failed(failure, now_ms)
            case FullReportDelivered():
                self._report_open = False
                self._report_failures = 0
                self._schedule_next_report(now_ms)
            case FullReportFailed(failure):
                self._report_open = False
                self._report_at_ms = now_ms + self._report_wait_ms(failure)
                self._on_failure(failure, now_ms)
            case ReportWanted(incremental):
                self._on_report_wanted(incremental, now_ms)
            case Tick():
                pass
        return self._due(now_ms)

    # --- what events change ----------------------------------------------------------------

    def _on_fact(self, fact: ReplicaFact, now_ms: int) -> None:
        self.pending.add(fact)
        if self.pending.overflowed:
            self._report_at_ms = now_ms
        linger_ms = 0 if fact.status is FactStatus.RECEIVED else FACTS_LINGER_MS
        self._facts_at_ms = min(self._facts_at_ms, now_ms + linger_ms)

    def _on_facts_failed(self, number: int, failure: Failure, now_ms: int) -> None:
        self.pending.failed(number)
        if self.pending.overflowed:
            self._report_at_ms = now_ms
        self._facts_at_ms = now_ms
        self._facts_not_before_ms = self._backoff.until_ms(now_ms)
        self._on_failure(failure, now_ms)

    def _on_heartbeat(self, lease_id: int, register: bool, now_ms: int) -> None:
        self._heartbeat_open = False
        self._backoff.reset()
        self._facts_not_before_ms = min(self._facts_not_before_ms, now_ms)
        if self.phase is not Phase.SERVING:
            return
        if register:
            self._start_over(now_ms)
            return
        self._welcome = True
        if lease_id:
            self._lease_id = lease_id

    def _on_registered(self, now_ms: int) -> None:
        self._call_open = False
        self._backoff.reset()
        self.phase = Phase.SERVING
        self._welcome = False
        # A heartbeat first: the NameNode trusts a full report only of a node it has heard.
        self._heartbeat_at_ms = now_ms
        self._lease_id = 0
        self._report_forced = False
        self._report_spread = True
        delay_ms = self.settings.block_report_initial_delay_ms
        self._report_at_ms = now_ms + round(self.random() * delay_ms)
        self._facts_not_before_ms = now_ms
        if self.pending:
            self._facts_at_ms = now_ms

    def _on_handshake_failed(self, failure: Failure, now_ms: int) -> None:
        self._call_open = False
        # Whatever went wrong, the NameNode may be another one when it answers again.
        self.phase = Phase.CONNECTING
        self._retry_at_ms = self._backoff.until_ms(now_ms)
        if failure is Failure.DISALLOWED:
            self._retry_at_ms += DISALLOWED_RETRY_MS

    def _on_failure(self, failure: Failure, now_ms: int) -> None:
        """What a failed call says about the registration."""
        if self.phase is not Phase.SERVING:
            return
        if failure is Failure.UNREGISTERED:
            self._start_over(now_ms)
        elif failure is Failure.DISALLOWED:
            self._start_over(now_ms)
            self._retry_at_ms += DISALLOWED_RETRY_MS

    def _start_over(self, now_ms: int) -> None:
        """Shake hands again: the NameNode has forgotten us (it may be a new one)."""
        self.phase = Phase.CONNECTING
        self._call_open = False
        if self._welcome:
            self._anew.reset()
            self._retry_at_ms = now_ms
        else:
            # It registered us and knew us no more at the first heartbeat: no hot loop.
            self._retry_at_ms = self._anew.until_ms(now_ms)

    def _report_wait_ms(self, failure: Failure) -> int:
        if failure is not Failure.OTHER:
            return 0  # the next lease, or registration, tells when
        self._report_failures += 1
        wait_ms = REPORT_RETRY_FIRST_MS << min(self._report_failures - 1, 10)
        return round(min(wait_ms, REPORT_RETRY_MAX_MS) * (1 - 0.5 * self.random()))

    def _on_report_wanted(self, incremental: bool, now_ms: int) -> None:
        if incremental:
            self._facts_at_ms = self._facts_not_before_ms = now_ms
        else:
            # Before registration the report that follows it will do.
            self._report_forced = self.phase is Phase.SERVING

    def _schedule_next_report(self, now_ms: int) -> None:
        interval_ms = self.settings.block_report_interval_ms
        if self.pending.overflowed:
            interval_ms = 0
        elif self._report_spread:
            # Nodes that were started together shall not report together ever after.
            self._report_spread = False
            interval_ms = round(interval_ms * (0.5 + 0.5 * self.random()))
        self._report_at_ms = now_ms + interval_ms

    # --- what is due -----------------------------------------------------------------------

    def _due(self, now_ms: int) -> list[ServiceAction]:
        if self.phase is Phase.SERVING:
            return self._due_serving(now_ms)
        if self.phase is Phase.REFUSED or self._call_open or now_ms < self._retry_at_ms:
            return []
        self._call_open = True
        return [AskVersion() if self.phase is Phase.CONNECTING else Register()]

    def _due_serving(self, now_ms: int) -> list[ServiceAction]:
        actions: list[ServiceAction] = []
        heartbeat_due = now_ms >= self._heartbeat_at_ms and not self._heartbeat_open
        if not self._report_open:
            reporting = self._lease_id != 0 or self._report_forced
            self._send_facts(actions, now_ms, heartbeat_due or reporting)
            if reporting:
                actions.append(self._begin_report())
        if heartbeat_due:
            self._heartbeat_open = True
            self._heartbeat_at_ms = now_ms + self.settings.heartbeat_interval_ms
            want_lease = now_ms >= self._report_at_ms and not self._report_open
            actions.append(SendHeartbeat(want_lease and self._lease_id == 0))
        return actions

    def _begin_report(self) -> SendFullReport:
        # Until it is answered no fact goes out: one that overtook the report would be
        # undone by the older list of replicas in it.
        if self.pending.overflowed:
            self.pending.forget()
        report = SendFullReport(self._lease_id)
        self._report_open = True
        self._report_forced = False
        self._lease_id = 0
        return report

    def _send_facts(self, actions: list[ServiceAction], now_ms: int, now_anyway: bool) -> None:
        if now_ms < self._facts_not_before_ms or not (
            now_anyway or self.pending.urgent or now_ms >= self._facts_at_ms
        ):
            return
        while self.pending.batches_in_flight < REPORT_CALLS_IN_FLIGHT_MAX:
            batch = self.pending.take()
            if batch is None:
                break
            actions.append(SendFacts(batch))
            self._facts_not_before_ms = now_ms + self.settings.incremental_interval_ms
            if self.settings.incremental_interval_ms:
                break
        self._facts_at_ms = _NEVER_MS
