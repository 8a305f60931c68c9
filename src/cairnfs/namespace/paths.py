"""Paths as clients write them, and the names they consist of.

A path arrives as text and is looked up as UTF-8 bytes. Reading tolerates what HDFS
tolerates (doubled and trailing slashes); creating demands a valid name.
"""

from __future__ import annotations

from cairnfs.errors import FileSystemError, InvalidPath, InvalidRequest, NameTooLong
from cairnfs.limits import NAME_BYTES_MAX, PATH_CHARS_MAX, PATH_DEPTH_MAX
from cairnfs.namespace.settings import NamespaceSettings

RESERVED = b".reserved"
INODES = b".inodes"
RAW = b"raw"
RESERVED_PATH = "/.reserved"
_DOT_SNAPSHOT = b".snapshot"


def split_path(path: str) -> list[bytes]:
    """The names of an absolute path; none for ``/``. Raises ``InvalidPath``."""
    if not path.startswith("/"):
        raise InvalidPath(f"Absolute path required, but got '{path}'")
    try:
        names = path.encode().split(b"/")
    except UnicodeEncodeError:
        raise InvalidPath("a path holds a half of a surrogate pair, which is no text") from None
    if path[-1] == "/" or "//" in path:
        return [name for name in names if name]
    del names[0]
    return names


def join_path(names: list[bytes]) -> str:
    """The path that names make up, as error messages and answers show it."""
    return "/" + b"/".join(names).decode("utf-8", "replace")


def is_valid_path(path: str) -> bool:
    """Whether something may be created at this path (Hadoop's ``DFSUtil.isValidName``)."""
    if not path.startswith("/"):
        return False
    if ":" not in path and "/." not in path and "//" not in path:
        return True
    parts = path.rstrip("/").split("/")
    in_inodes = len(parts) > 4 and parts[1] == ".reserved" and parts[2] == ".inodes"
    for part in parts[1:]:
        if part in ("", ".") or ":" in part:
            return False
        if part == ".." and not in_inodes:
            return False
    return True


def check_path_length(path: str, operation: str) -> None:
    """Raises ``FileSystemError`` for a path that is too long or too deep to create."""
    if len(path) > PATH_CHARS_MAX or path.count("/") > PATH_DEPTH_MAX:
        raise FileSystemError(
            f"{operation}: Pathname too long.  Limit {PATH_CHARS_MAX} characters,"
            f" {PATH_DEPTH_MAX} levels."
        )


def is_reserved_path(path: str) -> bool:
    """Exactly ``/.reserved``."""
    return path == RESERVED_PATH


def check_new_name(settings: NamespaceSettings, parent: list[bytes], name: bytes) -> None:
    """Raises ``NameTooLong`` or ``InvalidRequest`` for a name that no entry may have."""
    limit = settings.component_bytes_max or NAME_BYTES_MAX
    if len(name) > min(limit, NAME_BYTES_MAX):
        raise NameTooLong(
            f"The maximum path component name limit of {name.decode('utf-8', 'replace')}"
            f" in directory {join_path(parent)} is exceeded:"
            f" limit={min(limit, NAME_BYTES_MAX)} length={len(name)}"
        )
    if name == _DOT_SNAPSHOT:
        raise InvalidRequest('".snapshot" is a reserved name.')
    if not parent and name == RESERVED:
        raise InvalidRequest(
            'File name ".reserved" is reserved and cannot be created in the root directory.'
        )
