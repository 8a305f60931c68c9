"""The options before the verb: ``-D key=value``, ``-fs URI``, ``-conf FILE``.

They come over the environment (``CAIRN_DFS_BLOCKSIZE``, ``HADOOP_CONF_DIR``, ...), which comes
over the files; see :mod:`cairnfs.config.loading`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cairnfs.config.configuration import Configuration
from cairnfs.shell.failures import UsageError

USAGE = """\
Generic options:
-conf <configuration file>   a file, or a folder with core-site.xml, hdfs-site.xml, cairn.yaml
-D <property=value>          a property, such as dfs.replication=2 or dfs.blocksize=64m
-fs <hdfs://namenode:port>   the file system of paths that name none"""


def split_generic(words: Sequence[str]) -> tuple[dict[str, str], list[str], list[str]]:
    """(properties, configuration files, what is left) of a command line.

    Raises :class:`UsageError`."""
    flags: dict[str, str] = {}
    files: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word in ("-fs", "-conf", "-D"):
            if at + 1 == len(words):
                raise UsageError(f"{word} needs a value behind it")
            value = words[at + 1]
            at += 2
        elif word.startswith("-D") and "=" in word:
            word, value = "-D", word[2:]
            at += 1
        else:
            break
        if word == "-conf":
            files.append(value)
        elif word == "-fs":
            flags["fs.defaultFS"] = value
        else:
            name, equals, text = value.partition("=")
            if not equals or not name:
                raise UsageError(f"-D {value}: write -D property=value")
            flags[name] = text
    return flags, files, list(words[at:])


def configure(flags: dict[str, str], files: Sequence[str]) -> Configuration:
    """The configuration in force. Raises ``ConfigurationError``."""
    from cairnfs.config.loading import load

    if not files:
        return load(None, flags, check=False)
    conf = load(None, check=False)
    for file in files:
        # What is named by a flag comes over all that the environment names.
        own = load(file, environ={}, check=False)
        for name in own.names():
            conf.put(name, own.text(name) or "", own.source(name))
    for name, text in flags.items():
        conf.put(name, text, f"flag for {name}")
    return conf
