"""Paths as they are written, what they mean, and how they are printed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cairnfs.config.configuration import Configuration
from cairnfs.errors import FileSystemError, InvalidPath
from cairnfs.shell.item import Item
from cairnfs.shell.session import Session
from cairnfs.types import FileStatus, FileType

DIRECTORY = FileStatus(FileType.DIRECTORY, b"", 0, 0o755, "u", "g", 0, 0, 0, 0, 1)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("HADOOP_USER_NAME", "ann")
    found = Session(Configuration({"fs.defaultFS": "hdfs://nn:9000"}))
    yield found
    found.close()


@pytest.mark.parametrize(
    ("text", "uri", "path"),
    [
        ("/", "hdfs://nn:9000", "/"),
        ("x", "hdfs://nn:9000", "/user/ann/x"),
        (".", "hdfs://nn:9000", "/user/ann"),
        ("../bob/./x//y/", "hdfs://nn:9000", "/user/bob/x/y"),
        ("//a//b", "hdfs://nn:9000", "/a/b"),
        ("a:b", "hdfs://nn:9000", "/user/ann/a:b"),
        ("hdfs:///x", "hdfs://nn:9000", "/x"),
        ("hdfs:/x", "hdfs://nn:9000", "/x"),
        ("hdfs://nn:9000/x", "hdfs://nn:9000", "/x"),
        ("cairn://nn:9000/x", "hdfs://nn:9000", "/x"),
        ("hdfs://nn:9000", "hdfs://nn:9000", "/user/ann"),
        ("hdfs://other:1/x", "hdfs://other:1", "/x"),
        ("file:///x/../y", "file://", "/y"),
        ("file:/y", "file://", "/y"),
    ],
)
@pytest.mark.requirement("D04")
def test_what_a_path_means(session: Session, text: str, uri: str, path: str) -> None:
    face, found, _ = session.place(text)
    assert (face.uri, found) == (uri, path)


def test_one_cluster_is_one_file_system(session: Session) -> None:
    faces = {id(session.place(text)[0]) for text in ("/x", "hdfs://nn:9000/y", "cairn:///z")}
    assert len(faces) == 1


def test_paths_that_are_none(session: Session) -> None:
    for text in ("", "a\0b"):
        with pytest.raises(InvalidPath):
            session.place(text)
    with pytest.raises(FileSystemError, match='No FileSystem for scheme "s3a"'):
        session.place("s3a://bucket/x")


def test_a_working_directory(session: Session) -> None:
    session.directory = "/data"
    assert session.place("x")[1] == "/data/x"
    assert session.place("file:///x")[1] == "/x"
    assert session.place("hdfs:///x")[1] == "/x"


def item(text: str, path: str) -> Item:
    face = Session(Configuration({"fs.defaultFS": "file:///"})).default()
    return Item(face, text, path, DIRECTORY)


@pytest.mark.parametrize(
    ("text", "child"),
    [
        ("/", "/n"), ("/a", "/a/n"), ("/a/", "/a/n"), (".", "n"), ("..", "../n"), ("a", "a/n"),
        ("hdfs://h:1", "hdfs://h:1/n"), ("hdfs://h:1/", "hdfs://h:1/n"),
        ("hdfs:///a", "hdfs:///a/n"),
    ],
)  # fmt: skip
def test_how_children_are_written(text: str, child: str) -> None:
    assert item(text, "/p").child("n", None).text == child


def test_what_is_written_as_a_directory() -> None:
    texts = ["/a/", "..", "a/.", "a/..", "hdfs://h/", "hdfs://h/a/"]
    assert all(item(text, "/p").names_directory for text in texts)
    assert not any(item(text, "/p").names_directory for text in ["/a", "a..", "hdfs://h/a"])


def test_the_order_is_that_of_encoded_paths() -> None:
    names = ["a!", "a b", "a-b", "a[", "aa"]
    ordered = sorted((item("x", f"/{name}") for name in names), key=lambda each: each.order)
    # A blank counts as %20.
    assert [each.name for each in ordered] == ["a!", "a b", "a[", "a-b", "aa"]


# --- files of this machine -----------------------------------------------------------------------


def test_local_patterns_are_expanded_where_no_other_shell_does(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt", "c"):
        Path(name).touch()
    assert [each.text for each in session.local_items("*.txt")] == ["*.txt"]
    session.interactive = True
    assert [each.text for each in session.local_items("*.txt")] == ["a.txt", "b.txt"]
    assert [each.exists for each in session.local_items("*.none")] == [False]


def test_a_local_file_system(session: Session, tmp_path: Path) -> None:
    face = session.local()
    top = str(tmp_path)
    face.mkdirs(f"{top}/d/e")
    with face.create(f"{top}/d/f") as out, open(__file__, "rb") as data:
        out.copy_from(data, lambda count: None)
    size = os.path.getsize(__file__)
    status = face.stat(f"{top}/d/f")
    assert status is not None
    assert (status.length, status.file_type) == (size, FileType.FILE)
    assert face.stat(f"{top}/d/f/below") is None
    assert [name for name, _ in face.children(f"{top}/d")] == ["e", "f"]
    assert [path for path, _ in face.glob(f"{top}/*/f")] == [f"{top}/d/f"]
    summary = face.summary(top)
    assert (summary.file_count, summary.directory_count, summary.length) == (1, 3, size)
    face.set_times(f"{top}/d/f", 5_000, -1)
    face.set_mode(f"{top}/d/f", 0o600)
    status = face.stat(f"{top}/d/f")
    assert status is not None
    assert (status.modification_time_ms, status.mode) == (5_000, 0o600)
    assert face.rename(f"{top}/d/f", f"{top}/g")
    assert not face.delete(f"{top}/none")
    with pytest.raises(FileSystemError):
        face.delete(f"{top}/d")
    assert face.delete(f"{top}/d", recursive=True)
    assert [name for name, _ in face.children(top)] == ["g"]
