"""What the NameNode's directory holds, and how a new one is made.

``dfs.namenode.name.dir``/namespace is the durable store (journal, checkpoints, LMDB);
``replicas`` beside it the map of replica locations, which a restart of the machine
discards and reports rebuild.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import time
import uuid
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cairnfs.config import Configuration, namenode_keys
from cairnfs.errors import ConfigurationError, StartupError, sentence_of
from cairnfs.namespace import formatting
from cairnfs.store.durable import DurableStore
from cairnfs.types import NamespaceInfo
from cairnfs.version import VERSION

NAMESPACE = "namespace"
REPLICAS = "replicas"


def name_directory(configuration: Configuration) -> Path:
    """The directory that ``dfs.namenode.name.dir`` names, as a path or ``file:`` URI."""
    text = configuration[namenode_keys.NAME_DIR]
    if "," in text:
        raise ConfigurationError(
            f"{namenode_keys.NAME_DIR.name} = {text}: Cairn keeps one copy and its journal; "
            "name one directory (for a second copy run a standby)"
        )
    parts = urlsplit(text)
    if parts.scheme == "file":
        text = unquote(parts.path)
    elif parts.scheme and "/" in text:
        raise ConfigurationError(f"{namenode_keys.NAME_DIR.name} = {text}: write a path or file:")
    return Path(text).absolute()


def process_user() -> str:
    """The user who runs this process: the superuser (DESIGN section 8)."""
    return os.environ.get("HADOOP_USER_NAME") or getpass.getuser()


def is_formatted(configuration: Configuration) -> bool:
    return (name_directory(configuration) / NAMESPACE).exists()


def format_namespace(configuration: Configuration, cluster_id: str | None = None) -> NamespaceInfo:
    """Make a new, empty namespace. Raises ``StartupError`` where anything is already."""
    directory = name_directory(configuration)
    try:
        if directory.exists() and (present := sorted(os.listdir(directory))):
            raise StartupError(
                f"{directory} is not empty (it holds {present[0]!r}); nothing was formatted. "
                "Move away what is there, or name another dfs.namenode.name.dir"
            )
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartupError(
            f"{sentence_of(error)}; nothing was formatted. {namenode_keys.NAME_DIR.name} must "
            "name a directory that can be made and written"
        ) from None
    try:
        return _fill(directory, cluster_id, configuration)
    except BaseException:
        # It was empty: what is there now is half of ours, and would be in the way next time.
        shutil.rmtree(directory / NAMESPACE, ignore_errors=True)
        raise


def _fill(directory: Path, cluster_id: str | None, configuration: Configuration) -> NamespaceInfo:
    store = DurableStore.format(directory / NAMESPACE)
    try:
        batch = store.batch()
        now_ms = time.time_ns() // 1_000_000
        formatting.format_namespace(
            batch,
            namespace_id=secrets.randbelow(0x7FFFFFFF - 1) + 1,
            cluster_id=cluster_id or f"CID-{uuid.uuid4()}",
            pool_id=f"BP-{secrets.randbelow(1 << 31)}-{_own_address()}-{now_ms}",
            creation_time_ms=now_ms,
            owner=process_user(),
            group=configuration[namenode_keys.SUPERUSER_GROUP],
        )
        store.commit(batch)
        store.sync()
        return namespace_info(store)
    finally:
        store.close()


def namespace_info(store: DurableStore) -> NamespaceInfo:
    snapshot = store.snapshot()
    try:
        return formatting.namespace_info(
            snapshot, build_version=VERSION, software_version=SOFTWARE_VERSION
        )
    finally:
        snapshot.close()


# What DataNodes compare with dfs.datanode.min.supported.namenode.version.
SOFTWARE_VERSION = "3.4.2"


def _own_address() -> str:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"
