"""``cairn fs`` against a cluster: streams, failures, settings, interruptions."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from shell_runner import Shell, run
from terminal_process import CAIRN, Terminal, plain_environment

from cairnfs.testing import free_port


def process(*words: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """Exit code, output and errors of ``cairn fs`` as a process of its own."""
    done = subprocess.run(
        [CAIRN, "fs", *words], input=stdin, capture_output=True, check=False,
        env=plain_environment(),
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr.decode()


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.requirement("D01")
def test_standard_input_and_output(cluster_url: str, folder: str) -> None:
    data = os.urandom(3_000_000)
    here = ["-fs", cluster_url]
    assert process(*here, "-put", "-", f"{folder}/f", stdin=data) == (0, b"", "")
    assert process(*here, "-cat", f"{folder}/f") == (0, data, "")
    assert process(*here, "-get", f"{folder}/f", "-") == (0, data, "")
    assert process(*here, "-appendToFile", "-", f"{folder}/f", stdin=b"tail") == (0, b"", "")
    assert process(*here, "-tail", f"{folder}/f") == (0, (data + b"tail")[-1024:], "")
    assert process(*here, "-getmerge", "-nl", f"{folder}/f", f"{folder}/f", "-") == (
        *(0, (data + b"tail\n") * 2),
        "",
    )


@pytest.mark.requirement("D03")
def test_a_reader_that_has_enough_is_no_failure(cluster_url: str, folder: str) -> None:
    here = ["-fs", cluster_url]
    assert process(*here, "-put", "-", f"{folder}/f", stdin=bytes(5_000_000))[0] == 0
    for words in (["-cat", f"{folder}/f"], ["-ls", "-R", "/"]):
        with subprocess.Popen(
            [CAIRN, "fs", *here, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=plain_environment(),
        ) as running:  # fmt: skip
            assert running.stdout is not None
            assert running.stderr is not None
            running.stdout.read(1)
            running.stdout.close()
            assert running.stderr.read() == b""
            assert running.wait() in (0, 141)


def test_names_that_are_no_text(cluster_url: str, folder: str, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff\xfe"
    with open(odd, "wb") as file:
        file.write(b"odd")
    assert process("-fs", cluster_url, "-ls", "-C", os.fsdecode(odd))[0] == 1
    done = subprocess.run(
        [CAIRN, "fs", "-ls", "-C", b"file://" + odd], capture_output=True, check=False,
        env=plain_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"file://" + odd + b"\n")


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.requirement("D03")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["-cat", "/none"], 1, "cat: `/none': No such file or directory\n"),
        (["-put", "/none", "/x"], 1, "put: `/none': No such file or directory\n"),
        (["-ls", "/\0"], 1, "ls: '/\\x00' is no path\n"),
        (["-ls", "/a{b"], 1, "ls: a{b has an open brace\n"),
        (["-cp", "-pz", "/a", "/b"], 255, "-cp: No attribute for z\nUsage: cairn fs"),
        (["-find", "/", "-name"], 255, "-find: -name needs a pattern behind it\n"),
        (["-find", "/", "-a"], 255, "-find: -a needs a part before and behind it\n"),
        (["-get", "-t", "x", "/a", "b"], 255, '-get: For input string: "x"\n'),
        (["-text", "/none"], 1, "text: `/none': No such file or directory\n"),
        (["-appendToFile", "/none", "/x"], 1, "appendToFile: `/none': No such file or directory"),
        (["-ls", "/" + "n" * 9000], 1, "ls: a path of 9001 characters; at most 8000 are taken"),
        (["-unheard-of"], 255, "-unheard-of: Unknown command\n"),
        (["ls"], 255, "ls: Unknown command\nDid you mean -ls?"),
        ([], 255, "Usage: cairn fs [generic options] -VERB"),
        (["-D", "x"], 255, "fs: -D x: write -D property=value\n"),
        (["-D", "dfs.replication=many", "-ls", "/"], 1, "ls: flag for dfs.replication:"),
        (["-conf", "/none", "-ls", "/"], 1, "fs: --conf /none is neither"),
        (["-fs", "ftp://x", "-ls", "/"], 1, "ls: fs.defaultFS = 'ftp://x' is no address"),
    ],
)
def test_failures_are_sentences(shell: Shell, words: list[str], code: int, says: str) -> None:
    done = shell(*words)
    assert (done.code, done.output) == (code, b"")
    assert done.errors.startswith(says)
    assert "Traceback" not in done.errors


@pytest.mark.requirement("D03")
def test_a_local_file_that_may_not_be_written(shell: Shell, folder: str, tmp_path: Path) -> None:
    assert shell("-touchz", f"{folder}/f").code == 0
    (tmp_path / "file").touch()
    done = shell("-get", f"{folder}/f", f"{tmp_path}/file/below")
    assert done.code == 1
    assert re.fullmatch(rf"get: [^\n]*{tmp_path}/file[^\n]*\n", done.errors)
    assert shell("-get", f"{folder}/f", "/dev/full").code == 1


@pytest.mark.requirement("D03")
def test_nobody_is_there() -> None:
    port = free_port()
    quick = ["-D", "ipc.client.connect.max.retries=0"]
    done = run(["-fs", f"hdfs://127.0.0.1:{port}", *quick, "-ls", "/"])
    assert done.code == 1
    assert done.errors == (
        f"ls: 127.0.0.1:{port} cannot be reached: Connection refused; is it running?\n"
    )


@pytest.mark.requirement("D03")
def test_somebody_else_is_there() -> None:
    """A port that answers with anything but Hadoop RPC."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            visitor, _ = door.accept()
            with visitor:
                visitor.recv(1000)
                visitor.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        port = door.getsockname()[1]
        done = run(["-fs", f"hdfs://127.0.0.1:{port}", "-ls", "/"])
        thread.join()
    assert done.code == 1
    assert re.fullmatch(r"ls: [^\n]+\n", done.errors)


@pytest.mark.requirement("D03")
def test_a_defect_of_ours_is_a_sentence_too(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    our_faults: list[logging.LogRecord],
) -> None:
    from cairnfs.shell.verbs.ls import Ls

    def broken(self: Ls, words: list[str]) -> list[str]:
        raise ZeroDivisionError("nothing to see\nhere")

    monkeypatch.setattr(Ls, "options", broken)
    assert shell("-ls", "/").code == 255
    [record] = our_faults
    assert record.getMessage() == (
        "our fault: fs: internal error: ZeroDivisionError: nothing to see"
    )
    assert record.exc_info is None
    our_faults.clear()


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.requirement("D04")
def test_block_size_replication_and_address(cluster_url: str, folder: str, tmp_path: Path) -> None:
    site = tmp_path / "hdfs-site.xml"
    site.write_text(
        "<configuration>"
        f"<property><name>fs.defaultFS</name><value>{cluster_url}</value></property>"
        "<property><name>dfs.blocksize</name><value>4096</value></property>"
        "<property><name>dfs.replication</name><value>1</value></property>"
        "</configuration>"
    )

    def stat_of_put(*words: str, **environ: str) -> str:
        put = run([*words, "-put", "-f", "-", f"{folder}/f"], b"x", environ)
        assert put.code == 0, put
        return run([*words, "-stat", "%o %r", f"{folder}/f"], environ=environ).text

    by_file = {"HADOOP_CONF_DIR": str(tmp_path)}
    assert stat_of_put(**by_file) == "4096 1\n"
    assert stat_of_put("-conf", str(site)) == "4096 1\n"
    by_both = by_file | {"CAIRN_DFS_BLOCKSIZE": "8k"}
    assert stat_of_put(**by_both) == "8192 1\n"
    assert stat_of_put("-D", "dfs.blocksize=16k", "-Ddfs.replication=2", **by_both) == "16384 2\n"
    assert stat_of_put("-fs", cluster_url) == "134217728 3\n"
    assert stat_of_put(CAIRN_FS_DEFAULTFS=cluster_url) == "134217728 3\n"


def test_uris_of_any_kind(cluster_url: str, folder: str, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("bytes")
    elsewhere = ["-fs", "hdfs://127.0.0.1:1"]
    cairn = cluster_url.replace("hdfs:", "cairn:")
    assert run([*elsewhere, "-put", f"file://{tmp_path}/f", f"{cairn}{folder}/f"]).code == 0
    assert run([*elsewhere, "-cat", f"{cluster_url}{folder}/f"]).text == "bytes"
    assert run([*elsewhere, "-ls", "-C", f"{cairn}{folder}"]).lines == [f"{cairn}{folder}/f"]
    # Between two file systems, one of them this machine's.
    assert shell("-cp", f"{folder}/f", f"file://{tmp_path}/g").code == 0
    assert (tmp_path / "g").read_text() == "bytes"
    assert shell("-cp", f"file://{tmp_path}/g", f"{folder}/g").code == 0
    assert shell("-cat", f"{folder}/g").text == "bytes"
    done = shell("-mv", f"{folder}/f", f"file://{tmp_path}/h")
    assert (done.code, done.errors) == (1, f"mv: `{folder}/f': Does not match target filesystem\n")
    assert shell("-ls", "-C", f"file://{tmp_path}").lines == [
        f"file://{tmp_path}/f",
        f"file://{tmp_path}/g",
    ]
    assert shell("-rm", f"file://{tmp_path}/g").text == f"Deleted file://{tmp_path}/g\n"


# --- copies --------------------------------------------------------------------------------------


def digests(top: Path) -> dict[str, str]:
    return {
        str(path.relative_to(top)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in top.rglob("*")
        if path.is_file()
    }


@pytest.mark.requirement("A01")
@pytest.mark.parametrize("threads", [1, 4])
def test_a_tree_there_and_back(shell: Shell, folder: str, tmp_path: Path, threads: int) -> None:
    top = tmp_path / "tree"
    for number in range(40):
        place = top / f"d{number % 5}" / f"f{number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.urandom(number * 3_000))
    many = ["-t", str(threads)]
    assert shell("-put", *many, str(top), folder).code == 0
    assert shell("-cp", *many, f"{folder}/tree", f"{folder}/copy").code == 0
    assert shell("-get", *many, f"{folder}/copy", str(tmp_path / "back")).code == 0
    assert digests(tmp_path / "back") == digests(top)
    done = shell("-put", *many, str(top), folder)
    assert done.code == 1
    assert len(done.errors.splitlines()) == 40
    assert all(line.endswith("': File exists") for line in done.errors.splitlines())


def test_what_fails_leaves_nothing_behind(shell: Shell, folder: str, tmp_path: Path) -> None:
    (tmp_path / "good").write_text("good")
    (tmp_path / "secret").mkdir()
    (tmp_path / "bad").symlink_to(tmp_path / "secret")
    done = shell("-D", "dfs.blocksize=100", "-put", str(tmp_path / "good"), f"{folder}/f")
    assert done.code == 1
    assert shell("-ls", folder).text == ""
    assert shell("-put", str(tmp_path / "good"), f"{folder}/f").code == 0
    # Nobody can write over a directory, however -f.
    assert shell("-mkdir", f"{folder}/d").code == 0
    assert shell("-put", "-f", str(tmp_path / "good"), f"{folder}/d/").code == 0
    assert shell("-ls", "-R", "-C", folder).lines == [
        *(f"{folder}/d", f"{folder}/d/good", f"{folder}/f"),
    ]


def wait_for(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def write_for_ever(writer: io.FileIO) -> None:
    while True:
        writer.write(b"x" * 1_000)


@pytest.mark.requirement("D03")
@pytest.mark.parametrize("count", [1, 3])
def test_ctrl_c_in_mid_copy(
    cluster_url: str, shell: Shell, folder: str, tmp_path: Path, count: int
) -> None:
    """Exit code 130, not a word, and no half of a file."""
    sources = [tmp_path / f"f{number}" for number in range(count)]
    for source in sources:
        os.mkfifo(source)
    words = ["-put", "-t", str(count), *map(str, sources), folder]
    with subprocess.Popen(
        [CAIRN, "fs", "-fs", cluster_url, *words], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=plain_environment(), start_new_session=True,
    ) as running:  # fmt: skip
        # Opening waits for the reader.
        writers = [source.open("wb", buffering=0) for source in sources]
        for writer in writers:
            writer.write(b"x" * 60_000)
        wait_for(lambda: shell("-ls", "-C", folder).text.count("_COPYING_") == count)
        running.send_signal(signal.SIGINT)
        for writer in writers:
            # A thread sees it with its next bytes, and takes no more.
            with pytest.raises(BrokenPipeError):
                write_for_ever(writer)
            writer.close()
        assert running.stdout is not None
        assert running.stdout.read() == b""
        assert running.wait() == 130
    assert shell("-ls", folder).text == ""


@pytest.mark.requirement("D01")
def test_a_progress_bar_on_terminals_only(
    cluster_url: str, shell: Shell, folder: str, tmp_path: Path
) -> None:
    fifo = tmp_path / "slow"
    os.mkfifo(fifo)
    with Terminal("fs", "-fs", cluster_url, "-put", str(fifo), f"{folder}/f", environ={}) as it:
        with open(fifo, "wb", buffering=0) as writer:
            for _ in range(4):
                writer.write(bytes(1_000_000))
                time.sleep(0.25)
            it.expect(r"slow.*MiB")
        assert it.end()[0] == 0
    assert shell("-stat", "%b", f"{folder}/f").text == "4000000\n"
    assert process("-fs", cluster_url, "-cat", f"{folder}/f")[2] == ""


def test_tail_follows(cluster_url: str, shell: Shell, folder: str) -> None:
    assert shell("-put", "-", f"{folder}/f", stdin=b"first\n").code == 0
    with subprocess.Popen(
        [CAIRN, "fs", "-fs", cluster_url, "-tail", "-f", "-s", "20", f"{folder}/f"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=plain_environment(),
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline() == b"first\n"
        assert shell("-appendToFile", "-", f"{folder}/f", stdin=b"second\n").code == 0
        assert running.stdout.readline() == b"second\n"
        running.send_signal(signal.SIGINT)
        assert running.wait() == 130
        assert running.stderr is not None
        assert running.stderr.read() == b""


# --- the rest ------------------------------------------------------------------------------------


def test_rm_safely_asks(shell: Shell, folder: str) -> None:
    few = {"hadoop.shell.safely.delete.limit.num.files": "1"}
    assert shell("-mkdir", f"{folder}/d").code == 0
    assert shell("-touchz", f"{folder}/d/a", f"{folder}/d/b").code == 0
    words = ["-rm", "-r", "-safely", f"{folder}/d"]
    done = shell(*words, stdin=b"n\n", settings=few)
    assert "Proceed deleting 2 files? (Y or N)" in done.errors
    assert shell("-test", "-e", f"{folder}/d").code == 0
    assert shell(*words, stdin=b"y\n", settings=few).text == f"Deleted {folder}/d\n"


def test_text_of_packed_files(shell: Shell, folder: str) -> None:
    import bz2
    import gzip
    import zlib

    packed = {
        "a.gz": gzip.compress(b"gz ") + gzip.compress(b"twice"),
        "b": gzip.compress(b"gzip by its first bytes"),
        "c.bz2": bz2.compress(b"bz2"),
        "d.deflate": zlib.compress(b"deflate"),
        "e": b"plain",
        "f.gz": b"",
    }
    for name, data in packed.items():
        assert shell("-put", "-", f"{folder}/{name}", stdin=data).code == 0
    assert shell("-text", f"{folder}/*").text == ("gz twicegzip by its first bytesbz2deflateplain")
    assert shell("-put", "-", f"{folder}/g", stdin=b"SEQ\x06rest").code == 0
    done = shell("-text", f"{folder}/g")
    assert (done.code, done.output) == (1, b"")
    assert "SequenceFile" in done.errors
    assert shell("-put", "-", f"{folder}/h.gz", stdin=packed["b"][:-9]).code == 0
    done = shell("-text", f"{folder}/h.gz")
    assert done.code == 1
    assert "Unexpected end" in done.errors


def test_help_of_every_verb() -> None:
    from cairnfs.shell.registry import VERBS, verb_class

    everything = run(["-help"])
    assert everything.code == 0
    for name in VERBS:
        alone = run(["-help", name])
        assert alone.code == 0
        if not verb_class(name).instead:
            assert alone.text in everything.text
            assert len(alone.lines) > 1
        assert run(["-usage", name]).text.startswith(f"Usage: cairn fs [generic options] -{name}")
