"""The calls of a short command, without protobuf: ``ls``, ``mkdir``, ``mv``, ``rm``, ``stat``, ...

:class:`PlainNamenode` answers like :class:`cairnfs.client.namenode.Namenode`, which it becomes
for every call that it has not itself, and for listings once there are many: importing protobuf
takes as long as decoding some 5,000 entries here, and decodes each five times as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cairnfs.client.answers import FsStatus, Listing
from cairnfs.errors import InvalidPath
from cairnfs.types import ContentSummary, FileStatus, FsServerDefaults
from cairnfs.wire import plain_codec as codec
from cairnfs.wire.plain import bytes_field, number_field, text_field

if TYPE_CHECKING:
    from cairnfs.client.calls import NamenodeCalls
    from cairnfs.client.namenode import Namenode

# Entries decoded here before protobuf is imported for the next.
_ENTRIES_MAX = 2_000


class PlainNamenode:
    """``client_name`` names the holder of leases."""

    def __init__(self, calls: NamenodeCalls, client_name: str) -> None:
        self.calls = calls
        self.client_name = client_name
        self._whole: Namenode | None = None
        self._entries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._namenode(), name)

    def _namenode(self) -> Namenode:
        if self._whole is None:
            from cairnfs.client.namenode import Namenode

            self._whole = Namenode(self.calls, self.client_name)
        return self._whole

    async def close(self) -> None:
        await self.calls.close()

    # --- looking -----------------------------------------------------------------------------

    async def get_file_info(self, path: str, *, wait_ms: int = 0) -> FileStatus | None:
        raw = await self.calls.call_raw("getFileInfo", _text(1, path), wait_ms=wait_ms)
        return codec.file_info(raw)

    async def get_listing(self, path: str, start_after: bytes = b"") -> Listing | None:
        if self._entries >= _ENTRIES_MAX:
            return await self._namenode().get_listing(path, start_after)
        request = _text(1, path) + bytes_field(2, start_after) + number_field(3, False)
        found = codec.listing(await self.calls.call_raw("getListing", request))
        if found is None:
            return None
        entries, remaining = found
        self._entries += len(entries)
        return Listing(entries, remaining)

    async def get_content_summary(self, path: str) -> ContentSummary:
        return codec.content_summary(await self.calls.call_raw("getContentSummary", _text(1, path)))

    async def get_server_defaults(self) -> FsServerDefaults:
        return codec.server_defaults(await self.calls.call_raw("getServerDefaults", b""))

    async def get_fs_stats(self) -> FsStatus:
        return FsStatus(*codec.fs_stats(await self.calls.call_raw("getFsStats", b"")))

    # --- changing the tree -------------------------------------------------------------------

    async def mkdirs(self, path: str, masked: int, unmasked: int, parents: bool) -> bool:
        return await self._asks(
            "mkdirs",
            _text(1, path),
            bytes_field(2, codec.permission(masked)),
            number_field(3, parents),
            bytes_field(4, codec.permission(unmasked)),
        )

    async def delete(self, path: str, recursive: bool) -> bool:
        return await self._asks("delete", _text(1, path), number_field(2, recursive))

    async def rename(self, source: str, target: str) -> bool:
        return await self._asks("rename", _text(1, source), _text(2, target))

    async def rename2(self, source: str, target: str, overwrite: bool) -> None:
        await self._tells("rename2", _text(1, source), _text(2, target), number_field(3, overwrite))

    async def set_permission(self, path: str, mode: int) -> None:
        await self._tells("setPermission", _text(1, path), bytes_field(2, codec.permission(mode)))

    async def set_owner(self, path: str, owner: str | None, group: str | None) -> None:
        await self._tells(
            "setOwner",
            _text(1, path),
            b"" if owner is None else _text(2, owner),
            b"" if group is None else _text(3, group),
        )

    async def set_times(self, path: str, modified_ms: int, accessed_ms: int) -> None:
        await self._tells(
            "setTimes", _text(1, path), number_field(2, modified_ms), number_field(3, accessed_ms)
        )

    async def set_replication(self, path: str, replication: int) -> bool:
        return await self._asks("setReplication", _text(1, path), number_field(2, replication))

    async def check_access(self, path: str, action: int) -> None:
        """Raises ``PermissionDenied`` unless the user may do all of ``action`` (4 read,
        2 write, 1 execute) and ``NotFound``."""
        await self._tells("checkAccess", _text(1, path), number_field(2, action))

    async def _asks(self, method: str, *fields: bytes) -> bool:
        return codec.result(await self.calls.call_raw(method, b"".join(fields)))

    async def _tells(self, method: str, *fields: bytes) -> None:
        await self.calls.call_raw(method, b"".join(fields))


def _text(field: int, value: str) -> bytes:
    try:
        return text_field(field, value)
    except UnicodeEncodeError as error:
        raise InvalidPath(f"this cannot be asked of the NameNode: {error}") from None
