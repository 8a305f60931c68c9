"""Threads that are lent: never too many, the warm ones first, none that idles for ever."""

from __future__ import annotations

import threading
import time

import pytest

from cairnfs.datanode import worker_pool
from cairnfs.datanode.worker_pool import WorkerPool


def run_one(pool: WorkerPool) -> str:
    """Run a job; the name of its thread, once the pool has it back."""
    names: list[str] = []
    assert pool.submit(lambda: names.append(threading.current_thread().name))
    wait_until_idle(pool)
    return names[0]


def wait_until_idle(pool: WorkerPool) -> None:
    deadline = time.monotonic() + 5
    while pool.busy:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def held(pool: WorkerPool, count: int) -> threading.Event:
    """Keep ``count`` threads busy until the event is set."""
    release = threading.Event()
    for _ in range(count):
        assert pool.submit(lambda: release.wait(5))  # type: ignore[arg-type,return-value]
    return release


def test_a_job_goes_to_the_thread_that_became_idle_last() -> None:
    pool = WorkerPool("t", 8)
    held(pool, 3).set()
    wait_until_idle(pool)
    assert len({run_one(pool) for _ in range(20)}) == 1
    assert pool.stop(5)


def test_no_more_threads_than_allowed() -> None:
    pool = WorkerPool("t", 2)
    release = held(pool, 2)
    assert pool.busy == 2
    assert not pool.submit(lambda: None)
    release.set()
    wait_until_idle(pool)
    assert run_one(pool) in ("t-1", "t-2")
    assert pool.stop(5)


def test_jobs_are_never_lost_between_a_thread_that_gives_up_and_one_that_is_given_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pool, "_IDLE_S", 0.0005)
    pool = WorkerPool("t", 4)
    done: list[int] = []
    for number in range(300):
        while not pool.submit(lambda number=number: done.append(number)):  # type: ignore[misc]
            time.sleep(0)
        time.sleep(0.0005)
    wait_until_idle(pool)
    assert sorted(done) == list(range(300))
    assert pool.stop(5)


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "_IDLE_S", 0.01)
    pool = WorkerPool("idle-test", 4)
    held(pool, 4).set()
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("idle-test") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert run_one(pool) == "idle-test-5"
    assert pool.stop(5)


def test_a_job_that_fails_is_a_fault_of_ours_and_its_thread_goes_on(
    our_faults: list[object],
) -> None:
    pool = WorkerPool("t", 1)
    assert pool.submit(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    wait_until_idle(pool)
    assert len(our_faults) == 1
    our_faults.clear()
    assert run_one(pool) == "t-1"
    assert pool.stop(5)


def test_stopping_waits_for_jobs_but_not_for_ever() -> None:
    pool = WorkerPool("t", 2)
    release = held(pool, 1)
    assert not pool.stop(0.01)
    release.set()
    assert pool.stop(5)
