"""``cairn up``: a NameNode and its DataNodes as one process tree, data in one directory.

The parent imports everything once and forks, so that the roles start in a fraction of a
second and share the memory of their code. It watches them, starts again what died, and
takes them down in order when it is told to stop.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cairnfs.cluster import check
from cairnfs.config import Configuration, keys
from cairnfs.config.loading import load
from cairnfs.errors import CairnError, StartupError, sentence_of
from cairnfs.store.directory_lock import DirectoryLock

MARKER = "cairn-cluster.json"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
# A role that dies again sooner than this waits this long before its next start.
RESTART_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What was asked for on the command line."""

    directory: Path
    datanodes: int = 3
    rpc_port: int = 8020
    http_port: int = 9870
    listen: str = "127.0.0.1"
    conf: Path | None = None
    overrides: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Child:
    name: str
    target: Callable[[Callable[[dict[str, int]], None]], int]
    pid: int = 0
    ready_fd: int = -1
    started: float = 0.0


def run_up(options: UpOptions) -> int:
    """Start, prove, serve until SIGINT or SIGTERM; the exit code."""
    try:
        return _Cluster(options).run()
    except _StopAskedError:
        return 0
    except CairnError as error:
        print(f"cairn up: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"cairn up: {sentence_of(error)}", file=sys.stderr)
        return 1


class _StopAskedError(Exception):
    """A signal came while the start waited for something."""


class _Cluster:
    def __init__(self, options: UpOptions) -> None:
        self._options = options
        self._directory = options.directory
        self._children: dict[int, _Child] = {}
        self._stopping = False
        # Whether a signal ends what is being done, instead of only being noted.
        self._starting = False
        self._rpc_port = options.rpc_port

    def run(self) -> int:
        began = time.monotonic()
        lock = self._claim_directory()
        try:
            return self._run(began)
        finally:
            lock.release()

    def _run(self, began: float) -> int:
        # Imported before the forks, so that the children share the pages.
        import cairnfs.client
        import cairnfs.datanode.main
        import cairnfs.namenode.main  # noqa: F401

        configuration = self._configuration()
        self._check_loopback(configuration)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        try:
            ports = self._start_roles(configuration)
            self._write_client_configuration(configuration)
            url = f"hdfs://{self._advertised()}:{self._rpc_port}"
            with self._interruptible():
                check.write_and_read_back(
                    url, self._options.datanodes, READY_TIMEOUT_S, self._check_alive
                )
            if not self._stopping:
                self._greet(url, ports.get("http_port", 0), time.monotonic() - began)
            self._watch()
        finally:
            self._stop_all()
        return 0

    # --- preparation -----------------------------------------------------------------------

    def _claim_directory(self) -> DirectoryLock:
        directory = self._directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker = directory / MARKER
        present = [entry.name for entry in directory.iterdir() if entry.name != "in_use.lock"]
        if present and not marker.exists():
            raise StartupError(
                f"{directory} holds {present[0]!r} and no {MARKER}: it is no Cairn cluster; "
                "name another directory with --dir"
            )
        lock = DirectoryLock(directory)
        if not marker.exists():
            marker.write_text(json.dumps({"version": 1}) + "\n")
        return lock

    def _configuration(self) -> Configuration:
        configuration = load(self._options.conf, self._options.overrides)
        host = self._options.listen
        own = {
            "dfs.namenode.name.dir": str(self._directory / "name"),
            "dfs.namenode.rpc-bind-host": host,
            "dfs.namenode.http-address": f"{_bracket(host)}:{self._options.http_port}",
        }
        if keys.REPLICATION not in configuration:
            own[keys.REPLICATION.name] = str(min(3, self._options.datanodes))
        configuration.update(own, "cairn up")
        self._name_port(configuration, self._options.rpc_port)
        return configuration

    def _name_port(self, configuration: Configuration, port: int) -> None:
        address = f"{_bracket(self._advertised())}:{port}"
        configuration.update(
            {"fs.defaultFS": f"hdfs://{address}", "dfs.namenode.rpc-address": address}, "cairn up"
        )

    def _advertised(self) -> str:
        listen = self._options.listen
        return "127.0.0.1" if listen in ("0.0.0.0", "::", "") else listen

    def _check_loopback(self, configuration: Configuration) -> None:
        if not self._options.listen.startswith("127.") and self._options.listen != "localhost":
            print(
                f"cairn up: listening on {self._options.listen}. Simple authentication believes "
                "the user name that a client sends: whoever can reach the ports can act as "
                "anyone.",
                file=sys.stderr,
            )

    def _write_client_configuration(self, configuration: Configuration) -> None:
        """A HADOOP_CONF_DIR for clients of this cluster."""
        conf = self._directory / "conf"
        conf.mkdir(exist_ok=True)
        site = {
            "core-site.xml": {"fs.defaultFS": configuration[keys.DEFAULT_FS]},
            "hdfs-site.xml": {"dfs.replication": str(configuration[keys.REPLICATION])},
        }
        for name, values in site.items():
            properties = "".join(
                f"  <property><name>{key}</name><value>{value}</value></property>\n"
                for key, value in values.items()
            )
            (conf / name).write_text(f"<configuration>\n{properties}</configuration>\n")

    # --- processes -------------------------------------------------------------------------

    def _start_roles(self, configuration: Configuration) -> dict[str, int]:
        from cairnfs.namenode.main import format_if_empty, run

        format_if_empty(configuration)

        def run_namenode(ready: Callable[[dict[str, int]], None]) -> int:
            return run(configuration, ready)

        namenode = _Child("namenode", run_namenode)
        self._spawn(namenode)
        # It is ready in some ten milliseconds; DataNodes that came first would back off.
        with self._interruptible():
            ports = self._await_ready(namenode)
        self._rpc_port = ports["rpc_port"]
        self._name_port(configuration, self._rpc_port)
        # Started again it serves where it served before.
        web = f"{_bracket(self._options.listen)}:{ports['http_port']}"
        configuration.update({"dfs.namenode.http-address": web}, "cairn up")
        self._start_datanodes(configuration)
        return ports

    def _start_datanodes(self, configuration: Configuration) -> None:
        for number in range(1, self._options.datanodes + 1):
            self._spawn(self._datanode(configuration, number))

    def _datanode(self, configuration: Configuration, number: int) -> _Child:
        from cairnfs.datanode.main import run

        home = self._directory / f"datanode{number}"
        listen = _bracket(self._options.listen)
        own = {
            "dfs.datanode.data.dir": str(home / "data"),
            "cairn.datanode.meta.home": str(home / "meta"),
            "dfs.datanode.address": f"{listen}:0",
            "dfs.datanode.ipc.address": f"{listen}:0",
            "dfs.datanode.http.address": f"{listen}:0",
        }
        if "dfs.datanode.hostname" not in set(configuration.names()):
            own["dfs.datanode.hostname"] = self._advertised()

        def target(ready: Callable[[dict[str, int]], None]) -> int:
            configuration.update(own, "cairn up")
            return run(configuration, ready)

        return _Child(f"datanode{number}", target)

    def _spawn(self, child: _Child) -> None:
        logs = self._directory / "logs"
        logs.mkdir(exist_ok=True)
        read_fd, write_fd = os.pipe()
        child.started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(read_fd)
            self._become(child, write_fd, logs / f"{child.name}.log", parent)
        os.close(write_fd)
        if child.ready_fd >= 0:
            os.close(child.ready_fd)
        child.pid, child.ready_fd = pid, read_fd
        self._children[pid] = child

    def _become(self, child: _Child, ready_fd: int, log_file: Path, parent: int) -> None:
        """The forked process: run the role and end; never return into the parent's stack."""
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # Ctrl-C reaches the whole group, and the parent alone decides the order of the end:
            # so each role has a group of its own.
            os.setpgid(0, 0)
            _die_with_parent(parent)
            log_fd = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log_fd, 1)
            os.dup2(log_fd, 2)

            def ready(ports: dict[str, int]) -> None:
                os.write(ready_fd, json.dumps({"ready": ports}).encode() + b"\n")

            try:
                code = child.target(ready)
            except (CairnError, OSError) as error:
                reason = sentence_of(error) if isinstance(error, OSError) else str(error)
                print(f"{child.name}: {reason}", file=sys.stderr)
                code = error.exit_code if isinstance(error, CairnError) else 1
                os.write(ready_fd, json.dumps({"error": reason}).encode() + b"\n")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _await_ready(self, child: _Child) -> dict[str, int]:
        """The ports of a child that is ready. Raises its ``StartupError``."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        text = b""
        while not text.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                raise StartupError(f"{child.name} was not ready within {READY_TIMEOUT_S:.0f} s")
            if not select.select([child.ready_fd], [], [], left)[0]:
                continue
            data = os.read(child.ready_fd, 4096)
            if not data:
                log_file = self._directory / "logs" / f"{child.name}.log"
                raise StartupError(f"{child.name} ended at once; see {log_file}")
            text += data
        answer = json.loads(text)
        if "error" in answer:
            raise StartupError(answer["error"])
        ports: dict[str, int] = answer["ready"]
        return ports

    def _check_alive(self) -> None:
        """Raise ``StartupError`` with the reason if a role has ended while all start."""
        for child in self._children.values():
            if (
                ended := os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            ) is None:
                continue
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            log_file = self._directory / "logs" / f"{child.name}.log"
            reason = self._last_words(child) or f"ended with {_cause(code)}; see {log_file}"
            raise StartupError(f"{child.name}: {reason}")

    def _last_words(self, child: _Child) -> str:
        """Why a role that has ended did so, if it said it."""
        text = b""
        while data := os.read(child.ready_fd, 4096):
            text += data
        for line in text.splitlines():
            answer = json.loads(line)
            if "error" in answer:
                return str(answer["error"])
        return ""

    def _watch(self) -> None:
        """Start again whatever dies, until told to stop."""
        while not self._stopping:
            try:
                pid, status = os.waitpid(-1, 0)
            except InterruptedError:
                continue
            except ChildProcessError:
                return
            child = self._children.pop(pid, None)
            if child is None or self._stopping:
                continue
            cause = _cause(os.waitstatus_to_exitcode(status))
            reason = self._last_words(child) or cause
            print(f"cairn up: {child.name} ended ({reason}); starting it again")
            sys.stdout.flush()
            pause = RESTART_PAUSE_S - (time.monotonic() - child.started)
            if pause > 0:
                time.sleep(pause)
            if not self._stopping:
                self._spawn(child)

    def _stop_all(self) -> None:
        """DataNodes first, so that the NameNode sees nobody vanish."""
        self._stopping = True
        order = sorted(self._children.values(), key=lambda child: child.name == "namenode")
        for group in (order[:-1], order[-1:]):
            for child in group:
                _signal(child.pid, signal.SIGTERM)
            for child in group:
                self._reap(child)

    def _reap(self, child: _Child) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while True:
            try:
                pid, _ = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                break
            if pid:
                break
            if time.monotonic() > deadline:
                print(f"cairn up: {child.name} did not stop in time; killing it", file=sys.stderr)
                _signal(child.pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(0.01)
        self._children.pop(child.pid, None)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let a signal end what is done here at once."""
        self._starting = True
        try:
            if self._stopping:
                raise _StopAskedError
            yield
        finally:
            self._starting = False

    def _on_signal(self, number: int, frame: object) -> None:
        self._stopping = True
        if self._starting:
            self._starting = False
            raise _StopAskedError
        for child in self._children.values():
            if child.name != "namenode":
                _signal(child.pid, signal.SIGTERM)
                break  # one child's end wakes the parent from its wait

    # --- words -----------------------------------------------------------------------------

    def _greet(self, url: str, http_port: int, seconds: float) -> None:
        web = f"http://{_bracket(self._advertised())}:{http_port}"
        print(
            f"Cairn is up at {url} after {seconds:.1f} s: 1 NameNode, "
            f"{self._options.datanodes} DataNodes, a file written and read back.\n"
            f"Data, logs and client configuration are in {self._directory}. "
            f"Health: {web}/health  Metrics: {web}/metrics\n"
            "Try:\n"
            f"  cairn fs -ls {url}/\n"
            f"  hdfs dfs -fs {url} -ls /        # Spark: "
            f"--conf spark.hadoop.fs.defaultFS={url}\n"
            f'  python3 -c \'import cairnfs; print(cairnfs.connect("{url}").list("/"))\'\n'
            "Ctrl-C stops it."
        )
        sys.stdout.flush()


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _die_with_parent(parent: int) -> None:
    """Ask Linux to end this process when its parent is killed, however hard."""
    import ctypes

    pr_set_pdeathsig = 1
    try:
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    except (OSError, AttributeError):
        pass  # not Linux: an orphan then stays until it is stopped by hand
    if os.getppid() != parent:  # killed before Linux was asked
        os._exit(1)
