"""The client: :func:`connect` for ordinary programs, :func:`connect_async` for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cairnfs.client.blocking import FileSystem
    from cairnfs.client.filesystem import Conf
    from cairnfs.client.filesystem import FileSystem as AsyncFileSystem

__all__ = ["connect", "connect_async"]


def connect(
    url: str | None = None,
    conf: Conf = None,
    user: str | None = None,
    *,
    wait_ms: int | None = None,
) -> FileSystem:
    """The file system at ``url``, to use without asyncio.

    ``url`` is ``hdfs://host:port`` or the logical name of several NameNodes; by default
    ``fs.defaultFS`` of the configuration. ``conf`` is a configuration, or the folder or file
    to read it from; by default the environment says (``CAIRN_CONF_DIR``,
    ``HADOOP_CONF_DIR``, ``CAIRN_*``). ``user`` is by default ``HADOOP_USER_NAME``, else the
    login. A NameNode that is not up yet is waited for as long as ``wait_ms`` says.

    Raises ``ConfigurationError``, and ``TransportError`` if ``wait_ms`` passed in vain."""
    from cairnfs.client.blocking import FileSystem

    return FileSystem.connect(url, conf, user, wait_ms=wait_ms)


async def connect_async(
    url: str | None = None,
    conf: Conf = None,
    user: str | None = None,
    *,
    wait_ms: int | None = None,
) -> AsyncFileSystem:
    """As :func:`connect`, for asyncio: works in the running loop, of any kind."""
    from cairnfs.client.filesystem import FileSystem

    return await FileSystem.connect(url, conf, user, wait_ms=wait_ms)
