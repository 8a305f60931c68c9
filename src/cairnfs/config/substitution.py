"""``${...}`` in values, as Hadoop has it: other keys, ``${env.NAME}``, a few of Java's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cairnfs.limits import CONFIGURATION_SUBSTITUTIONS_MAX, CONFIGURATION_VALUE_CHARS_MAX

_VARIABLE = re.compile(r"\$\{([^}$\s]+)\}")
_ENVIRONMENT = re.compile(r"env\.([^:-]+)(?:(:?-)(.*))?")


def substitute(
    text: str,
    lookup: Callable[[str], str | None],
    environ: Mapping[str, str],
) -> str:
    """``text`` with every ``${...}`` replaced, innermost and leftmost first.

    ``lookup`` gives the raw text of a key or system property. ``${env.NAME-default}`` takes the
    default where NAME is unset, ``${env.NAME:-default}`` also where it is empty. Raises
    ``ValueError`` with the reason: a name that nothing sets, a circle, a value that explodes."""
    for _ in range(CONFIGURATION_SUBSTITUTIONS_MAX):
        match = _VARIABLE.search(text)
        if match is None:
            return text
        value = _value(match[1], lookup, environ)
        if value is None:
            raise ValueError(f"names {match[0]}, which nothing sets")
        text = text[: match.start()] + value + text[match.end() :]
        if len(text) > CONFIGURATION_VALUE_CHARS_MAX:
            raise ValueError(f"grows past {CONFIGURATION_VALUE_CHARS_MAX} characters")
    if _VARIABLE.search(text):
        raise ValueError(
            f"still holds ${{...}} after {CONFIGURATION_SUBSTITUTIONS_MAX} replacements; "
            "does it name itself?"
        )
    return text


def _value(
    name: str, lookup: Callable[[str], str | None], environ: Mapping[str, str]
) -> str | None:
    match = _ENVIRONMENT.fullmatch(name)
    if match is None:
        return lookup(name)
    value = environ.get(match[1])
    if value is None or (value == "" and match[2] == ":-"):
        return match[3]
    return value
