"""``-chown`` and ``-chgrp``: owners and groups."""

from __future__ import annotations

import re

from cairnfs.errors import CairnError, FileSystemError
from cairnfs.shell.failures import UsageError, sentence
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

_NAME = r"[-+_./@a-zA-Z0-9]"
_OWNER_GROUP = re.compile(rf"\s*({_NAME}+)?(?::({_NAME}*))?\s*")
_GROUP = re.compile(rf"\s*({_NAME}+)\s*")


class Chown(Verb):
    usage = "[-R] [OWNER][:[GROUP]] PATH..."
    help = """\
Changes owners, groups, or both. Names hold letters, digits and -+_./@.
-R: Everything below directories, too."""

    _owner: str | None = None
    _group: str | None = None

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "R", least=2)
        self.recursive = "R" in flags
        self._parse(flags.words.pop(0))
        return flags.words

    def _parse(self, text: str) -> None:
        found = _OWNER_GROUP.fullmatch(text)
        if found is None:
            raise UsageError(f"'{text}' does not match expected pattern for [owner][:group].")
        self._owner, self._group = found[1], found[2] or None
        if self._owner is None and self._group is None:
            raise UsageError(f"'{text}' does not specify owner or group.")

    def visit(self, item: Item) -> None:
        status = item.found
        owner = None if self._owner == status.owner else self._owner
        group = None if self._group == status.group else self._group
        if owner is None and group is None:
            return
        try:
            item.fs.set_owner(item.path, owner, group)
        except (CairnError, OSError) as error:
            raise FileSystemError(
                f"changing ownership of '{item.text}': {sentence(error)}"
            ) from None


class Chgrp(Chown):
    usage = "[-R] GROUP PATH..."
    help = """\
Changes groups: -chown :GROUP.
-R: Everything below directories, too."""

    def _parse(self, text: str) -> None:
        found = _GROUP.fullmatch(text)
        if found is None:
            raise UsageError(f"'{text}' does not match expected pattern for group")
        self._group = found[1]
