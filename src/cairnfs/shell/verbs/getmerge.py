"""``-getmerge``: several files into one of this machine."""

from __future__ import annotations

from cairnfs.shell.failures import is_directory
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.progress import CopyProgress
from cairnfs.shell.verb import Verb


class GetMerge(Verb):
    usage = "[-nl] [-skip-empty-file] <src> <localdst>"
    help = """\
Writes files, and the files in directories in the order of their names, one behind the other
into one file of this machine; - is standard output.
-nl: A line break behind each file.
-skip-empty-file: None behind empty ones."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, ("nl", "skip-empty-file"), least=2)
        self._end = b"\n" if "nl" in flags else b""
        self._skips_empty = "skip-empty-file" in flags
        self._sources: list[Item] = []
        word = flags.words.pop()
        self._target = None if word == "-" else self.session.local_item(word)
        if self._target is not None and self._target.is_directory:
            raise is_directory(self._target.text)
        return flags.words

    def sorts(self) -> bool:
        return True

    def missing(self, item: Item) -> None:
        self.exit_code = 1
        super().missing(item)

    def visit(self, item: Item) -> None:
        if not item.is_directory:
            self._sources.append(item)
        elif self.depth == 0:
            self.descend(item)

    def items(self, items: list[Item]) -> None:
        super().items(items)
        # A path that is not there: nothing is written rather than a part.
        if self.exit_code == 0:
            self._merge()

    def _merge(self) -> None:
        import io

        if self._target is None:
            out = self.session.bytes_out
            for source in self._sources:
                with source.fs.open(source.path) as data:
                    source.fs.pour(data, out, lambda count: None)
                out.write(self._end if self._ends(source) else b"")
            out.flush()
            return
        target = self._target
        with CopyProgress() as copies, target.fs.create(target.path) as out_file:
            for source in self._sources:
                with (
                    copies.file(source.name, source.found.length) as progress,
                    source.fs.open(source.path) as data,
                ):
                    out_file.take(source.fs, data, progress)
                if self._ends(source):
                    out_file.copy_from(io.BytesIO(self._end), lambda count: None)

    def _ends(self, source: Item) -> bool:
        return bool(self._end) and not (self._skips_empty and source.found.length == 0)
