"""What verbs need of a file system; the cluster's and this machine's own offer it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from cairnfs.errors import UnsupportedOperation
from cairnfs.types import ContentSummary, FileStatus

if TYPE_CHECKING:
    from types import TracebackType

READ, WRITE, EXECUTE = 4, 2, 1
Progress = Callable[[int], None]


class Output(ABC):
    """A file being written, which is there whole or not at all once closed or given up."""

    @abstractmethod
    def copy_from(self, source: IO[bytes], progress: Progress) -> int:
        """Write all that ``source`` holds; the number of bytes."""

    def take(self, face: Face, source: IO[bytes], progress: Progress) -> None:
        """Write all of a file that ``face`` opened."""
        self.copy_from(source, progress)

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def abort(self) -> None:
        """Give up. What was written may stay, unfinished."""

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


class Face(ABC):
    """A file system as verbs see it. Paths are absolute and normal; names are text.

    Everything raises classes of :mod:`cairnfs.errors` or ``OSError``."""

    # ``hdfs://host:port`` or ``file://``; a path behind it makes it whole.
    uri: str

    @property
    @abstractmethod
    def directory(self) -> str:
        """Where relative paths start."""

    def qualified(self, path: str) -> str:
        return self.uri + path

    # --- looking ---------------------------------------------------------------------------

    @abstractmethod
    def stat(self, path: str) -> FileStatus | None:
        """What is at ``path``, None if nothing is."""

    @abstractmethod
    def children(self, path: str) -> Iterator[tuple[str, FileStatus]]:
        """Names and statuses of what a directory holds, in the file system's order."""

    @abstractmethod
    def glob(self, pattern: str) -> list[tuple[str, FileStatus]]:
        """Paths and statuses of what an absolute pattern matches."""

    @abstractmethod
    def summary(self, path: str) -> ContentSummary: ...

    @abstractmethod
    def space(self) -> tuple[int, int, int]:
        """Capacity, used and remaining bytes."""

    @abstractmethod
    def may(self, path: str, action: int) -> bool:
        """Whether the user may do all of ``action`` (of READ, WRITE, EXECUTE)."""

    def replica_counts(self, path: str) -> list[int]:
        """How many replicas each block of a file has."""
        return []

    def checksum(self, path: str) -> tuple[str, bytes] | None:
        """Name of the algorithm and the checksum of a file, None where there is none."""
        return None

    # --- changing the tree -----------------------------------------------------------------

    @abstractmethod
    def mkdirs(self, path: str, mode: int = 0o777) -> None: ...

    @abstractmethod
    def delete(self, path: str, recursive: bool = False) -> bool: ...

    @abstractmethod
    def rename(self, source: str, target: str) -> bool:
        """False where the file system refuses without a reason."""

    @abstractmethod
    def rename_exactly(self, source: str, target: str) -> None:
        """Raises ``AlreadyExists`` where anything is at ``target``."""

    @abstractmethod
    def replace(self, source: str, target: str) -> None:
        """Rename a file over whatever file is at ``target``."""

    @abstractmethod
    def set_mode(self, path: str, mode: int) -> None: ...

    @abstractmethod
    def set_owner(self, path: str, owner: str | None, group: str | None) -> None: ...

    @abstractmethod
    def set_times(self, path: str, modified_ms: int, accessed_ms: int) -> None:
        """-1 leaves a time as it is."""

    def set_replication(self, path: str, replication: int) -> bool:
        return True

    @abstractmethod
    def truncate(self, path: str, length: int) -> bool:
        """False while the last block is being recovered."""

    def concat(self, target: str, sources: Sequence[str]) -> None:
        raise UnsupportedOperation(f"{self.uri} cannot join files")

    # --- data ------------------------------------------------------------------------------

    @abstractmethod
    def open(self, path: str, verify: bool = True) -> IO[bytes]: ...

    @abstractmethod
    def create(self, path: str) -> Output:
        """Write a file anew, with its parents."""

    @abstractmethod
    def append(self, path: str, new_block: bool = False) -> Output: ...

    @abstractmethod
    def pour(self, source: IO[bytes], target: IO[bytes], progress: Progress) -> None:
        """Write all of a file that this file system opened to ``target``."""

    # --- trash -----------------------------------------------------------------------------

    def trash_interval_min(self) -> int:
        """Minutes for which the server keeps what is deleted; 0: it does not say."""
        return 0

    @property
    @abstractmethod
    def trash_root(self) -> str: ...

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        pass
