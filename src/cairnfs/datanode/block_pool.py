"""The NameNodes of one nameservice, and the block pool that they serve.

All of them are told everything; only the active one is obeyed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from cairnfs.config.nameservices import NamenodeAddress
from cairnfs.datanode.active_claim import ActiveClaim
from cairnfs.datanode.commands import Command, FinalizeUpgrade, UpdateKeys
from cairnfs.datanode.handshake import check_namespace, check_version
from cairnfs.datanode.incremental import ReplicaFact
from cairnfs.datanode.messages import VersionAnswer
from cairnfs.datanode.node import Node
from cairnfs.datanode.service import NamenodeService
from cairnfs.datanode.service_state import Phase
from cairnfs.log import peer_fault
from cairnfs.types import NamespaceInfo

logger = logging.getLogger(__name__)


class Obedient(Protocol):
    """Carries out what a NameNode ordered."""

    def obey(self, pool: BlockPool, command: Command) -> None:
        """Begin; must not block or raise."""
        ...


class BlockPool:
    """See the module. ``pools_elsewhere`` names the block pools of the other nameservices;
    ``given_up`` is called once every NameNode of this one was refused."""

    def __init__(
        self,
        nameservice: str,
        node: Node,
        obedient: Obedient,
        *,
        pools_elsewhere: Callable[[BlockPool], frozenset[str]],
        given_up: Callable[[BlockPool], None],
    ) -> None:
        self.nameservice = nameservice
        self.namespace: NamespaceInfo | None = None
        self.services: list[NamenodeService] = []
        self._node = node
        self._obedient = obedient
        self._claim = ActiveClaim()
        self._pools_elsewhere = pools_elsewhere
        self._given_up = given_up
        self._accepting = asyncio.Lock()

    async def serve(self, addresses: Sequence[NamenodeAddress]) -> None:
        """Serve exactly these NameNodes from now on."""
        for service in [one for one in self.services if one.address not in addresses]:
            self.services.remove(service)
            self._claim.leave(service.name)
            await service.stop()
        known = {service.address for service in self.services}
        for address in addresses:
            if address not in known:
                service = NamenodeService(address, self, self._node)
                self.services.append(service)
                service.start()

    async def stop(self) -> None:
        await asyncio.gather(*(service.stop() for service in self.services))

    @property
    def pool_id(self) -> str:
        """Known once a NameNode was met."""
        return self.namespace.pool_id if self.namespace is not None else ""

    @property
    def active(self) -> NamenodeService | None:
        """The service of the NameNode that is obeyed."""
        for service in self.services:
            if service.name == self._claim.holder:
                return service
        return None

    @property
    def serving(self) -> bool:
        """Whether any NameNode knows this node."""
        return any(service.phase is Phase.SERVING for service in self.services)

    def tell(self, facts: tuple[ReplicaFact, ...]) -> None:
        for service in self.services:
            service.tell(facts)

    # --- called by the services --------------------------------------------------------------

    async def accept(self, service: NamenodeService, answer: VersionAnswer) -> None:
        """Check what a NameNode says it is; at the first one open the pool in the dataset.

        Raises ``IncorrectVersion`` (it does not belong to us), ``StorageError``."""
        info = answer.namespace
        async with self._accepting:
            check_version(service.name, info.software_version, self._node.namenode_version_min)
            check_namespace(
                service.name,
                info,
                cluster_id=self._node.dataset.cluster_id,
                known=self.namespace,
                pools_elsewhere=self._pools_elsewhere(self),
            )
            await asyncio.to_thread(
                self._node.dataset.add_block_pool, info.pool_id, info.cluster_id
            )
            self.namespace = info

    def hear(self, service: NamenodeService, active: bool, transaction_id: int) -> bool:
        """A NameNode told its state; whether it is obeyed."""
        before = self._claim.holder
        obeyed = self._claim.hear(service.name, active, transaction_id)
        if self._claim.holder != before:
            logger.info(
                "block pool %s: the active NameNode is %s",
                self.pool_id,
                self._claim.holder or "none",
            )
        return obeyed

    def order(self, service: NamenodeService, command: Command) -> None:
        """A NameNode ordered something: do it if it is the active one.

        Keys come from standbys too, and the usual answer to a standby's full report is
        that an upgrade may be finalized, which is nobody's fault."""
        if self.active is service or isinstance(command, UpdateKeys):
            self._obedient.obey(self, command)
        elif not isinstance(command, FinalizeUpgrade):
            peer_fault(
                logger,
                "NameNode %s is not the active one: its %s is not obeyed",
                service.name,
                type(command).__name__,
            )

    def refused(self, service: NamenodeService, reason: str) -> None:
        """A NameNode does not belong to us; the others go on."""
        self._claim.leave(service.name)
        self._node.events.emit("datanode.refused", namenode=service.name, reason=reason)
        if all(other.phase is Phase.REFUSED for other in self.services):
            self._given_up(self)
