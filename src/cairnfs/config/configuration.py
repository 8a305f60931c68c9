"""The values in force: files, environment and flags over the defaults of the keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from cairnfs.config.key import Key

T = TypeVar("T")


class Configuration:
    """Raw texts by key name, each with the source that said it; typed on reading.

    ``configuration[KEY]`` parses, checks and returns ``KEY``'s value (its default if
    nothing says otherwise). Raises ``ConfigurationError``."""

    def __init__(self, values: Mapping[str, str] | None = None, source: str = "flags") -> None:
        self._values: dict[str, tuple[str, str]] = {}
        self.update(values or {}, source)

    def update(self, values: Mapping[str, str], source: str) -> None:
        """Let ``values`` override what was said before; ``source`` is named in errors."""
        for name, value in values.items():
            self.put(name, value, source)

    def put(self, name: str, value: str, source: str) -> None:
        """Let one value override what was said before."""
        self._values[name] = (value, source)

    def __getitem__(self, key: Key[T]) -> T:
        found = self._values.get(key.name)
        if found is None:
            return key.default
        return key.value_of(*found)

    def __contains__(self, key: Key[Any]) -> bool:
        return key.name in self._values

    def names(self) -> Iterator[str]:
        return iter(self._values)

    def text(self, name: str) -> str | None:
        """The raw text of any name (for families such as ``hadoop.proxyuser.X.hosts``)."""
        found = self._values.get(name)
        return found[0] if found else None

    def source(self, name: str) -> str:
        found = self._values.get(name)
        return found[1] if found else "default"
