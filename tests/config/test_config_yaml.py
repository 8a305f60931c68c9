"""YAML configuration: nested and dotted keys, exact texts, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.config.entry import Entry
from cairnfs.config.yaml_file import parse_yaml
from cairnfs.errors import ConfigurationError
from cairnfs.limits import CONFIGURATION_DEPTH_MAX

FILE = b"""\
# a comment
dfs:
  replication: 3
  datanode.data.dir: [/disk1, "[SSD]/disk2"]
  namenode:
    name.dir: /meta
    accesstime.precision:
    lease-hard-limit-sec: 20m
fs.defaultFS: hdfs://nn:8020
cairn.mode: 010
cairn.flag: yes
cairn.quoted: "~"
cairn.list:
  - a
  - b
cairn.none: []
"""


@pytest.mark.requirement("A30")
def test_keys_are_joined_and_values_keep_their_spelling_and_line() -> None:
    assert parse_yaml(FILE, "cairn.yaml") == [
        Entry("dfs.replication", "3", 3),
        Entry("dfs.datanode.data.dir", "/disk1,[SSD]/disk2", 4),
        Entry("dfs.namenode.name.dir", "/meta", 6),
        Entry("dfs.namenode.lease-hard-limit-sec", "20m", 8),
        Entry("fs.defaultFS", "hdfs://nn:8020", 9),
        Entry("cairn.mode", "010", 10),
        Entry("cairn.flag", "yes", 11),
        Entry("cairn.quoted", "~", 12),
        Entry("cairn.list", "a,b", 14),
        Entry("cairn.none", "", 16),
    ]


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"---\n", b"~\n", b"{}\n"])
def test_an_empty_file_says_nothing(data: bytes) -> None:
    assert parse_yaml(data, "cairn.yaml") == []


@pytest.mark.requirement("A30")
@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a: 1\nb: [1, 2\n", 3, "is not YAML"),
        (b"a: 1\n\tb: 2\n", 2, "is not YAML"),
        (b"- a\n- b\n", 1, "is a list"),
        (b"hello\n", 1, "plain text"),
        (b"a:\n  b: 1\na.b: 2\n", 3, "a.b was set on line 2 already"),
        (b"{a: 1, a: 2}\n", 1, "a was set on line 1 already"),
        (b"a: &x 1\nb: *x\n", 1, "anchors and aliases"),
        (b"a: !!python/object/apply:os.system [id]\n", 1, "tag"),
        (b"a: !!int 3\n", 1, "tag"),
        (b"a:\n- b: 1\n", 2, "a list holds plain values"),
        (b"a: [x, 'y,z']\n", 1, "a comma separates entries"),
        (b"? [a]\n: 1\n", 1, "cannot be a key"),
        (b"'': 1\n", 1, "an empty key"),
        (b"a: 1\n---\nb: 1\n", 2, "second document"),
        (b"a: " * 1 + b"{b: " * CONFIGURATION_DEPTH_MAX, 1, "nested more than"),
    ],
)
def test_what_is_no_configuration_is_refused_with_file_and_line(
    data: bytes, line: int, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(data, "cairn.yaml")
    assert str(caught.value).startswith(f"cairn.yaml:{line}: ")
    assert words in str(caught.value)


@pytest.mark.requirement("A26")
@pytest.mark.parametrize("data", [b"[" * 1_000_000, b"a: " + b"{b: " * 200_000, b"? " * 100_000])
def test_deep_nesting_costs_neither_stack_nor_time(data: bytes) -> None:
    with pytest.raises(ConfigurationError):
        parse_yaml(data, "cairn.yaml")


def test_what_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cairn\.yaml"):
        parse_yaml(b"a: \xff\xfe\n", "cairn.yaml")
    with pytest.raises(ConfigurationError, match=r"cairn\.yaml"):
        parse_yaml(b"a: \x00\n", "cairn.yaml")


@given(st.lists(st.sampled_from(list("ab:-[]{},?!&*'\"\n |>~#%@`.1")), max_size=40))
def test_any_yaml_gives_entries_or_the_declared_error(characters: list[str]) -> None:
    try:
        entries = parse_yaml("".join(characters).encode(), "x.yaml")
    except ConfigurationError as error:
        assert str(error).startswith("x.yaml:")  # noqa: PT017  (both outcomes are right)
    else:
        assert len({entry.name for entry in entries}) == len(entries)
