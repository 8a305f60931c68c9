"""Safe mode: no changes and no commands until enough blocks are known.

::

    PENDING --threshold reached--> EXTENSION --time over--> OFF
       |                                                     ^
       +--replica map survived, or nothing to wait for-------+
    OFF or any --operator enters--> MANUAL --operator leaves--> OFF

Pure: counts and times in, a state and a reason out.
"""

from __future__ import annotations

import enum

from cairnfs.blocks.settings import BlockSettings
from cairnfs.types import Block


class SafeModeState(enum.Enum):
    OFF = "off"
    PENDING = "waiting for block reports"
    EXTENSION = "in extension"
    MANUAL = "entered by the operator"


class SafeMode:
    """``survived`` says that the replica map is as good as before the restart: then no
    reports are waited for, and there is no extension."""

    def __init__(self, settings: BlockSettings) -> None:
        self._settings = settings
        self.survived = True
        self.state = SafeModeState.OFF
        self.blocks_total = 0
        self.blocks_safe = 0
        self.live_datanodes = 0
        # Replicas newer than the namespace (by storage and block): it is not theirs.
        self._future: dict[tuple[str, int], int] = {}
        self.future_accepted = False
        self._reached_ms = 0

    def begin(self, blocks_total: int, now_ms: int, *, survived: bool) -> None:
        """The NameNode starts: wait for what has to be waited for."""
        self.survived = survived
        self.blocks_total = blocks_total
        self.blocks_safe = 0
        self.state = SafeModeState.PENDING
        self.look(now_ms)

    @property
    def on(self) -> bool:
        return self.state != SafeModeState.OFF

    @property
    def counting(self) -> bool:
        """Whether blocks still become safe: only then need anyone count."""
        return not self.survived and self.state in (
            SafeModeState.PENDING,
            SafeModeState.EXTENSION,
        )

    @property
    def blocks_needed(self) -> int:
        return int(self.blocks_total * self._settings.safemode_threshold)

    def block_safe(self, delta: int) -> None:
        """A block gained (+1) or lost (-1) the replica that makes it safe."""
        self.blocks_safe = max(0, self.blocks_safe + delta)

    @property
    def future_bytes(self) -> int:
        return sum(self._future.values())

    def future_replica(self, storage_uuid: str, block: Block) -> None:
        """A replica that is newer than the namespace: not to be deleted."""
        self._future[storage_uuid, block.block_id] = block.num_bytes

    def look(self, now_ms: int) -> bool:
        """Move on if it is time to; True if safe mode was left by this."""
        if self.state == SafeModeState.PENDING and self._reached:
            if self.survived or self.blocks_total == 0 or not self._settings.safemode_extension_ms:
                self.state = SafeModeState.OFF
                return True
            self.state = SafeModeState.EXTENSION
            self._reached_ms = now_ms
        elif self.state == SafeModeState.EXTENSION:
            if not self._reached:
                self.state = SafeModeState.PENDING
            elif now_ms - self._reached_ms >= self._settings.safemode_extension_ms:
                self.state = SafeModeState.OFF
                return True
        return False

    @property
    def _reached(self) -> bool:
        blocks = self.survived or self.blocks_safe >= self.blocks_needed
        nodes = self.live_datanodes >= self._settings.safemode_min_datanodes
        return blocks and nodes and not self._future

    def enter(self) -> None:
        """The operator wants it."""
        self.state = SafeModeState.MANUAL

    def leave(self, *, force: bool = False) -> bool:
        """The operator has enough of it. Refused (False) while that would delete data
        that is newer than the namespace, unless forced."""
        if self._future and not force:
            return False
        self.future_accepted = bool(self._future)
        self._future.clear()
        self.state = SafeModeState.OFF
        return True

    def reason(self, now_ms: int) -> str:
        """Why it is on and what ends it, in sentences for a person."""
        if self.state == SafeModeState.OFF:
            return "Safe mode is off."
        if self._future:
            return (
                f"DataNodes hold {self.future_bytes} bytes in blocks that are newer than this "
                "namespace: it is probably an old copy. Start the NameNode on the right "
                "directory, or leave safe mode by force (-safemode forceExit) and lose them."
            )
        if self.state == SafeModeState.MANUAL:
            return "An operator turned safe mode on; 'dfsadmin -safemode leave' turns it off."
        parts: list[str] = []
        if not self.survived:
            parts.append(self._blocks_sentence())
        if self._settings.safemode_min_datanodes:
            parts.append(
                f"{self.live_datanodes} DataNodes are live; "
                f"{self._settings.safemode_min_datanodes} are required."
            )
        if self.state == SafeModeState.EXTENSION:
            left_ms = self._reached_ms + self._settings.safemode_extension_ms - now_ms
            parts.append(f"It ends by itself in {max(0, left_ms) / 1000:.0f} s.")
        else:
            parts.append("It ends by itself once this is reached.")
        return " ".join(parts)

    def _blocks_sentence(self) -> str:
        lacking = self.blocks_needed - self.blocks_safe
        known = (
            f"The replica map did not survive the last stop, so blocks are counted from "
            f"reports: {self.blocks_safe} of {self.blocks_total} are known, "
            f"{self.blocks_needed} are required"
        )
        return f"{known}, {lacking} are lacking." if lacking > 0 else f"{known}."
