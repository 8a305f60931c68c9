"""Paths as the NameNode takes them: absolute, normal, ``/``-separated."""

from __future__ import annotations

from urllib.parse import urlsplit

from cairnfs.errors import InvalidPath
from cairnfs.limits import PATH_CHARS_MAX

SCHEMES = ("hdfs", "cairn")


def split_uri(path: str) -> tuple[str, str]:
    """(``scheme://authority`` or empty, path) of a path that may be a URI.

    A colon in a name is no scheme: ``/a:b`` and ``a:b`` stay paths."""
    scheme, found, rest = path.partition("://")
    if not found or "/" in scheme or not scheme.isalnum():
        return "", path
    authority, slash, tail = rest.partition("/")
    return f"{scheme}://{authority}", slash + tail


def normal(path: str, home: str, uri: str) -> str:
    """The absolute form of ``path``: from ``home`` where it is relative, ``.`` and ``..``
    resolved, no slash at its end. Raises ``InvalidPath``, also for another file system's."""
    prefix, rest = split_uri(path)
    if prefix:
        parts = urlsplit(prefix)
        if parts.scheme not in SCHEMES or parts.netloc not in ("", urlsplit(uri).netloc):
            raise InvalidPath(f"{path} is not on this file system, which is {uri}")
        rest = rest or "/"
    if not path or "\0" in rest:
        raise InvalidPath(f"{path!r} is no path")
    names: list[str] = []
    for name in (rest if rest.startswith("/") else f"{home}/{rest}").split("/"):
        if name == "..":
            if names:
                names.pop()
        elif name not in ("", "."):
            names.append(name)
    whole = "/" + "/".join(names)
    if len(whole) > PATH_CHARS_MAX:
        raise InvalidPath(f"a path of {len(whole)} characters; at most {PATH_CHARS_MAX} are taken")
    return whole


def join(folder: str, name: str) -> str:
    """``name`` in ``folder``."""
    return folder + name if folder.endswith("/") else f"{folder}/{name}"


def parent(path: str) -> str:
    """The folder of a normal path; that of ``/`` is ``/``."""
    return path.rpartition("/")[0] or "/"


def base(path: str) -> str:
    """The last name of a normal path; empty for ``/``."""
    return path.rpartition("/")[2]
