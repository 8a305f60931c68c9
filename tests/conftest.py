"""What every test run watches: faults of our own, leaks, promises that are named right.

- A log record of :func:`cairnfs.log.our_fault`, or an error that asyncio logs, fails its test.
- Sockets, threads and child processes that outlive a test fail it.
- Warnings are errors (pyproject.toml), so an unclosed file fails its test too.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import hypothesis
import psutil
import pytest

from cairnfs.log import OUR_FAULT
from cairnfs.namespace import walk

# Whatever is being closed may take a moment after the test; past this it is a leak.
_CLOSING_S = 3.0
_POLL_S = 0.01

# The machine is shared: a slow example is no failure. CI must fail on the same examples as we do.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--peers",
        choices=("required", "auto"),
        default="required" if os.environ.get("CI") else "auto",
        help="tests against real Hadoop fail (required) or are skipped (auto) where it is missing",
    )
    parser.addoption(
        "--compiled", action="store_true", help="fail unless the package is the compiled one"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--compiled") and not str(walk.__file__).endswith(".so"):
        raise pytest.UsageError(f"{walk.__file__} is not compiled; `make test-accelerated`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("requirement"):
            for promise in mark.args:
                if not re.fullmatch(r"[A-F][0-9]{2}", promise):
                    raise pytest.UsageError(f"{item.nodeid}: no such promise: {promise!r}")


# --- faults --------------------------------------------------------------------------------------


class _FaultCollector(logging.Handler):
    """Keeps the records that must not be."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "fault", None) == OUR_FAULT or record.name == "asyncio":
            self.records.append(record)


@pytest.fixture
def our_faults() -> Iterator[list[logging.LogRecord]]:
    """Faults of this process so far. A test that provokes some removes them after looking."""
    collector = _FaultCollector()
    # Not on the root logger: whoever configures logging replaces what hangs there.
    loggers = [logging.getLogger(name) for name in ("cairnfs", "asyncio")]
    for logger in loggers:
        logger.addHandler(collector)
    yield collector.records
    for logger in loggers:
        logger.removeHandler(collector)


@pytest.fixture(autouse=True)
def _no_fault_of_ours(our_faults: list[logging.LogRecord], _no_leaks: None) -> Iterator[None]:
    yield
    if our_faults:
        lines = "\n".join(
            record.getMessage() + (f" ({record.exc_info[1]!r})" if record.exc_info else "")
            for record in our_faults
        )
        pytest.fail(f"this process logged faults of its own:\n{lines}", pytrace=False)


# --- leaks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Held:
    """What this process holds right now."""

    sockets: frozenset[str]
    threads: frozenset[threading.Thread]
    children: frozenset[int]

    def beyond(self, before: _Held) -> list[str]:
        """What is held now and was not held ``before``, as texts."""
        return [
            *(f"socket {name}" for name in sorted(self.sockets - before.sockets)),
            *(f"thread {thread.name}" for thread in self.threads - before.threads),
            *(f"child process {_describe(pid)}" for pid in self.children - before.children),
        ]


def _held() -> _Held:
    sockets = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("socket:"):
            sockets.add(target)
    return _Held(frozenset(sockets), frozenset(threading.enumerate()), frozenset(_children()))


def _children() -> set[int]:
    try:
        # Cheap where there is none, which is the rule; a scan of all processes is not.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return {child.pid for child in psutil.Process().children() if not _is_tracker(child)}


def _is_tracker(process: psutil.Process) -> bool:
    """Whether it is multiprocessing's own, which lives as long as the interpreter."""
    try:
        return any("resource_tracker" in word for word in process.cmdline())
    except psutil.Error:
        return False


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{pid} ({process.status()}: {' '.join(process.cmdline())[:200]})"
    except psutil.Error:
        return str(pid)


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    # Clients of real peers live as long as the run (one JVM serves many tests).
    if request.node.get_closest_marker("peers"):
        yield
        return
    before = _held()
    yield
    deadline = time.monotonic() + _CLOSING_S
    while left := _held().beyond(before):
        if time.monotonic() > deadline:
            pytest.fail("left behind: " + "; ".join(left), pytrace=False)
        time.sleep(_POLL_S)


@pytest.fixture(autouse=True, scope="session")
def _no_children_left() -> Iterator[None]:
    before = _children()
    yield
    deadline = time.monotonic() + _CLOSING_S
    while left := _children() - before:
        if time.monotonic() > deadline:
            pytest.fail("left running: " + "; ".join(map(_describe, left)), pytrace=False)
        time.sleep(_POLL_S)
