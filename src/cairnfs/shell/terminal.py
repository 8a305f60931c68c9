"""The prompt of ``cairn shell``: history over sessions, completion of verbs and paths."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from cairnfs.shell.completion import Completions

if TYPE_CHECKING:
    from cairnfs.shell.interactive import Shell


def prompted_lines(shell: Shell) -> Iterator[str]:
    """Lines that the user enters, until Ctrl-D. Ctrl-C takes back what was typed."""
    prompt: PromptSession[str] = PromptSession(
        history=_history(),
        completer=_PromptCompleter(Completions(shell)),
        complete_while_typing=False,
        enable_open_in_editor=False,
    )
    while True:
        try:
            yield prompt.prompt(f"cairn:{shell.directory()}> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


class _PromptCompleter(Completer):
    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        word, found = self._completions.of(document.text_before_cursor)
        for text in found:
            yield Completion(text, start_position=-len(word))


def history_file() -> str:
    """Where lines are kept: ``$XDG_STATE_HOME/cairn/history``."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "cairn", "history")


def _history() -> History:
    """The history of earlier sessions; only this one's where it cannot be kept."""
    path = history_file()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # Commands may hold names that are nobody else's business.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
