"""Which protocols the NameNode serves on its port."""

from __future__ import annotations

from cairnfs.namenode import datanode_protocol, refresh_protocol
from cairnfs.namenode.client_protocol import admin, files, hot_reads, reads, tree
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.net.rpc_server import Handler, Read, RpcService

TABLES = (
    hot_reads.TABLE,
    reads.TABLE,
    tree.TABLE,
    files.TABLE,
    admin.TABLE,
    datanode_protocol.TABLE,
    refresh_protocol.TABLE,
)


def services(system: Namesystem) -> list[RpcService]:
    """The protocols with handlers over ``system``; one protocol may stand in many files."""
    found: dict[tuple[str, int], tuple[dict[str, Handler], dict[str, Read]]] = {}
    for table in TABLES:
        service = table.service(system)
        methods, reads = found.setdefault((service.protocol, service.version), ({}, {}))
        repeated = (methods.keys() | reads.keys()) & (service.methods.keys() | service.reads.keys())
        assert not repeated, f"{sorted(repeated)} stand in two files"
        methods.update(service.methods)
        reads.update(service.reads)
    return [
        RpcService(name, version, methods, reads)
        for (name, version), (methods, reads) in found.items()
    ]
