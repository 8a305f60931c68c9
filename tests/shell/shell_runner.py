"""``cairn fs`` as the tests call it: in this process, with streams of its own."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairnfs.shell import fs

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command answered."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@contextmanager
def streams(stdin: bytes) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Standard streams in memory: what is written to output and errors."""
    saved = sys.stdin, sys.stdout, sys.stderr
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=False)
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8", write_through=True)
    try:
        yield out, err
    finally:
        sys.stdout.flush()
        # Closing the wrappers would take the bytes with them.
        for stream in (sys.stdout, sys.stderr):
            stream.detach()
        sys.stdin, sys.stdout, sys.stderr = saved


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """``os.environ`` without what configures Hadoop or Cairn, and with ``values``."""
    saved = dict(os.environ)
    for name in saved:
        if name.startswith(("HADOOP_", "CAIRN_")):
            del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands against the cluster at ``url``."""

    url: str

    def __call__(
        self,
        *arguments: str,
        stdin: bytes = b"",
        user: str | None = None,
        settings: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Outcome:
        words = ["-fs", self.url]
        for name, text in (settings or {}).items():
            words += ["-D", f"{name}={text}"]
        values = dict(environ or {}) | ({"HADOOP_USER_NAME": user} if user else {})
        return run([*words, *arguments], stdin, values)


def run(words: list[str], stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Outcome:
    """``cairn fs WORDS``."""
    with environment(environ or {}), streams(stdin) as (out, err):
        code = fs.main(words)
        sys.stdout.flush()
        return Outcome(code, out.getvalue(), err.getvalue().decode())
