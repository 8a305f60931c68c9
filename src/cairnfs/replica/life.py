"""The life of one replica: its states, its lengths, and what each operation may do to it.

Pure: every operation takes the replica as it is and returns the replica as it should be
(:class:`ReplicaLife`), or raises and leaves it alone. Files are the caller's business:
where an operation shortens the data, the answer says so (:class:`Change.truncate_to`).

::

                create_rbw                     finalize
    (nothing) -------------> RBW -----------------------------------> FINALIZED
        |                    ^ |  recover_rbw, recover_append (new stamp)  | |
        | create_temporary   | |                            append         | |
        +--> TEMPORARY ------+ | <-----------------------------------------+ |
                 |  to_rbw     |                                             |
                 |             | node restarted                              |
                 | finalize    v                                             |
                 |            RWR ----- init_recovery -----> RUR <-----------+
                 +-----------------------------------------> |
                                         update_recovery     +----> FINALIZED

Three lengths, ``acked <= on_disk <= received``: bytes that came in, bytes that are in the
file with their checksums, and bytes that every node down the pipeline has. Readers are
promised the acked ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cairnfs.errors import (
    FileSystemError,
    RecoveryInProgress,
    ReplicaAlreadyExists,
    ReplicaNotFound,
)
from cairnfs.types import Block, ReplicaState

_OPEN = (ReplicaState.RBW, ReplicaState.TEMPORARY)


@dataclass(frozen=True, slots=True)
class ReplicaLife:
    """One replica at one moment. Lengths in bytes; ``recovery_id`` and ``original_state``
    mean something in state RUR only."""

    block_id: int
    generation_stamp: int
    state: ReplicaState
    received: int = 0
    on_disk: int = 0
    acked: int = 0
    recovery_id: int = 0
    original_state: ReplicaState | None = None

    def __post_init__(self) -> None:
        assert 0 <= self.acked <= self.on_disk <= self.received, self
        assert (self.state is ReplicaState.RUR) == (self.original_state is not None), self

    @property
    def visible_length(self) -> int:
        """Bytes that a reader is promised; -1 where the replica cannot be read at all."""
        state = self.state if self.original_state is None else self.original_state
        if state is ReplicaState.FINALIZED:
            return self.on_disk
        return self.acked if state is ReplicaState.RBW else -1

    @property
    def is_open(self) -> bool:
        """Whether a writer may be at work on it."""
        return self.state in _OPEN

    @property
    def block(self) -> Block:
        """As it is reported: the length on disk for what is closed, else what came in."""
        return Block(self.block_id, self.generation_stamp, self.on_disk)

    def __str__(self) -> str:
        return (
            f"blk_{self.block_id}_{self.generation_stamp} ({self.state.name}, received "
            f"{self.received}, on disk {self.on_disk}, acked {self.acked})"
        )


@dataclass(frozen=True, slots=True)
class Change:
    """The replica after an operation; ``truncate_to`` is set where data must be cut off."""

    life: ReplicaLife
    truncate_to: int | None = None


# --- coming into being -----------------------------------------------------------------------


def create_rbw(existing: ReplicaLife | None, block: Block, new_stamp: int) -> ReplicaLife:
    """A replica that a client writes from its beginning.

    ``new_stamp`` other than 0 says that the client tries again after a failed pipeline:
    what stood here before is thrown away. Raises ``ReplicaAlreadyExists``."""
    if existing is not None and new_stamp == 0:
        raise ReplicaAlreadyExists(f"{existing} is here already and cannot be created again")
    return ReplicaLife(block.block_id, new_stamp or block.generation_stamp, ReplicaState.RBW)


def create_temporary(existing: ReplicaLife | None, block: Block, is_transfer: bool) -> ReplicaLife:
    """A replica that another DataNode copies here; an older one that is still open (or, for
    a transfer within a pipeline, any older one) is replaced. Raises ``ReplicaAlreadyExists``."""
    if existing is not None and (
        existing.generation_stamp >= block.generation_stamp or not (is_transfer or existing.is_open)
    ):
        raise ReplicaAlreadyExists(f"{existing} is here already and cannot be created again")
    return ReplicaLife(block.block_id, block.generation_stamp, ReplicaState.TEMPORARY)


def restarted(life: ReplicaLife, whole_length: int) -> ReplicaLife:
    """An RBW replica found by a DataNode that starts: ``whole_length`` bytes of it match
    their checksums and wait for recovery."""
    return ReplicaLife(
        life.block_id,
        life.generation_stamp,
        ReplicaState.RWR,
        whole_length,
        whole_length,
        whole_length,
    )


# --- while it is written ---------------------------------------------------------------------


def append(life: ReplicaLife, block: Block, new_stamp: int, expected_length: int) -> ReplicaLife:
    """Open a finalized replica again. Raises ``ReplicaNotFound``, ``FileSystemError``."""
    if new_stamp < block.generation_stamp:
        raise FileSystemError(
            f"append to {life}: the new generation stamp {new_stamp} is below the block's "
            f"{block.generation_stamp}"
        )
    if life.generation_stamp != block.generation_stamp:
        raise ReplicaNotFound(
            f"append to blk_{block.block_id}_{block.generation_stamp}: this node has {life}"
        )
    if life.state is not ReplicaState.FINALIZED:
        raise ReplicaNotFound(f"append to {life}: it is not finalized")
    _check_length(life, expected_length)
    return _opened(life, new_stamp)


def recover_rbw(
    life: ReplicaLife, block: Block, new_stamp: int, received_min: int, received_max: int
) -> Change:
    """Go on with a replica after its pipeline broke: keep what was acked, drop the rest.

    The writer must have stopped. Raises ``ReplicaNotFound``: the client drops this node."""
    if life.state is not ReplicaState.RBW:
        raise ReplicaNotFound(f"recovery of the pipeline: {life} is not being written")
    _check_stamp(life, block, new_stamp)
    if life.acked < received_min or life.received > received_max:
        raise ReplicaNotFound(
            f"recovery of the pipeline: the lengths of {life} are not within "
            f"[{received_min}, {received_max}]"
        )
    # Data beyond the acked length may be corrupt without anybody having seen it: only the
    # last node of a pipeline verifies, and that is the one which may have been lost.
    cut = life.acked if life.on_disk > life.acked else None
    kept = replace(life, generation_stamp=new_stamp, received=life.acked, on_disk=life.acked)
    return Change(kept, cut)


def recover_append(
    life: ReplicaLife, block: Block, new_stamp: int, expected_length: int
) -> ReplicaLife:
    """Begin an append again that broke while it was set up.

    Raises ``ReplicaNotFound``, ``ReplicaAlreadyExists``, ``FileSystemError``."""
    _check_recoverable(life, block, new_stamp, expected_length)
    return _opened(life, new_stamp)


def recover_close(
    life: ReplicaLife, block: Block, new_stamp: int, expected_length: int
) -> ReplicaLife:
    """Close a replica whose last ack was lost. Raises as :func:`recover_append`."""
    _check_recoverable(life, block, new_stamp, expected_length)
    return _closed(life, new_stamp, life.on_disk)


def temporary_to_rbw(life: ReplicaLife, block: Block) -> ReplicaLife:
    """A copied replica joins the pipeline of its block; ``block.num_bytes`` are visible.

    Raises ``ReplicaAlreadyExists``, ``FileSystemError``."""
    if life.state is not ReplicaState.TEMPORARY:
        raise ReplicaAlreadyExists(f"{life} is not temporary")
    if life.generation_stamp != block.generation_stamp:
        raise ReplicaAlreadyExists(
            f"{life} has another generation stamp than {block.generation_stamp}"
        )
    if life.on_disk < block.num_bytes:
        raise FileSystemError(f"{life} is shorter than the visible length {block.num_bytes}")
    return replace(life, state=ReplicaState.RBW, acked=block.num_bytes)


def finalize(life: ReplicaLife) -> ReplicaLife:
    """All is written. A finalized replica stays as it is. Raises ``FileSystemError``."""
    if life.state is ReplicaState.FINALIZED:
        return life
    if not life.is_open:
        raise FileSystemError(f"{life} cannot be finalized: it is not being written")
    return _closed(life, life.generation_stamp, life.on_disk)


# --- block recovery --------------------------------------------------------------------------


def init_recovery(life: ReplicaLife, block: Block, recovery_id: int) -> ReplicaLife:
    """Hold a replica still for a block recovery. The writer must have stopped.

    Raises ``RecoveryInProgress`` if a recovery at least as new is at work, else
    ``FileSystemError``."""
    if life.generation_stamp < block.generation_stamp:
        raise FileSystemError(
            f"recovery {recovery_id} of blk_{block.block_id}_{block.generation_stamp}: "
            f"{life} is older"
        )
    if life.generation_stamp >= recovery_id:
        raise FileSystemError(f"recovery {recovery_id}: {life} is as new or newer")
    if life.state is ReplicaState.RUR:
        if life.recovery_id >= recovery_id:
            raise RecoveryInProgress(
                f"recovery {recovery_id} of {life}: recovery {life.recovery_id} is at work"
            )
        return replace(life, recovery_id=recovery_id)
    return replace(
        life,
        state=ReplicaState.RUR,
        original_state=life.state,
        recovery_id=recovery_id,
        received=life.on_disk,
    )


def update_recovery(
    life: ReplicaLife, old_length: int, recovery_id: int, new_length: int
) -> Change:
    """End a recovery: the replica takes ``recovery_id`` as its stamp and ``new_length``.

    ``old_length`` is what :func:`init_recovery` answered. Raises ``FileSystemError``."""
    if life.state is not ReplicaState.RUR:
        raise FileSystemError(f"recovery {recovery_id}: {life} is not under recovery")
    if life.recovery_id != recovery_id:
        raise FileSystemError(
            f"recovery {recovery_id} of {life}: recovery {life.recovery_id} has taken over"
        )
    if life.on_disk != old_length:
        raise FileSystemError(
            f"recovery {recovery_id}: {life} should hold {old_length} bytes on disk"
        )
    if new_length > life.on_disk:
        raise FileSystemError(
            f"recovery {recovery_id}: {life} is shorter than the new length {new_length}"
        )
    cut = new_length if new_length < life.on_disk else None
    return Change(_closed(life, recovery_id, new_length), cut)


# --- pieces ----------------------------------------------------------------------------------


def _opened(life: ReplicaLife, new_stamp: int) -> ReplicaLife:
    length = life.on_disk
    return ReplicaLife(life.block_id, new_stamp, ReplicaState.RBW, length, length, length)


def _closed(life: ReplicaLife, stamp: int, length: int) -> ReplicaLife:
    return ReplicaLife(life.block_id, stamp, ReplicaState.FINALIZED, length, length, length)


def _check_stamp(life: ReplicaLife, block: Block, new_stamp: int) -> None:
    if not block.generation_stamp <= life.generation_stamp <= new_stamp:
        raise ReplicaNotFound(
            f"{life} has a generation stamp outside [{block.generation_stamp}, {new_stamp}]"
        )


def _check_length(life: ReplicaLife, expected_length: int) -> None:
    if life.received != expected_length:
        raise FileSystemError(f"{life} is corrupt: its length should be {expected_length}")


def _check_recoverable(
    life: ReplicaLife, block: Block, new_stamp: int, expected_length: int
) -> None:
    if life.state not in (ReplicaState.FINALIZED, ReplicaState.RBW):
        raise ReplicaNotFound(f"{life} is neither finalized nor being written")
    _check_stamp(life, block, new_stamp)
    if not life.received == life.on_disk == life.acked:
        raise ReplicaAlreadyExists(f"the lengths of {life} differ")
    _check_length(life, expected_length)
