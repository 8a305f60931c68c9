"""The calls without protobuf ask the same as those with it, and understand the same."""

from __future__ import annotations

from typing import Any

import pytest

from cairnfs.client.namenode import Namenode
from cairnfs.client.plain_namenode import PlainNamenode
from cairnfs.errors import InvalidPath
from cairnfs.types import FileStatus, FileType
from cairnfs.wire import namenode_answers as answers
from cairnfs.wire.message import parse, serialize
from cairnfs.wire.proto import client_namenode_pb2 as nn
from cairnfs.wire.proto import hdfs_pb2

STATUS = FileStatus(FileType.FILE, b"n", 5, 0o640, "ann", "crew", 1, 2, 3, 4, 5)
SUMMARY = hdfs_pb2.ContentSummaryProto(
    length=1, fileCount=2, directoryCount=3, quota=(1 << 64) - 1, spaceConsumed=5, spaceQuota=6
)
DEFAULTS = hdfs_pb2.FsServerDefaultsProto(
    blockSize=1, bytesPerChecksum=2, writePacketSize=3, replication=4, fileBufferSize=5
)
STATS = nn.GetFsStatsResponseProto(
    capacity=1, used=2, remaining=3, under_replicated=4, corrupt_blocks=5, missing_blocks=6
)


ANSWERS = {
    "getFileInfo": answers.file_info_response(answers.file_status_of(STATUS)),
    "getListing": answers.listing_response([answers.file_status_of(STATUS)], 7),
    "getContentSummary": serialize(nn.GetContentSummaryResponseProto(summary=SUMMARY)),
    "getServerDefaults": serialize(nn.GetServerDefaultsResponseProto(serverDefaults=DEFAULTS)),
    "getFsStats": serialize(STATS),
    **dict.fromkeys(("mkdirs", "delete", "rename", "setReplication"), answers.RESULT_TRUE),
    "isFileClosed": answers.RESULT_TRUE,
}


class RecordedCalls:
    """Keeps what is asked and answers it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answers = dict(ANSWERS)

    async def call(self, method: str, request: Any, answer: Any, **limits: int) -> Any:
        self.asked.append((method, request))
        return parse(answer, self.answers.get(method, b""))

    async def call_raw(self, method: str, body: bytes, **limits: int) -> bytes:
        name = {"getFsStats": "getFsStatus"}.get(method, method)
        kind = getattr(nn, f"{name[0].upper()}{name[1:]}RequestProto")
        self.asked.append((method, parse(kind, body)))
        return self.answers.get(method, b"")


CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("get_file_info", ("/ä b",)),
    ("get_listing", ("/d", b"last\xff")),
    ("get_content_summary", ("/d",)),
    ("get_server_defaults", ()),
    ("get_fs_stats", ()),
    ("mkdirs", ("/d", 0o755, 0o777, True)),
    ("mkdirs", ("/d", 0o1755, 0o777, False)),
    ("delete", ("/d", True)),
    ("delete", ("/d", False)),
    ("rename", ("/a", "/b")),
    ("rename2", ("/a", "/b", True)),
    ("set_permission", ("/d", 0o1777)),
    ("set_owner", ("/d", "ann", None)),
    ("set_owner", ("/d", None, "crew")),
    ("set_owner", ("/d", "ann", "crew")),
    ("set_times", ("/d", 1_700_000_000_000, -1)),
    ("set_times", ("/d", -1, 5)),
    ("set_replication", ("/f", 5)),
    ("check_access", ("/f", 6)),
    ("is_file_closed", ("/f",)),
]


@pytest.mark.parametrize(("method", "arguments"), CALLS, ids=str)
async def test_both_ask_and_answer_alike(method: str, arguments: tuple[Any, ...]) -> None:
    calls, plain_calls = RecordedCalls(), RecordedCalls()
    whole = Namenode(calls, "me")  # type: ignore[arg-type]
    plain = PlainNamenode(plain_calls, "me")  # type: ignore[arg-type]
    assert await getattr(plain, method)(*arguments) == await getattr(whole, method)(*arguments)
    assert plain_calls.asked == calls.asked


async def test_long_listings_are_left_to_protobuf() -> None:
    calls = RecordedCalls()
    calls.answers = {
        "getListing": answers.listing_response([answers.file_status_of(STATUS)] * 1000)
    }
    plain = PlainNamenode(calls, "me")  # type: ignore[arg-type]
    pages = [await plain.get_listing("/d") for _ in range(4)]
    assert pages[0] == pages[3]
    assert len(calls.asked) == 4


async def test_names_that_no_message_takes() -> None:
    with pytest.raises(InvalidPath):
        await PlainNamenode(RecordedCalls(), "me").get_file_info("/\udcff")  # type: ignore[arg-type]
