"""Operations that a real NameNode and ours are both asked, and what ours answers.

An operation is a list of words: user, verb, arguments. An answer is ``ok`` with a result,
or ``err`` with the Java class of the exception. See ``capture_namenode.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

from namespace_world import ALICE, BOB, CREATE, OVERWRITE, ROOT, World

from cairnfs.errors import CairnError
from cairnfs.namespace import attributes, concat, recovery, status, summary, truncating, writing
from cairnfs.namespace.listing import get_listing
from cairnfs.types import Caller, FileStatus

T = TypeVar("T")
CALLERS = {"root": ROOT, "alice": ALICE, "bob": BOB}
Words = list[str]


def answer(world: World, words: Words) -> Words:
    """What our namespace says to an operation."""
    user, verb, *arguments = words
    world.now_ms += 1
    try:
        return ["ok", VERBS[verb](world, CALLERS[user], *arguments)]
    except CairnError as error:
        return ["err", error.java_class]


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _granted(result: T | recovery.Refused) -> T:
    if isinstance(result, recovery.Refused):
        raise result.error
    return result


def _shown(found: FileStatus | None) -> str:
    if found is None:
        return "null"
    kind = "d" if found.children >= 0 else "f"
    return (
        f"{kind} {found.length} {found.mode:o} {found.owner} {found.group} {found.replication}"
        f" {found.block_size} {max(0, found.children)}"
    )


def _mkdirs(world: World, caller: Caller, path: str, mode: str, parents: str) -> str:
    world.mkdirs(path, int(mode, 8), caller, parents == "true")
    return "true"


def _create(
    world: World,
    caller: Caller,
    path: str,
    mode: str,
    holder: str,
    overwrite: str,
    parents: str,
    replication: str,
) -> str:
    created = _granted(
        world.create(
            path,
            caller,
            holder,
            OVERWRITE if overwrite == "true" else CREATE,
            int(mode, 8),
            parents == "true",
            int(replication),
        )
    )
    return _shown(world.created_status(created))


def _complete(world: World, caller: Caller, path: str, holder: str) -> str:
    done = world.write(
        lambda tx: writing.complete(
            world.ns, tx, world.replicas, caller, world.now_ms, path, 0, holder, None
        )
    )
    return _flag(done.done)


def _rename2(world: World, caller: Caller, source: str, target: str, overwrite: str) -> str:
    world.rename2(source, target, caller, overwrite == "true")
    return "true"


def _chmod(world: World, caller: Caller, path: str, mode: str) -> str:
    world.chmod(path, int(mode, 8), caller)
    return ""


def _chown(world: World, caller: Caller, path: str, owner: str, group: str) -> str:
    world.chown(path, owner or None, group or None, caller)
    return ""


def _times(world: World, caller: Caller, path: str, mtime: str, atime: str) -> str:
    world.write(lambda tx: attributes.set_times(world.ns, tx, caller, path, int(mtime), int(atime)))
    return ""


def _setrep(world: World, caller: Caller, path: str, replication: str) -> str:
    change = world.write(
        lambda tx: attributes.set_replication(world.ns, tx, caller, path, int(replication))
    )
    return _flag(change.is_file)


def _list(world: World, caller: Caller, path: str, start_after: str) -> str:
    page = world.read(lambda tx: get_listing(world.ns, tx, caller, path, start_after.encode()))
    return "null" if page is None else f"{b' '.join(page.names).decode()}|{page.remaining}"


def _blocks(world: World, caller: Caller, path: str) -> str:
    found = world.blocks(path, 0, 100, caller)
    return f"{found.file_length} {_flag(found.under_construction)} {_flag(found.is_last_complete)}"


def _summary(world: World, caller: Caller, path: str) -> str:
    found = world.read(lambda tx: summary.get_content_summary(world.ns, tx, caller, path))
    return (
        f"{found.length} {found.file_count} {found.directory_count}"
        f" {found.space_consumed} {found.quota}"
    )


def _recover(world: World, caller: Caller, path: str, holder: str) -> str:
    release = world.write(
        lambda tx: recovery.recover_lease(
            world.ns, tx, world.replicas, caller, world.now_ms, path, holder
        )
    )
    return _flag(release.outcome is recovery.Outcome.CLOSED)


def _truncate(world: World, caller: Caller, path: str, length: str, holder: str) -> str:
    cut = _granted(
        world.write(
            lambda tx: truncating.truncate(
                world.ns, tx, world.replicas, caller, world.now_ms, path, int(length), holder
            )
        )
    )
    return _flag(cut.done)


def _concat(world: World, caller: Caller, target: str, sources: str) -> str:
    world.write(
        lambda tx: concat.concat(world.ns, tx, caller, world.now_ms, target, sources.split(","))
    )
    return ""


def _fsync(world: World, caller: Caller, path: str, holder: str) -> str:
    world.write(lambda tx: writing.fsync(world.ns, tx, caller, path, 0, holder, -1))
    return ""


VERBS: dict[str, Callable[..., str]] = {
    "mkdirs": _mkdirs,
    "create": _create,
    "complete": _complete,
    "append": lambda w, c, path, holder: _shown(_granted(w.append(path, holder, c)).status),
    "delete": lambda w, c, path, recursive: _flag(w.delete(path, c, recursive == "true").deleted),
    "rename": lambda w, c, source, target: _flag(w.rename(source, target, c)),
    "rename2": _rename2,
    "chmod": _chmod,
    "chown": _chown,
    "times": _times,
    "setrep": _setrep,
    "stat": lambda w, c, path: _shown(w.stat(path, c)),
    "list": _list,
    "blocks": _blocks,
    "summary": _summary,
    "recover": _recover,
    "truncate": _truncate,
    "closed": lambda w, c, path: _flag(w.read(lambda tx: status.is_file_closed(w.ns, tx, c, path))),
    "blocksize": lambda w, c, path: str(
        w.read(lambda tx: status.get_preferred_block_size(w.ns, tx, c, path))
    ),
    "concat": _concat,
    "fsync": _fsync,
}

# Paths that are not like the others. What we answer differently on purpose is not here:
# relative paths (a Java AssertionError there) and snapshots, which we do not have.
_ODD_PATHS = [
    "/",
    "/.reserved",
    "/.reserved/.inodes",
    "/.reserved/.inodes/16385",
    "/.reserved/.inodes/99999",
    "/.reserved/.inodes/x",
    "/.reserved/x",
    "/a//b",
    "/a/",
    "/a/./b",
    "/a/../b",
    "/a:b",
    "/" + "n" * 256,
    "/a/.reserved",
]
_MODES = [0o755, 0o777, 0o1777, 0o700, 0o750, 0o644, 0o666, 0o000, 0o711, 0o733, 0o775]
_WEIGHTS = {"mkdirs": 4, "create": 5, "complete": 3, "rename": 2, "rename2": 2, "chmod": 2}
_WEIGHTS |= {"chown": 2, "stat": 2, "list": 2}


class Operations:
    """Operations at random on a tree of few names, so that they meet each other."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def take(self, count: int) -> Iterator[Words]:
        waiting: list[Words] = []
        for _ in range(count):
            if not waiting:
                waiting = self._next()
            yield waiting.pop()

    def _next(self) -> list[Words]:
        chance = self._random.random()
        if chance < 0.02:
            # Otherwise the tree fills up and nobody may do anything.
            return [["root", "delete", f"/{name}", "true"] for name in "ab"]
        if chance < 0.06:
            return [["root", "chmod", "/", self._random.choice(["777", "755", "1777"])]]
        user = self._random.choice(["root", "root", "alice", "alice", "bob"])
        weights = [_WEIGHTS.get(verb, 1) for verb in VERBS]
        (verb,) = self._random.choices(list(VERBS), weights)
        return [[user, verb, *self._arguments(verb)]]

    def _arguments(self, verb: str) -> Words:
        choose, path = self._random.choice, self._path()
        flag, holder = choose(["true", "false"]), choose(["h1", "h2"])
        mode = f"{choose([*_MODES, self._random.randrange(0o2000)]):o}"
        groups = ["", "staff", "ops", "supergroup"]
        replication = choose(["1", "3", "3", "512", "513", "0"])
        more: dict[str, Words] = {
            "mkdirs": [mode, flag],
            "create": [mode, holder, flag, choose(["true", "false"]), replication],
            "rename": [self._path()],
            "rename2": [self._path(), flag],
            "delete": [flag],
            "chmod": [mode],
            "chown": [choose(["", "alice", "bob", "root"]), choose(groups)],
            "times": [choose(["-1", "5"]), choose(["-1", "7"])],
            "setrep": [replication],
            "list": [choose(["", "", "a", "b", "/a", "/.reserved/.inodes/1"])],
            "truncate": [choose(["0", "5"]), holder],
            "concat": [",".join(self._path() for _ in range(choose([1, 1, 2])))],
        }
        if verb in ("complete", "append", "recover", "fsync"):
            return [path, holder]
        return [path, *more.get(verb, [])]

    def _path(self) -> str:
        choose = self._random.choice
        if self._random.random() < 0.03:
            return choose(_ODD_PATHS)
        return "/" + "/".join(choose("abcd") for _ in range(choose([1, 1, 2, 2, 2, 3, 3, 4])))
