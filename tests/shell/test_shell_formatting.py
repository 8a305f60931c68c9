"""Numbers, times, modes and tables; modes as ``chmod`` takes them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairnfs.shell.formatting import (
    human,
    local_minute,
    mode_octal,
    mode_text,
    percent,
    printable,
    table,
    utc_second,
)
from cairnfs.shell.modes import ModeChange
from cairnfs.shell.verbs.touch import parse_timestamp

K, M, G = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"), (1023, "1023"), (K, "1 K"), (K + 1, "1.0 K"), (1536, "1.5 K"), (2 * K, "2 K"),
        # A half is rounded up, as in Java, where Python's own formatting takes the even digit.
        (1280, "1.3 K"), (K + 51, "1.0 K"), (K + 52, "1.1 K"), (M - 1, "1.0 M"),
        (M - 52, "1023.9 K"), (M - 51, "1.0 M"), (G, "1 G"), (811659522048, "755.9 G"),
        (1 << 40, "1 T"), (1 << 50, "1 P"), (1 << 60, "1 E"), ((1 << 63) - 1, "8.0 E"),
        (-1, "-1"), (-1536, "-1.5 K"),
    ],
)  # fmt: skip
def test_sizes_for_people(size: int, text: str) -> None:
    assert human(size) == text


@given(st.integers(0, (1 << 63) - 1))
def test_sizes_are_never_far_off(size: int) -> None:
    number, _, prefix = human(size).partition(" ")
    unit = 1 << 10 * " KMGTPE".index(prefix or " ")
    assert abs(float(number) * unit - size) <= 0.0501 * unit
    assert float(number) < 1024


def test_percent() -> None:
    assert [percent(*pair) for pair in ((0, 7), (1, 200), (1, 201), (7, 7), (0, 0))] == [
        *("0%", "1%", "0%", "100%", "NaN%")
    ]


def test_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert local_minute(1_577_934_245_999) == "2020-01-01 22:04"
        assert utc_second(1_577_934_245_999) == "2020-01-02 03:04:05"
        assert parse_timestamp("20200101:220405") == 1_577_934_245_000
    finally:
        monkeypatch.undo()
        time.tzset()
    assert utc_second(0) == "1970-01-01 00:00:00"


def test_modes_as_text() -> None:
    assert mode_text(0o755) == "rwxr-xr-x"
    assert mode_text(0o1777) == "rwxrwxrwt"
    assert mode_text(0o1640) == "rw-r----T"
    assert (mode_octal(0o1777), mode_octal(0o7), mode_octal(0)) == ("1777", "7", "0")


def test_what_is_not_printable() -> None:
    assert printable("a\tb\x1b[1mc\u200b ä日\udcff") == "a?b?[1mc? ä日?"


def test_tables() -> None:
    rows = [("SIZE", "PATH"), ("5", "/a b"), ("12345", "/c")]
    assert table(rows) == ["SIZE   PATH", "5      /a b", "12345  /c"]
    assert table(rows, frozenset({0, 1})) == [" SIZE  PATH", "    5  /a b", "12345    /c"]


@pytest.mark.parametrize(
    ("change", "before", "after", "after_directory"),
    [
        ("644", 0o1777, 0o644, 0o644),
        ("1644", 0, 0o1644, 0o1644),
        ("0755", 0o1000, 0o755, 0o755),
        ("+x", 0o644, 0o755, 0o755),
        ("u+x,g-r", 0o644, 0o704, 0o704),
        # The last clause for a class is the only one.
        ("u+x,u+w", 0o400, 0o600, 0o600),
        ("a+X", 0o644, 0o644, 0o755),
        ("a+X", 0o744, 0o755, 0o755),
        ("o=", 0o644, None, None),
        ("=r", 0o1777, 0o444, 0o444),
        ("+t", 0o777, 0o1777, 0o1777),
        ("o-t", 0o1777, 0o777, 0o777),
        ("u+t", 0o777, 0o777, 0o777),
    ],
)
def test_mode_changes(
    change: str, before: int, after: int | None, after_directory: int | None
) -> None:
    if after is None:
        with pytest.raises(ValueError, match=change):
            ModeChange.parse(change)
        return
    assert ModeChange.parse(change).apply(before, False) == after
    assert ModeChange.parse(change).apply(before, True) == after_directory


@given(st.text("ugoa+-=rwxXt,017 ", max_size=12), st.integers(0, 0o1777), st.booleans())
def test_any_text_is_a_mode_or_refused(text: str, mode: int, is_directory: bool) -> None:
    try:
        change = ModeChange.parse(text)
    except ValueError:
        return
    assert 0 <= change.apply(mode, is_directory) <= 0o1777
