"""The list of all keys is sound: names, defaults, environment variables."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import cairnfs.config
from cairnfs.config import Key
from cairnfs.config.deprecated import DEPRECATED
from cairnfs.config.registry import canonical, closest, environment_name, environment_names, keys


@pytest.mark.requirement("A30")
def test_every_key_says_what_it_means_and_fits_its_own_bounds() -> None:
    assert len(keys()) > 30
    for key in keys().values():
        assert key.doc.endswith("."), key.name
        if isinstance(key.default, int | float) and not isinstance(key.default, bool):
            assert key.minimum is None or key.default >= key.minimum, key.name
            assert key.maximum is None or key.default <= key.maximum, key.name


@pytest.mark.requirement("A30")
def test_a_key_has_one_meaning() -> None:
    defined: dict[str, object] = {}
    for module in pkgutil.iter_modules(cairnfs.config.__path__):
        for value in vars(importlib.import_module(f"cairnfs.config.{module.name}")).values():
            if isinstance(value, Key):
                assert defined.setdefault(value.name, value) is value, value.name


@pytest.mark.requirement("A30")
def test_every_key_is_read_by_something() -> None:
    """A key that changes nothing would be a promise that is not kept."""
    texts = [
        path.read_text()
        for path in Path(cairnfs.__file__).parent.rglob("*.py")
        if not path.name.endswith("keys.py")
    ]
    constants = {
        value.name: constant
        for module in pkgutil.iter_modules(cairnfs.config.__path__)
        for constant, value in vars(
            importlib.import_module(f"cairnfs.config.{module.name}")
        ).items()
        if isinstance(value, Key)
    }
    unread = [
        name
        for name, constant in constants.items()
        if not any(re.search(rf"\b{constant}\b|\"{re.escape(name)}\"", text) for text in texts)
    ]
    assert unread == []


@pytest.mark.requirement("D04")
def test_no_two_keys_share_an_environment_variable() -> None:
    assert len(environment_names()) == len(keys())
    assert environment_name("dfs.client-write-packet-size") == "CAIRN_DFS_CLIENT_WRITE_PACKET_SIZE"
    assert environment_name("cairn.namenode.audit-log") == "CAIRN_NAMENODE_AUDIT_LOG"


def test_no_deprecated_name_is_a_key_of_its_own() -> None:
    assert not set(DEPRECATED) & set(keys())
    assert not set(DEPRECATED) & set(DEPRECATED.values())


def test_names_are_made_canonical() -> None:
    assert canonical("dfs.block.size") == "dfs.blocksize"
    assert canonical("namenode.audit-log") == "cairn.namenode.audit-log"
    assert canonical("something.else") == "something.else"


def test_the_closest_name_is_close() -> None:
    assert closest("dfs.blocksise") == "dfs.blocksize"
    assert closest("completely.unlike") is None
