"""Where settings come from, later ones over earlier ones:

1. the keys' own defaults,
2. ``core-site.xml``, then ``hdfs-site.xml``, then ``cairn.yaml`` of the configuration directory:
   the one given (``--conf``), else ``$CAIRN_CONF_DIR``, else ``$HADOOP_CONF_DIR``; a single
   ``.xml`` or ``.yaml`` file may be given instead,
3. environment variables: ``CAIRN_DFS_REPLICATION`` sets ``dfs.replication``,
   ``CAIRN_NAMENODE_AUDIT_LOG`` sets ``cairn.namenode.audit-log``,
4. flags of the command line.

A property that one file calls final is not changed by later files, only by 3 and 4.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from cairnfs.config.configuration import Configuration
from cairnfs.config.deprecated import DEPRECATED
from cairnfs.config.entry import Entry
from cairnfs.config.substitution import substitute
from cairnfs.errors import ConfigurationError

logger = logging.getLogger(__name__)

# In the order in which they override each other.
FILES = ("core-site.xml", "hdfs-site.xml", "cairn.yaml")
CONF_DIR_VARIABLES = ("CAIRN_CONF_DIR", "HADOOP_CONF_DIR")
# Variables that are no keys.
_OTHER_VARIABLES = frozenset({"CAIRN_CONF_DIR"})
_ENVIRONMENT_PREFIX = "CAIRN_"


def load(
    conf: str | Path | None = None,
    flags: Mapping[str, str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    check: bool = True,
) -> Configuration:
    """The configuration in force; see the module for what overrides what.

    ``flags`` are texts by key name. ``check``, for servers: every value of a known key is
    parsed now, not when it is first read, and unknown names are logged in one warning. Clients
    leave it out: what they do not read costs them neither time nor a message. Raises
    ``ConfigurationError`` naming file, line and key."""
    environ = os.environ if environ is None else environ
    configuration = Configuration()
    finals: dict[str, str] = {}
    for path in _files(conf, environ):
        for entry in _read(path):
            _take(configuration, finals, path, entry)
    _take_environment(configuration, environ)
    for name, text in (flags or {}).items():
        configuration.put(_canonical(name), text, f"flag for {name}")
    _substitute(configuration, environ)
    if check:
        validate(configuration)
        warn_of_unknown(configuration)
    return configuration


def validate(configuration: Configuration) -> None:
    """Parse every value of a known key. Raises ``ConfigurationError`` for the first bad one."""
    from cairnfs.config.registry import keys

    known = keys()
    for name in configuration.names():
        if name in known:
            configuration[known[name]]


def warn_of_unknown(configuration: Configuration) -> None:
    """Log one warning that names every ``dfs.*`` and ``cairn.*`` key that nothing reads."""
    from cairnfs.config.registry import closest, unknown

    found = []
    for name in unknown(configuration.names()):
        near = closest(name)
        hint = f"; did you mean {near}?" if near else ""
        found.append(f"{name} ({configuration.source(name)}{hint})")
    if found:
        logger.warning(
            "Cairn does not read these keys, so they change nothing: %s", ", ".join(found)
        )


# --- files ---------------------------------------------------------------------------------------


def _files(conf: str | Path | None, environ: Mapping[str, str]) -> list[Path]:
    """The files to read, in order. What was asked for by name must be there."""
    if conf is not None:
        return _files_at(Path(conf).expanduser(), "--conf")
    for variable in CONF_DIR_VARIABLES:
        if environ.get(variable):
            return _files_at(Path(environ[variable]).expanduser(), variable)
    return []


def _files_at(place: Path, asked_by: str) -> list[Path]:
    if place.is_dir():
        found = [place / name for name in FILES if (place / name).exists()]
        # A Hadoop without settings of its own is common; our own directory was meant to say some.
        if not found and asked_by != "HADOOP_CONF_DIR":
            raise ConfigurationError(f"{asked_by} {place} holds none of {', '.join(FILES)}")
        return found
    if place.is_file() and asked_by != "HADOOP_CONF_DIR":
        return [place]
    if asked_by == "HADOOP_CONF_DIR":
        logger.warning("HADOOP_CONF_DIR %s is no directory; its settings are left out", place)
        return []
    raise ConfigurationError(f"{asked_by} {place} is neither a directory nor a file")


def _read(path: Path) -> list[Entry]:
    # Each parser is imported only where such a file is there: commands start fast.
    if path.suffix.lower() == ".xml":
        from cairnfs.config.xml_file import read_xml

        return read_xml(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        from cairnfs.config.yaml_file import read_yaml

        return read_yaml(path)
    raise ConfigurationError(f"{path} is no configuration file; its name must end .xml or .yaml")


def _take(configuration: Configuration, finals: dict[str, str], path: Path, entry: Entry) -> None:
    name = _canonical(entry.name)
    source = f"{path}:{entry.line}"
    if name in finals and finals[name] != str(path):
        if configuration.text(name) != entry.text:
            logger.warning("%s: %s is final in %s; left as it is", source, name, finals[name])
        return
    if entry.final:
        finals[name] = str(path)
    configuration.put(name, entry.text, source)


def _canonical(name: str) -> str:
    if name in DEPRECATED:
        return DEPRECATED[name]
    if name.startswith(("dfs.", "fs.", "hadoop.", "io.", "ipc.", "net.", "cairn.")):
        return name
    from cairnfs.config.registry import canonical

    return canonical(name)


# --- environment ---------------------------------------------------------------------------------


def _take_environment(configuration: Configuration, environ: Mapping[str, str]) -> None:
    ours = [
        name
        for name in environ
        if name.startswith(_ENVIRONMENT_PREFIX) and name not in _OTHER_VARIABLES
    ]
    if not ours:
        return
    from cairnfs.config.registry import closest, environment_names

    known = environment_names()
    for variable in ours:
        if variable in known:
            configuration.put(known[variable], environ[variable], f"environment, {variable}")
        else:
            near = closest(variable, known)
            hint = f"; did you mean {near}?" if near else ""
            logger.warning("%s in the environment sets no key of Cairn's%s", variable, hint)


# --- ${...} --------------------------------------------------------------------------------------


def _substitute(configuration: Configuration, environ: Mapping[str, str]) -> None:
    raw = {name: configuration.text(name) or "" for name in configuration.names()}
    waiting = {name: text for name, text in raw.items() if "${" in text}
    if not waiting:
        return
    from cairnfs.config.registry import is_known

    system = _system_properties()

    def lookup(name: str) -> str | None:
        found = raw.get(_canonical(name))
        if found is not None:
            return found
        return system.get(name) or _default_text(name)

    for name, text in waiting.items():
        source = configuration.source(name)
        try:
            configuration.put(name, substitute(text, lookup, environ), source)
        except ValueError as error:
            # Hadoop's own files hold variables of keys that are nothing to us.
            if is_known(name):
                raise ConfigurationError(f"{source}: {name} = {text!r}: {error}") from None


def _default_text(name: str) -> str | None:
    from cairnfs.config.registry import keys

    key = keys().get(name)
    return key.default if key is not None and isinstance(key.default, str) else None


def _system_properties() -> dict[str, str]:
    """Java's properties that Hadoop's own defaults are made of."""
    import getpass
    import tempfile

    user = getpass.getuser()
    temporary = tempfile.gettempdir()
    return {
        "user.name": user,
        "user.home": str(Path.home()),
        "user.dir": os.getcwd(),
        "java.io.tmpdir": temporary,
        "hadoop.tmp.dir": f"{temporary}/hadoop-{user}",
    }
