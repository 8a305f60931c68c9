"""What Tab offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.config.configuration import Configuration
from cairnfs.shell.completion import Completions
from cairnfs.shell.interactive import Shell
from cairnfs.shell.session import Session


class Offline(Completions):
    """Completions of a cluster with a few names."""

    NAMES = {"/home": ["docs/", "a file", ".hidden", "data"], "/home/docs": ["x", "y"]}  # noqa: RUF012

    def _ask(self, path: str) -> list[str]:
        return self.NAMES.get(path.rstrip("/"), [])


@pytest.fixture
def completions() -> Iterator[Completions]:
    session = Session(Configuration({"fs.defaultFS": "hdfs://nn:9000"}))
    session.directory = "/home"
    yield Offline(Shell(session))
    session.close()


@pytest.mark.parametrize(
    ("line", "word", "offers"),
    [
        ("l", "l", ["lcd", "list", "lpwd", "ls", "lsr"]),
        ("-ls", "-ls", ["-ls", "-lsr"]),
        ("help tr", "tr", ["truncate"]),
        ("ls -", "-", ["-C", "-d", "-h", "-q", "-R", "-t", "-S", "-r", "-u"]),
        ("rm -s", "-s", ["-skipTrash", "-safely"]),
        ("ls ", "", ["docs/", "a\\ file", "data"]),
        ("ls d", "d", ["docs/", "data"]),
        ("ls .", ".", [".hidden"]),
        ("ls docs/", "docs/", ["docs/x", "docs/y"]),
        ("ls a\\ f", "a\\ f", ["a\\ file"]),
        ('ls "a f', '"a f', ["a\\ file"]),
        ("ls -R da", "da", ["data"]),
        ("put -f here d", "d", ["docs/", "data"]),
        ("nonsense -x", "-x", []),
        ("ls /none/", "/none/", []),
    ],
)
@pytest.mark.requirement("D01")
def test_offers(completions: Completions, line: str, word: str, offers: list[str]) -> None:
    assert completions.of(line) == (word, offers)


def test_local_paths_where_verbs_take_them(
    completions: Completions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "local file").touch()
    (tmp_path / "place").mkdir()
    for line in ("put l", "put -f l", "get docs l", "appendToFile l"):
        assert completions.of(line) == ("l", ["local\\ file"])
    assert completions.of("lcd p") == ("p", ["place/"])
    assert completions.of("get d") == ("d", ["docs/", "data"])
    assert completions.of("lcd /no/such/") == ("/no/such/", [])


@given(st.text(max_size=30))
def test_no_line_is_too_odd(line: str) -> None:
    session = Session(Configuration({"fs.defaultFS": "hdfs://nn:9000"}))
    session.directory = "/home"
    word, _ = Offline(Shell(session)).of(line)
    assert line.endswith(word)
    session.close()
