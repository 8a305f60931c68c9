"""The Go client colinmarc/hdfs: its command line, and its library through a driver of ours.

``make go-client`` builds both from tests/peers/go.
"""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hadoop import ROOT, PeerMissing
from java_client import Outcome

_BIN = ROOT / ".cache" / "go-client"
_TIMEOUT_S = 60.0


class GoError(Exception):
    """What the library answered instead of a value."""

    def __init__(self, kind: str, exception: str, text: str) -> None:
        super().__init__(text)
        # How a Go program tells it apart: "not exist", "exist", "permission", ...
        self.kind = kind
        # The Java class, where the client passes it on.
        self.exception = exception


@dataclass(frozen=True, slots=True)
class GoClient:
    """Where the programs are."""

    hdfs: Path
    driver: Path

    def fs(
        self, url: str, *arguments: str, stdin: bytes = b"", user: str = "", cwd: Path | None = None
    ) -> Outcome:
        """Run ``hdfs ARGUMENTS`` against ``url`` as ``user``."""
        done = subprocess.run(
            [str(self.hdfs), *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=cwd,
            env=_environment(url, user),
            timeout=_TIMEOUT_S,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def library(self, url: str, user: str) -> GoLibrary:
        """A client of its own; a context manager."""
        return GoLibrary(self.driver, url, user)


class GoLibrary:
    """One ``hdfs.Client`` in a process of its own; operations are those of the driver."""

    def __init__(self, driver: Path, url: str, user: str) -> None:
        self._process = subprocess.Popen(
            [str(driver)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(url, user),
        )

    def __enter__(self) -> GoLibrary:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate(timeout=_TIMEOUT_S)

    def __call__(self, op: str, path: str = "", **fields: Any) -> Any:
        """Answers of bytes come as base64 (see ``data``). Raises ``GoError``."""
        if "data" in fields:
            fields["data"] = base64.b64encode(fields["data"]).decode()
        request = {"op": op, "path": path, **fields}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise GoError(**answer["error"])
        return answer["value"]

    def data(self, op: str, path: str, **fields: Any) -> bytes:
        """The same for an operation that answers with bytes."""
        return base64.b64decode(self(op, path, **fields))


def find() -> GoClient:
    """The programs as ``make go-client`` built them. Raises ``PeerMissing``."""
    found = GoClient(_BIN / "hdfs", _BIN / "driver")
    if not (found.hdfs.is_file() and found.driver.is_file()):
        raise PeerMissing(f"the Go client is not in {_BIN}; `make go-client` builds it")
    return found


def _environment(url: str, user: str) -> dict[str, str]:
    # Times are printed in the local zone.
    found = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "HADOOP_NAMENODE": url.removeprefix("hdfs://")}
    return found | ({"HADOOP_USER_NAME": user} if user else {})
