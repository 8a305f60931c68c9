"""``cairn shell``: the verbs of ``cairn fs``, one line after the other, over one connection.

At a terminal with history and completion; from a pipe, line by line, ending with the exit
code of the last command. A NameNode that is not up yet is waited for.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from cairnfs.errors import CairnError, TransportError
from cairnfs.shell.failures import UsageError, no_such, not_directory, sentence, tell_defect
from cairnfs.shell.fs import INTERRUPTED, PIPE_CLOSED, drop_output, keep_odd_names
from cairnfs.shell.generic import USAGE, configure, split_generic
from cairnfs.shell.registry import VERBS, run_verb
from cairnfs.shell.session import Session

if TYPE_CHECKING:
    from cairnfs.config.configuration import Configuration

_WRONG_COMMAND = 255
# Between two attempts to reach a NameNode that is not there.
_PAUSE_S = 0.25
_CONNECT_RETRIES = "ipc.client.connect.max.retries"
# Hadoop's verbs by the names that people try first.
ALIASES = {"list": "ls"}
# Verbs that ask nobody anything.
_OFFLINE = frozenset({"help", "usage"})

WELCOME = "help lists the commands, Tab completes, quit leaves."
HELP = """\
list [path]            what is in a directory; the same as ls
put <local> [remote]   copy files into the cluster, by default to the working directory
get <remote> [local]   copy files from the cluster, by default to the local directory
cd [path], pwd         change, show the working directory on the cluster
lcd [path], lpwd       change, show the local directory
help [verb]            this, or what a verb does
quit, exit             leave

All verbs of `cairn fs` work, with or without their dash:"""


def main(arguments: list[str]) -> int:
    """Run ``cairn shell``; its exit code."""
    keep_odd_names()
    try:
        flags, files, words = split_generic(arguments)
        if len(words) == 1 and not words[0].startswith("-"):
            # `cairn shell hdfs://host:port`
            flags["fs.defaultFS"] = words.pop()
        if words:
            raise UsageError(f"{words[0]}: the shell takes an address and generic options only")
        return Shell(Session(_patient(configure(flags, files)), "")).run()
    except UsageError as error:
        print(f"shell: {error}\n{USAGE}", file=sys.stderr)
        return error.exit_code
    except CairnError as error:
        print(f"shell: {sentence(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return PIPE_CLOSED
    except Exception as error:
        return tell_defect("shell", error)


def _patient(conf: Configuration) -> Configuration:
    """The shell itself waits for NameNodes, and says so; calls need not."""
    if conf.text(_CONNECT_RETRIES) is None:
        conf.put(_CONNECT_RETRIES, "1", "cairn shell")
    return conf


class Shell:
    """Reads commands and runs them until there are no more."""

    def __init__(self, session: Session) -> None:
        self.session = session
        session.interactive = True
        self.done = False
        self._own: dict[str, Callable[[list[str]], None]] = {
            "cd": self._cd,
            "exit": self._quit,
            "help": self._help,
            "lcd": self._lcd,
            "lpwd": self._lpwd,
            "pwd": self._pwd,
            "quit": self._quit,
        }

    @property
    def commands(self) -> list[str]:
        return sorted({*VERBS, *self._own, *ALIASES})

    def run(self) -> int:
        """Run commands from the terminal, or from the pipe that standard input is."""
        try:
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                return self._run_lines(sys.stdin)
            self._run_terminal()
            return 0
        finally:
            self.session.close()

    def _run_lines(self, lines: Iterable[str]) -> int:
        code = 0
        for line in lines:
            code = self.execute(line)
            sys.stdout.flush()
            if self.done or code == INTERRUPTED:
                break
        return code

    def _run_terminal(self) -> None:
        from cairnfs.shell.terminal import prompted_lines

        self._guarded("shell", self._wait_until_ready)
        print(WELCOME)
        lines: Iterator[str] = prompted_lines(self)
        for line in lines:
            try:
                self.execute(line)
            except KeyboardInterrupt:
                # Ctrl-C while a failure was being told: it ends the command, not the shell.
                print()
            if self.done:
                return

    # --- commands --------------------------------------------------------------------------

    def execute(self, line: str) -> int:
        """Run one line; its exit code. Failures are told; nothing is raised for them."""
        if line.lstrip().startswith("#"):
            return 0
        try:
            words = shlex.split(line)
        except ValueError as error:
            self.session.warn(f"shell: {error}")
            return _WRONG_COMMAND
        if not words:
            return 0
        name = words[0].removeprefix("-")
        name = ALIASES.get(name, name)
        return self._guarded(name, lambda: self._command(name, words[1:]))

    def _command(self, name: str, words: list[str]) -> int:
        own = self._own.get(name)
        if own is not None:
            own(words)
            return 0
        if name not in VERBS:
            self.session.warn(f"{name}: Unknown command; help lists them")
            return _WRONG_COMMAND
        if name not in _OFFLINE:
            self._wait_until_ready()
        return run_verb(self.session, name, words)

    def _guarded(self, name: str, work: Callable[[], int | None]) -> int:
        """``work``'s exit code; what it raises is told as a sentence."""
        try:
            return work() or 0
        except KeyboardInterrupt:
            self.session.warn(f"{name}: Interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            raise
        except (CairnError, OSError) as error:
            self.session.warn(f"{name}: {sentence(error)}")
            return error.exit_code if isinstance(error, CairnError) else 1
        except Exception as error:
            return tell_defect(name, error)

    def _wait_until_ready(self) -> None:
        """Return when a NameNode answers; tell who is waited for. Raises KeyboardInterrupt."""
        face = self.session.default()
        waited = False
        while True:
            try:
                face.stat("/")
                break
            except TransportError as error:
                if not waited:
                    self.session.warn(f"{sentence(error)} Waiting for it; Ctrl-C gives up.")
                    waited = True
            time.sleep(_PAUSE_S)
        if waited:
            self.session.warn(f"Connected to {face.uri}.")

    # --- commands of the shell's own -------------------------------------------------------

    def directory(self) -> str:
        """The working directory on the cluster."""
        return self.session.directory or self.session.default().directory

    def _cd(self, words: list[str]) -> None:
        if not words:
            self.session.directory = None
            return
        self._wait_until_ready()
        item = self.session.item(_one(words))
        if not item.exists:
            raise no_such(item.text)
        if not item.is_directory:
            raise not_directory(item.text)
        if item.fs is not self.session.default():
            raise UsageError(f"{item.text} is on another file system")
        self.session.directory = item.path

    def _pwd(self, words: list[str]) -> None:
        self.session.line(self.directory())

    def _lcd(self, words: list[str]) -> None:
        os.chdir(os.path.expanduser(_one(words) if words else "~"))

    def _lpwd(self, words: list[str]) -> None:
        self.session.line(os.getcwd())

    def _help(self, words: list[str]) -> None:
        verbs = [word for word in words if word.removeprefix("-") in VERBS]
        if verbs:
            run_verb(self.session, "help", verbs)
            return
        self.session.line(HELP)
        for line in _columns([name for name in VERBS if name not in _OFFLINE]):
            self.session.line(line)

    def _quit(self, words: list[str]) -> None:
        self.done = True


def _one(words: list[str]) -> str:
    if len(words) > 1:
        raise UsageError(f"Too many arguments: expected 1 but got {len(words)}")
    return words[0]


def _columns(names: list[str], width: int = 80) -> list[str]:
    """Names in lines of as many columns as fit."""
    cell = max(map(len, names)) + 2
    across = max(1, width // cell)
    rows = [names[at : at + across] for at in range(0, len(names), across)]
    return ["".join(name.ljust(cell) for name in row).rstrip() for row in rows]
