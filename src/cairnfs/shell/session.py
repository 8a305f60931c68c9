"""What verbs of one command line, or of one interactive session, share."""

from __future__ import annotations

import posixpath
import sys
from typing import IO, TYPE_CHECKING, TextIO

from cairnfs.config.configuration import Configuration
from cairnfs.errors import FileSystemError, InvalidPath
from cairnfs.shell.item import Item

if TYPE_CHECKING:
    from cairnfs.shell.face import Face

_CLUSTER_SCHEMES = ("hdfs", "cairn")
_WILDCARDS = frozenset("*?[{\\")


class Session:
    """Configuration, connections and the working directory. ``program`` begins usage lines."""

    def __init__(self, conf: Configuration, program: str = "cairn fs [generic options] ") -> None:
        self.conf = conf
        self.program = program
        self.interactive = False
        # The cluster's working directory; None: the user's home.
        self.directory: str | None = None
        self._faces: dict[str, Face] = {}

    # --- streams ---------------------------------------------------------------------------

    @property
    def out(self) -> TextIO:
        return sys.stdout

    def line(self, text: str) -> None:
        """Print a line; names that are no UTF-8 come out as the bytes they are."""
        sys.stdout.write(text + "\n")

    def warn(self, text: str) -> None:
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    @property
    def bytes_out(self) -> IO[bytes]:
        """Standard output for data; what was printed before goes first."""
        sys.stdout.flush()
        return sys.stdout.buffer

    @property
    def bytes_in(self) -> IO[bytes]:
        return sys.stdin.buffer

    # --- file systems ----------------------------------------------------------------------

    def default(self) -> Face:
        """The file system of paths that name none."""
        from cairnfs.config.keys import DEFAULT_FS

        if self.conf[DEFAULT_FS].startswith("file:"):
            return self.local()
        return self.cluster("")

    def local(self) -> Face:
        face = self._faces.get("file:")
        if face is None:
            from cairnfs.shell.local import LocalFace

            face = self._faces["file:"] = LocalFace()
        return face

    def cluster(self, authority: str) -> Face:
        """The cluster at ``host:port`` or with a logical name; by default the configured one."""
        face = self._faces.get(authority)
        if face is None:
            face = self._faces[authority] = self._connect(authority)
        return face

    def _connect(self, authority: str) -> Face:
        from cairnfs.client.blocking import FileSystem
        from cairnfs.shell.remote import RemoteFace

        fs = FileSystem.connect(f"hdfs://{authority}" if authority else None, self.conf)
        for known in self._faces.values():
            # The same one by its full name.
            if isinstance(known, RemoteFace) and known.uri == fs.uri:
                fs.close()
                return known
        return RemoteFace(fs)

    def close(self) -> None:
        for face in set(self._faces.values()):
            face.close()
        self._faces.clear()

    # --- paths -----------------------------------------------------------------------------

    def place(self, text: str) -> tuple[Face, str, str]:
        """(file system, absolute path, what is before the path) of a path as it is written.

        Raises ``InvalidPath`` and, for a scheme that nobody serves, ``FileSystemError``."""
        prefix, path = _split(text)
        if not text or "\0" in text:
            raise InvalidPath(f"{text!r} is no path")
        scheme, _, authority = prefix.partition(":")
        if not scheme:
            face = self.default()
        elif scheme in _CLUSTER_SCHEMES:
            face = self.cluster(authority[2:])
        elif scheme == "file":
            face = self.local()
        else:
            raise FileSystemError(f'No FileSystem for scheme "{scheme}"')
        return face, self._absolute(face, path), prefix

    def _absolute(self, face: Face, path: str) -> str:
        if not path.startswith("/"):
            path = f"{self._start(face)}/{path}"
        normal = posixpath.normpath(path)
        # POSIX gives two slashes at the start a meaning; HDFS does not.
        return normal[1:] if normal.startswith("//") else normal

    def _start(self, face: Face) -> str:
        if self.directory is not None and face is self.default():
            return self.directory
        return face.directory

    def item(self, text: str) -> Item:
        """The path ``text``, no pattern, and what is there."""
        face, path, _ = self.place(text)
        return Item(face, text, path, face.stat(path))

    def local_item(self, text: str) -> Item:
        """A path of this machine, which may be written as a ``file:`` URI."""
        if text.startswith(("file:/", "hdfs://", "cairn://")):
            return self.item(text)
        face = self.local()
        path = self._absolute(face, text)
        return Item(face, text, path, face.stat(path))

    def local_items(self, word: str) -> list[Item]:
        """As :meth:`local_item`. The user's own shell has expanded patterns of local files;
        within an interactive session nobody else does."""
        if self.interactive:
            import glob
            import os

            word = os.path.expanduser(word)
            if found := sorted(glob.glob(word)):
                return [self.local_item(each) for each in found]
        return [self.local_item(word)]

    def expand(self, pattern: str) -> list[Item]:
        """What a pattern matches, sorted; a path without wildcards is an item in any case."""
        face, path, prefix = self.place(pattern)
        if not _WILDCARDS.intersection(path):
            status = face.stat(path)
            text = pattern if status is None else self._written(face, path, prefix, pattern)
            return [Item(face, text, path, status)]
        from cairnfs.client.glob import expand, has_wildcard, unescape

        found = face.glob(path)
        if not found and not any(map(has_wildcard, expand(path))):
            return [Item(face, unescape(pattern), unescape(path), None)]
        items = [
            Item(face, self._written(face, match, prefix, pattern), match, status)
            for match, status in found
        ]
        return sorted(items, key=lambda item: item.order)

    def _written(self, face: Face, path: str, prefix: str, pattern: str) -> str:
        """``path`` in the manner of ``pattern``: as a URI, absolute, or relative."""
        if prefix:
            return prefix + path
        if pattern.startswith("/"):
            return path
        return posixpath.relpath(path, self._start(face))


def _split(text: str) -> tuple[str, str]:
    """(``scheme://authority``, path); a colon elsewhere is part of a name.

    Both may be empty, and so may the authority."""
    colon, slash = text.find(":"), text.find("/")
    if colon <= 0 or slash != colon + 1:
        return "", text
    if not text.startswith("//", slash) or len(text) == slash + 2:
        return text[: colon + 1] + "//", text[slash:]
    end = text.find("/", slash + 2)
    end = len(text) if end < 0 else end
    return text[:end], text[end:]
