"""Every promise that is kept by now has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cairnfs

KEPT = """
A01 A02 A03 A04 A05 A06 A08 A10 A11 A12 A13 A16 A19 A21 A22 A23 A26 A27 A28 A30
C05 C06 C08 D01 D02 D03 D04 E03 E05 E10 F01
"""


def test_every_promise_is_tested() -> None:
    named: set[str] = set()
    for file in Path(__file__).parent.rglob("test_*.py"):
        named.update(re.findall(r'mark\.requirement\("([A-F]\d\d)"\)', file.read_text()))
        for several in re.findall(r"mark\.requirement\(([^)]*,[^)]*)\)", file.read_text()):
            named.update(re.findall(r'"([A-F]\d\d)"', several))
    missing = sorted(set(KEPT.split()) - named)
    assert not missing, f"no test names {', '.join(missing)}"


@pytest.mark.requirement("A30")
def test_every_configuration_key_is_obeyed() -> None:
    """A key that is known is read by a part of the system, not only defined."""
    source = Path(cairnfs.__file__).parent
    texts = {path: path.read_text() for path in source.rglob("*.py")}
    elsewhere = "\n".join(text for path, text in texts.items() if path.parent.name != "config")
    unread = [
        f"{path.stem}.{name}"
        for path, text in texts.items()
        if path.parent.name == "config" and path.stem.endswith("keys")
        for name in re.findall(r"^([A-Z_]+) = Key\(", text, re.MULTILINE)
        if not re.search(rf"\b{name}\b", elsewhere)
    ]
    # This one is read by its name's pattern, with and without a name service behind it.
    assert unread == ["namenode_keys.RPC_ADDRESS"]
