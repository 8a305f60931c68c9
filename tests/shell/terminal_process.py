"""``cairn`` at a terminal: a process whose standard streams are a pty."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path

CAIRN = Path(sys.executable).with_name("cairn")
_ANSWER_S = 60.0
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_=>]|\r|\x07")


def plain_environment(**values: str) -> dict[str, str]:
    """The environment without what configures Hadoop or Cairn, and with ``values``."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("HADOOP_", "CAIRN_"))
    }
    return kept | values


class Terminal:
    """A running command that believes that somebody sits before it."""

    def __init__(self, *words: str, environ: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        # Nobody answers where the cursor is.
        values = plain_environment(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1", **environ)
        self.process = subprocess.Popen(
            [CAIRN, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=values,
            start_new_session=True, preexec_fn=_own_terminal,
        )  # fmt: skip
        os.close(theirs)
        self._seen = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *reason: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, pattern: str) -> str:
        """Wait until ``pattern`` is shown; all that was shown up to its end, since the last."""
        expression = re.compile(pattern.encode())
        deadline = time.monotonic() + _ANSWER_S
        while True:
            shown = _ESCAPES.sub(b"", self._seen)
            if found := expression.search(shown):
                self._seen = shown[found.end() :]
                return shown[: found.end()].decode(errors="replace")
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern} was not shown, but {shown.decode(errors='replace')}"
            if select.select([self._ours], [], [], left)[0]:
                try:
                    data = os.read(self._ours, 65536)
                except OSError:
                    data = b""
                assert data, f"it ended before {pattern}: {shown.decode(errors='replace')}"
                self._seen += data

    def end(self) -> tuple[int, str]:
        """Wait for the end; the exit code and what else was shown."""
        shown = self._seen
        deadline = time.monotonic() + _ANSWER_S
        while True:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._ours], [], [], left)[0], f"it goes on: {shown!r}"
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
        return self.process.wait(_ANSWER_S), _ESCAPES.sub(b"", shown).decode(errors="replace")

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)


def _own_terminal() -> None:
    ioctl(0, termios.TIOCSCTTY, 0)
