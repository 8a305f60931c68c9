"""Calls to the NameNode that is active, wherever it is, repeated where that is right.

A call keeps its client id and call id over all attempts and all NameNodes, so that a server
whose answer was lost finds it in its retry cache instead of doing the work again.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cairnfs.client.retry import Backoff
from cairnfs.errors import (
    CairnError,
    ConnectFailed,
    RetriableError,
    SafeMode,
    StandbyState,
    TransportError,
)

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
_CLIENT_ID_BYTES = 16
_CALL_ID_MAX = 0x7FFFFFFF

M = TypeVar("M")


class Link(Protocol):
    """One NameNode: what :class:`cairnfs.net.rpc_client.RpcClient` offers."""

    async def call(
        self,
        method: str,
        request: bytes,
        timeout_ms: int | None = None,
        *,
        call_id: int | None = None,
        retry_count: int = 0,
    ) -> bytes: ...

    async def close(self) -> None: ...


# (host, port, client id) -> a link that connects when first used.
Dial = Callable[[str, int, bytes], Link]


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How long a call goes on trying. Times in milliseconds."""

    connect_retries: int = 10
    connect_pause_ms: int = 1_000
    failovers_max: int = 15
    failover_base_ms: int = 500
    failover_max_ms: int = 15_000
    safe_mode_ms: int = 10_000


class NamenodeCalls:
    """Calls methods at one of ``addresses``: the active one, once it is known.

    ``sleep_ms`` waits on the caller's clock, ``now_ms`` is its steady time."""

    def __init__(
        self,
        addresses: Sequence[tuple[str, int]],
        dial: Dial,
        rules: RetryRules,
        *,
        sleep_ms: Callable[[float], Awaitable[None]],
        now_ms: Callable[[], int],
    ) -> None:
        self.addresses = tuple(addresses)
        self.client_id = os.urandom(_CLIENT_ID_BYTES)
        self._links = [dial(host, port, self.client_id) for host, port in addresses]
        self._rules = rules
        self._sleep_ms = sleep_ms
        self._now_ms = now_ms
        self._active = 0
        self._next_call_id = 0

    async def call(
        self,
        method: str,
        request: Any,
        answer: type[M],
        *,
        timeout_ms: int | None = None,
        wait_ms: int = 0,
    ) -> M:
        """Call ``method`` with the message ``request``; its answer as an ``answer`` message.

        For ``wait_ms`` more than the rules say, a NameNode that cannot be reached or is in
        safe mode is waited for. Raises the NameNode's error, or ``TransportError``."""
        from cairnfs.wire.message import parse, serialize

        body = serialize(request)
        data = await self.call_raw(method, body, timeout_ms=timeout_ms, wait_ms=wait_ms)
        return parse(answer, data)  # type: ignore[type-var]

    async def call_raw(
        self, method: str, body: bytes, *, timeout_ms: int | None = None, wait_ms: int = 0
    ) -> bytes:
        """As :meth:`call`, from message bytes to message bytes."""
        call_id = self._next_call_id
        self._next_call_id = (call_id + 1) & _CALL_ID_MAX
        attempt = _Attempts(self._rules, len(self._links), self._now_ms(), wait_ms)
        while True:
            used = self._active
            try:
                return await self._links[used].call(
                    method, body, timeout_ms, call_id=call_id, retry_count=attempt.count
                )
            except (TransportError, StandbyState) as error:
                pause_ms = attempt.elsewhere(error, self._now_ms())
                if self._active == used:
                    self._active = (used + 1) % len(self._links)
            except (RetriableError, SafeMode) as error:
                pause_ms = attempt.again(error, self._now_ms())
            if pause_ms:
                await self._sleep_ms(pause_ms)

    async def close(self) -> None:
        for link in self._links:
            await link.close()


class _Attempts:
    """How often one call was tried, and whether it is tried again."""

    def __init__(self, rules: RetryRules, links: int, started_ms: int, wait_ms: int) -> None:
        self._rules = rules
        self._single = links == 1
        self._links = links
        self._started_ms = started_ms
        self._wait_ms = wait_ms
        self.count = 0
        if self._single:
            self._backoff = Backoff(rules.connect_pause_ms / 16, rules.connect_pause_ms)
            self._most = rules.connect_retries
        else:
            self._backoff = Backoff(rules.failover_base_ms, rules.failover_max_ms)
            self._most = rules.failovers_max

    def elsewhere(self, error: CairnError, now_ms: int) -> float:
        """The pause before another NameNode is tried (or the only one again); or ``error``."""
        self.count += 1
        if self.count > self._most and not self._waits(now_ms):
            raise self._last_word(error)
        # The other NameNodes are tried at once, the same one after a pause.
        if not self._single and self.count % self._links:
            return 0.0
        return self._backoff.next_ms()

    def again(self, error: CairnError, now_ms: int) -> float:
        """The pause before the same NameNode is asked again; or ``error``."""
        self.count += 1
        if isinstance(error, SafeMode):
            patient = now_ms - self._started_ms < self._rules.safe_mode_ms
        else:
            patient = self.count <= self._rules.failovers_max
        if not patient and not self._waits(now_ms):
            raise error
        return self._backoff.next_ms()

    def _waits(self, now_ms: int) -> bool:
        return now_ms - self._started_ms < self._wait_ms

    def _last_word(self, error: CairnError) -> CairnError:
        if self._single or not isinstance(error, StandbyState):
            return error
        return ConnectFailed(
            f"none of {self._links} NameNodes is active (tried {self.count} times); last: {error}"
        )
