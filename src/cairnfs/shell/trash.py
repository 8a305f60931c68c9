"""The trash: ``.Trash/Current`` in the user's home, closed into checkpoints as time goes by.

Hadoop's NameNode empties checkpoints named ``yyMMddHHmmss`` that are older than
``fs.trash.interval``; so what is moved here by whichever shell is found by the other."""

from __future__ import annotations

import time

from cairnfs.config.configuration import Configuration
from cairnfs.config.namenode_keys import TRASH_INTERVAL_MIN
from cairnfs.errors import AlreadyExists, CairnError, FileSystemError, NotADirectory
from cairnfs.shell.face import Face

CURRENT = "Current"
_CHECKPOINT = "%y%m%d%H%M%S"
_CHECKPOINTS_MAX = 1000
_MODE = 0o700
# A checkpoint may be made between the two steps of a move, and take the directory away.
_ATTEMPTS = 2


def interval_min(conf: Configuration) -> float:
    """For how long the trash is kept, by this configuration; 0: there is none."""
    return max(0.0, conf[TRASH_INTERVAL_MIN])


class Trash:
    """The trash of one user on one file system."""

    def __init__(self, fs: Face, minutes: float) -> None:
        self._fs = fs
        self._minutes = minutes
        self.root = fs.trash_root
        self.current = f"{self.root}/{CURRENT}"

    # --- into it ---------------------------------------------------------------------------

    def move_in(self, path: str) -> str | None:
        """Move ``path`` into the trash; where it is now, None if it is there already.

        Raises ``FileSystemError``, which advises ``-skipTrash``."""
        if path == self.root or path.startswith(self.root + "/"):
            return None
        home = self.root.rpartition("/")[0]
        if path == "/" or home == path or home.startswith(path + "/"):
            raise FileSystemError(
                f'Cannot move "{self._fs.qualified(path)}" to the trash, as it contains the '
                "trash. Consider using -skipTrash option"
            )
        try:
            return self._move(path)
        except CairnError as error:
            raise FileSystemError(
                f"Failed to move {self._fs.qualified(path)} to trash "
                f"{self._fs.qualified(self.current + path)}: {error}. "
                "Consider using -skipTrash option"
            ) from None

    def _move(self, path: str) -> str:
        folder = self.current + path.rpartition("/")[0]
        name = path.rpartition("/")[2]
        attempt = 0
        while True:
            try:
                self._fs.mkdirs(folder, _MODE)
            except (AlreadyExists, NotADirectory):
                folder = self._around_file(folder)
                continue
            target = f"{folder}/{name}"
            if self._fs.stat(target) is not None:
                target += str(_now_ms())
            try:
                self._fs.rename_exactly(path, target)
                return target
            except CairnError:
                attempt += 1
                if attempt == _ATTEMPTS:
                    raise

    def _around_file(self, folder: str) -> str:
        """``folder`` with the time behind the part of it that is a file in the trash."""
        part = folder
        while self._fs.stat(part) is None:
            part = part.rpartition("/")[0]
        return f"{part}{_now_ms()}{folder[len(part) :]}"

    # --- out of it -------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Close what is in the trash now into a checkpoint of its own."""
        if self._fs.stat(self.current) is None:
            return
        name = f"{self.root}/{time.strftime(_CHECKPOINT)}"
        for number in range(_CHECKPOINTS_MAX):
            place = f"{name}-{number}" if number else name
            try:
                self._fs.rename_exactly(self.current, place)
                return
            except AlreadyExists:
                continue
        raise FileSystemError(f"Failed to checkpoint trash: {name}")

    def expunge(self, everything: bool = False) -> None:
        """Delete checkpoints that are old enough, or all."""
        root = self._fs.stat(self.root)
        if root is None:
            return
        oldest_s = time.time() - self._minutes * 60
        for name, _ in list(self._fs.children(self.root)):
            made_s = checkpoint_time(name)
            if made_s is not None and (everything or made_s < oldest_s):
                self._fs.delete(f"{self.root}/{name}", recursive=True)


def checkpoint_time(name: str) -> float | None:
    """When a checkpoint was made, in seconds since 1970; None for what is no checkpoint."""
    digits = name.partition("-")[0]
    if not digits.isdigit():
        return None
    try:
        return time.mktime(time.strptime(digits, _CHECKPOINT))
    except ValueError:
        return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
