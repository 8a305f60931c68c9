"""Where a sync is made: from what syncs took to a decision."""

from __future__ import annotations

from cairnfs.store.sync_pace import (
    PROBE_EVERY,
    PROBES_QUICK,
    QUICK_US,
    STALL_US,
    SyncPace,
)


def syncs(pace: SyncPace, duration_us: float, count: int) -> int:
    """How many of ``count`` syncs of this duration were made at once."""
    at_once = 0
    for _ in range(count):
        if pace.at_once():
            at_once += 1
            pace.took(duration_us)
    return at_once


def test_a_quick_disk_is_always_synced_at_once() -> None:
    assert syncs(SyncPace(), QUICK_US - 1, 1000) == 1000


def test_a_slow_disk_blocks_the_loop_once_and_then_seldom() -> None:
    pace = SyncPace()
    assert syncs(pace, 10_000, 1 + 10 * PROBE_EVERY) == 1 + 10


def test_a_disk_that_is_a_little_too_slow_is_found_out() -> None:
    pace = SyncPace()
    assert syncs(pace, QUICK_US * 1.5, 2000) < 60


def test_a_stall_is_forgiven_after_quick_probes() -> None:
    pace = SyncPace()
    syncs(pace, 50, 100)
    pace.took(STALL_US)
    assert not pace.at_once()
    assert syncs(pace, 50, PROBES_QUICK * PROBE_EVERY) >= PROBES_QUICK
    assert syncs(pace, 50, 100) == 100


def test_one_quick_probe_alone_proves_nothing() -> None:
    pace = SyncPace()
    pace.took(STALL_US)
    for _ in range(10):
        while not pace.at_once():
            pass
        pace.took(50)
        while not pace.at_once():
            pass
        pace.took(STALL_US)
    assert not pace.at_once()
