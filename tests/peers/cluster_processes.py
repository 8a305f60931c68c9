"""A cluster of real processes, Apache's or Cairn's, on free ports of 127.0.0.1.

Both kinds read the very same ``core-site.xml`` and ``hdfs-site.xml``, and may be mixed. Each
process logs to ``logs/NAME.log``; each can be killed and started again by itself.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from hadoop import DATANODE, NAMENODE, QUICK_START, ROOT, Hadoop, write_log4j, write_site

from cairnfs.testing import free_port

Maker = Literal["apache", "cairn"]

CAIRN = ROOT / ".venv" / "bin" / "cairn"
_READY_S = 90.0
_STOP_S = 30.0
_POLL_S = 0.05
_SERVER_OPTIONS = (*QUICK_START, "-Xmx256m")


class ClusterError(Exception):
    """A process did not do what it should; the message ends with its log's last lines."""


def _environment() -> dict[str, str]:
    """Ours, without what would change whom or what a process of Hadoop's takes itself for."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HADOOP_", "CAIRN_"))
    }


@dataclass(slots=True)
class Role:
    """One process of a cluster, running or not."""

    name: str
    maker: Maker
    conf: Path
    log: Path
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    # Where the log stood when the running process was started.
    log_start: int = 0

    def start(self) -> None:
        assert self.process is None, f"{self.name} runs already"
        self.log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} does not run"
        return self.process.pid

    def kill(self) -> None:
        """End it as a power switch would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end; its exit code. Raises ``ClusterError`` if it does not."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        process, self.process = self.process, None
        assert process is not None, f"{self.name} does not run"
        process.send_signal(how)
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ClusterError(
                f"{self.name} did not stop within {_STOP_S} s\n{self.tail()}"
            ) from None

    def check_alive(self) -> None:
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process = None
            raise ClusterError(f"{self.name} ended with exit code {code}\n{self.tail()}")

    def output(self) -> str:
        """What it logged since its last start."""
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 30) -> str:
        found = [line for line in self.output().splitlines() if "STARTUP_MSG" not in line]
        return "\n".join(found[-lines:])


@dataclass
class ProcessCluster:
    """One NameNode and some DataNodes; a context manager that leaves nothing running."""

    directory: Path
    hadoop: Hadoop
    namenode_maker: Maker = "cairn"
    datanode_makers: Sequence[Maker] = ("cairn", "cairn", "cairn")
    settings: dict[str, str] = field(default_factory=dict)
    java_options: tuple[str, ...] = _SERVER_OPTIONS
    # The command that Cairn's roles are run with.
    cairn: Path = CAIRN

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "logs").mkdir(exist_ok=True)
        self.rpc_port = free_port()
        self.http_port = free_port()
        self.url = f"hdfs://127.0.0.1:{self.rpc_port}"
        self.conf = self._configuration("namenode", {})
        self.namenode = self._role("namenode", self.namenode_maker, self.conf)
        self.datanodes = [
            self._datanode(number, maker) for number, maker in enumerate(self.datanode_makers)
        ]

    # --- configuration ---------------------------------------------------------------------

    def _configuration(self, name: str, own: dict[str, str]) -> Path:
        conf = self.directory / f"conf-{name}"
        conf.mkdir(exist_ok=True)
        home = self.directory / name
        write_site(
            conf / "core-site.xml",
            {"fs.defaultFS": self.url, "hadoop.tmp.dir": str(self.directory / "tmp")},
        )
        values = {
            "dfs.replication": str(min(3, len(self.datanode_makers))),
            "dfs.namenode.name.dir": str(home / "name"),
            "dfs.namenode.http-address": f"127.0.0.1:{self.http_port}",
            "dfs.namenode.safemode.extension": "0",
            "dfs.namenode.fs-limits.min-block-size": "1024",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.datanode.data.dir": str(home / "data"),
            "dfs.datanode.address": "127.0.0.1:0",
            "dfs.datanode.ipc.address": "127.0.0.1:0",
            "dfs.datanode.http.address": "127.0.0.1:0",
            "dfs.datanode.hostname": "127.0.0.1",
            "dfs.heartbeat.interval": "1",
            "dfs.namenode.heartbeat.recheck-interval": "1000",
        }
        write_site(conf / "hdfs-site.xml", values | own | self.settings)
        write_log4j(conf)
        # Apache's servers look for their web pages on the class path; the jars bring none.
        for page in ("hdfs", "datanode"):
            (conf / "webapps" / page).mkdir(parents=True, exist_ok=True)
        return conf

    def _datanode(self, number: int, maker: Maker) -> Role:
        name = f"datanode{number}"
        return self._role(name, maker, self._configuration(name, {}))

    def _role(self, name: str, maker: Maker, conf: Path) -> Role:
        kind = "namenode" if name == "namenode" else "datanode"
        if maker == "apache":
            main = NAMENODE if kind == "namenode" else DATANODE
            command = self.hadoop.command(main, conf, options=self.java_options)
        else:
            command = [str(self.cairn), kind, "--conf", str(conf)]
        return Role(name, maker, conf, self.directory / "logs" / f"{name}.log", command)

    # --- life ------------------------------------------------------------------------------

    @property
    def roles(self) -> list[Role]:
        return [self.namenode, *self.datanodes]

    def __enter__(self) -> ProcessCluster:
        try:
            self.format()
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.check_no_fault()
        finally:
            self.kill()

    def format(self) -> None:
        """Make an empty namespace."""
        arguments = (
            ["-format", "-nonInteractive"] if self.namenode_maker == "apache" else ["--format"]
        )
        done = subprocess.run(
            [*self.namenode.command, *arguments],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=_environment(),
        )
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace")[-3000:]
            raise ClusterError(f"formatting failed with exit code {done.returncode}\n{output}")

    def start(self) -> None:
        """Start what does not run and wait until every DataNode serves."""
        for role in self.roles:
            if role.process is None:
                role.start()
        self.wait_ready()

    def kill(self) -> None:
        """Kill whatever runs."""
        for role in self.roles:
            if role.process is not None:
                role.kill()

    def restart(self, *, gently: bool = False) -> None:
        """End every process (``kill -9`` unless ``gently``) and start all again."""
        for role in reversed(self.roles):
            if role.process is not None:
                _ = role.stop() if gently else role.kill()
        self.start()

    def wait_ready(self, live: int | None = None) -> None:
        """Wait until ``live`` DataNodes (all that run) serve and safe mode is over."""
        wanted = sum(role.process is not None for role in self.datanodes) if live is None else live
        self.wait_for(lambda: self._live_datanodes() == wanted, f"{wanted} live DataNodes")

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = _READY_S) -> None:
        """Poll ``condition``. Raises ``ClusterError`` when time is up or a process ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            for role in self.roles:
                role.check_alive()
            if time.monotonic() > deadline:
                raise ClusterError(f"no {what} within {seconds} s\n{self.namenode.tail()}")
            time.sleep(_POLL_S)

    def _live_datanodes(self) -> int:
        """How many serve; -1 while the NameNode does not or is in safe mode."""
        if self.namenode_maker == "apache":
            state = self._jmx("FSNamesystemState")
            info = self._jmx("NameNodeInfo")
            if not state or not info or info["Safemode"]:
                return -1
            live: int = state["NumLiveDataNodes"]
            return live
        health = self._get("/health")
        if health is None or health.get("safe_mode"):
            return -1
        return int(health["live_datanodes"])

    def _jmx(self, bean: str) -> dict[str, int] | None:
        found = self._get(f"/jmx?qry=Hadoop:service=NameNode,name={bean}")
        return found["beans"][0] if found and found.get("beans") else None

    def _get(self, path: str) -> dict | None:  # type: ignore[type-arg]
        url = f"http://127.0.0.1:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)  # type: ignore[no-any-return]
        except (OSError, ValueError):
            return None

    # --- judgement -------------------------------------------------------------------------

    def check_no_fault(self) -> None:
        """Raise ``ClusterError`` if a process of Cairn's logged a fault of its own."""
        for role in self.roles:
            if role.maker == "cairn" and role.log.exists():
                text = role.log.read_text(errors="replace")
                if found := re.search(r"our fault|Traceback", text):
                    raise ClusterError(f"{role.name} logged:\n{text[found.start() :][:3000]}")
