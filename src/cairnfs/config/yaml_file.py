"""YAML configuration: nested or dotted keys, values as texts, lists as comma-separated texts.

::

    dfs:
      replication: 2
      datanode.data.dir: [/disk1, /disk2]

Built from YAML's events instead of its objects: each value keeps its spelling (``010`` stays
``010``) and its line, nesting costs no recursion, and aliases and tags, which could make a small
file huge or name Python objects, are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cairnfs.config.entry import Entry, read_file
from cairnfs.errors import ConfigurationError
from cairnfs.limits import CONFIGURATION_DEPTH_MAX

_NULLS = ("", "~", "null", "Null", "NULL")


def read_yaml(path: Path) -> list[Entry]:
    """The settings of ``path`` in their order. Raises ``ConfigurationError``."""
    return parse_yaml(read_file(path), str(path))


def parse_yaml(data: bytes, source: str) -> list[Entry]:
    """The settings in ``data``; ``source`` is named in errors. Raises ``ConfigurationError``."""
    import yaml  # late: most commands never read YAML, and the import takes 15 ms

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = _Reader(source)
    try:
        for event in yaml.parse(data, Loader=loader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{source}:{line}: is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"{source}: is not YAML: {reason}") from None
    return reader.entries


@dataclass(slots=True)
class _Mapping:
    """An open mapping: the dotted name before its keys, and the key that awaits its value."""

    prefix: str
    key: str | None = None


@dataclass(slots=True)
class _Sequence:
    """An open list: what it is the value of, and its texts so far."""

    name: str
    line: int
    texts: list[str] = field(default_factory=list)


class _Reader:
    """Turns YAML's events (untyped: their fields differ by kind) into entries, with a stack."""

    def __init__(self, source: str) -> None:
        self.entries: list[Entry] = []
        self._source = source
        self._stack: list[_Mapping | _Sequence] = []
        self._lines: dict[str, int] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        line = event.start_mark.line + 1
        if kind == "AliasEvent" or getattr(event, "anchor", None):
            raise self._error(line, "anchors and aliases are not allowed here; write it out")
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise self._error(line, "holds a second document; one file says one thing")
        elif kind == "MappingStartEvent":
            self._open_mapping(event, line)
        elif kind == "SequenceStartEvent":
            self._open_sequence(event, line)
        elif kind == "ScalarEvent":
            self._scalar(event, line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._close()

    def _error(self, line: int, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self._source}:{line}: {what}")

    def _check_start(self, event: Any, line: int) -> None:
        if not event.implicit:
            raise self._error(line, f"the tag {event.tag} is not allowed here; remove it")
        if len(self._stack) >= CONFIGURATION_DEPTH_MAX:
            raise self._error(line, f"is nested more than {CONFIGURATION_DEPTH_MAX} deep")

    def _open_mapping(self, event: Any, line: int) -> None:
        self._check_start(event, line)
        if not self._stack:
            self._stack.append(_Mapping(""))
            return
        self._stack.append(_Mapping(self._value_name(line, "a mapping") + "."))

    def _open_sequence(self, event: Any, line: int) -> None:
        self._check_start(event, line)
        if not self._stack:
            raise self._error(line, "is a list; a configuration is a mapping of keys to values")
        self._stack.append(_Sequence(self._value_name(line, "a list"), line))

    def _value_name(self, line: int, what: str) -> str:
        """The dotted name that a value starting here belongs to."""
        top = self._stack[-1]
        if isinstance(top, _Sequence):
            raise self._error(line, f"{top.name}: a list holds plain values, not {what}")
        if top.key is None:
            raise self._error(line, f"{what} cannot be a key")
        name = top.prefix + top.key
        top.key = None
        return name

    def _scalar(self, event: Any, line: int) -> None:
        plain, quoted = event.implicit
        if not (plain or quoted):
            raise self._error(line, f"the tag {event.tag} is not allowed here; remove it")
        text: str = event.value
        null = plain and not event.style and text in _NULLS
        if not self._stack:
            if not null:
                raise self._error(line, "is a plain text; a configuration maps keys to values")
            return
        top = self._stack[-1]
        if isinstance(top, _Sequence):
            if "," in text:
                raise self._error(line, f"{top.name}: a comma separates entries: {text!r}")
            top.texts.append(text)
        elif top.key is None:
            if null or not text.strip():
                raise self._error(line, "an empty key")
            top.key = text.strip()
        else:
            name = top.prefix + top.key
            top.key = None
            # Nothing after the colon says nothing: the default holds.
            if not null:
                self._add(name, text, line)

    def _close(self) -> None:
        top = self._stack.pop()
        if isinstance(top, _Sequence):
            self._add(top.name, ",".join(top.texts), top.line)

    def _add(self, name: str, text: str, line: int) -> None:
        if name in self._lines:
            raise self._error(line, f"{name} was set on line {self._lines[name]} already")
        self._lines[name] = line
        self.entries.append(Entry(name, text, line))


def is_yaml(path: Path) -> bool:
    """Whether the name of ``path`` says YAML."""
    return path.suffix.lower() in (".yaml", ".yml")
