"""What a short command imports: the time that it takes is the time of its imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
from shell_runner import Shell
from terminal_process import plain_environment

_MAIN = """
import sys
from cairnfs.cli import _dispatch
code = _dispatch(sys.argv[1:])
assert code == 0, code
print(*sys.modules, file=sys.stderr)
"""
# Each would take a sixth of the time or more.
HEAVY = {
    "asyncio", "google.protobuf", "numpy", "rich", "click", "prompt_toolkit", "aiohttp", "lmdb",
    "crc32c", "uvloop", "msgspec", "yaml", "ssl", "subprocess", "concurrent.futures",
}  # fmt: skip


def modules_of(*words: str) -> set[str]:
    """What ``cairn WORDS`` has imported by its end."""
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, *words],
        capture_output=True,
        check=True,
        env=plain_environment(),
        text=True,
    )
    return set(done.stderr.split())


@pytest.mark.requirement("D01")
@pytest.mark.parametrize(
    "words",
    [["-ls", "/"], ["-ls", "/*"], ["-stat", "%n", "/"], ["-test", "-e", "/"], ["-df"],
     ["-count", "/tmp"], ["-mkdir", "-p", "/tmp/started"], ["-rm", "-f", "/tmp/nothing"],
     ["-chmod", "777", "/tmp"], ["-usage"]],
    ids=" ".join,
)  # fmt: skip
def test_short_commands_import_little(cluster_url: str, words: list[str]) -> None:
    assert not HEAVY & modules_of("fs", "-fs", cluster_url, *words)


@pytest.mark.requirement("D01")
def test_only_the_verb_that_is_called_is_imported(cluster_url: str) -> None:
    found = modules_of("fs", "-fs", cluster_url, "-ls", "/")
    assert {name for name in found if name.startswith("cairnfs.shell.verbs.")} == {
        "cairnfs.shell.verbs.ls"
    }


def test_long_listings_are_the_same(shell: Shell, folder: str) -> None:
    """Past some thousand entries protobuf takes over."""
    names = [f"entry-{number:04}" for number in range(1500)]
    for start in range(0, len(names), 500):
        part = names[start : start + 500]
        assert shell("-mkdir", *(f"{folder}/{name}" for name in part)).code == 0
    for _ in range(2):
        listed = shell("-ls", "-C", folder, folder).lines
        assert listed == [f"{folder}/{name}" for name in names] * 2
