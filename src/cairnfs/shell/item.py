"""A path of the command line: as it was written, what it means, and what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairnfs.shell.failures import no_such, not_directory
from cairnfs.types import FileStatus, FileType

if TYPE_CHECKING:
    from cairnfs.shell.face import Face

# What a path's place in a sorted listing is found by: Java compares percent-encoded URIs.
_QUOTED = {ord(char): f"%{ord(char):02X}" for char in ' "#%<>?[]\\^`{|}'}
_QUOTED |= {code: f"%{code:02X}" for code in (*range(32), 127)}


@dataclass(slots=True)
class Item:
    """``text`` is what verbs print, ``path`` the absolute path in ``fs``."""

    fs: Face
    text: str
    path: str
    status: FileStatus | None

    @property
    def exists(self) -> bool:
        return self.status is not None

    @property
    def is_directory(self) -> bool:
        return self.status is not None and self.status.file_type is FileType.DIRECTORY

    @property
    def is_file(self) -> bool:
        return self.status is not None and self.status.file_type is FileType.FILE

    @property
    def is_symlink(self) -> bool:
        return self.status is not None and self.status.file_type is FileType.SYMLINK

    @property
    def found(self) -> FileStatus:
        """The status of what must be there. Raises ``NotFound``."""
        if self.status is None:
            raise no_such(self.text)
        return self.status

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        return self.path.rpartition("/")[0] or "/"

    @property
    def qualified(self) -> str:
        return self.fs.qualified(self.path)

    @property
    def order(self) -> tuple[str, str]:
        return self.fs.uri, self.path.translate(_QUOTED)

    @property
    def names_directory(self) -> bool:
        """Whether it is written as directories are: ``x/``, ``.`` or ``..`` at its end."""
        return _behind_authority(self.text).rpartition("/")[2] in ("", ".", "..")

    def refresh(self) -> FileStatus:
        """Look again. Raises ``NotFound``."""
        self.status = self.fs.stat(self.path)
        return self.found

    def parent_exists(self) -> bool:
        place = self.path if self.names_directory else self.parent
        return self.fs.stat(place) is not None

    def child(self, name: str, status: FileStatus | None) -> Item:
        """``name`` in this directory, written the way the directory is."""
        if self.text == ".":
            text = name
        elif self.text.endswith("/") and _behind_authority(self.text):
            text = self.text + name
        else:
            text = f"{self.text}/{name}"
        path = self.path + name if self.path == "/" else f"{self.path}/{name}"
        return Item(self.fs, text, path, status)

    def sought_child(self, name: str) -> Item:
        """As :meth:`child`, after looking what is there. Raises where this is no directory."""
        if not self.exists:
            raise no_such(self.text)
        if not self.is_directory:
            raise not_directory(self.text)
        child = self.child(name, None)
        child.status = self.fs.stat(child.path)
        return child

    def suffixed(self, suffix: str) -> Item:
        return Item(self.fs, self.text + suffix, self.path + suffix, None)

    def contents(self) -> Iterator[Item]:
        """What this directory holds, in the file system's order."""
        if not self.is_directory:
            raise not_directory(self.text)
        for name, status in self.fs.children(self.path):
            yield self.child(name, status)


def _behind_authority(text: str) -> str:
    """The path of a text that may be a URI."""
    scheme, found, rest = text.partition("://")
    if not found or "/" in scheme:
        return text
    _, slash, path = rest.partition("/")
    return slash + path
