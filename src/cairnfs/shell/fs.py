"""``cairn fs``: one command of the shell, as ``hdfs dfs`` takes it."""

from __future__ import annotations

import os
import sys

from cairnfs.errors import CairnError
from cairnfs.shell.failures import UsageError, sentence, tell_defect
from cairnfs.shell.generic import USAGE, configure, split_generic
from cairnfs.shell.registry import VERBS, run_verb

INTERRUPTED = 130
# What a shell shows for a process that SIGPIPE ended.
PIPE_CLOSED = 141
_WRONG_COMMAND = 255


def main(arguments: list[str]) -> int:
    """Run a command line behind ``cairn fs``; its exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return PIPE_CLOSED
    except Exception as error:
        return tell_defect("fs", error)
    return code


def _run(arguments: list[str]) -> int:
    keep_odd_names()
    try:
        flags, files, words = split_generic(arguments)
        if not words:
            return _nothing()
        verb, words = words[0], words[1:]
        if not verb.startswith("-") or verb[1:] not in VERBS:
            return _unknown(verb)
        return _run_verb(flags, files, verb[1:], words)
    except UsageError as error:
        return _wrong(str(error))
    except CairnError as error:
        # Nothing is configured, or nobody is there.
        print(f"fs: {sentence(error)}", file=sys.stderr)
        return error.exit_code


def _run_verb(flags: dict[str, str], files: list[str], name: str, words: list[str]) -> int:
    from cairnfs.shell.session import Session

    session = Session(configure(flags, files))
    try:
        return run_verb(session, name, words)
    finally:
        session.close()


def keep_odd_names() -> None:
    """Let names that are no text of the locale go through as the bytes they are."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape")


def drop_output() -> None:
    """Let nobody notice that what is still to be printed cannot be."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _nothing() -> int:
    print("Usage: cairn fs [generic options] -VERB ...", file=sys.stderr)
    print("The verbs: " + " ".join(f"-{name}" for name in VERBS), file=sys.stderr)
    print("-help VERB says what one does.", file=sys.stderr)
    return _WRONG_COMMAND


def _wrong(message: str) -> int:
    print(f"fs: {message}", file=sys.stderr)
    print(USAGE, file=sys.stderr)
    return _WRONG_COMMAND


def _unknown(verb: str) -> int:
    print(f"{verb}: Unknown command", file=sys.stderr)
    if verb in VERBS:
        print(f"Did you mean -{verb}?  This command begins with a dash.", file=sys.stderr)
    print("Usage: cairn fs [generic options] -VERB ...; -help lists the verbs", file=sys.stderr)
    return _WRONG_COMMAND
