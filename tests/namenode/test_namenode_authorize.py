"""Users, groups, superusers and proxies."""

from __future__ import annotations

import getpass

import pytest

from cairnfs.clock import SystemClock
from cairnfs.config import Configuration
from cairnfs.errors import AuthorizationFailed, ConfigurationError
from cairnfs.namenode.authorize import Authorizer
from cairnfs.namenode.groups import Groups, parse_static
from cairnfs.wire.rpc import ConnectionContext

STATIC = "hadoop.user.group.static.mapping.overrides"


def authorizer(**values: str) -> Authorizer:
    settings = {STATIC: "alice=staff,users;bob=supergroup;carol="}
    settings.update({key.replace("__", "."): value for key, value in values.items()})
    configuration = Configuration(settings)
    return Authorizer(configuration, Groups(configuration, SystemClock()), "hdfs")


def context(user: str, real_user: str | None = None) -> ConnectionContext:
    return ConnectionContext(user, real_user, "org.example.P")


def test_the_name_is_believed_and_its_groups_found() -> None:
    caller = authorizer()(context("alice"), "10.0.0.1")
    assert (caller.user, caller.groups, caller.superuser) == ("alice", ("staff", "users"), False)


def test_superusers_are_the_starting_user_and_the_supergroup() -> None:
    assert authorizer()(context("hdfs"), "10.0.0.1").superuser
    assert authorizer()(context("bob"), "10.0.0.1").superuser
    assert not authorizer()(context("carol"), "10.0.0.1").superuser


def test_a_principal_counts_as_its_first_part() -> None:
    assert authorizer()(context("hdfs/node1@EXAMPLE.ORG"), "10.0.0.1").user == "hdfs"


def test_system_groups_are_found() -> None:
    configuration = Configuration()
    groups = Groups(configuration, SystemClock())
    assert groups.of(getpass.getuser())
    assert groups.of("nobody-of-that-name") == ()


@pytest.mark.parametrize(
    ("values", "user", "address", "allowed"),
    [
        ({}, "alice", "10.0.0.1", False),
        ({"users": "alice", "hosts": "*"}, "alice", "10.0.0.1", True),
        ({"users": "alice", "hosts": "*"}, "carol", "10.0.0.1", False),
        ({"groups": "staff", "hosts": "10.0.0.0/8"}, "alice", "10.9.0.1", True),
        ({"groups": "staff", "hosts": "10.0.0.0/8"}, "alice", "192.168.0.1", False),
        ({"groups": "*", "hosts": "127.0.0.1"}, "carol", "127.0.0.1", True),
        ({"groups": "*"}, "carol", "127.0.0.1", False),
    ],
)
def test_proxy_users(values: dict[str, str], user: str, address: str, allowed: bool) -> None:
    settings = {f"hadoop__proxyuser__oozie__{key}": value for key, value in values.items()}
    check = authorizer(**settings)
    if allowed:
        assert check(context(user, "oozie"), address).user == user
    else:
        with pytest.raises(AuthorizationFailed, match="oozie"):
            check(context(user, "oozie"), address)


def test_nonsense_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'alice'"):
        parse_static("alice")
    mapping = Configuration({"hadoop.security.group.mapping": "org.example.Mapping"})
    with pytest.raises(ConfigurationError, match=r"org\.example\.Mapping"):
        Groups(mapping, SystemClock())
