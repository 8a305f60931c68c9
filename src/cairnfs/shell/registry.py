"""Which verbs there are, and where each is; a verb is imported when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairnfs.shell.failures import UsageError

if TYPE_CHECKING:
    from cairnfs.shell.session import Session
    from cairnfs.shell.verb import Verb

# Module of cairnfs.shell.verbs and class.
VERBS = {
    "appendToFile": ("append_to_file", "AppendToFile"),
    "cat": ("cat", "Cat"),
    "checksum": ("checksum", "Checksum"),
    "chgrp": ("chown", "Chgrp"),
    "chmod": ("chmod", "Chmod"),
    "chown": ("chown", "Chown"),
    "concat": ("concat", "Concat"),
    "copyFromLocal": ("put", "Put"),
    "copyToLocal": ("get", "Get"),
    "count": ("count", "Count"),
    "cp": ("cp", "Cp"),
    "df": ("df", "Df"),
    "du": ("du", "Du"),
    "dus": ("du", "Dus"),
    "expunge": ("expunge", "Expunge"),
    "find": ("find", "Find"),
    "get": ("get", "Get"),
    "getmerge": ("getmerge", "GetMerge"),
    "head": ("head", "Head"),
    "help": ("help", "Help"),
    "ls": ("ls", "Ls"),
    "lsr": ("ls", "Lsr"),
    "mkdir": ("mkdir", "Mkdir"),
    "moveFromLocal": ("move_from_local", "MoveFromLocal"),
    "mv": ("mv", "Mv"),
    "put": ("put", "Put"),
    "rm": ("rm", "Rm"),
    "rmdir": ("rmdir", "Rmdir"),
    "rmr": ("rm", "Rmr"),
    "setrep": ("setrep", "SetReplication"),
    "stat": ("stat", "Stat"),
    "tail": ("tail", "Tail"),
    "test": ("test", "Test"),
    "text": ("text", "Text"),
    "touch": ("touch", "Touch"),
    "touchz": ("touchz", "Touchz"),
    "truncate": ("truncate", "Truncate"),
    "usage": ("help", "Usage"),
}


def verb_class(name: str) -> type[Verb]:
    """The class of a verb. Raises ``KeyError``."""
    module_name, class_name = VERBS[name]
    module = __import__(f"cairnfs.shell.verbs.{module_name}", fromlist=[class_name])
    found: type[Verb] = getattr(module, class_name)
    return found


def run_verb(session: Session, name: str, arguments: list[str]) -> int:
    """Run a verb, by its name without the dash; the exit code.

    A command line that makes no sense is told, with the verb's usage. Raises ``KeyError``."""
    verb = verb_class(name)(session, name)
    try:
        return verb.run(arguments)
    except UsageError as error:
        for line in str(error).split("\n"):
            session.warn(f"-{name}: {line}")
        session.warn(usage_line(session, name))
        return error.exit_code


def usage_line(session: Session, name: str) -> str:
    return f"Usage: {session.program}{synopsis(name)}"


def synopsis(name: str) -> str:
    """A verb and what may stand behind it."""
    usage = verb_class(name).usage
    return f"-{name} {usage}" if usage else f"-{name}"
