"""Where the NameNodes of a file system are: an address, several, or a logical name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from cairnfs.config.configuration import Configuration
from cairnfs.config.key import words
from cairnfs.config.keys import DEFAULT_FS
from cairnfs.config.nameservices import NAMENODE_PORT, host_port, namenodes
from cairnfs.errors import ConfigurationError

SCHEMES = ("hdfs", "cairn")


@dataclass(frozen=True, slots=True)
class Target:
    """``authority`` as it stands in URIs, and every NameNode behind it as (host, port)."""

    authority: str
    addresses: tuple[tuple[str, int], ...]

    @property
    def uri(self) -> str:
        return f"hdfs://{self.authority}"


def resolve(url: str | None, conf: Configuration) -> Target:
    """The file system that ``url`` names, ``fs.defaultFS`` if it is None or has no authority.

    ``hdfs://host:port``, ``hdfs://host1:port,host2:port`` or ``hdfs://name``, where ``name``
    is one of ``dfs.nameservices``. Raises ``ConfigurationError``."""
    source = "address"
    if url is None or url.startswith("/") or not _authority(url, source):
        url, source = conf[DEFAULT_FS], DEFAULT_FS.name
    authority = _authority(url, source)
    if not authority:
        raise ConfigurationError(f"{source} = {url!r} names no NameNode; write hdfs://host:port")
    if authority in words(conf.text("dfs.nameservices") or ""):
        found = [node for node in namenodes(conf) if node.nameservice == authority]
        return Target(authority, tuple((node.host, node.port) for node in found))
    parts = words(authority)
    return Target(authority, tuple(host_port(part, NAMENODE_PORT, source) for part in parts))


def _authority(url: str, source: str) -> str:
    if "://" not in url:
        return url.split("/", 1)[0]
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(
            f"{source} = {url!r} is no address of this file system; write hdfs://host:port"
        )
    return parts.netloc


def default_user() -> str:
    """Who calls are made for where nobody says: ``HADOOP_USER_NAME``, else the login."""
    name = os.environ.get("HADOOP_USER_NAME")
    if name:
        return name
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user without an entry
        return str(os.geteuid())
