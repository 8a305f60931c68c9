"""The watch itself: each kind of leak and fault fails the test that made it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

FOUND = {
    "test_our_fault": "our fault: oops 7",
    "test_task": "Task exception was never retrieved",
    "test_socket": "left behind: socket",
    "test_thread": "left behind: thread stray",
    "test_child": "left behind: child process",
    "test_file": "unclosed file",
    # What a whole run leaves running is told at its end.
    "test_last": "left running",
}

SOURCE = """
import asyncio, gc, logging, socket, subprocess, threading
from cairnfs.log import our_fault, peer_fault

logger = logging.getLogger("cairnfs.x")
keep = []

def test_our_fault():
    our_fault(logger, "oops %d", 7)

async def test_task():
    async def bad():
        raise RuntimeError("lost")
    task = asyncio.create_task(bad())
    await asyncio.sleep(0)
    del task
    gc.collect()

def test_socket():
    keep.append(socket.socket())

def test_thread():
    threading.Thread(target=threading.Event().wait, args=(9,), name="stray", daemon=True).start()

def test_child():
    keep.append(subprocess.Popen(["sleep", "9"]))

def test_file(tmp_path):
    open(tmp_path / "x", "w")
    gc.collect()

def test_fine_peer_fault():
    peer_fault(logger, "sent nonsense")

def test_fine_expected(our_faults):
    our_fault(logger, "on purpose")
    assert our_faults.pop().getMessage() == "our fault: on purpose"

def test_fine_closed_soon():
    sock = socket.socket()
    threading.Timer(0.05, sock.close).start()

def test_last():
    pass
"""


def run(pytester: pytest.Pytester, source: str) -> str:
    """What pytest printed for ``source`` under our own conftest, in a process of its own."""
    conftest = Path(__file__).with_name("conftest.py").read_text()
    pytester.makeconftest(conftest.replace("_CLOSING_S = 3.0", "_CLOSING_S = 1.0"))
    pytester.makepyfile(source)
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
        "markers =\n    requirement(id): a promise\n    peers: real peers\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret != 0
    return result.stdout.str() + result.stderr.str()


@pytest.mark.requirement("A28")
def test_what_the_watch_finds_and_what_it_lets_pass(pytester: pytest.Pytester) -> None:
    output = run(pytester, SOURCE)
    for test, words in FOUND.items():
        section = output.partition(f" {test} _")[2].partition("\n____")[0]
        assert words in section, (test, output)
    assert " test_fine" not in output


def test_a_promise_that_does_not_exist_stops_the_run(pytester: pytest.Pytester) -> None:
    output = run(
        pytester,
        "import pytest\n@pytest.mark.requirement('A1')\ndef test_it():\n    pass\n",
    )
    assert "no such promise: 'A1'" in output
