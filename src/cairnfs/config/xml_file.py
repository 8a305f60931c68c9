"""Hadoop's configuration files: ``core-site.xml``, ``hdfs-site.xml``.

``<configuration>`` holds ``<property>`` elements with ``<name>``, ``<value>`` and maybe
``<final>``. Parsed with expat itself: it tells line numbers, and a document type, where all
entity bombs begin, is refused before anything is expanded.
"""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from cairnfs.config.entry import Entry, read_file
from cairnfs.errors import ConfigurationError

_PARTS = ("name", "value", "final")


def read_xml(path: Path) -> list[Entry]:
    """The properties of ``path`` in their order. Raises ``ConfigurationError``."""
    return parse_xml(read_file(path), str(path))


def parse_xml(data: bytes, source: str) -> list[Entry]:
    """The properties in ``data``; ``source`` is named in errors. Raises ``ConfigurationError``."""
    reader = _Reader(source)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ConfigurationError(
            f"{source}:{error.lineno}: is not well-formed XML: {expat.ErrorString(error.code)}"
        ) from None
    except (ValueError, LookupError) as error:
        # What expat cannot decode: an encoding that nobody knows, a broken surrogate.
        raise ConfigurationError(f"{source}: cannot be decoded: {error}") from None
    return reader.entries


class _Reader:
    """Collects properties from expat's callbacks."""

    def __init__(self, source: str) -> None:
        self.entries: list[Entry] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._source = source
        self._depth = 0
        self._property: dict[str, str] | None = None
        self._property_line = 0
        self._property_depth = 0
        self._part: str | None = None

    def _error(self, what: str, line: int | None = None) -> ConfigurationError:
        return ConfigurationError(f"{self._source}:{line or self.parser.CurrentLineNumber}: {what}")

    def _doctype(self, *_: object) -> None:
        raise self._error("a document type or entity is not allowed here; remove it")

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and element != "configuration":
            raise self._error(f"the root element is <{element}>, not <configuration>")
        if element.endswith(":include") or element == "include":
            raise self._error(
                f"<{element}> is not followed; put the properties it names into this file"
            )
        if self._property is None:
            if element == "property":
                self._property = {part: attributes[part] for part in _PARTS if part in attributes}
                self._property_line = self.parser.CurrentLineNumber
                self._property_depth = self._depth
        elif self._depth == self._property_depth + 1 and element in _PARTS:
            self._part = element
            self._property[element] = ""

    def _characters(self, text: str) -> None:
        if self._property is not None and self._part is not None:
            self._property[self._part] += text

    def _end(self, element: str) -> None:
        if self._property is not None:
            if self._depth == self._property_depth:
                self._finish(self._property)
                self._property = None
            elif self._depth == self._property_depth + 1:
                self._part = None
        self._depth -= 1

    def _finish(self, found: dict[str, str]) -> None:
        name = found.get("name", "").strip()
        if not name:
            raise self._error("a <property> has no <name>", self._property_line)
        # A property without <value> says nothing, as in Hadoop; an empty <value/> is a value.
        if "value" in found:
            final = found.get("final", "").strip().lower() == "true"
            self.entries.append(Entry(name, found["value"].strip(), self._property_line, final))
