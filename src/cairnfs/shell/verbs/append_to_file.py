"""``-appendToFile``: bytes to the end of a file."""

from __future__ import annotations

from cairnfs.errors import FileSystemError
from cairnfs.shell.failures import no_such
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.progress import CopyProgress
from cairnfs.shell.verb import Verb


class AppendToFile(Verb):
    usage = "[-n] <localsrc> ... <dst>"
    help = """\
Appends files of this machine, or standard input for -, to a file, which is made where it
is not there.
-n: In a new block, though the last one is not full."""

    def options(self, words: list[str]) -> list[str]:
        if len(words) < 2:
            raise FileSystemError("missing destination argument")
        flags = Flags(words, "n", least=2)
        self._new_block = "n" in flags
        found = self.session.expand(flags.words.pop())
        if len(found) != 1:
            raise FileSystemError("the destination is not one file")
        self._target = found[0]
        return flags.words

    def arguments(self, words: list[str]) -> None:
        reads_stdin = "-" in words
        if reads_stdin and len(words) > 1:
            raise FileSystemError("stdin (-) must be the sole input argument when present")
        sources = [] if reads_stdin else [self._source(word) for word in words]
        target = self._target
        if not target.exists:
            target.fs.create(target.path).close()
        with (
            CopyProgress() as copies,
            target.fs.append(target.path, self._new_block) as out,
        ):
            if reads_stdin:
                with copies.file(target.name, None) as progress:
                    out.copy_from(self.session.bytes_in, progress)
            for source in sources:
                with (
                    copies.file(source.name, source.found.length) as progress,
                    source.fs.open(source.path) as data,
                ):
                    out.take(source.fs, data, progress)

    def _source(self, word: str) -> Item:
        item = self.session.local_item(word)
        if not item.exists:
            raise no_such(word)
        return item
