"""Real commands as processes: started, watched, stopped, never left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

CAIRN = (sys.executable, "-m", "cairnfs.cli")
WAIT_S = 60.0
POLL_S = 0.01
# Whoever has all privileges may read everything; the roles must not, where that is tested.
UNPRIVILEGED = (
    "setpriv",
    "--inh-caps=-dac_override,-dac_read_search",
    "--bounding-set=-dac_override,-dac_read_search",
)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would change whom or what a command takes itself for."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HADOOP_", "CAIRN_"))
    }
    return {**kept, "COLUMNS": "200", **(extra or {})}


def unprivileged() -> tuple[str, ...]:
    """What to put before a command so that permission bits hold for it."""
    if os.geteuid() != 0:
        return ()
    assert shutil.which("setpriv"), "util-linux is installed everywhere"
    return UNPRIVILEGED


def cairn(
    *arguments: object, env: Mapping[str, str] | None = None, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*before, *CAIRN, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
        stdin=subprocess.DEVNULL,
        env=environment(env),
    )


def defines(values: Mapping[str, object]) -> list[str]:
    """``-D`` for each."""
    return [word for key, value in values.items() for word in ("-D", f"{key}={value}")]


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a command that could not do what it was told (D03)."""
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    # Besides, a log may say what was done before.
    said = [line for line in done.stderr.splitlines() if not re.match(r"\d{4}-\d\d-\d\d ", line)]
    assert len(said) == 1, done.stderr
    assert re.match(r"cairn( up| namenode| datanode)?: \S", said[0]), done.stderr
    return said[0]


class Process:
    """A command that runs until it is told to stop; its output goes to one file."""

    def __init__(
        self,
        output: Path,
        *arguments: object,
        before: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.output_path = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [*before, *CAIRN, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        return self.output_path.read_text(errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches. Fails when the process ends before."""
        deadline = time.monotonic() + WAIT_S
        while True:
            ended = not self.running
            if found := re.search(pattern, self.output()):
                return found
            assert not ended, f"ended before {pattern!r}:\n{self.output()}"
            assert time.monotonic() < deadline, f"no {pattern!r}:\n{self.output()}"
            time.sleep(POLL_S)

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def ends(self) -> int:
        """Wait for its end; the exit code."""
        return self._process.wait(WAIT_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.send(number)
        return self.ends()

    def kill(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()


Start = Callable[..., Process]


def port_of(namenode: Process) -> int:
    """The RPC port of a NameNode that serves."""
    return int(namenode.wait_for(r"serving RPC on port (\d+)")[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll another process."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        time.sleep(POLL_S)


def alive(pid: int) -> bool:
    """Whether a process runs (one that is dead and not reaped does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in found]


def namenode_values(directory: Path, rpc_port: int = 0, http_port: int = 0) -> dict[str, object]:
    return {
        "dfs.namenode.name.dir": directory,
        "fs.defaultFS": f"hdfs://127.0.0.1:{rpc_port}",
        "dfs.namenode.http-address": f"127.0.0.1:{http_port}",
    }


def datanode_values(home: Path, namenode_port: int) -> dict[str, object]:
    return {
        "fs.defaultFS": f"hdfs://127.0.0.1:{namenode_port}",
        "dfs.datanode.data.dir": home / "data",
        "cairn.datanode.meta.home": home / "meta",
        "dfs.datanode.address": "127.0.0.1:0",
        "dfs.datanode.ipc.address": "127.0.0.1:0",
        "dfs.datanode.http.address": "127.0.0.1:0",
        "dfs.datanode.hostname": "127.0.0.1",
    }


def digest_of_tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, to see that none was changed."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "in_use.lock"
    }


class SmallDisk:
    """A tmpfs of ``mib`` MiB at ``mount_point``, seen only by commands run :attr:`inside`."""

    def __init__(self, mount_point: Path, mib: int) -> None:
        mount_point.mkdir()
        self.mount_point = mount_point
        root = os.geteuid() == 0
        enter = ("unshare", "--mount") if root else ("unshare", "--mount", "--map-root-user")
        script = f'mount -t tmpfs -o size={mib}m tmpfs "$0" && echo mounted && exec sleep infinity'
        self._holder = subprocess.Popen(
            [*enter, "sh", "-c", script, str(mount_point)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            assert self._holder.stderr is not None
            reason = self._holder.stderr.read().decode()
            self.close()
            pytest.skip(f"no file system can be mounted here: {reason}")
        user = () if root else ("--user", "--preserve-credentials")
        # What to put before a command that is to see the disk. The root too, because entering
        # a mount namespace goes to that of the machine, also from inside a chroot.
        pid = str(self._holder.pid)
        self.inside = ("nsenter", *user, "--mount", "--root", "--target", pid)
        # The same directory as this process can reach it.
        self.path = Path(f"/proc/{self._holder.pid}/root{mount_point}")

    def fill(self) -> None:
        """Leave not a page free."""
        filler = os.open(self.path / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while os.write(filler, bytes(size)):
                    pass
        os.close(filler)
        assert os.statvfs(self.path).f_bavail == 0

    def free(self) -> None:
        (self.path / "filler").unlink()

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()
