"""``-help`` and ``-usage``: what verbs do, and how they are called."""

from __future__ import annotations

from cairnfs.shell.failures import UsageError
from cairnfs.shell.generic import USAGE
from cairnfs.shell.registry import VERBS, synopsis, usage_line, verb_class
from cairnfs.shell.verb import Verb


class Usage(Verb):
    usage = "[cmd ...]"
    help = "Shows how verbs are called; all of them where none is named."

    def options(self, words: list[str]) -> list[str]:
        return words

    def arguments(self, words: list[str]) -> None:
        for word in words:
            self._show(self._known(word))
        if not words:
            self._show_all()

    def _known(self, word: str) -> str:
        name = word.removeprefix("-")
        if name not in VERBS:
            raise UsageError(f"`{word}': Unknown command")
        return name

    def _current(self) -> list[str]:
        return [name for name in VERBS if not verb_class(name).instead]

    def _show(self, name: str) -> None:
        self.line(usage_line(self.session, name))

    def _show_all(self) -> None:
        self.line(f"Usage: {self.session.program}".rstrip())
        for name in self._current():
            self.line(f"\t[{synopsis(name)}]")
        self.line("")
        for line in USAGE.split("\n"):
            self.line(line)


class Help(Usage):
    help = "Says what verbs do; all of them where none is named."

    def _show(self, name: str) -> None:
        kind = verb_class(name)
        self.line(f"{synopsis(name)} :")
        text = f"Deprecated; the same as '{kind.instead}'." if kind.instead else kind.help
        for line in text.split("\n"):
            self.line(f"  {line}")

    def _show_all(self) -> None:
        super()._show_all()
        for name in self._current():
            self.line("")
            self._show(name)
