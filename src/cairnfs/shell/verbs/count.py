"""``-count``: how many directories and files, and how large, with quotas."""

from __future__ import annotations

from cairnfs.shell.flags import Flags
from cairnfs.shell.formatting import size_text
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb
from cairnfs.types import ContentSummary

_HEADINGS = f"{'DIR_COUNT':>12} {'FILE_COUNT':>12} {'CONTENT_SIZE':>18} "
_QUOTA_HEADINGS = f"{'QUOTA':>12} {'REM_QUOTA':>15} {'SPACE_QUOTA':>15} {'REM_SPACE_QUOTA':>15} "


class Count(Verb):
    usage = "[-q] [-h] [-v] [-u] [-x] <path> ..."
    help = """\
Counts directories, files and bytes below paths.
-q: Quotas and what is left of them, too.
-u: Only quotas.
-h: Sizes for people (1.5 K) instead of bytes.
-v: A line of headings.
-x: Without what only snapshots hold."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, "qhvux", least=1)
        self._quotas = "q" in flags or "u" in flags
        self._totals = "u" not in flags
        self._human = "h" in flags
        self._without_snapshots = "x" in flags
        if self._without_snapshots and self._quotas:
            self.line("q or u option is given, the -x option is ignored.")
            self._without_snapshots = False
        if "v" in flags:
            quotas = _QUOTA_HEADINGS if self._quotas else ""
            self.line(quotas + (_HEADINGS if self._totals else "") + "PATHNAME")
        return flags.words

    def visit(self, item: Item) -> None:
        found = item.fs.summary(item.path)
        quotas = self._quota_text(found) if self._quotas else ""
        self.line(quotas + (self._total_text(found) if self._totals else "") + item.text)

    def _size(self, size: int) -> str:
        return size_text(size, self._human)

    def _quota_text(self, found: ContentSummary) -> str:
        names = names_left = space = space_left = ""
        if found.quota > 0:
            names = self._size(found.quota)
            names_left = self._size(found.quota - found.file_count - found.directory_count)
        if found.space_quota >= 0:
            space = self._size(found.space_quota)
            space_left = self._size(found.space_quota - found.space_consumed)
        return (
            f"{names or 'none':>12} {names_left or 'inf':>15} "
            f"{space or 'none':>15} {space_left or 'inf':>15} "
        )

    def _total_text(self, found: ContentSummary) -> str:
        folders, files, length = found.directory_count, found.file_count, found.length
        if self._without_snapshots:
            folders -= found.snapshot_directory_count
            files -= found.snapshot_file_count
            length -= found.snapshot_length
        return f"{self._size(folders):>12} {self._size(files):>12} {self._size(length):>18} "
