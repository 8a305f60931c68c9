"""``-cp``: copy within the cluster, or between clusters."""

from __future__ import annotations

from cairnfs.shell.destination import CopyVerb
from cairnfs.shell.failures import UsageError
from cairnfs.shell.flags import Flags

_ATTRIBUTES = "top"


class Cp(CopyVerb):
    usage = "[-f] [-p | -p[top]] [-d] [-t <thread count>] <src> ... <dst>"
    help = """\
Copies files, and directories with all that they hold. Several need a directory to go to.
-f: Replaces files that are there.
-p[top]: Keeps times, owner and permission; all three where no letter is given.
-d: Writes under the final name at once, not under <dst>._COPYING_ first.
-t <thread count>: So many files at a time."""

    def options(self, words: list[str]) -> list[str]:
        words = self._take_kept(words)
        flags = Flags(words, "fd", least=2, valued="t")
        self.overwrite = "f" in flags
        self.direct = "d" in flags
        self.threads = max(1, flags.number("t", 1))
        self.take_remote_destination(flags.words)
        return flags.words

    def _take_kept(self, words: list[str]) -> list[str]:
        """Note the first ``-p...`` before a ``--``, wherever it stands."""
        ahead = words[: words.index("--")] if "--" in words else words
        for at, word in enumerate(ahead):
            if word.startswith("-p"):
                letters = word[2:].lower() or _ATTRIBUTES
                if strange := set(letters) - set(_ATTRIBUTES):
                    raise UsageError(f"No attribute for {min(strange)}")
                self.kept = frozenset(letters)
                return words[:at] + words[at + 1 :]
        return words
