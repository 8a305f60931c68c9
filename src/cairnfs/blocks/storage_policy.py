"""Storage policies: which media the replicas of a file belong on.

Ids, names and media are Hadoop's, so that ``hdfs storagepolicies`` means the same here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cairnfs.types import StorageType

_TRANSIENT = frozenset({StorageType.RAM_DISK})


@dataclass(frozen=True, slots=True)
class StoragePolicy:
    """``types`` for the first replicas, its last for all further ones; the fallbacks
    stand in for media without room."""

    policy_id: int
    name: str
    types: tuple[StorageType, ...]
    creation_fallbacks: tuple[StorageType, ...]
    replication_fallbacks: tuple[StorageType, ...]
    copy_on_create: bool = False

    def wanted(self, replication: int) -> list[StorageType]:
        """The media of ``replication`` replicas. Memory is never counted on."""
        lasting = [kind for kind in self.types if kind not in _TRANSIENT]
        taken = lasting[:replication]
        if self.types[-1] not in _TRANSIENT:
            taken += [self.types[-1]] * (replication - len(taken))
        return taken

    def missing(
        self,
        replication: int,
        held: Iterable[StorageType],
        unavailable: Collection[StorageType] = (),
        *,
        new_block: bool,
    ) -> list[StorageType]:
        """The media that replicas still have to be put on, given those that are held."""
        fallbacks = self.creation_fallbacks if new_block else self.replication_fallbacks
        left = list(held)
        types: list[StorageType] = []
        for kind in self.wanted(replication):
            if kind in left:
                left.remove(kind)
            elif kind not in unavailable:
                types.append(kind)
            else:
                types += [one for one in fallbacks if one not in unavailable][:1]
        # A replica that already lies on a fallback stands for one that is wanted.
        for kind in left:
            if kind in types:
                types.remove(kind)
            elif types:
                types.pop()
        return types


_DISK, _SSD, _ARCHIVE = StorageType.DISK, StorageType.SSD, StorageType.ARCHIVE

HOT = StoragePolicy(7, "HOT", (_DISK,), (), (_ARCHIVE,))
POLICIES: dict[int, StoragePolicy] = {
    policy.policy_id: policy
    for policy in (
        HOT,
        StoragePolicy(2, "COLD", (_ARCHIVE,), (), ()),
        StoragePolicy(5, "WARM", (_DISK, _ARCHIVE), (_DISK, _ARCHIVE), (_DISK, _ARCHIVE)),
        StoragePolicy(10, "ONE_SSD", (_SSD, _DISK), (_SSD, _DISK), (_SSD, _DISK)),
        StoragePolicy(12, "ALL_SSD", (_SSD,), (_DISK,), (_DISK,)),
        StoragePolicy(14, "ALL_NVDIMM", (StorageType.NVDIMM,), (_DISK,), (_DISK,)),
        StoragePolicy(
            15,
            "LAZY_PERSIST",
            (StorageType.RAM_DISK, _DISK),
            (_DISK,),
            (_DISK,),
            copy_on_create=True,
        ),
        StoragePolicy(
            1,
            "PROVIDED",
            (StorageType.PROVIDED, _DISK),
            (StorageType.PROVIDED, _DISK),
            (StorageType.PROVIDED, _DISK),
        ),
    )
}


def storage_policy(policy_id: int) -> StoragePolicy:
    """The policy of an id; 0 (not set) and what is unknown are HOT."""
    return POLICIES.get(policy_id, HOT)
