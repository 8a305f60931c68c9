"""Facts that outlive the process and not the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from cairnfs.errors import StoreLocked
from cairnfs.store.boot_state import kernel_boot_id
from cairnfs.store.volatile import VolatileStore

MAP_BYTES = 1 << 24


def opened(path: Path, boot_id: str, discard: bool = False) -> tuple[VolatileStore, list[bytes]]:
    store = VolatileStore(path, boot_id=boot_id, discard=discard, map_bytes=MAP_BYTES)
    snapshot = store.snapshot()
    found = [key for key, _ in snapshot.scan(b"", b"\xff")]
    snapshot.close()
    return store, found


def fill(path: Path) -> None:
    store, found = opened(path, "first")
    assert (store.survived, found) == (False, [])
    batch = store.batch()
    batch.put(b"key", b"value")
    batch.commit()
    with pytest.raises(StoreLocked):
        opened(path, "first")
    store.close()


@pytest.mark.parametrize(
    ("boot_id", "discard", "survives"),
    [("first", False, True), ("second", False, False), ("first", True, False)],
)
def test_it_survives_within_a_boot(
    tmp_path: Path, boot_id: str, discard: bool, survives: bool
) -> None:
    fill(tmp_path / "replicas")
    store, found = opened(tmp_path / "replicas", boot_id, discard)
    assert (store.survived, found) == (survives, [b"key"] if survives else [])
    store.close()
    # From then on it counts from this boot.
    store, _ = opened(tmp_path / "replicas", boot_id)
    assert store.survived
    store.close()


def test_what_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "tree" / "data.mdb").write_bytes(b"damaged" * 5000)
    store, found = opened(tmp_path, "first")
    assert (store.survived, found) == (False, [])
    store.close()


def test_the_boot_id_stays_while_the_kernel_runs() -> None:
    assert kernel_boot_id() == kernel_boot_id() != ""
