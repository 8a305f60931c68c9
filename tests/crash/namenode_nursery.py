"""Starts NameNodes by fork, so that a test can kill and restart one hundreds of times.

Reads lines ``start DIRECTORY`` and answers ``PID PORT`` when the NameNode serves, or
``error SENTENCE``. Ends when its input does. Run as a script by the crash tests.
"""

from __future__ import annotations

import os
import sys

from cairnfs.config import Configuration
from cairnfs.errors import CairnError
from cairnfs.namenode.main import format_if_empty, run


def configuration(directory: str) -> Configuration:
    return Configuration(
        {
            "dfs.namenode.name.dir": f"{directory}/name",
            "fs.defaultFS": "hdfs://127.0.0.1:0",
            "dfs.namenode.http-address": "127.0.0.1:0",
            "dfs.namenode.fs-limits.min-block-size": "512",
        }
    )


def start(directory: str) -> str:
    """Fork a NameNode; what it says when it is ready."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        log = os.open(f"{directory}/namenode.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 1
        try:
            settings = configuration(directory)
            format_if_empty(settings)
            code = run(
                settings,
                lambda ports: os.close(_say(write_fd, f"{os.getpid()} {ports['rpc_port']}")),
            )
        except CairnError as error:
            _say(write_fd, f"error {error}")
        finally:
            os._exit(code)
    os.close(write_fd)
    answer = b""
    while data := os.read(read_fd, 4096):
        answer += data
    os.close(read_fd)
    return answer.decode() or "error it ended without a word"


def _say(descriptor: int, text: str) -> int:
    os.write(descriptor, text.encode())
    return descriptor


def main() -> None:
    import uvloop  # noqa: F401 - imported before the forks

    import cairnfs.namenode.http  # noqa: F401

    for line in sys.stdin:
        verb, _, argument = line.strip().partition(" ")
        if verb == "start":
            sys.stdout.write(start(argument) + "\n")
        elif verb == "reap":
            os.waitpid(int(argument), 0)
            sys.stdout.write("reaped\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
