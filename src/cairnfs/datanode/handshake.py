"""Whether a NameNode and this DataNode belong together, before anything is told or obeyed."""

from __future__ import annotations

import re

from cairnfs.errors import IncorrectVersion
from cairnfs.types import NamespaceInfo


def check_version(namenode: str, version: str, version_min: str) -> None:
    """Raises ``IncorrectVersion`` for a NameNode older than ``version_min``."""
    if _numbers(version) < _numbers(version_min):
        raise IncorrectVersion(
            f"NameNode {namenode} runs version {version}, and this DataNode takes none older "
            f"than {version_min} (dfs.datanode.min.supported.namenode.version); upgrade the "
            "NameNode"
        )


def check_namespace(
    namenode: str,
    info: NamespaceInfo,
    *,
    cluster_id: str,
    known: NamespaceInfo | None,
    pools_elsewhere: frozenset[str],
) -> None:
    """Compare what ``namenode`` says with what is stored and what others said.

    ``cluster_id`` is the volumes' (empty while new), ``known`` what the same nameservice was
    before (another NameNode of it, or the same before its restart), ``pools_elsewhere`` the
    block pools of other nameservices. Raises ``IncorrectVersion``: one sentence."""
    if cluster_id and info.cluster_id != cluster_id:
        raise IncorrectVersion(
            f"NameNode {namenode} belongs to cluster {info.cluster_id}, the blocks of this "
            f"DataNode to cluster {cluster_id}; correct the NameNode's address, or give this "
            "DataNode empty directories (dfs.datanode.data.dir)"
        )
    if known is not None:
        for what, ours, theirs in (
            ("block pool", known.pool_id, info.pool_id),
            ("namespace", known.namespace_id, info.namespace_id),
        ):
            if ours != theirs:
                raise IncorrectVersion(
                    f"NameNode {namenode} serves {what} {theirs}, its nameservice served {ours} "
                    "before; was it formatted anew, or are two namespaces configured as one?"
                )
    if info.pool_id in pools_elsewhere:
        raise IncorrectVersion(
            f"NameNode {namenode} serves block pool {info.pool_id}, which another nameservice "
            "serves too; name its NameNodes in one nameservice (dfs.ha.namenodes)"
        )


def _numbers(version: str) -> list[int]:
    """The numbers that a version begins with; ``3.4.2-rc1`` is ``[3, 4, 2]``."""
    match = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in match[0].split(".")] if match else []
