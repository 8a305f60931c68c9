"""Python file objects over a file's reader and writer, which live in another thread's loop."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

from cairnfs.client.reader import FileReader
from cairnfs.client.writer import FileWriter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")
# One step to the other thread and back costs some 0.1 ms: it should move this much.
_BUFFER_BYTES = 1 << 20
_COPY_BYTES = 4 << 20
# Pieces of one writev; the kernel's IOV_MAX is 1024.
_PIECES_MAX = 512


class Run(Protocol):
    """Runs a coroutine where the file lives and waits for its result."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T: ...


class RawIn(io.RawIOBase):
    """Unbuffered reading."""

    def __init__(self, reader: FileReader, run: Run) -> None:
        self.reader = reader
        self.name = reader.path
        self.mode = "rb"
        self._call = run

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._checkClosed()
        return self._call(self.reader.readinto(memoryview(buffer).cast("B")))

    def readall(self) -> bytes:
        self._checkClosed()
        return self._call(self.reader.read())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._checkClosed()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.reader.position, os.SEEK_END: self.reader.size}
        if whence not in base:
            raise ValueError(f"whence {whence} is none of 0, 1 and 2")
        return self.reader.seek(base[whence] + offset)

    def tell(self) -> int:
        self._checkClosed()
        return self.reader.position

    def views(self) -> list[memoryview]:
        """The next bytes as they came, without a copy; empty at the end. Valid until the
        next call on this file."""
        self._checkClosed()
        return self._call(self.reader.views())

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._call(self.reader.close())

    def _checkClosed(self) -> None:  # noqa: N802 - as the io module calls it
        if self.closed:
            raise ValueError(f"{self.name} is closed")


class FileIn(io.BufferedReader):
    """A file being read. Besides what every binary file has: :meth:`pread`, :meth:`copy_to`,
    :attr:`size`."""

    raw: RawIn

    def __init__(self, reader: FileReader, run: Run) -> None:
        super().__init__(RawIn(reader, run), _BUFFER_BYTES)
        self._call = run

    @property
    def size(self) -> int:
        """Length of the file when it was opened (or :meth:`refresh` was called)."""
        return self.raw.reader.size

    def refresh(self) -> int:
        """Look again how long the file is (a writer may be adding to it); the size."""
        return self._call(self.raw.reader.refresh())

    def pread(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; the file's position stays. Several threads
        may do this at once."""
        return self._call(self.raw.reader.pread(offset, size))

    def pread_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        """As :meth:`pread`, into ``buffer``; the number of bytes."""
        return self._call(self.raw.reader.pread_into(offset, buffer))

    def copy_to(
        self, target: IO[bytes], progress: Callable[[int], None] = lambda count: None
    ) -> int:
        """Write all from the current position on to ``target``, without a copy where that is
        a real file; ``progress`` is told each number of bytes. Returns how many in all."""
        self.raw.seek(self.tell())
        total = 0
        write = _writer_to(target)
        while views := self.raw.views():
            write(views)
            count = sum(map(len, views))
            progress(count)
            total += count
        self.seek(self.raw.tell())
        return total


class RawOut(io.RawIOBase):
    """Unbuffered writing."""

    def __init__(self, writer: FileWriter, run: Run) -> None:
        self.writer = writer
        self.name = writer.path
        self.mode = "wb"
        self._call = run
        self._aborted = False

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        if not isinstance(data, bytes):
            data = memoryview(data).cast("B")
        if self._aborted:
            return len(data)
        return self._call(self.writer.write(data))

    def tell(self) -> int:
        return self.writer.position

    def close(self) -> None:
        if not self.closed:
            super().close()
            if not self._aborted:
                self._call(self.writer.close())

    def abort(self) -> None:
        """Leave the file as it is; what is still buffered above goes nowhere."""
        self._aborted = True
        self._call(self.writer.abort())


class FileOut(io.BufferedWriter):
    """A file being written. Besides what every binary file has: :meth:`hflush`,
    :meth:`hsync`, :meth:`copy_from`, :meth:`abort`. ``flush`` promises nothing to readers."""

    raw: RawOut

    def __init__(self, writer: FileWriter, run: Run) -> None:
        super().__init__(RawOut(writer, run), _BUFFER_BYTES)
        self._call = run

    def write(self, data: ReadableBuffer) -> int:
        if isinstance(data, bytes) and len(data) >= _BUFFER_BYTES:
            # Handed on as it is, it need not be copied.
            self.flush()
            return self.raw.write(data)
        return super().write(data)

    def hflush(self) -> None:
        """Return when all DataNodes have what was written: new readers see it."""
        self.flush()
        self._call(self.raw.writer.hflush())

    def hsync(self, update_length: bool = False) -> None:
        """As :meth:`hflush`, and the DataNodes have it on disk."""
        self.flush()
        self._call(self.raw.writer.hsync(update_length))

    def abort(self) -> None:
        """Stop without finishing: the file stays open until its lease runs out."""
        self.raw.abort()
        self.close()

    def copy_from(
        self, source: IO[bytes], progress: Callable[[int], None] = lambda count: None
    ) -> int:
        """Write all that ``source`` still holds; ``progress`` is told each number of bytes.
        Returns how many in all."""
        total = 0
        while data := source.read(_COPY_BYTES):
            self.write(data)
            progress(len(data))
            total += len(data)
        return total


def _writer_to(target: IO[bytes]) -> Callable[[list[memoryview]], None]:
    """How views get into ``target``: by ``writev`` where it is a file."""
    try:
        number = target.fileno()
    except (OSError, AttributeError):
        return lambda views: _write_each(target, views)
    target.flush()
    return lambda views: _writev_all(number, views)


def _write_each(target: IO[bytes], views: list[memoryview]) -> None:
    for view in views:
        left = view
        while left:
            # An unbuffered target may take less than it is given.
            left = left[target.write(left) :]


def _writev_all(number: int, views: list[memoryview]) -> None:
    for batch in _batches(views):
        left = batch
        while left:
            count = os.writev(number, left)
            while left and count >= len(left[0]):
                count -= len(left[0])
                left = left[1:]
            if count:
                left = [left[0][count:], *left[1:]]


def _batches(views: list[memoryview]) -> Iterator[list[memoryview]]:
    for start in range(0, len(views), _PIECES_MAX):
        yield views[start : start + _PIECES_MAX]
