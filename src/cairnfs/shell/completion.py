"""What a line that is being typed may go on with: verbs, flags, remote and local paths."""

from __future__ import annotations

import itertools
import os
import re
import time
from typing import TYPE_CHECKING

from cairnfs.client.blocking import FileSystem
from cairnfs.config.configuration import Configuration
from cairnfs.errors import CairnError
from cairnfs.shell.registry import VERBS, verb_class

if TYPE_CHECKING:
    from cairnfs.shell.interactive import Shell

# Names of one directory that are looked at, and for how long they are remembered.
_NAMES_MAX = 1000
_REMEMBERED_S = 2.0
# Somebody who types does not wait longer.
_PATIENCE = {
    "ipc.client.connect.max.retries": "0",
    "ipc.client.connect.timeout": "1s",
    "ipc.client.rpc-timeout.ms": "2000",
}
_LOCAL_ONLY = frozenset({"lcd"})
_LOCAL_FIRST = frozenset({"put", "copyFromLocal", "moveFromLocal", "appendToFile"})
_LOCAL_LAST = frozenset({"get", "copyToLocal", "getmerge"})
_VERB_NAMES = frozenset({"help", "usage"})
_FLAG = re.compile(r"\[(-{1,2}[A-Za-z][-A-Za-z]*)")
# A word, of which quotes and backslashes hold blanks together.
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"?|'[^']*'?|\\$)+$""")


class Completions:
    """Completions for one shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._fs: FileSystem | None = None
        self._known: dict[str, tuple[float, list[str]]] = {}

    def of(self, line: str) -> tuple[str, list[str]]:
        """The word that ends ``line``, and the words that may stand in its place."""
        found = _WORD.search(line)
        word = found[0] if found else ""
        before = line[: len(line) - len(word)].split()
        if not before:
            return word, self._verbs(word)
        verb = before[0].removeprefix("-")
        if verb in _VERB_NAMES:
            return word, self._verbs(word)
        if word.startswith("-"):
            return word, self._flags(verb, word)
        paths = sum(not each.startswith("-") for each in before[1:])
        return word, self._paths(verb, paths, word)

    def _verbs(self, word: str) -> list[str]:
        dash = "-" if word.startswith("-") else ""
        names = sorted(VERBS) if dash else self._shell.commands
        return [dash + name for name in names if name.startswith(word.removeprefix("-"))]

    def _flags(self, verb: str, word: str) -> list[str]:
        if verb not in VERBS:
            return []
        flags = dict.fromkeys(_FLAG.findall(verb_class(verb).usage))
        return [flag for flag in flags if flag.startswith(word)]

    def _paths(self, verb: str, before: int, word: str) -> list[str]:
        """Completions of a path with ``before`` other paths before it."""
        local = (
            verb in _LOCAL_ONLY
            or (verb in _LOCAL_FIRST and before == 0)
            or (verb in _LOCAL_LAST and before > 0)
        )
        text = _plain(word)
        folder, name = os.path.split(text)
        names = self._local_names(folder) if local else self._remote_names(folder)
        found = [each for each in names if each.startswith(name)]
        if not name:
            found = [each for each in found if not each.startswith(".")]
        return [_quoted(os.path.join(folder, each)) for each in found]

    def _local_names(self, folder: str) -> list[str]:
        try:
            with os.scandir(os.path.expanduser(folder) or ".") as entries:
                return sorted(
                    entry.name + ("/" if entry.is_dir() else "")
                    for entry in itertools.islice(entries, _NAMES_MAX)
                )
        except OSError:
            return []

    def _remote_names(self, folder: str) -> list[str]:
        path = os.path.join(self._shell.directory(), folder)
        now_s = time.monotonic()
        seen_s, names = self._known.get(path, (0.0, []))
        if now_s - seen_s > _REMEMBERED_S or path not in self._known:
            names = self._ask(path)
            self._known = {path: (now_s, names)}
        return names

    def _ask(self, path: str) -> list[str]:
        try:
            if self._fs is None:
                self._fs = FileSystem.connect(None, self._impatient())
            entries = itertools.islice(self._fs.list(path), _NAMES_MAX)
            return [entry.name + ("/" if entry.is_dir else "") for entry in entries]
        except (CairnError, OSError):
            # Nothing to offer: not there, not allowed, nobody answers.
            return []

    def _impatient(self) -> Configuration:
        conf = self._shell.session.conf
        texts = {name: conf.text(name) or "" for name in conf.names()}
        return Configuration(texts | _PATIENCE, "completion")


def _plain(word: str) -> str:
    """A word as the shell will read it, though its quotes may still be open."""
    parts = re.findall(r"""\\(.)|"((?:[^"\\]|\\.)*)"?|'([^']*)'?|([^\s"'\\])""", word)
    return "".join(
        escaped or re.sub(r"\\(.)", r"\1", double) or single or plain
        for escaped, double, single, plain in parts
    )


def _quoted(path: str) -> str:
    """A path so that the shell reads it as one word."""
    return re.sub(r"""([\s"'\\])""", r"\\\1", path)
