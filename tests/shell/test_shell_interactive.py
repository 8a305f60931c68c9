"""``cairn shell``, at a terminal and from a pipe."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shell_runner import Shell
from terminal_process import CAIRN, Terminal, plain_environment

from cairnfs.client.filesystem import configuration
from cairnfs.testing import free_port

pytestmark = pytest.mark.requirement("D01")

Start = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Start]:
    """Start ``cairn`` at a terminal; it ends with the test."""
    started: list[Terminal] = []

    def start(*words: str, **environ: str) -> Terminal:
        found = Terminal(*words, environ={"XDG_STATE_HOME": str(tmp_path / "state")} | environ)
        started.append(found)
        return found

    yield start
    for each in started:
        each.__exit__()


def piped(url: str, lines: str, *words: str, cwd: Path | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of ``cairn shell`` with commands from a pipe."""
    done = subprocess.run(
        [CAIRN, "shell", "-fs", url, *words],
        input=lines.encode(),
        capture_output=True,
        check=False,
        env=plain_environment(),
        cwd=cwd,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_people_at_a_terminal(
    terminal: Start, cluster_url: str, folder: str, shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "local.txt").write_text("from here\n")
    it = terminal("shell", "-fs", cluster_url)
    it.expect("quit leaves")
    it.expect("cairn:/user/[^>]+>")
    it.type(f"cd {folder}\r")
    it.expect(f"cairn:{folder}>")
    it.type(f"lcd {tmp_path}\r")
    it.expect(">")
    it.type("put local.txt remote.txt\r")
    it.expect(f"cairn:{folder}>")
    it.type("list\r")
    it.expect("-rw-r--r--.* remote.txt\n")
    assert shell("-cat", f"{folder}/remote.txt").text == "from here\n"
    # Completion of a verb, then of a remote path.
    it.expect(f"cairn:{folder}>")
    it.type("moveF\t")
    it.expect("romLocal")
    it.type("\x15cat rem\t")
    it.expect("ote.txt")
    it.type("\r")
    it.expect("from here\n")
    it.type("get remote.txt back.txt\r")
    it.expect(f"cairn:{folder}>")
    # Failures are sentences, and the shell goes on.
    it.type("cat nowhere\r")
    it.expect("cat: `nowhere': No such file or directory\n")
    it.type("ls -Z\r")
    it.expect("Illegal option -Z\nUsage: -ls ")
    it.type("nonsense\r")
    it.expect("nonsense: Unknown command")
    it.type("cd remote.txt\r")
    it.expect("cd: `remote.txt': Is not a directory")
    # Ctrl-C takes back the line, and nothing else.
    it.type("rm -r *\x03")
    it.expect(f"cairn:{folder}>")
    it.type("pwd\r")
    it.expect(f"\n{folder}\n")
    it.type("quit\r")
    code, rest = it.end()
    assert code == 0
    assert "Traceback" not in rest
    assert (tmp_path / "back.txt").read_text() == "from here\n"


def test_history_is_kept_and_is_nobody_elses_business(
    terminal: Start, cluster_url: str, tmp_path: Path
) -> None:
    first = terminal("shell", cluster_url)
    first.expect(">")
    first.type("ls /no-such-place\r")
    first.expect("No such file")
    first.expect(">")
    first.type("\x04")
    assert first.end()[0] == 0
    second = terminal("shell", cluster_url)
    second.expect(">")
    second.type("\x1b[A\r")
    second.expect("`/no-such-place': No such file")
    second.type("exit\r")
    assert second.end()[0] == 0
    kept = tmp_path / "state" / "cairn" / "history"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_ctrl_c_ends_a_command_and_not_the_shell(
    terminal: Start, cluster_url: str, folder: str, shell: Shell
) -> None:
    assert shell("-put", "-", f"{folder}/f", stdin=b"begin\n").code == 0
    it = terminal("shell", cluster_url)
    it.expect(">")
    it.type(f"tail -f {folder}/f\r")
    it.expect("\nbegin\n")
    it.interrupt()
    it.expect("tail: Interrupted")
    it.type("pwd\r")
    it.expect("/user/")
    it.type("quit\r")
    assert it.end()[0] == 0


@pytest.mark.requirement("D02")
def test_a_namenode_that_is_not_up_yet_is_waited_for(terminal: Start, cluster_url: str) -> None:
    host, _, port = cluster_url.removeprefix("hdfs://").partition(":")
    mine = free_port()
    it = terminal("shell", f"hdfs://{host}:{mine}")
    it.expect("cannot be reached: Connection refused.* Waiting for it; Ctrl-C gives up")
    with _Forwarder((host, mine), (host, int(port))):
        it.expect(f"Connected to hdfs://{host}:{mine}")
        it.type("ls -d /\r")
        it.expect("drwx.* /\n")
        it.type("quit\r")
        assert it.end()[0] == 0


@pytest.mark.requirement("D02")
def test_waiting_can_be_given_up(terminal: Start) -> None:
    port = free_port()
    it = terminal("shell", f"hdfs://127.0.0.1:{port}")
    it.expect("Waiting for it")
    it.interrupt()
    it.expect("Interrupted")
    it.expect("cairn:/user/[^>]*>")
    it.type("pwd\r")
    it.expect("/user/")
    it.type("ls /\r")
    it.expect("Waiting for it")
    it.interrupt()
    it.expect("ls: Interrupted")
    it.type("quit\r")
    assert it.end()[0] == 0


def test_commands_from_a_pipe(cluster_url: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "b.txt").write_text("b\n")
    lines = f"""
# a comment, and an empty line

mkdir {folder}/d
cd {folder}/d
put *.txt .
-cat a.txt b.txt
lpwd
pwd
list -C
get a.txt copy.txt
cd ..
pwd
cd
help mkdir
quit
ls /never
"""
    code, output, errors = piped(cluster_url, lines, cwd=tmp_path)
    assert (code, errors) == (0, "")
    assert output.startswith(f"a\nb\n{tmp_path}\n{folder}/d\na.txt\nb.txt\n{folder}\n-mkdir [-p]")
    assert (tmp_path / "copy.txt").read_text() == "a\n"


@pytest.mark.requirement("D03")
def test_the_exit_code_is_that_of_the_last_command(cluster_url: str) -> None:
    assert piped(cluster_url, "ls /none\nls -d /\n")[0] == 0
    code, _, errors = piped(cluster_url, 'ls -d /\nls "/none\nls /none\n')
    assert code == 1
    assert errors == ("shell: No closing quotation\nls: `/none': No such file or directory\n")
    assert piped(cluster_url, "ls -Z\n")[0] == 255
    assert piped(cluster_url, "lcd /no/such\n")[2] == "lcd: /no/such (No such file or directory)\n"
    assert piped(cluster_url, "cd a b\n")[2] == "cd: Too many arguments: expected 1 but got 2\n"
    assert piped(cluster_url, "", "-x", "y")[0] == 255
    assert piped("gopher://x", "ls\n")[0] == 1


def test_help_lists_everything(cluster_url: str) -> None:
    code, output, errors = piped(cluster_url, "help\nhelp put\nusage get\n")
    assert (code, errors) == (0, "")
    for word in ("list [path]", "quit, exit", "appendToFile", "truncate", "-ignoreCrc", "-skip"):
        assert word in output or word == "-skip"
    assert "Usage: -get [-f]" in output


class _Forwarder:
    """Lets one port stand for another, from now on."""

    def __init__(self, mine: tuple[str, int], theirs: tuple[str, int]) -> None:
        self._child = subprocess.Popen(
            [os.sys.executable, "-c", _FORWARD, mine[0], str(mine[1]), theirs[0], str(theirs[1])]  # type: ignore[attr-defined]
        )

    def __enter__(self) -> None:
        pass

    def __exit__(self, *reason: object) -> None:
        self._child.kill()
        self._child.wait()


_FORWARD = """
import asyncio, sys

async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def serve(reader, writer):
    there = await asyncio.open_connection(sys.argv[3], int(sys.argv[4]))
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    await server.serve_forever()

asyncio.run(main())
"""


def test_an_interrupt_while_a_failure_is_told_ends_the_command_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At a terminal it would take the luck of a millisecond to see this."""
    from cairnfs.shell import terminal as prompts
    from cairnfs.shell.interactive import Shell as Interactive
    from cairnfs.shell.session import Session

    shell = Interactive(Session(configuration(None), ""))
    done: list[str] = []

    def execute(line: str) -> int:
        done.append(line)
        if line == "first":
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(shell, "execute", execute)
    monkeypatch.setattr(shell, "_wait_until_ready", lambda: None)
    monkeypatch.setattr(prompts, "prompted_lines", lambda shell: iter(["first", "second"]))
    shell._run_terminal()
    assert done == ["first", "second"]
    shell.session.close()
