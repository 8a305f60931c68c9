"""``-touch``: times of files."""

from __future__ import annotations

import re
import time

from cairnfs.shell.failures import UsageError, no_such
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

_AS_IT_IS = -1
_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d):(\d\d)(\d\d)(\d\d)")


class Touch(Verb):
    usage = "[-a] [-m] [-t TIMESTAMP (yyyyMMdd:HHmmss) ] [-c] <path> ..."
    help = """\
Sets the times of files to now; makes files that are not there.
-a: Only the time of the last access.
-m: Only the time of the last change.
-t TIMESTAMP: To another time, yyyyMMdd:HHmmss in this machine's time zone.
-c: Makes no files."""

    def options(self, words: list[str]) -> list[str]:
        words, self._timestamp = _take_timestamp(words)
        flags = Flags(words, "tamc", least=1)
        self._modified_only = "m" in flags and "a" not in flags
        self._accessed_only = "a" in flags and "m" not in flags
        self._makes = "c" not in flags
        return flags.words

    def visit(self, item: Item) -> None:
        self._set_times(item)

    def missing(self, item: Item) -> None:
        if not item.parent_exists():
            raise no_such(item.text, item.qualified)
        if not self._makes:
            return
        item.fs.create(item.path).close()
        if self._timestamp is not None:
            self._set_times(item)

    def _set_times(self, item: Item) -> None:
        now_ms = time.time_ns() // 1_000_000
        time_ms = now_ms if self._timestamp is None else parse_timestamp(self._timestamp)
        item.fs.set_times(
            item.path,
            _AS_IT_IS if self._accessed_only else time_ms,
            _AS_IT_IS if self._modified_only else time_ms,
        )


def _take_timestamp(words: list[str]) -> tuple[list[str], str | None]:
    """The words without ``-t TIMESTAMP``, which may stand anywhere before a ``--``."""
    ahead = words[: words.index("--")] if "--" in words else words
    if "-t" not in ahead:
        return words, None
    at = ahead.index("-t")
    if at + 1 == len(words):
        raise UsageError("option -t requires 1 argument.")
    return words[:at] + words[at + 2 :], words[at + 1]


def parse_timestamp(text: str) -> int:
    """Milliseconds since 1970 of ``yyyyMMdd:HHmmss``, local time. Raises :class:`UsageError`."""
    found = _TIMESTAMP.match(text)
    if found is None:
        raise UsageError(
            f"Unable to parse the specified timestamp {text}. "
            "The expected format is yyyyMMdd:HHmmss"
        )
    year, month, day, hour, minute, second = map(int, found.groups())
    return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1))) * 1000
