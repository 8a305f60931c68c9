"""Command lines taken apart: flags, generic options."""

from __future__ import annotations

from pathlib import Path

import pytest

from cairnfs.errors import ConfigurationError
from cairnfs.shell.failures import UsageError
from cairnfs.shell.flags import Flags, whole_number
from cairnfs.shell.generic import configure, split_generic


def test_flags_end_with_the_first_word_that_is_none() -> None:
    flags = Flags(["-a", "-bc", "x", "-a"], ("a", "bc"))
    assert flags.found == {"a", "bc"}
    assert flags.words == ["x", "-a"]
    assert "a" in flags
    assert "x" not in flags


def test_a_lone_dash_is_a_word_and_two_end_the_flags() -> None:
    assert Flags(["-", "-a"], "a").words == ["-", "-a"]
    flags = Flags(["--", "-a"], "a")
    assert flags.words == ["-a"]
    assert not flags.found


def test_values_of_flags() -> None:
    assert Flags(["-t", "5", "x"], valued="t").values == {"t": "5"}
    # A value is not taken from the words that a verb needs at least.
    flags = Flags(["-t", "x"], valued="t", least=1)
    assert flags.values == {"t": ""}
    assert flags.words == ["x"]
    assert Flags(["-t", "-u", "x"], "u", valued="t").values == {"t": ""}
    assert Flags(["-t", "7", "x"], valued="t").number("t", 1) == 7
    assert Flags(["x"], valued="t").number("t", 1) == 1
    with pytest.raises(UsageError, match='For input string: "many"'):
        Flags(["-t", "many", "x"], valued="t").number("t", 1)


def test_what_is_wrong_with_a_command_line() -> None:
    with pytest.raises(UsageError, match="Illegal option -z"):
        Flags(["-z"], "a")
    with pytest.raises(UsageError, match="Not enough arguments: expected 2 but got 1"):
        Flags(["x"], least=2)
    with pytest.raises(UsageError, match="Too many arguments: expected 1 but got 2"):
        Flags(["x", "y"], most=1)
    assert Flags(["-w", "-R", "x"], "R", lenient=True).words == ["-w", "x"]


@pytest.mark.parametrize("text", ["", "-", "1_0", "٣", " 1", "1.5", "0x10", "1 "])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(UsageError):
        whole_number(text)


def test_what_is_a_number() -> None:
    assert [whole_number(text) for text in ("0", "+3", "-12", "007")] == [0, 3, -12, 7]


@pytest.mark.requirement("D04")
def test_generic_options_stand_before_the_verb() -> None:
    line = ["-D", "a=b=c", "-fs", "hdfs://h:1", "-Dx=", "-conf", "f", "-ls", "-D", "/"]
    assert split_generic(line) == (
        {"a": "b=c", "fs.defaultFS": "hdfs://h:1", "x": ""},
        ["f"],
        ["-ls", "-D", "/"],
    )
    for wrong in (["-D"], ["-fs"], ["-conf"], ["-D", "novalue"], ["-D", "=x"]):
        with pytest.raises(UsageError):
            split_generic(wrong)


@pytest.mark.requirement("D04")
def test_flags_come_over_environment_and_environment_over_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "hdfs-site.xml"
    names = ("dfs.replication", "dfs.blocksize", "fs.defaultFS")
    values = ("7", "1m", "hdfs://file:1")
    site.write_text(
        "<configuration>"
        + "".join(
            f"<property><name>{name}</name><value>{value}</value></property>"
            for name, value in zip(names, values, strict=True)
        )
        + "</configuration>"
    )
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    conf = configure({}, [])
    assert [conf.text(name) for name in names] == list(values)
    monkeypatch.setenv("CAIRN_DFS_BLOCKSIZE", "2m")
    conf = configure({"fs.defaultFS": "hdfs://flag:1"}, [])
    assert [conf.text(name) for name in names] == ["7", "2m", "hdfs://flag:1"]
    extra = tmp_path / "extra.xml"
    extra.write_text(
        "<configuration><property><name>dfs.blocksize</name><value>3m</value></property>"
        "</configuration>"
    )
    conf = configure({"dfs.replication": "1"}, [str(extra)])
    assert [conf.text(name) for name in names] == ["1", "3m", "hdfs://file:1"]
    with pytest.raises(ConfigurationError):
        configure({}, [str(tmp_path / "none.xml")])
