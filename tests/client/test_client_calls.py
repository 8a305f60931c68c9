"""Calls to NameNodes: which one, how often, with which ids."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cairnfs.client.calls import NamenodeCalls, RetryRules
from cairnfs.client.retry import Backoff
from cairnfs.errors import (
    CairnError,
    CallTimeout,
    ConnectFailed,
    ConnectionLost,
    NotFound,
    RetriableError,
    SafeMode,
    StandbyState,
)
from cairnfs.wire.proto import client_namenode_pb2 as nn

REQUEST = nn.GetFileInfoRequestProto(src="/")
GOOD = nn.GetFileInfoResponseProto().SerializeToString()


class FakeNetwork:
    """NameNodes that answer from scripts, and a clock that only sleeping moves."""

    def __init__(self, *scripts: list[CairnError | None]) -> None:
        self.scripts = list(scripts)
        self.calls: list[tuple[int, int, int]] = []  # (NameNode, call id, retry count)
        self.client_ids: set[bytes] = set()
        self.slept_ms: list[float] = []
        self.now = 0.0

    def dial(self, host: str, port: int, client_id: bytes) -> FakeLink:
        self.client_ids.add(client_id)
        return FakeLink(self, port)

    async def sleep_ms(self, duration_ms: float) -> None:
        self.slept_ms.append(duration_ms)
        self.now += duration_ms

    def connect(self, **rules: int) -> NamenodeCalls:
        addresses = [(f"nn{number}", number) for number in range(len(self.scripts))]
        return NamenodeCalls(
            addresses,
            self.dial,
            RetryRules(**rules),
            sleep_ms=self.sleep_ms,
            now_ms=lambda: int(self.now),
        )


class FakeLink:
    def __init__(self, network: FakeNetwork, number: int) -> None:
        self.network = network
        self.number = number

    async def call(
        self,
        method: str,
        request: bytes,
        timeout_ms: int | None = None,
        *,
        call_id: int | None = None,
        retry_count: int = 0,
    ) -> bytes:
        assert call_id is not None
        self.network.calls.append((self.number, call_id, retry_count))
        script = self.network.scripts[self.number]
        error = script.pop(0) if len(script) > 1 else script[0]
        if error is not None:
            raise error
        return GOOD

    async def close(self) -> None:
        pass


async def ask(calls: NamenodeCalls, wait_ms: int = 0) -> None:
    await calls.call("getFileInfo", REQUEST, nn.GetFileInfoResponseProto, wait_ms=wait_ms)


@pytest.mark.requirement("A24")
async def test_a_call_keeps_its_ids_over_all_attempts_and_namenodes() -> None:
    lost = ConnectionLost("gone")
    network = FakeNetwork([lost, lost, None], [StandbyState("not me"), CallTimeout("slow"), None])
    calls = network.connect()
    await ask(calls)
    assert network.calls == [(0, 0, 0), (1, 0, 1), (0, 0, 2), (1, 0, 3), (0, 0, 4)]
    assert len(network.client_ids) == 1
    # The other one is tried at once, the same ones again after a pause.
    assert len(network.slept_ms) == 2
    await ask(calls)
    assert network.calls[-1] == (0, 1, 0)


@pytest.mark.requirement("A24")
async def test_the_active_namenode_is_remembered() -> None:
    network = FakeNetwork([StandbyState("not me")], [None])
    calls = network.connect()
    for _ in range(3):
        await ask(calls)
    assert [number for number, _, _ in network.calls] == [0, 1, 1, 1]


async def test_without_an_active_namenode_the_error_says_so() -> None:
    network = FakeNetwork([StandbyState("not me")], [StandbyState("nor me")])
    with pytest.raises(ConnectFailed, match="none of 2 NameNodes is active"):
        await ask(network.connect(failovers_max=5))
    assert len(network.calls) == 6


async def test_pauses_between_rounds_grow_up_to_their_limit() -> None:
    network = FakeNetwork([ConnectFailed("down")], [ConnectFailed("down")])
    with pytest.raises(ConnectFailed):
        await ask(network.connect(failovers_max=20, failover_base_ms=100, failover_max_ms=400))
    for number, slept in enumerate(network.slept_ms):
        whole = min(100 * 2**number, 400)
        assert whole / 2 <= slept <= whole


@pytest.mark.requirement("C06")
async def test_a_single_namenode_that_comes_back_is_found_again() -> None:
    network = FakeNetwork([ConnectFailed("down")] * 4 + [None])
    await ask(network.connect(connect_retries=5))
    assert [retry for _, _, retry in network.calls] == [0, 1, 2, 3, 4]
    network = FakeNetwork([ConnectFailed("down")])
    with pytest.raises(ConnectFailed, match="down"):
        await ask(network.connect(connect_retries=5))
    assert len(network.calls) == 6


@pytest.mark.requirement("D02")
async def test_a_namenode_that_is_not_up_yet_is_waited_for() -> None:
    network = FakeNetwork([ConnectFailed("down")] * 50 + [None])
    calls = network.connect(connect_retries=1, connect_pause_ms=1000)
    await ask(calls, wait_ms=120_000)
    assert len(network.calls) == 51
    network = FakeNetwork([ConnectFailed("down")])
    with pytest.raises(ConnectFailed):
        await ask(network.connect(connect_retries=1), wait_ms=10_000)
    assert 10_000 <= network.now < 12_000


@pytest.mark.requirement("C06")
async def test_safe_mode_is_waited_for_within_its_limit() -> None:
    network = FakeNetwork([SafeMode("starting")] * 3 + [None])
    await ask(network.connect())
    network = FakeNetwork([SafeMode("entered by hand")])
    with pytest.raises(SafeMode):
        await ask(network.connect(safe_mode_ms=3000))
    assert 3000 <= network.now < 5000


async def test_a_busy_namenode_is_asked_again() -> None:
    network = FakeNetwork([RetriableError("busy")] * 3 + [None])
    await ask(network.connect())
    assert len(network.slept_ms) == 3
    network = FakeNetwork([RetriableError("busy")])
    with pytest.raises(RetriableError):
        await ask(network.connect(failovers_max=4))
    assert len(network.calls) == 5


async def test_other_errors_are_not_repeated() -> None:
    network = FakeNetwork([NotFound("no such file")])
    with pytest.raises(NotFound):
        await ask(network.connect())
    assert len(network.calls) == 1
    assert network.slept_ms == []


@pytest.mark.parametrize(
    ("random", "expected"),
    [(lambda: 0.0, [50, 100, 200, 200]), (lambda: 1.0, [100, 200, 400, 400])],
)
def test_backoff_doubles_up_to_its_limit(
    random: Callable[[], float], expected: list[float]
) -> None:
    backoff = Backoff(100, 400, random)
    assert [backoff.next_ms() for _ in range(4)] == expected
    backoff.reset()
    assert backoff.next_ms() == expected[0]


def test_backoff_never_overflows() -> None:
    backoff = Backoff(1, 1000)
    for _ in range(5000):
        assert 0 < backoff.next_ms() <= 1000
