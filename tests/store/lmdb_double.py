"""LMDB with a hand in it: for tests that look at what reaches it, or let it fail.

It stands where the binding itself does, below every class of ours, so that it does not
matter whether those are compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest


def nothing(*_: object) -> None:
    """The hand that does nothing."""


class _Transaction:
    """A write transaction that runs ``committing`` first when it commits."""

    def __init__(self, txn: lmdb.Transaction[bytes], committing: Callable[[], None]) -> None:
        self._txn = txn
        self._committing = committing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._txn, name)

    def commit(self) -> None:
        self._committing()
        self._txn.commit()


class _Environment:
    def __init__(self, path: str, double: LmdbDouble, options: dict[str, Any]) -> None:
        self._env = double.opened(path, **options)
        self._path = Path(path)
        self._double = double

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def begin(self, **options: Any) -> Any:
        txn = self._env.begin(**options)
        if not options.get("write"):
            return txn
        return _Transaction(txn, lambda: self._double.committing())

    def sync(self, force: bool) -> None:
        self._env.sync(force)
        self._double.synced(self._path)


class LmdbDouble:
    """Takes the place of ``lmdb.open``. ``synced`` is told the path after each sync;
    ``committing`` runs before each commit and may raise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = lmdb.open
        self.synced: Callable[[Path], None] = nothing
        self.committing: Callable[[], None] = nothing
        monkeypatch.setattr(lmdb, "open", self._open)

    def _open(self, path: str, **options: Any) -> _Environment:
        return _Environment(path, self, options)
