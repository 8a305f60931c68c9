"""Where the NameNodes are, as Hadoop's keys say it."""

from __future__ import annotations

import pytest

from cairnfs.config import Configuration
from cairnfs.config.nameservices import NamenodeAddress, host_port, namenodes
from cairnfs.errors import ConfigurationError


def found(values: dict[str, str], *, for_datanodes: bool = False) -> list[str]:
    return [
        f"{one.nameservice}/{one.namenode_id}@{one}"
        for one in namenodes(Configuration(values), for_datanodes=for_datanodes)
    ]


@pytest.mark.requirement("A30")
def test_default_fs_names_the_only_namenode() -> None:
    assert namenodes(Configuration({"fs.defaultFS": "hdfs://nn:9000/"})) == (
        NamenodeAddress("", "", "nn", 9000),
    )
    assert found({"fs.defaultFS": "hdfs://nn"}) == ["/@nn:8020"]
    assert found({}) == ["/@localhost:8020"]


def test_rpc_address_wins_over_default_fs() -> None:
    values = {"fs.defaultFS": "hdfs://a", "dfs.namenode.rpc-address": "b:1"}
    assert found(values) == ["/@b:1"]


def test_service_address_is_for_datanodes() -> None:
    values = {"dfs.namenode.rpc-address": "a:1", "dfs.namenode.servicerpc-address": "a:2"}
    assert found(values) == ["/@a:1"]
    assert found(values, for_datanodes=True) == ["/@a:2"]


def test_federation_of_a_pair_and_a_single() -> None:
    values = {
        "dfs.nameservices": "one, two",
        "dfs.ha.namenodes.one": "x,y",
        "dfs.namenode.rpc-address.one.x": "h1:1",
        "dfs.namenode.rpc-address.one.y": "h2:2",
        "dfs.namenode.rpc-address.two": "h3",
    }
    assert found(values) == ["one/x@h1:1", "one/y@h2:2", "two/@h3:8020"]
    values["dfs.internal.nameservices"] = "two"
    assert found(values, for_datanodes=True) == ["two/@h3:8020"]
    assert len(found(values)) == 3


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"dfs.nameservices": "one"}, "dfs.namenode.rpc-address.one"),
        ({"fs.defaultFS": "file:///"}, "fs.defaultFS"),
        ({"fs.defaultFS": "hdfs://"}, "fs.defaultFS"),
        ({"dfs.namenode.rpc-address": "h:port"}, "dfs.namenode.rpc-address"),
    ],
)
def test_what_names_no_address_is_refused_by_key(values: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        namenodes(Configuration(values))


def test_internal_nameservices_must_be_known() -> None:
    values = {"dfs.nameservices": "one", "dfs.internal.nameservices": "two"}
    with pytest.raises(ConfigurationError, match="two"):
        namenodes(Configuration(values), for_datanodes=True)


def test_host_port_takes_ipv6_and_refuses_paths() -> None:
    assert host_port("[::1]:99", 1, "k") == ("::1", 99)
    assert host_port("h", 7, "k") == ("h", 7)
    assert host_port("h:0", 7, "k") == ("h", 0)
    for bad in ("", ":1", "h:1/x", "h:99999"):
        with pytest.raises(ConfigurationError, match="k ="):
            host_port(bad, 1, "k")
