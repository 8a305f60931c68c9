"""``-chmod``: permissions."""

from __future__ import annotations

from cairnfs.errors import CairnError, FileSystemError
from cairnfs.shell.failures import UsageError, sentence
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.modes import ModeChange
from cairnfs.shell.verb import Verb


class Chmod(Verb):
    usage = "[-R] <MODE[,MODE]... | OCTALMODE> PATH..."
    help = """\
Changes permissions.
<MODE>: Users (u, g, o, or a for all), how (+, - or =), and what (r, w, x, t for the sticky
bit, X for x on directories and on what somebody may execute already): u+x,go-w.
<OCTALMODE>: Three digits, or four where the first sets or clears the sticky bit: 755, 1777.
-R: Everything below directories, too."""

    def options(self, words: list[str]) -> list[str]:
        # Modes such as -w begin with a dash.
        flags = Flags(words, "R", least=2, lenient=True)
        self.recursive = "R" in flags
        mode = flags.words.pop(0)
        try:
            self._change = ModeChange.parse(mode)
        except ValueError:
            raise UsageError(
                f"chmod : mode '{mode}' does not match the expected pattern."
            ) from None
        return flags.words

    def visit(self, item: Item) -> None:
        mode = self._change.apply(item.found.mode, item.is_directory)
        if mode == item.found.mode:
            return
        try:
            item.fs.set_mode(item.path, mode)
        except (CairnError, OSError) as error:
            raise FileSystemError(
                f"changing permissions of '{item.text}': {sentence(error)}"
            ) from None
