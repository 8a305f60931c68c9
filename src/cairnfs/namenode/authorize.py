"""Who a connection may act as: users, superusers, and proxies for other users."""

from __future__ import annotations

import ipaddress
import socket

from cairnfs.config import Configuration, namenode_keys
from cairnfs.errors import AuthorizationFailed
from cairnfs.namenode.groups import Groups
from cairnfs.types import Caller
from cairnfs.wire.rpc import ConnectionContext


class Authorizer:
    """Makes a :class:`Caller` of what a connection says of itself.

    Simple authentication believes the name. Acting for another user needs
    ``hadoop.proxyuser.REAL.hosts`` and ``.groups`` or ``.users``, as in Hadoop."""

    def __init__(self, configuration: Configuration, groups: Groups, superuser: str) -> None:
        self._configuration = configuration
        self._groups = groups
        self._superuser = superuser
        self._supergroup = configuration[namenode_keys.SUPERUSER_GROUP]

    def __call__(self, context: ConnectionContext, address: str) -> Caller:
        """Raises ``AuthorizationFailed``."""
        if context.real_user and context.real_user != context.user:
            self._check_proxy(context.real_user, context.user, address)
        return self.caller(context.user, address)

    def caller(self, user: str, address: str) -> Caller:
        """The caller that ``user`` is, with groups and rank."""
        # A Kerberos principal such as hdfs/host@REALM counts as its first part.
        short = user.partition("@")[0].partition("/")[0]
        groups = self._groups.of(short)
        superuser = short == self._superuser or self._supergroup in groups
        return Caller(short, groups, superuser, address)

    def _check_proxy(self, real_user: str, user: str, address: str) -> None:
        prefix = f"{namenode_keys.PROXY_USER_PREFIX}{real_user}"
        users = _words(self._configuration.text(f"{prefix}.users"))
        groups = _words(self._configuration.text(f"{prefix}.groups"))
        allowed = "*" in users or user in users or "*" in groups
        if not allowed and groups:
            allowed = not groups.isdisjoint(self._groups.of(user))
        if not allowed:
            raise AuthorizationFailed(f"User: {real_user} is not allowed to impersonate {user}")
        hosts = _words(self._configuration.text(f"{prefix}.hosts"))
        if not _host_listed(address, hosts):
            raise AuthorizationFailed(
                f"Unauthorized connection for super-user: {real_user} from IP {address}"
            )


def _words(text: str | None) -> set[str]:
    return {word.strip() for word in (text or "").split(",") if word.strip()}


def _host_listed(address: str, hosts: set[str]) -> bool:
    if "*" in hosts or address in hosts:
        return True
    for host in hosts:
        try:
            if "/" in host:
                if ipaddress.ip_address(address) in ipaddress.ip_network(host, strict=False):
                    return True
            elif address in {info[4][0] for info in socket.getaddrinfo(host, None)}:
                return True
        except (ValueError, OSError):
            continue
    return False
