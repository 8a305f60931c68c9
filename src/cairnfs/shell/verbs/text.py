"""``-text``: files to standard output, unpacked where they are compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import IO, Protocol

from cairnfs.errors import FileSystemError, StorageError
from cairnfs.shell.failures import is_directory
from cairnfs.shell.item import Item
from cairnfs.shell.verbs.cat import Cat, print_file

_READ_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
# zlib's argument for gzip's own header.
_GZIP_WINDOW = 31
# Containers of records, which Hadoop shows with the classes that wrote them.
_CONTAINERS = {b"SEQ": "SequenceFile", b"Obj": "Avro"}


class Unpacker(Protocol):
    """What zlib and bz2 offer alike."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class Text(Cat):
    help = """\
Prints files as text: gzip is known by its first bytes, bzip2 and deflate by their names
(.bz2, .deflate); everything else is printed as it is.
-ignoreCrc: Takes data whose checksums are wrong."""

    def visit(self, item: Item) -> None:
        if item.is_directory:
            raise is_directory(item.text)
        with item.fs.open(item.path, self.verify) as data:
            head = data.read(3)
        if head in _CONTAINERS:
            raise FileSystemError(
                f"`{item.text}': is a {_CONTAINERS[head]} file, whose records only the programs "
                "that wrote them can show"
            )
        make = _unpacker_for(item.name, head)
        if make is None:
            print_file(self.session, item, self.verify)
            return
        out = self.session.bytes_out
        with item.fs.open(item.path, self.verify) as data:
            unpack(data, out, make, item.text)
        out.flush()


def _unpacker_for(name: str, head: bytes) -> Callable[[], Unpacker] | None:
    if head.startswith(_GZIP):
        return lambda: zlib.decompressobj(_GZIP_WINDOW)
    if name.endswith(".deflate"):
        return lambda: zlib.decompressobj()
    if name.endswith(".bz2"):
        import bz2

        return bz2.BZ2Decompressor
    return None


def unpack(source: IO[bytes], target: IO[bytes], make: Callable[[], Unpacker], text: str) -> None:
    """Write what ``source`` holds, which may be several packed files in a row, to ``target``.

    Raises ``StorageError`` where it is broken or ends too soon."""
    current = make()
    fresh = True
    try:
        while data := source.read(_READ_BYTES):
            while data:
                if current.eof:
                    current, fresh = make(), True
                target.write(current.decompress(data))
                fresh = False
                data = current.unused_data if current.eof else b""
    except (zlib.error, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise StorageError(f"`{text}': cannot be unpacked: {error}") from None
    if not (fresh or current.eof):
        raise StorageError(f"`{text}': Unexpected end of input stream")
