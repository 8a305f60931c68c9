"""Which protocols the NameNode serves on its port."""

from __future__ import annotations

from cairnfs.namenode import datanode_protocol
from cairnfs.namenode.client_protocol import admin, files, hot_reads, reads, tree
from cairnfs.namenode.namesystem import Namesystem
from cairnfs.net.rpc_server import Handler, RpcService

TABLES = (
    hot_reads.TABLE,
    reads.TABLE,
    tree.TABLE,
    files.TABLE,
    admin.TABLE,
    datanode_protocol.TABLE,
)


def services(system: Namesystem) -> list[RpcService]:
    """The protocols with handlers over ``system``; one protocol may stand in many files."""
    methods: dict[tuple[str, int], dict[str, Handler]] = {}
    for table in TABLES:
        service = table.service(system)
        own = methods.setdefault((service.protocol, service.version), {})
        repeated = own.keys() & service.methods.keys()
        assert not repeated, f"{sorted(repeated)} stand in two files"
        own.update(service.methods)
    return [RpcService(name, version, own) for (name, version), own in methods.items()]
