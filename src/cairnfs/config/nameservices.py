"""Which NameNodes there are: Hadoop's keys for nameservices, HA pairs and federation.

``dfs.nameservices`` lists the namespaces; ``dfs.ha.namenodes.<ns>`` their NameNodes;
``dfs.namenode.rpc-address[.<ns>[.<nn>]]`` where each answers. Without any of them
``fs.defaultFS`` names the only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from cairnfs.config.configuration import Configuration
from cairnfs.config.key import words
from cairnfs.config.keys import DEFAULT_FS
from cairnfs.errors import ConfigurationError

NAMENODE_PORT = 8020
_NAMESERVICES = "dfs.nameservices"
_INTERNAL_NAMESERVICES = "dfs.internal.nameservices"
_RPC_ADDRESS = "dfs.namenode.rpc-address"
_SERVICE_RPC_ADDRESS = "dfs.namenode.servicerpc-address"


@dataclass(frozen=True, slots=True)
class NamenodeAddress:
    """One NameNode: its nameservice and its own id (empty where it has none), its address."""

    nameservice: str
    namenode_id: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def host_port(value: str, port_default: int, source: str) -> tuple[str, int]:
    """Take ``host``, ``host:port`` or ``[v6]:port`` apart. Raises ``ConfigurationError``."""
    try:
        parts = urlsplit("//" + value.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{source} = {value!r} is no address: {error}") from None
    if not host or parts.path or parts.username is not None:
        raise ConfigurationError(f"{source} = {value!r} is no address; write host:port")
    return host, port_default if port is None else port


def namenodes(
    configuration: Configuration, *, for_datanodes: bool = False
) -> tuple[NamenodeAddress, ...]:
    """Every NameNode of every nameservice, in the order of the configuration.

    ``for_datanodes`` prefers the addresses that are reserved for DataNodes and keeps to
    ``dfs.internal.nameservices``. Raises ``ConfigurationError``."""
    listed = words(configuration.text(_NAMESERVICES) or "")
    if for_datanodes:
        inner = words(configuration.text(_INTERNAL_NAMESERVICES) or "")
        unknown = set(inner) - set(listed)
        if unknown:
            raise ConfigurationError(
                f"{_INTERNAL_NAMESERVICES} names {', '.join(sorted(unknown))}, "
                f"which {_NAMESERVICES} does not"
            )
        listed = inner or listed
    if not listed:
        return (_only(configuration, for_datanodes),)
    found: list[NamenodeAddress] = []
    for nameservice in listed:
        ids = words(configuration.text(f"dfs.ha.namenodes.{nameservice}") or "")
        found += [_one(configuration, nameservice, name, for_datanodes) for name in ids or ("",)]
    return tuple(found)


def _address_text(configuration: Configuration, suffix: str, services: bool) -> str | None:
    wanted = (_SERVICE_RPC_ADDRESS, _RPC_ADDRESS) if services else (_RPC_ADDRESS,)
    for name in wanted:
        value = configuration.text(name + suffix)
        if value:
            return value
    return None


def _one(
    configuration: Configuration, nameservice: str, namenode_id: str, services: bool
) -> NamenodeAddress:
    suffix = f".{nameservice}" + (f".{namenode_id}" if namenode_id else "")
    value = _address_text(configuration, suffix, services)
    if value is None:
        raise ConfigurationError(
            f"{_NAMESERVICES} names {nameservice}, but {_RPC_ADDRESS}{suffix} is not set"
        )
    host, port = host_port(value, NAMENODE_PORT, _RPC_ADDRESS + suffix)
    return NamenodeAddress(nameservice, namenode_id, host, port)


def _only(configuration: Configuration, services: bool) -> NamenodeAddress:
    value = _address_text(configuration, "", services)
    if value is not None:
        return NamenodeAddress("", "", *host_port(value, NAMENODE_PORT, _RPC_ADDRESS))
    uri = configuration[DEFAULT_FS]
    parts = urlsplit(uri if "://" in uri else f"hdfs://{uri}")
    if parts.scheme not in ("hdfs", "cairn"):
        raise ConfigurationError(
            f"{DEFAULT_FS.name} = {uri!r} is no hdfs:// address; "
            f"set it, or {_RPC_ADDRESS}, to where the NameNode answers"
        )
    return NamenodeAddress("", "", *host_port(parts.netloc, NAMENODE_PORT, DEFAULT_FS.name))
