"""One DataNode towards one NameNode: performs what :mod:`service_state` decides.

Runs on the event loop. Calls share one connection and are not waited for one by one: a
heartbeat, incremental reports and a full report may be under way together.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cairnfs.config.nameservices import NamenodeAddress
from cairnfs.datanode import messages
from cairnfs.datanode.commands import Register as RegisterOrder
from cairnfs.datanode.incremental import FactBatch, ReplicaFact
from cairnfs.datanode.node import Node
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
    Phase,
    ServiceState,
)
from cairnfs.errors import (
    CairnError,
    CallTimeout,
    DisallowedDatanode,
    IncorrectVersion,
    InvalidBlockReportLease,
    TransportError,
    UnregisteredNode,
)
from cairnfs.limits import SERVICE_ERRANDS_MAX
from cairnfs.log import our_fault, peer_fault
from cairnfs.net.rpc_client import Message, RpcClient
from cairnfs.types import DatanodeID
from cairnfs.wire.proto.datanode_pb2 import DatanodeRegistrationProto

if TYPE_CHECKING:
    from cairnfs.datanode.block_pool import BlockPool

logger = logging.getLogger(__name__)

# Hadoop's ipc.client.rpc-timeout; a NameNode in a long pause is not a dead one.
CALL_TIMEOUT_MS = 60_000
CONNECT_TIMEOUT_MS = 20_000
# A full report of a million blocks takes a busy NameNode a while.
REPORT_TIMEOUT_MS = 300_000
# Longest sleep of the timer; it only bounds what a clock that jumps can cost.
_SLEEP_MAX_MS = 600_000

# An errand is a call that only has to arrive some time: bad blocks, disk errors.
Errand = tuple[str, Callable[[DatanodeRegistrationProto, DatanodeID], Message]]


class NamenodeService:
    """Keeps one NameNode informed, and hands its orders to the block pool."""

    def __init__(self, address: NamenodeAddress, pool: BlockPool, node: Node) -> None:
        self.address = address
        self.name = str(address)
        self._pool = pool
        self._node = node
        self.state = ServiceState(node.service_settings, random.random)
        self._client = self._new_client()
        self._identity: DatanodeID | None = None
        self._who: DatanodeRegistrationProto | None = None
        self._errands: deque[Errand] = deque(maxlen=SERVICE_ERRANDS_MAX)
        self._errands_open = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._rearm = asyncio.Event()
        self._sleeping_until_ms = 0
        self._in_trouble = False
        self._report_id = random.getrandbits(62) | 1
        self.last_heartbeat_ms = 0
        self.last_report_ms = 0

    # --- from outside ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin, and go on until :meth:`stop`."""
        self._spawn(self._keep_time())

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def identity(self) -> DatanodeID | None:
        """Who we are to this NameNode; None before the first registration."""
        return self._identity

    def tell(self, facts: tuple[ReplicaFact, ...]) -> None:
        """Report what happened to replicas; what was received at once."""
        self._feed(FactsHappened(facts))

    def report_now(self, *, incremental: bool) -> None:
        """Send a report out of turn."""
        self._feed(ReportWanted(incremental))

    def run_errand(
        self, method: str, build: Callable[[DatanodeRegistrationProto, DatanodeID], Message]
    ) -> None:
        """Call ``method`` as soon as the NameNode can be reached.

        ``build`` makes the request from the registration then in force. Past a limit the
        oldest errands are dropped: reports and scans find the same again."""
        self._errands.append((method, build))
        self._begin_errands()

    async def call(self, method: str, request: Message, timeout_ms: int | None = None) -> bytes:
        """Call the NameNode once. Raises as ``RpcClient.call``."""
        client = self._client
        try:
            return await client.call(method, request, timeout_ms)
        except CallTimeout:
            # The connection may be half open: a peer that is gone never answers on it.
            if self._client is client:
                self._client = self._new_client()
                await client.close()
            raise

    # --- events in, actions out ------------------------------------------------------------

    def _feed(self, event: ServiceEvent) -> None:
        actions = self.state.handle(event, self._node.clock.steady_ms())
        for action in actions:
            self._spawn(self._perform(action))
        if self.state.wake_at_ms < self._sleeping_until_ms:
            self._rearm.set()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_time(self) -> None:
        clock = self._node.clock
        while self.state.phase is not Phase.REFUSED:
            self._node.tell_rest()
            self._feed(Tick())
            self._rearm.clear()
            self._sleeping_until_ms = self.state.wake_at_ms
            wait_ms = min(self._sleeping_until_ms - clock.steady_ms(), _SLEEP_MAX_MS)
            sleep = asyncio.ensure_future(clock.sleep_ms(wait_ms))
            rearm = asyncio.ensure_future(self._rearm.wait())
            try:
                await asyncio.wait((sleep, rearm), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleep.cancel()
                rearm.cancel()

    async def _perform(self, action: ServiceAction) -> None:
        match action:
            case AskVersion():
                await self._try(self._ask_version, HandshakeFailed)
            case Register():
                await self._try(self._register, HandshakeFailed)
            case SendHeartbeat(want_lease):
                await self._try(lambda: self._heartbeat(want_lease), HeartbeatFailed)
            case SendFacts(batch):
                await self._try(
                    lambda: self._send_facts(batch),
                    lambda failure: FactsFailed(batch.number, failure),
                )
            case SendFullReport(lease_id):
                await self._try(lambda: self._send_full_report(lease_id), FullReportFailed)

    async def _try(
        self,
        work: Callable[[], Awaitable[ServiceEvent]],
        failed: Callable[[Failure], ServiceEvent],
    ) -> None:
        try:
            event = await work()
        except IncorrectVersion as error:
            self._refuse(str(error))
            return
        except CairnError as error:
            self._trouble(error)
            event = failed(_failure(error))
        except Exception as error:
            our_fault(logger, "NameNode %s: %r", self.name, error, exc_info=error)
            event = failed(Failure.OTHER)
        self._feed(event)

    def _refuse(self, reason: str) -> None:
        if self.state.phase is Phase.REFUSED:
            return
        logger.error("%s", reason)
        self._feed(NamespaceRefused(reason))
        self._rearm.set()
        self._pool.refused(self, reason)

    def _trouble(self, error: CairnError) -> None:
        """Say the first of a row of failures; the rest are the same story."""
        if self._in_trouble:
            logger.debug("NameNode %s: %s", self.name, error)
            return
        self._in_trouble = True
        peer_fault(logger, "NameNode %s: %s; trying on", self.name, error)
        self._node.events.emit("datanode.namenode_lost", namenode=self.name, reason=str(error))

    # --- the calls ---------------------------------------------------------------------------

    async def _ask_version(self) -> ServiceEvent:
        body = await self.call("versionRequest", messages.version_request())
        answer = messages.version_answer(body)
        await self._pool.accept(self, answer)
        return NamespaceAccepted()

    async def _register(self) -> ServiceEvent:
        namespace = self._pool.namespace
        assert namespace is not None
        identity = await self._node.identity_towards(self.address)
        who = messages.registration(identity, namespace)
        body = await self.call("registerDatanode", messages.register_request(who))
        if messages.block_tokens_required(body):
            raise IncorrectVersion(
                f"NameNode {self.name} wants block tokens (dfs.block.access.token.enable), which "
                "this DataNode would not check; switch them off at the NameNode"
            )
        self._identity, self._who = identity, who
        self._in_trouble = False
        logger.info(
            "registered with NameNode %s as %s, block pool %s",
            self.name,
            identity.xfer_addr,
            namespace.pool_id,
        )
        self._node.events.emit(
            "datanode.registered", namenode=self.name, pool_id=namespace.pool_id, identity=identity
        )
        return Registered()

    async def _heartbeat(self, want_lease: bool) -> ServiceEvent:
        node, who = self._node, self._who
        assert who is not None
        reports, failures = await asyncio.to_thread(node.space, self._pool.pool_id)
        request = messages.heartbeat_request(who, reports, failures, node.load(), want_lease)
        answer = messages.heartbeat_answer(await self.call("sendHeartbeat", request))
        self.last_heartbeat_ms = node.clock.now_ms()
        if self._in_trouble:
            self._in_trouble = False
            logger.info("NameNode %s answers again", self.name)
        obeyed = self._pool.hear(self, answer.active, answer.transaction_id)
        node.events.emit(
            "datanode.heartbeat", namenode=self.name, active=answer.active, obeyed=obeyed
        )
        register = False
        for command in answer.commands:
            if isinstance(command, RegisterOrder):
                # What comes after it was meant for a node that the NameNode knows.
                register = True
                logger.info("NameNode %s does not know us: registering again", self.name)
                break
            self._pool.order(self, command)
        self._begin_errands()
        return HeartbeatAnswered(answer.report_lease_id, register)

    async def _send_facts(self, batch: FactBatch) -> ServiceEvent:
        assert self._who is not None
        request = messages.facts_request(self._who, self._pool.pool_id, batch)
        try:
            await self.call("blockReceivedAndDeleted", request)
        except CairnError as error:
            self._node.events.emit(
                "datanode.incremental_report_failed", namenode=self.name, reason=str(error)
            )
            raise
        self._node.events.emit(
            "datanode.incremental_report_sent", namenode=self.name, facts=batch.facts
        )
        return FactsDelivered(batch.number)

    async def _send_full_report(self, lease_id: int) -> ServiceEvent:
        who, pool_id, node = self._who, self._pool.pool_id, self._node
        assert who is not None
        self._report_id += 1
        began_ms = node.clock.steady_ms()

        def requests() -> tuple[list[Message], int]:
            lists = node.block_lists(pool_id)
            parts = messages.report_requests(
                who,
                pool_id,
                lists,
                report_id=self._report_id,
                lease_id=lease_id,
                split_threshold=node.report_split_threshold,
            )
            return list(parts), sum(map(len, lists.values()))

        parts, blocks = await node.in_thread(requests)
        listed_ms = node.clock.steady_ms()
        for part in parts:
            body = await self.call("blockReport", part, REPORT_TIMEOUT_MS)
            for command in messages.report_answer(body):
                self._pool.order(self, command)
        self.last_report_ms = node.clock.now_ms()
        logger.info(
            "full report of %d blocks to NameNode %s in %d messages: %d ms to list, %d ms to send",
            blocks,
            self.name,
            len(parts),
            listed_ms - began_ms,
            node.clock.steady_ms() - listed_ms,
        )
        node.events.emit(
            "datanode.block_report_sent", namenode=self.name, pool_id=pool_id, blocks=blocks
        )
        return FullReportDelivered()

    # --- errands -----------------------------------------------------------------------------

    def _begin_errands(self) -> None:
        if self._errands and not self._errands_open and self.phase is Phase.SERVING:
            self._errands_open = True
            self._spawn(self._run_errands())

    async def _run_errands(self) -> None:
        try:
            while self._errands and self._who is not None and self._identity is not None:
                errand = self._errands.popleft()
                method, build = errand
                try:
                    await self.call(method, build(self._who, self._identity))
                except TransportError:
                    # The next answered heartbeat begins again.
                    self._errands.appendleft(errand)
                    return
                except CairnError as error:
                    peer_fault(logger, "NameNode %s: %s: %s", self.name, method, error)
        finally:
            self._errands_open = False

    def _new_client(self) -> RpcClient:
        return RpcClient(
            self.address.host,
            self.address.port,
            messages.PROTOCOL,
            user=self._node.user,
            timeout_ms=CALL_TIMEOUT_MS,
            connect_timeout_ms=CONNECT_TIMEOUT_MS,
        )


def _failure(error: CairnError) -> Failure:
    if isinstance(error, UnregisteredNode):
        return Failure.UNREGISTERED
    if isinstance(error, DisallowedDatanode):
        return Failure.DISALLOWED
    if isinstance(error, InvalidBlockReportLease):
        return Failure.LEASE_INVALID
    return Failure.UNREACHABLE if isinstance(error, TransportError) else Failure.OTHER
