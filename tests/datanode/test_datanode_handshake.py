"""Who may order a DataNode about: versions, clusters, pools, actives."""

from __future__ import annotations

import dataclasses

import pytest

from cairnfs.datanode.active_claim import ActiveClaim
from cairnfs.datanode.handshake import check_namespace, check_version
from cairnfs.errors import IncorrectVersion
from cairnfs.types import NamespaceInfo

INFO = NamespaceInfo(7, "CID-1", "BP-1", 0, "", "3.4.2", -66)


@pytest.mark.parametrize("version", ["3.0.0", "3.4.2", "3.10.0-SNAPSHOT", "4"])
def test_version_from_the_minimum_on(version: str) -> None:
    check_version("nn:1", version, "3.0.0")


@pytest.mark.parametrize("version", ["2.10.2", "", "x", "3"])
def test_version_below_the_minimum(version: str) -> None:
    with pytest.raises(IncorrectVersion, match=r"nn:1.*3\.0\.0.*upgrade"):
        check_version("nn:1", version, "3.0.0")


def check(info: NamespaceInfo, **facts: object) -> None:
    defaults = {"cluster_id": "CID-1", "known": INFO, "pools_elsewhere": frozenset()}
    check_namespace("nn:1", info, **(defaults | facts))  # type: ignore[arg-type]


def test_fitting_namenode() -> None:
    check(INFO)
    check(INFO, cluster_id="", known=None)


@pytest.mark.parametrize(
    ("change", "facts", "sentence"),
    [
        ({"cluster_id": "CID-2"}, {}, "CID-2.*CID-1.*dfs.datanode.data.dir"),
        ({"pool_id": "BP-2"}, {}, "BP-2.*BP-1.*formatted anew"),
        ({"namespace_id": 8}, {}, "8.*7"),
        ({}, {"known": None, "pools_elsewhere": frozenset({"BP-1"})}, "BP-1.*dfs.ha.namenodes"),
    ],
)
@pytest.mark.requirement("A26")
def test_foreign_namenode_is_refused_in_one_sentence(
    change: dict[str, object], facts: dict[str, object], sentence: str
) -> None:
    with pytest.raises(IncorrectVersion, match=sentence) as caught:
        check(dataclasses.replace(INFO, **change), **facts)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.requirement("A24")
def test_newer_claim_wins_whoever_comes_last() -> None:
    claim = ActiveClaim()
    assert claim.hear("a", True, 10)
    assert not claim.hear("b", False, 9)
    assert claim.hear("b", True, 11)
    assert not claim.hear("a", True, 11)  # it does not know yet
    assert claim.holder == "b"
    assert not claim.hear("b", False, 11)
    assert claim.holder is None
    assert not claim.hear("a", True, 11)
    assert claim.hear("a", True, 12)


def test_holder_may_count_from_lower_after_a_restart() -> None:
    claim = ActiveClaim()
    assert claim.hear("a", True, 100)
    assert claim.hear("a", True, 5)
    assert claim.hear("b", True, 6)


def test_namenode_that_leaves_is_obeyed_no_more() -> None:
    claim = ActiveClaim()
    claim.hear("a", True, 1)
    claim.leave("b")
    assert claim.holder == "a"
    claim.leave("a")
    assert claim.holder is None
