"""Answers to calls that must not be executed twice.

A client that lost the connection sends its call again under the same id. The answers of
those operations that are not idempotent (create, append, delete, rename, rename2, concat,
updatePipeline: ClientProtocol's AtMostOnce) are kept in the same batch as the change, so
that a restart forgets neither without the other.

Keys begin with a time slot as long as the expiry, so that an answer is kept for one to two
of them, a look-up is two gets, and what ran out is a range at the start of the table.
"""

from __future__ import annotations

from cairnfs.limits import RPC_CALL_KEY_BYTES
from cairnfs.namespace.settings import NamespaceSettings
from cairnfs.namespace.tables import retry_key
from cairnfs.store.interface import Reader, Writer


def find_answer(settings: NamespaceSettings, tx: Reader, call: bytes, now_ms: int) -> bytes | None:
    """The answer that this very call was given before; None if it is new.

    ``call`` is the client's id and the call's id (4 bytes); one of another length has no
    name to be remembered by."""
    if not _is_named(settings, call):
        return None
    slot = _slot(settings, now_ms)
    for candidate in (slot, slot - 1):
        answer = tx.get(retry_key(max(0, candidate), call))
        if answer is not None:
            return answer
    return None


def keep_answer(
    settings: NamespaceSettings, tx: Writer, call: bytes, now_ms: int, answer: bytes
) -> None:
    """Remember what a call is answered, in the batch of its change."""
    if _is_named(settings, call):
        tx.put(retry_key(_slot(settings, now_ms), call), answer)


def trim_answers(settings: NamespaceSettings, tx: Writer, now_ms: int, limit: int) -> int:
    """Forget up to ``limit`` answers that ran out; how many there were."""
    stop = retry_key(max(0, _slot(settings, now_ms) - 1), b"")
    keys: list[bytes] = []
    for key, _ in tx.scan(b"R", stop):
        keys.append(key)
        if len(keys) == limit:
            break
    for key in keys:
        tx.delete(key)
    return len(keys)


def _is_named(settings: NamespaceSettings, call: bytes) -> bool:
    return settings.retry_cache_enabled and len(call) == RPC_CALL_KEY_BYTES


def _slot(settings: NamespaceSettings, now_ms: int) -> int:
    return now_ms // max(1, settings.retry_cache_expiry_ms)
