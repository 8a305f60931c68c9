"""Which NameNode of a nameservice is the active one: only it is obeyed.

After a failover the old active may not know yet that it is one no more. Its claim carries
an older transaction id than the new one's, so the newer claim wins, whoever comes last.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ActiveClaim:
    """``holder`` is the NameNode that is obeyed, by the name that :meth:`hear` was given."""

    holder: str | None = None
    _transaction_id: int = -1

    def hear(self, namenode: str, active: bool, transaction_id: int) -> bool:
        """What ``namenode`` said about itself in a heartbeat's answer.

        Returns whether it is (now) obeyed."""
        if not active:
            if self.holder == namenode:
                self.holder = None
            return False
        if self.holder != namenode:
            if transaction_id <= self._transaction_id:
                return False
            self.holder = namenode
        # A restarted NameNode may count from lower; as holder it is believed.
        self._transaction_id = transaction_id
        return True

    def leave(self, namenode: str) -> None:
        """``namenode`` is served no more."""
        if self.holder == namenode:
            self.holder = None
