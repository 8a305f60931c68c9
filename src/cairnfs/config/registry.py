"""All keys that any part of Cairn reads: to check names, to suggest, to validate.

Every module of this package called ``keys`` or ``*_keys`` adds its own by defining them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterable
from typing import Any

import cairnfs.config
from cairnfs.config.deprecated import DEPRECATED
from cairnfs.config.key import Key

# Names that are read as texts, because part of the name is the user's own; see nameservices.py
# and the NameNode's proxy users.
_FAMILIES = re.compile(
    r"dfs\.nameservices|dfs\.internal\.nameservices"
    r"|dfs\.ha\.namenodes\.[^.]+"
    r"|dfs\.namenode\.(service)?rpc-address(\.[^.]+){0,2}"
    r"|dfs\.client\.failover\.proxy\.provider\.[^.]+"
    r"|hadoop\.proxyuser\.[^.]+\.(hosts|groups|users)"
)
# Of which prefixes an unknown name is worth a warning: the others belong to Hadoop at large.
_OURS = ("dfs.", "cairn.")
ENVIRONMENT_PREFIX = "CAIRN_"


@functools.cache
def keys() -> dict[str, Key[Any]]:
    """Every key by its name."""
    found: dict[str, Key[Any]] = {}
    for module in pkgutil.iter_modules(cairnfs.config.__path__):
        if module.name == "keys" or module.name.endswith("_keys"):
            members = vars(importlib.import_module(f"cairnfs.config.{module.name}"))
            for value in members.values():
                if isinstance(value, Key):
                    found.setdefault(value.name, value)
    return found


def is_known(name: str) -> bool:
    """Whether some part of Cairn reads ``name`` and obeys it."""
    return name in keys() or _FAMILIES.fullmatch(name) is not None


def canonical(name: str) -> str:
    """Today's name for ``name``: deprecated ones are mapped, ``cairn.`` may be left out."""
    name = DEPRECATED.get(name, name)
    if not name.startswith(_OURS) and not is_known(name) and f"cairn.{name}" in keys():
        return f"cairn.{name}"
    return name


@functools.cache
def environment_names() -> dict[str, str]:
    """Environment variable to key name: ``CAIRN_DFS_BLOCKSIZE`` is ``dfs.blocksize``,
    ``CAIRN_NAMENODE_AUDIT_LOG`` is ``cairn.namenode.audit-log``."""
    return {environment_name(name): name for name in keys()}


def environment_name(name: str) -> str:
    """The environment variable that sets the key ``name``."""
    bare = name.removeprefix("cairn.")
    return ENVIRONMENT_PREFIX + re.sub(r"[^A-Za-z0-9]", "_", bare).upper()


def unknown(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that look like Cairn's or HDFS's and that nothing reads."""
    return [name for name in names if name.startswith(_OURS) and not is_known(name)]


def closest(name: str, among: Iterable[str] | None = None) -> str | None:
    """The known name (of ``among``, else of all keys) that ``name`` may be a misspelling of."""
    import difflib  # late: only where something is wrong

    matches = difflib.get_close_matches(name, list(keys() if among is None else among), 1, 0.85)
    return matches[0] if matches else None
