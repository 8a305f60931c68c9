"""A status taken apart and named anew says the same as one built with that name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cairnfs.types import FileType
from cairnfs.wire import namenode_answers as answers
from cairnfs.wire.proto.client_namenode_pb2 import GetListingResponseProto
from cairnfs.wire.proto.hdfs_pb2 import HdfsFileStatusProto

NUMBERS = st.integers(0, 1 << 50)
NAMES = st.text(max_size=100).map(str.encode).filter(lambda name: len(name) <= 255)


def status(name: bytes, numbers: list[int], owner: str, group: str) -> bytes:
    length, modified, accessed, block_size, inode_id = numbers
    return answers.file_status(
        FileType.FILE,
        name,
        length,
        0o644,
        owner,
        group,
        modified,
        accessed,
        3,
        block_size,
        inode_id,
    )


@given(
    NAMES,
    st.lists(NUMBERS, min_size=5, max_size=5),
    st.text(min_size=1, max_size=60),
    st.text(min_size=1, max_size=60),
)
def test_halves_under_a_name(name: bytes, numbers: list[int], owner: str, group: str) -> None:
    halves = answers.status_halves(status(b"", numbers, owner, group))
    built = HdfsFileStatusProto.FromString(status(name, numbers, owner, group))
    assert HdfsFileStatusProto.FromString(answers.named_status(halves, name)) == built


@given(st.lists(st.tuples(NAMES, NUMBERS), max_size=20), st.integers(0, 1 << 30))
def test_a_listing_of_halves(entries: list[tuple[bytes, int]], remaining: int) -> None:
    names = [name for name, _ in entries]
    halves = [
        answers.status_halves(status(b"", [number] * 5, "alice", "staff")) for _, number in entries
    ]
    whole = [status(name, [number] * 5, "alice", "staff") for name, number in entries]
    got = GetListingResponseProto.FromString(answers.listing_of_halves(names, halves, remaining))
    assert got == GetListingResponseProto.FromString(answers.listing_response(whole, remaining))
