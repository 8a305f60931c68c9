"""``-cat``: files to standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairnfs.shell.failures import is_directory
from cairnfs.shell.flags import Flags
from cairnfs.shell.item import Item
from cairnfs.shell.verb import Verb

if TYPE_CHECKING:
    from cairnfs.shell.session import Session


class Cat(Verb):
    usage = "[-ignoreCrc] <src> ..."
    help = """\
Prints files, one after the other.
-ignoreCrc: Takes data whose checksums are wrong."""

    def options(self, words: list[str]) -> list[str]:
        flags = Flags(words, ("ignoreCrc",), least=1)
        self.verify = "ignoreCrc" not in flags
        return flags.words

    def visit(self, item: Item) -> None:
        print_file(self.session, item, self.verify)


def print_file(session: Session, item: Item, verify: bool = True) -> None:
    """Write all of a file to standard output."""
    if item.is_directory:
        raise is_directory(item.text)
    out = session.bytes_out
    with item.fs.open(item.path, verify) as data:
        item.fs.pour(data, out, lambda count: None)
    out.flush()
