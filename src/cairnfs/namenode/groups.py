"""Which groups a user is in: the machine's own, with overrides from the configuration."""

from __future__ import annotations

import grp
import os
import pwd

from cairnfs.clock import Clock
from cairnfs.config import Configuration, namenode_keys
from cairnfs.errors import ConfigurationError

# Hadoop's hadoop.security.groups.cache.secs.
CACHE_MS = 300_000
# Users remembered; whoever asks as more users than this only costs look-ups.
CACHE_USERS_MAX = 10_000

# Hadoop's classes that read the operating system's groups: all mean the same to us.
_SYSTEM_MAPPINGS = (
    "org.apache.hadoop.security.ShellBasedUnixGroupsMapping",
    "org.apache.hadoop.security.JniBasedUnixGroupsMapping",
    "org.apache.hadoop.security.JniBasedUnixGroupsMappingWithFallback",
)
_NO_MAPPING = "org.apache.hadoop.security.NullGroupsMapping"


class Groups:
    """Groups by user name. Unknown users have none."""

    def __init__(self, configuration: Configuration, clock: Clock) -> None:
        mapping = configuration[namenode_keys.GROUP_MAPPING]
        if mapping not in (*_SYSTEM_MAPPINGS, _NO_MAPPING):
            raise ConfigurationError(
                f"{namenode_keys.GROUP_MAPPING.name} = {mapping}: not offered; use "
                f"{_SYSTEM_MAPPINGS[0]} or {_NO_MAPPING}, and "
                f"{namenode_keys.STATIC_GROUPS.name} for single users"
            )
        self._from_system = mapping != _NO_MAPPING
        self._static = parse_static(configuration[namenode_keys.STATIC_GROUPS])
        self._clock = clock
        self._cache: dict[str, tuple[int, tuple[str, ...]]] = {}

    def of(self, user: str) -> tuple[str, ...]:
        """The groups of ``user``, the primary one first."""
        static = self._static.get(user)
        if static is not None:
            return static
        if not self._from_system:
            return ()
        now_ms = self._clock.steady_ms()
        cached = self._cache.get(user)
        if cached is not None and cached[0] > now_ms:
            return cached[1]
        if len(self._cache) >= CACHE_USERS_MAX:
            self._cache.clear()
        groups = _system_groups(user)
        self._cache[user] = (now_ms + CACHE_MS, groups)
        return groups

    def refresh(self) -> None:
        """Ask the system anew from now on (``dfsadmin -refreshUserToGroupsMappings``)."""
        self._cache.clear()


def parse_static(text: str) -> dict[str, tuple[str, ...]]:
    """``user=group,group;user=`` as a table. Raises ``ConfigurationError``."""
    table: dict[str, tuple[str, ...]] = {}
    for entry in text.split(";"):
        if not entry.strip():
            continue
        user, separator, groups = entry.partition("=")
        if not separator or not user.strip():
            raise ConfigurationError(
                f"{namenode_keys.STATIC_GROUPS.name}: {entry!r} is not 'user=group,group'"
            )
        table[user.strip()] = tuple(g.strip() for g in groups.split(",") if g.strip())
    return table


def _system_groups(user: str) -> tuple[str, ...]:
    try:
        primary = pwd.getpwnam(user).pw_gid
        names = []
        for gid in dict.fromkeys([primary, *os.getgrouplist(user, primary)]):
            try:
                names.append(grp.getgrgid(gid).gr_name)
            except KeyError:
                continue
        return tuple(names)
    except (KeyError, UnicodeError, ValueError):
        return ()
