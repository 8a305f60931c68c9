"""Who may administer a DataNode: the user who runs it, and the superuser group."""

from __future__ import annotations

import grp
import os
import pwd

from cairnfs.types import Caller
from cairnfs.wire.rpc import ConnectionContext


class Authorizer:
    """Makes a :class:`Caller` of a connection. Simple authentication believes the name."""

    def __init__(self, user: str, superuser_group: str) -> None:
        self._user = user
        self._superuser_group = superuser_group

    def __call__(self, context: ConnectionContext, address: str) -> Caller:
        # A Kerberos principal such as hdfs/host@REALM counts as its first part.
        user = context.user.partition("@")[0].partition("/")[0]
        superuser = user == self._user or self._superuser_group in system_groups(user)
        return Caller(user, (), superuser, address)


def system_groups(user: str) -> frozenset[str]:
    """The machine's groups of ``user``; none if it does not know them."""
    try:
        primary = pwd.getpwnam(user).pw_gid
        numbers = os.getgrouplist(user, primary)
    except (KeyError, UnicodeError, ValueError):
        return frozenset()
    names = set()
    for number in numbers:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(names)
