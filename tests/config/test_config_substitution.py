"""``${...}`` in values."""

from __future__ import annotations

import re

import pytest

from cairnfs.config.substitution import substitute

VALUES = {"a": "1", "b": "${a}2", "self": "x${self}", "name": "a"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $a {a} $", "plain $a {a} $"),
        ("${a}/${b}", "1/12"),
        ("${${name}}", "1"),
        ("${env.HOME}", "/root"),
        ("${env.NONE-other}", "other"),
        ("${env.EMPTY-other}", ""),
        ("${env.EMPTY:-other}", "other"),
        ("${env.HOME:-other}", "/root"),
    ],
)
def test_variables_are_replaced(text: str, expected: str) -> None:
    assert substitute(text, VALUES.get, {"HOME": "/root", "EMPTY": ""}) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${none}", "names ${none}, which nothing sets"),
        ("${env.NONE}", "names ${env.NONE}, which nothing sets"),
        ("${self}", "does it name itself?"),
    ],
)
def test_what_cannot_be_replaced_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        substitute(text, VALUES.get, {})


def test_a_value_that_explodes_is_stopped() -> None:
    bomb = {f"v{i}": f"${{v{i + 1}}}" * 1000 for i in range(50)}
    with pytest.raises(ValueError, match=r"grows past|after"):
        substitute("${v0}", bomb.get, {})
    wide = {"w": "w" * 50_000}
    with pytest.raises(ValueError, match="grows past"):
        substitute("${w}${w}", wide.get, {})
