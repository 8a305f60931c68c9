"""Our shell beside Hadoop's own: the same commands, the same output and exit codes."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shell_runner import Shell

if TYPE_CHECKING:
    from java_client import JavaClient

pytestmark = [pytest.mark.peers, pytest.mark.requirement("F01"), pytest.mark.requirement("D01")]


@dataclass
class Both:
    """Runs each command twice, in a directory for either shell; the directories must have
    names of the same length. ``{}`` in a command is the directory, ``{local}`` a local one."""

    ours: Callable[[list[str], bytes, dict[str, str], str | None], tuple[int, str, str]]
    theirs: Callable[[list[str], bytes, dict[str, str], str | None], tuple[int, str, str]]
    our_folder: str
    their_folder: str
    local: Path
    url: str
    log: list[str] = field(default_factory=list)

    def __call__(
        self,
        *words: str,
        stdin: bytes = b"",
        settings: dict[str, str] | None = None,
        user: str | None = None,
        code: int | None = None,
    ) -> tuple[int, str, str]:
        """Run ``words`` in both; what both answered. Fails where they differ."""
        answers = []
        for run, folder in (
            (self.theirs, self.their_folder),
            (self.ours, self.our_folder),
        ):
            local = self.local / folder.strip("/")
            local.mkdir(exist_ok=True)
            mine = [word.replace("{}", folder).replace("{local}", str(local)) for word in words]
            done = run([w.replace("{url}", self.url) for w in mine], stdin, settings or {}, user)
            answers.append(self._normal(done, folder))
        theirs, ours = answers
        assert ours == theirs, words
        if code is not None:
            assert ours[0] == code, ours
        return ours

    def _normal(self, answer: tuple[int, str, str], folder: str) -> tuple[int, str, str]:
        code, output, errors = answer
        # Everybody's usage behind a wrong command line is nothing that we repeat.
        errors = re.split(r"^Usage: ", errors, maxsplit=1, flags=re.M)[0]
        output, errors = (
            re.sub(
                r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?",
                "TIME",
                text.replace(folder.strip("/"), "FOLDER"),
            )
            for text in (output, errors)
        )
        # Directories of this machine are gone through in another order.
        return code, output, "\n".join(sorted(errors.splitlines()))


@pytest.fixture
def both(
    request: pytest.FixtureRequest,
    shell: Shell,
    java: JavaClient,
    cluster_url: str,
    tmp_path: Path,
) -> Both:
    def ours(
        words: list[str], stdin: bytes, settings: dict[str, str], user: str | None
    ) -> tuple[int, str, str]:
        done = shell(*words, stdin=stdin, settings=settings, user=user)
        return done.code, done.output.decode("utf-8", "surrogateescape"), done.errors

    def theirs(
        words: list[str], stdin: bytes, settings: dict[str, str], user: str | None
    ) -> tuple[int, str, str]:
        done = java.fs(cluster_url, *words, stdin=stdin, settings=settings, user=user)
        return done.code, done.output.decode("utf-8", "surrogateescape"), done.errors

    name = f"{request.node.originalname}-{zlib.crc32(request.node.name.encode()):x}"
    found = Both(ours, theirs, f"/c-{name}", f"/j-{name}", tmp_path, cluster_url)
    for folder in (found.our_folder, found.their_folder):
        assert shell("-mkdir", "-p", folder).code == 0
    return found


def fill(both: Both) -> None:
    """Some files and directories in both."""
    both("-mkdir", "-p", "{}/d/e", "{}/empty", code=0)
    both("-put", "-", "{}/f", stdin=b"hello\nworld\n", code=0)
    both("-put", "-", "{}/d/big", stdin=bytes(range(256)) * 300, code=0)
    both("-put", "-", "{}/d/e/small", stdin=b"", settings={"dfs.replication": "1"}, code=0)


@pytest.mark.parametrize(
    "flags",
    ["", "-d", "-C", "-h", "-q", "-R", "-t", "-S", "-r", "-u", "-S -r", "-R -C", "-R -S", "-t -u",
     "-h -d", "-R -h -r", "-C -d -R"],
)  # fmt: skip
def test_ls(both: Both, flags: str) -> None:
    fill(both)
    for path in ("{}", "{}/", "{}/d", "{}/f", "{}/*", "{url}{}", "hdfs://{}/d", "{}/d/../d"):
        both("-ls", *flags.split(), path, code=0)
    both("-ls", *flags.split(), "{}/none", "{}/f", "{}/no*", code=1)


def test_listing_order_and_widths(both: Both) -> None:
    for name in ("b", "a c", "a!", "a#", "Z", "ä", "z~", "a%20", "a+b", "~"):
        both("-touchz", "{}/" + name)
    both("-ls", "{}")
    both("-ls", "-r", "{}")
    both("-chown", "somebody-with-a-long-name:g", "{}/b")
    both("-setrep", "12", "{}/b")
    both("-ls", "{}")
    both("-ls", "-d", "{}/b", "{}")
    both("-ls", "{}", "{}/b")


@pytest.mark.parametrize(
    "pattern",
    ["{}/a?", "{}/a*", "{}/[ab]1", "{}/[!a]1", "{}/[^a]1", "{}/{a,b}1", "{}/{a1,d/x}", "{}/d/*",
     "{}/*/x", "{}/*/*", "{}/a[1-2]", "{}/z*", "{}/d/z*", "{}/*/z", "{}/*/a*", "{}/{z,y}",
     "{}/a\\*", "{}/.h*", "{}/**", "{}/", "{}//a1", "{}/./a1", "{}/d/../a1", "{}/a1/", "{}/d/"],
)  # fmt: skip
def test_patterns(both: Both, pattern: str) -> None:
    both("-mkdir", "{}/d")
    both("-touchz", "{}/a1", "{}/a2", "{}/b1", "{}/ab", "{}/.hidden", "{}/d/x", "{}/d/y")
    both("-ls", "-C", pattern)
    both("-ls", "-d", pattern)
    both("-stat", "%n %F", pattern)
    both("-ls", "-C", "{url}" + pattern)


def test_relative_paths(both: Both) -> None:
    """Both are in the same home, so each test of it uses names of its own."""
    home = "{}"
    user = both.our_folder.strip("/")
    both("-ls", "none-of-these", code=1)
    both("-ls", "../none/*", code=1)
    both("-mkdir", "-p", "/user/relative-tester", code=0)
    me = {"user": "relative-tester"}
    assert home
    assert user
    both("-chown", "relative-tester", "/user/relative-tester")
    both("-mkdir", "-p", "a/b", **me, code=0)
    both("-touchz", "a/f", **me, code=0)
    for words in (
        ["-ls"], ["-ls", "."], ["-ls", "a"], ["-ls", "a/"], ["-ls", "a/*"], ["-ls", "*"],
        ["-ls", ".."], ["-ls", "../relative-tester"], ["-ls", "a/../a"], ["-ls", "-R"],
        ["-ls", "-d"], ["-ls", "/user/relative-tester"], ["-ls", "-d", "../../user"],
        ["-du", "a"], ["-du"], ["-count", "a"], ["-find", "a"], ["-find"], ["-stat", "%n", "."],
        ["-ls", "{url}"], ["-ls", "{url}/user/relative-tester/a"], ["-ls", "a/none"],
    ):  # fmt: skip
        both(*words, **me)


def test_without_a_home(both: Both) -> None:
    (both.local / "x").touch()
    here = f"{both.local}/x"
    for words in (
        ["-ls"], ["-ls", "d"], ["-put", here, "."], ["-put", here], ["-put", here, "f"],
        ["-mkdir", "d"], ["-touchz", "f"], ["-du"], ["-cp", "{}", "."], ["-mv", "{}", "f"],
    ):  # fmt: skip
        both(*words, user="homeless")


@pytest.mark.parametrize(
    "words",
    [
        ["-ls", "-Z", "{}"], ["-mkdir"], ["-mkdir", "-q", "{}/x"],
        ["-rm"], ["-rm", "-x", "{}"], ["-rmdir"], ["-mv", "{}"], ["-cp", "{}"],
        ["-cp", "-z", "a", "b"],
        ["-put"], ["-put", "-z", "a", "b"], ["-get"], ["-cat"], ["-text"], ["-head"],
        ["-head", "a", "b"], ["-tail"], ["-tail", "-q", "x"], ["-stat"], ["-stat", "%n"],
        ["-test"], ["-test", "{}"], ["-test", "-e", "-d", "{}"], ["-test", "-q", "{}"],
        ["-test", "-e"], ["-test", "-e", "{}", "{}"],
        ["-touchz"], ["-touch"], ["-touch", "-t"], ["-touch", "-t", "x", "{}/f"],
        ["-chmod"], ["-chmod", "755"], ["-chmod", "999", "{}"], ["-chmod", "u+", "{}"],
        ["-chmod", "u+x,", "{}"], ["-chmod", "u+x g+x", "{}"], ["-chmod", "75", "{}"],
        ["-chmod", "2755", "{}"], ["-chmod", "u+s", "{}"], ["-chmod", "", "{}"],
        ["-chown"], ["-chown", "a"], ["-chown", "*", "{}"], ["-chown", ":", "{}"],
        ["-chown", "a:b:c", "{}"], ["-chown", "a b", "{}"],
        ["-chgrp"], ["-chgrp", "g"], ["-chgrp", "*", "{}"], ["-chgrp", ":g", "{}"],
        ["-setrep"], ["-setrep", "3"], ["-setrep", "x", "{}"], ["-setrep", "0", "{}"],
        ["-setrep", "-1", "{}"], ["-setrep", "99999", "{}"],
        ["-truncate"], ["-truncate", "1"], ["-truncate", "x", "{}"], ["-truncate", "-1", "{}"],
        ["-count"], ["-count", "-z", "{}"], ["-du", "-z", "{}"], ["-df", "-z"],
        ["-concat"], ["-concat", "{}/a"], ["-concat", "{}/a", "{}/b"],
        ["-concat", "{}/a", "{}/b", "{}/c"], ["-checksum"], ["-getmerge", "{}"],
        ["-appendToFile"], ["-appendToFile", "{}"], ["-appendToFile", "-x", "{}"],
        ["-find", "{}", "-foo"], ["-find", "{}", "-name", "x", "y"], ["-find", "nowhere-at-all"],
        ["-expunge", "a", "b", "c"], ["-usage", "nosuch"], ["-help", "nosuch"],
        ["-nosuch"], ["nosuch"], ["-ls", "foo://bar/x"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_command_lines(both: Both, words: list[str]) -> None:
    both(*words)


def test_mkdir(both: Both) -> None:
    both("-mkdir", "{}/a", code=0)
    both("-mkdir", "{}/a", code=1)
    both("-mkdir", "-p", "{}/a", "{}/b/c", code=0)
    both("-mkdir", "{}/x/y", code=1)
    both("-mkdir", "{}/a/b/", code=0)
    both("-touchz", "{}/f")
    both("-mkdir", "{}/f", code=1)
    both("-mkdir", "-p", "{}/f", code=1)
    both("-mkdir", "{}/f/g", code=1)
    both("-mkdir", "-p", "{}/f/g", code=1)
    both("-mkdir", "/", code=1)
    both("-mkdir", "{}/p", "{}/p", "{}/q/r", "{}/s", code=1)
    both("-ls", "-R", "-C", "{}")


def test_rm_and_rmdir(both: Both) -> None:
    fill(both)
    both("-rm", "{}/d", code=1)
    both("-rm", "{}/none", code=1)
    both("-rm", "-f", "{}/none", code=0)
    both("-rm", "-f", "{}/none*", code=0)
    both("-rm", "{}/none*", code=1)
    both("-rm", "{}/f", "{}/none", "{}/d/big", code=1)
    both("-rmdir", "{}/d", "{}/f", "{}/empty", code=1)
    both("-rmdir", "--ignore-fail-on-non-empty", "{}/d", code=0)
    both("-rm", "-r", "{}/d/*", code=0)
    both("-rm", "-R", "-skipTrash", "{}/d", code=0)
    both("-rmr", "{}/none", code=1)
    both("-ls", "-R", "{}")


@pytest.mark.parametrize("verb", ["-mv", "-cp"])
def test_mv_and_cp(both: Both, verb: str) -> None:
    fill(both)
    both(verb, "{}/f", "{}/g", code=0)
    both(verb, "{}/g", "{}/d", code=0)
    both("-put", "-", "{}/f2", stdin=b"2")
    both("-put", "-", "{}/f3", stdin=b"3")
    both(verb, "{}/f2", "{}/f3", code=1)
    both(verb, "{}/f2", "{}/f3", "{}/f4", code=1)
    both(verb, "{}/f2", "{}/f3", "{}/none", code=1)
    both(verb, "{}/f2", "{}/f3", "{}/empty", code=0)
    both(verb, "{}/none", "{}/x", code=1)
    both(verb, "{}/none*", "{}/x", code=1)
    both(verb, "{}/d", "{}/no/such", code=1)
    both(verb, "{}/d", "{}/d/e", code=1)
    both(verb, "{}/d", "{}/d", code=1)
    both(verb, "{}/d/", "{}/renamed", code=0)
    both(verb, "{}/renamed/big", "{}/new/", code=1)
    both(verb, "{}/renamed/*", "{}/empty", code=0)
    both(verb, "{}/empty/big", "{}/em*", code=1)
    both("-ls", "-R", "-C", "{}")
    both("-count", "{}")


def test_cp_with_flags(both: Both) -> None:
    fill(both)
    both("-touch", "-t", "20200102:030405", "{}/f")
    both("-chmod", "600", "{}/f")
    both("-chown", "ann:crew", "{}/f")
    both("-cp", "-p", "{}/f", "{}/g", code=0)
    both("-stat", "%a %u %g %Y %X", "{}/g")
    both("-cp", "-pt", "{}/f", "{}/h", code=0)
    both("-stat", "%a %u %g %Y", "{}/h")
    both("-cp", "-f", "-po", "{}/f", "{}/h", code=0)
    both("-stat", "%a %u %g", "{}/h")
    both("-cp", "-d", "-t", "3", "{}/d", "{}/f", "{}/empty", code=0)
    both("-cp", "{}/f", "{}/empty/f", code=1)
    both("-cp", "-f", "{}/f", "{}/empty/f", code=0)
    both("-ls", "-R", "-C", "{}")
    both("-cat", "{}/empty/d/big")


def tree(local: Path) -> None:
    for name in ("t/a", "t/b/c", "t/b/d/e"):
        place = local / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name * 100)
    (local / "t/empty").mkdir(exist_ok=True)


def test_put_and_get(both: Both) -> None:
    for folder in (both.our_folder, both.their_folder):
        tree(both.local / folder.strip("/"))
    for verb in ("-put", "-copyFromLocal"):
        into = "{}/" + verb[1:]
        both("-mkdir", into)
        both(verb, "{local}/t", into, code=0)
        both(verb, "{local}/t", into, code=1)
        both(verb, "-f", "{local}/t", into, code=0)
        both(verb, "{local}/t/a", into + "/a", code=0)
        both(verb, "{local}/t/a", into + "/a", code=1)
        both(verb, "-f", "{local}/t/a", into + "/a", code=0)
        both(verb, "-f", "-d", "-p", "-t", "2", "{local}/t/a", "{local}/t/b", into, code=0)
        both(verb, "{local}/t/a", "{local}/t/b", into + "/none", code=1)
        both(verb, "{local}/t/a", "{local}/t/b", into + "/a", code=1)
        both(verb, "{local}/none", into + "/x", code=1)
        both(verb, "{local}/t/a", into + "/no/such", code=1)
        both(verb, "{local}/t/a", into + "/new/", code=1)
        both(verb, "file://{local}/t/a", into + "/uri", code=0)
        both(verb, "-", into + "/stdin", stdin=b"in", code=0)
        both(verb, "-", into + "/stdin", stdin=b"in", code=1)
        both(verb, "-f", "-", into + "/stdin", stdin=b"again", code=0)
        both(verb, "-", into, stdin=b"in", code=0)
        both("-cat", into + "/stdin", into + "/-")
        both("-ls", "-R", into)
    for verb in ("-get", "-copyToLocal"):
        into = "{local}/" + verb[1:]
        both(verb, "{}/put/t", into, code=0)
        both(verb, "{}/put/stdin", into, code=0)
        both(verb, "{}/put/stdin", into, code=1)
        both(verb, "-f", "{}/put/stdin", into, code=0)
        both(verb, "-crc", "{}/put/t/b", into + "-crc", code=0)
        # This machine must know the owner and the group.
        both("-chown", "root:root", "{}/put/t/a")
        both(verb, "-p", "-ignoreCrc", "{}/put/t/a", into + "-kept", code=0)
        both(verb, "{}/put/none", into, code=1)
        both(verb, "{}/put/none*", into, code=1)
        both(verb, "{}/put/t/a", "{}/put/t/b", "{local}/none", code=1)
        both(verb, "{}/put/t/a", "{local}/no/such", code=1)
    ours, theirs = (
        {
            str(path.relative_to(top)): path.read_bytes() if path.is_file() else None
            for path in sorted(top.rglob("*"))
        }
        for top in (both.local / name.strip("/") for name in (both.our_folder, both.their_folder))
    )
    assert ours == theirs
    assert "get-crc/.c.crc" in ours


def test_move_from_local(both: Both) -> None:
    for folder in (both.our_folder, both.their_folder):
        tree(both.local / folder.strip("/"))
    both("-moveFromLocal", "{local}/t/a", "{}/a", code=0)
    both("-moveFromLocal", "{local}/t/a", "{}/a", code=1)
    both("-moveFromLocal", "{local}/t/b", "{}", code=0)
    both("-moveFromLocal", "-t", "2", "{local}/t", "{}", code=255)
    both("-ls", "-R", "{}")
    for folder in (both.our_folder, both.their_folder):
        assert os.listdir(both.local / folder.strip("/") / "t") == ["empty"]


def test_reading(both: Both) -> None:
    import gzip

    fill(both)
    both("-put", "-", "{}/z.gz", stdin=gzip.compress(b"packed ") + gzip.compress(b"twice"))
    both("-put", "-", "{}/one", stdin=b"1")
    both("-put", "-", "{}/nothing", stdin=b"")
    both("-put", "-", "{}/broken.gz", stdin=gzip.compress(os.urandom(1000))[:-20])
    for verb in ("-cat", "-text", "-head", "-tail"):
        for name in ("f", "d/big", "one", "nothing"):
            both(verb, "{}/" + name, code=0)
        both(verb, "{}/none", code=1)
        both(verb, "{}/d", code=1)
    both("-cat", "{}/f", "{}/none", "{}/one", code=1)
    both("-cat", "{}/*", code=1)
    both("-cat", "-ignoreCrc", "{}/f", code=0)
    both("-text", "{}/z.gz", code=0)
    # Ours names the file.
    for run, folder in ((both.ours, both.our_folder), (both.theirs, both.their_folder)):
        code, _, errors = run(["-text", f"{folder}/broken.gz"], b"", {}, None)
        assert code == 1
        assert "Unexpected end of" in errors


def test_getmerge(both: Both) -> None:
    fill(both)
    for flags in ([], ["-nl"], ["-nl", "-skip-empty-file"]):
        both("-getmerge", *flags, "{}/f", "{}/d", "{}/d/e", "{local}/merged", code=0)
        ours, theirs = (
            (both.local / name.strip("/") / "merged").read_bytes()
            for name in (both.our_folder, both.their_folder)
        )
        assert ours == theirs
    both("-getmerge", "{}/f", "{}/none", "{local}/other", code=1)
    both("-getmerge", "{}/f", "{local}", code=1)


def test_append(both: Both) -> None:
    both("-appendToFile", "-", "{}/a", stdin=b"one", code=0)
    both("-appendToFile", "-", "{}/a", stdin=b"two", code=0)
    both("-appendToFile", "-n", "-", "{}/a", stdin=b"three", code=0)
    both("-cat", "{}/a")
    both("-appendToFile", "-", "{}", stdin=b"", code=1)
    both("-appendToFile", "-", "{local}", "{}/a", stdin=b"", code=1)


def test_stat(both: Both) -> None:
    fill(both)
    both("-touch", "-t", "20200102:030405", "{}/f", "{}/d", code=0)
    both("-chmod", "1641", "{}/f")
    for form in ("%a", "%A", "%b", "%F", "%g", "%n", "%o", "%r", "%u", "%x", "%X", "%y", "%Y"):
        both("-stat", form, "{}/f", code=0)
        if form not in ("%x", "%X"):
            both("-stat", form, "{}/d", code=0)
    both("-stat", "%a %A|%b%%%q%n%", "{}/f", "{}/d", "{}/none", code=1)
    both("-stat", "{}/f", code=0)
    both("-stat", "-R", "%n %F", "{}", code=0)
    both("-stat", "%n", "/", code=0)
    both("-stat", "%n", "{}/*", code=0)


@pytest.mark.parametrize(
    "mode",
    ["644", "0755", "1777", "+777", "u+x", "go-r", "a=rwx", "+x", "-w", "o=", "u+x,g+w,o=r", "+t",
     "o+t", "o-t", "u+t", "a+X", "u=rX", "g+rw,g-r", "ug=rw,o=x", "=r", " 755 ", "u+x, g+x",
     "u-x,a+X", "uu+x"],
)  # fmt: skip
def test_chmod(both: Both, mode: str) -> None:
    fill(both)
    for start in ("000", "755", "1641"):
        both("-chmod", "-R", start, "{}", code=0)
        both("-chmod", "-R", mode, "{}")
        both("-ls", "-R", "{}")


def test_chmod_and_chown_refused(both: Both) -> None:
    fill(both)
    both("-chmod", "700", "{}/none", "{}/f", code=1)
    both("-chmod", "777", "{}/f", user="eve", code=1)
    both("-chown", "eve", "{}/f", user="eve", code=1)
    both("-chgrp", "-R", "crew", "{}/d", user="eve", code=1)
    both("-chown", "-R", "ann:crew", "{}/d", code=0)
    both("-chown", "bob", "{}/d", code=0)
    both("-chown", ":team", "{}/d/e", code=0)
    both("-chown", "bob:", "{}/d/e", code=0)
    both("-chgrp", "g-1.2_x@y", "{}/f", code=0)
    both("-ls", "-R", "{}")


def test_permission_denied(both: Both) -> None:
    fill(both)
    both("-chmod", "700", "{}/d", "{}/empty")
    both("-chmod", "600", "{}/f")
    me = {"user": "eve", "code": 1}
    for words in (
        ["-ls", "{}/d"], ["-ls", "{}/d/big"], ["-cat", "{}/f"], ["-cat", "{}/d/big"],
        ["-mkdir", "{}/x"], ["-mkdir", "-p", "{}/x/y"], ["-rm", "{}/f"], ["-rm", "-r", "{}/d"],
        ["-touchz", "{}/x"], ["-touch", "{}/f"], ["-mv", "{}/f", "{}/g"], ["-ls", "{}/d/*"],
        ["-cp", "{}/f", "{}/g"], ["-setrep", "2", "{}/f"], ["-du", "{}/d"], ["-count", "{}/d"],
        ["-rmdir", "{}/empty"], ["-stat", "{}/d/big"], ["-get", "{}/f", "{local}/got"],
        ["-ls", "-R", "{}"], ["-find", "{}"], ["-tail", "{}/f"], ["-test", "-r", "{}/f"],
        ["-test", "-w", "{}/f"], ["-truncate", "1", "{}/f"], ["-test", "-r", "{}/none"],
        ["-checksum", "{}/f"],
    ):  # fmt: skip
        both(*words, **me)  # type: ignore[arg-type]
    both("-put", "-", "{}/x", stdin=b"x", **me)  # type: ignore[arg-type]


def test_touch(both: Both) -> None:
    fill(both)
    both("-touchz", "{}/new", "{}/f", "{}/d", "{}/no/such", code=1)
    both("-touchz", "{}/new", code=0)
    both("-touch", "-t", "20200102:030405", "{}/f", "{}/d", code=0)
    both("-stat", "%Y %X", "{}/f")
    both("-touch", "-a", "-t", "20210102:030405", "{}/f", code=0)
    both("-touch", "-m", "-t", "20220102:030405", "{}/f", code=0)
    both("-stat", "%Y %X", "{}/f")
    both("-touch", "-a", "-m", "-t", "20230142:250405", "{}/f", code=0)
    both("-stat", "%Y %X", "{}/f")
    both("-touch", "-c", "{}/none", code=0)
    both("-touch", "{}/no/such", code=1)
    both("-touch", "-t", "20200102:030405", "{}/made", code=0)
    both("-stat", "%n %Y %b", "{}/made", "{}/d", "{}/f")


def test_test(both: Both) -> None:
    fill(both)
    for letter in "defswrz":
        for name in ("f", "d", "d/e/small", "none", "f/below"):
            both("-test", f"-{letter}", "{}/" + name)


def test_setrep(both: Both) -> None:
    fill(both)
    both("-setrep", "2", "{}/f", "{}/none", code=1)
    both("-setrep", "-R", "1", "{}/d", code=0)
    both("-ls", "-R", "{}")
    both("-setrep", "1", "{}", code=0)
    for run, folder in ((both.ours, both.our_folder), (both.theirs, both.their_folder)):
        code, output, _ = run(["-setrep", "-w", "3", f"{folder}/f"], b"", {}, None)
        assert code == 0
        assert re.fullmatch(
            rf"Replication 3 set: {folder}/f\nWaiting for {folder}/f \.\.\.\.* done\n", output
        )


def test_sums(both: Both) -> None:
    fill(both)
    both("-put", "-", "{}/larger", stdin=bytes(1_500_000), code=0)
    for words in (
        ["-du", "{}"], ["-du", "-s", "{}"], ["-du", "-h", "{}"], ["-du", "-v", "{}"],
        ["-du", "-s", "-h", "-v", "{}"], ["-du", "-x", "{}"], ["-du", "{}/f", "{}/d"],
        ["-du", "{}/none", "{}/f"], ["-du", "{}/*"], ["-dus", "{}"], ["-lsr", "{}"],
        ["-count", "{}"], ["-count", "-q", "{}"], ["-count", "-h", "{}"], ["-count", "-v", "{}"],
        ["-count", "-q", "-v", "{}"], ["-count", "-q", "-h", "{}/*"], ["-count", "-u", "-v", "{}"],
        ["-count", "-x", "{}"], ["-count", "-q", "-x", "{}"], ["-count", "{}/f", "{}/none"],
        ["-count", "-u", "{}/d"],
    ):  # fmt: skip
        both(*words)


def test_df(both: Both) -> None:
    """Free space changes from one moment to the next."""
    for words in (["-df"], ["-df", "{}"], ["-df", "-h", "{}", "/"]):
        shapes = [
            [re.sub(r"[\d.]+ ?[KMGTP]?|\d+", "#", line).split() for line in lines.splitlines()]
            for lines in (
                both.ours([w.replace("{}", both.our_folder) for w in words], b"", {}, None)[1],
                both.theirs([w.replace("{}", both.their_folder) for w in words], b"", {}, None)[1],
            )
        ]
        assert shapes[0] == shapes[1]
    both("-df", "{}/none", code=1)


def test_checksum(both: Both) -> None:
    fill(both)
    both("-put", "-", "{}/blocks", stdin=os.urandom(3000), settings={"dfs.blocksize": "1024"})
    both("-checksum", "{}/f", "{}/d/big", "{}/d/e/small", "{}/d", "{}/none", code=1)
    both("-checksum", "-v", "{}/f", "{}/d/big", code=0)
    composite = {"dfs.checksum.combine.mode": "COMPOSITE_CRC"}
    both("-checksum", "{}/f", "{}/d/big", settings=composite, code=0)


def test_find(both: Both) -> None:
    fill(both)
    for words in (
        [], ["-print"], ["-name", "f"], ["-name", "*g"], ["-iname", "BIG"],
        ["-name", "b*", "-print"],
        ["-name", "*", "-a", "-name", "f"], ["-name", "[bf]*", "-and", "-name", "?"],
        ["-print0"], ["-name", "{big,f}"], ["-print", "-name", "f"],
    ):  # fmt: skip
        both("-find", "{}", *words, code=0)
    both("-find", "{}/none", "{}/f", code=1)
    both("-find", "{}/d/*", "-name", "small", code=0)


def test_truncate_and_concat(both: Both) -> None:
    fill(both)
    both("-truncate", "-w", "5", "{}/f", code=0)
    both("-cat", "{}/f")
    both("-truncate", "100", "{}/f", code=255)
    both("-truncate", "5", "{}/f", code=0)
    both("-truncate", "0", "{}/none", code=1)
    both("-truncate", "0", "{}/d", code=1)
    small = {"dfs.blocksize": "1024"}
    for name in "abc":
        both("-put", "-", "{}/" + name, stdin=name.encode() * 1024, settings=small, code=0)
    both("-concat", "{}/a", "{}/b", "{}/none", code=1)
    both("-concat", "{}/a", "{}/b", "{}/c", code=0)
    both("-cat", "{}/a")
    both("-ls", "-C", "{}")


def test_the_trash(both: Both) -> None:
    """Either shell finds what the other threw away."""
    on = {"fs.trash.interval": "60"}
    fill(both)
    for run, folder in ((both.ours, both.our_folder), (both.theirs, both.their_folder)):
        code, output, _ = run(["-rm", f"{folder}/f"], b"", on, "tosser")
        assert code == 1, "no permission yet"
        assert output == ""
    both("-chmod", "-R", "777", "{}")
    both("-mkdir", "-p", "/user/tosser")
    both("-chown", "tosser", "/user/tosser")
    for run, folder in ((both.ours, both.our_folder), (both.theirs, both.their_folder)):
        for path in ("f", "d/big", "d"):
            code, output, _ = run(["-rm", "-r", f"{folder}/{path}"], b"", on, "tosser")
            assert (code, output) == (0, "")
        for shell in (both.ours, both.theirs):
            current = f"/user/tosser/.Trash/Current{folder}"
            assert shell(["-cat", f"{current}/f"], b"", {}, None)[1] == "hello\nworld\n"
            assert shell(["-test", "-e", f"{current}/d/big"], b"", {}, None)[0] == 0
        # A second thing of the same name goes beside the first.
        assert run(["-touchz", f"{folder}/f"], b"", {}, "tosser")[0] == 0
        assert run(["-rm", f"{folder}/f"], b"", on, "tosser")[0] == 0
        found = run(["-ls", "-C", current], b"", {}, None)[1].split()
        assert len([path for path in found if path.rpartition("/")[2].startswith("f")]) == 2
        # What is in the trash is deleted for good.
        code, output, _ = run(["-rm", f"{current}/f"], b"", on, "tosser")
        assert (code, output) == (0, f"Deleted {current}/f\n")
        refusal = run(["-rm", "-r", "/user/tosser"], b"", on, "tosser")
        assert refusal[0] == 1
        assert "as it contains the trash. Consider using -skipTrash option" in refusal[2]
    for first, second in ((both.ours, both.theirs), (both.theirs, both.ours)):
        assert first(["-expunge"], b"", on, "tosser")[:2] == (0, "")
        assert len(second(["-ls", "/user/tosser/.Trash"], b"", {}, None)[1].splitlines()) == 2
        assert second(["-expunge", "-immediate"], b"", on, "tosser")[:2] == (0, "")
        assert first(["-ls", "/user/tosser/.Trash"], b"", {}, None)[1] == ""
        run(["-touchz", f"{both.our_folder}/x"], b"", {}, "tosser")
        run(["-rm", f"{both.our_folder}/x"], b"", on, "tosser")
