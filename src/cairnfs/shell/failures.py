"""What verbs fail with, in the words that users and scripts of Hadoop's shell know."""

from __future__ import annotations

from cairnfs.errors import (
    AlreadyExists,
    CairnError,
    DirectoryNotEmpty,
    FileSystemError,
    NotFound,
    PathIsNotDirectory,
)


class UsageError(CairnError):
    """The command line makes no sense. Its usage is shown."""

    exit_code = 255


def no_such(text: str, qualified: str = "") -> NotFound:
    """Nothing is at ``text``; ``qualified`` is shown too where it says more."""
    more = f": `{qualified}'" if qualified and qualified != text else ""
    return NotFound(f"`{text}': No such file or directory{more}")


def exists(text: str) -> AlreadyExists:
    return AlreadyExists(f"`{text}': File exists")


def is_directory(text: str) -> FileSystemError:
    return FileSystemError(f"`{text}': Is a directory")


def not_directory(text: str) -> PathIsNotDirectory:
    return PathIsNotDirectory(f"`{text}': Is not a directory")


def not_empty(text: str) -> DirectoryNotEmpty:
    return DirectoryNotEmpty(f"`{text}': Directory is not empty")


def not_supported(text: str) -> FileSystemError:
    return FileSystemError(f"`{text}': Operation not supported")


def io_error(text: str, why: str = "Input/output error", **around: str) -> FileSystemError:
    """``operation`` and ``target`` may be said around the path."""
    before = f"{around['operation']} " if "operation" in around else ""
    after = f" to `{around['target']}'" if "target" in around else ""
    return FileSystemError(f"{before}`{text}'{after}: {why}")


def tell_defect(name: str, error: Exception) -> int:
    """Tell an error that should not be, without a traceback; the exit code."""
    import logging

    from cairnfs.log import our_fault

    our_fault(
        logging.getLogger(__name__),
        "%s: internal error: %s: %s",
        name,
        type(error).__name__,
        sentence(error),
    )
    return UsageError.exit_code


def sentence(error: Exception) -> str:
    """What an error says, on one line."""
    if isinstance(error, OSError) and not isinstance(error, CairnError):
        why = error.strerror or str(error) or type(error).__name__
        return f"{_shown(error.filename)} ({why})" if error.filename is not None else why
    lines = str(error).splitlines()
    return lines[0] if lines and lines[0] else type(error).__name__


def _shown(name: str | bytes | int) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
