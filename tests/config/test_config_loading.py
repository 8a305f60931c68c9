"""Files, environment and flags: what overrides what, and what is said about it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from cairnfs.config import keys
from cairnfs.config.loading import load
from cairnfs.errors import ConfigurationError


def site(path: Path, *properties: str) -> None:
    """Write Hadoop's XML; each property is ``name=value``, with ``!`` before it if final."""
    lines = ["<configuration>"]
    for each in properties:
        name, _, value = each.lstrip("!").partition("=")
        final = "<final>true</final>" if each.startswith("!") else ""
        lines.append(f"<property><name>{name}</name><value>{value}</value>{final}</property>")
    path.write_text("\n".join([*lines, "</configuration>"]))


@pytest.mark.requirement("A30")
def test_everything_has_a_default() -> None:
    configuration = load(environ={})
    assert configuration[keys.REPLICATION] == 3
    assert configuration.source("dfs.replication") == "default"


@pytest.mark.requirement("A30", "D04")
def test_later_sources_override_earlier_ones(tmp_path: Path) -> None:
    def replication(environ: dict[str, str], flags: dict[str, str]) -> tuple[int, str]:
        found = load(tmp_path, flags, environ=environ)
        return found[keys.REPLICATION], found.source("dfs.replication")

    site(tmp_path / "core-site.xml", "dfs.replication=4", "fs.defaultFS=hdfs://a:1")
    assert replication({}, {}) == (4, f"{tmp_path}/core-site.xml:2")
    site(tmp_path / "hdfs-site.xml", "dfs.replication=5")
    assert replication({}, {}) == (5, f"{tmp_path}/hdfs-site.xml:2")
    (tmp_path / "cairn.yaml").write_text("\ndfs:\n  replication: 6\n")
    assert replication({}, {}) == (6, f"{tmp_path}/cairn.yaml:3")
    environ = {"CAIRN_DFS_REPLICATION": "7"}
    assert replication(environ, {}) == (7, "environment, CAIRN_DFS_REPLICATION")
    assert replication(environ, {"dfs.replication": "8"}) == (8, "flag for dfs.replication")
    assert load(tmp_path, environ={})[keys.DEFAULT_FS] == "hdfs://a:1"


@pytest.mark.requirement("A30")
def test_a_final_property_yields_only_to_environment_and_flags(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site(tmp_path / "core-site.xml", "!dfs.replication=4", "!dfs.blocksize=1m")
    site(tmp_path / "hdfs-site.xml", "dfs.replication=5", "dfs.blocksize=1m")
    configuration = load(tmp_path, environ={})
    assert configuration[keys.REPLICATION] == 4
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"{tmp_path}/hdfs-site.xml:2: dfs.replication is final in "
            f"{tmp_path}/core-site.xml; left as it is"
        )
    ]
    assert load(tmp_path, {"dfs.replication": "8"}, environ={})[keys.REPLICATION] == 8


@pytest.mark.requirement("A30")
def test_where_the_directory_is_looked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = {name: tmp_path / name for name in ("flag", "cairn", "hadoop")}
    for index, place in enumerate(places.values(), 4):
        place.mkdir()
        site(place / "hdfs-site.xml", f"dfs.replication={index}")
    environ = {"HADOOP_CONF_DIR": str(places["hadoop"])}
    assert load(environ=environ)[keys.REPLICATION] == 6
    environ["CAIRN_CONF_DIR"] = str(places["cairn"])
    assert load(environ=environ)[keys.REPLICATION] == 5
    assert load(places["flag"], environ=environ)[keys.REPLICATION] == 4
    assert load(places["flag"] / "hdfs-site.xml", environ=environ)[keys.REPLICATION] == 4
    assert not caplog.records


@pytest.mark.requirement("A30")
def test_a_directory_that_says_nothing_is_an_error_unless_it_is_hadoops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigurationError, match=r"--conf .* holds none of core-site\.xml"):
        load(tmp_path, environ={})
    with pytest.raises(ConfigurationError, match="neither a directory nor a file"):
        load(tmp_path / "none", environ={})
    with pytest.raises(ConfigurationError, match="CAIRN_CONF_DIR"):
        load(environ={"CAIRN_CONF_DIR": str(tmp_path / "none")})
    (tmp_path / "cairn.conf").touch()
    with pytest.raises(ConfigurationError, match=r"must end \.xml or \.yaml"):
        load(tmp_path / "cairn.conf", environ={})
    assert load(environ={"HADOOP_CONF_DIR": str(tmp_path)})[keys.REPLICATION] == 3
    assert not caplog.records
    assert load(environ={"HADOOP_CONF_DIR": str(tmp_path / "none")})[keys.REPLICATION] == 3
    assert "is no directory" in caplog.text


@pytest.mark.requirement("A30", "D04")
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "hdfs-site.xml",
            (
                "<configuration>\n<property>\n<name>dfs.replication</name><value>three</value>"
                "</property></configuration>"
            ),
            "hdfs-site.xml:2: dfs.replication = 'three': is not a whole number",
        ),
        (
            "cairn.yaml",
            "fs:\n  defaultFS: hdfs://a\ndfs:\n  blocksize: 12 parsecs\n",
            "cairn.yaml:4: dfs.blocksize = '12 parsecs': is not a size",
        ),
        (
            "cairn.yaml",
            "dfs.replication: 0\n",
            "cairn.yaml:1: dfs.replication = '0' is below its minimum 1",
        ),
        (
            "cairn.yaml",
            "dfs.replication: ${nobody}\n",
            "cairn.yaml:1: dfs.replication = '${nobody}': names ${nobody}, which nothing sets",
        ),
    ],
)
def test_a_bad_value_is_named_with_file_line_and_key(
    tmp_path: Path, file: str, content: str, message: str
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, environ={})
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


@pytest.mark.requirement("D04")
def test_a_bad_environment_variable_or_flag_is_named() -> None:
    with pytest.raises(ConfigurationError, match="environment, CAIRN_DFS_BLOCKSIZE"):
        load(environ={"CAIRN_DFS_BLOCKSIZE": "big"})
    with pytest.raises(ConfigurationError, match=r"flag for dfs\.blocksize"):
        load(None, {"dfs.blocksize": "big"}, environ={})


@pytest.mark.requirement("A30")
def test_unknown_keys_are_named_in_one_warning_with_the_nearest_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site(
        tmp_path / "hdfs-site.xml",
        "dfs.replicaton=2",
        "dfs.totally.other.thing=1",
        "yarn.is.not.ours=1",
        "hadoop.proxyuser.livy.hosts=*",
        "dfs.nameservices=a",
        "dfs.ha.namenodes.a=x,y",
        "dfs.namenode.rpc-address.a.x=h:1",
    )
    load(tmp_path, environ={})
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    text = caplog.records[0].getMessage()
    place = f"{tmp_path}/hdfs-site.xml"
    assert f"dfs.replicaton ({place}:2; did you mean dfs.replication?)" in text
    assert f"dfs.totally.other.thing ({place}:3)" in text
    assert "yarn" not in text
    assert "proxyuser" not in text
    assert "nameservices" not in text
    assert "rpc-address" not in text


@pytest.mark.requirement("D04")
def test_an_unknown_environment_variable_is_named(caplog: pytest.LogCaptureFixture) -> None:
    load(environ={"CAIRN_DFS_REPLICATIN": "2", "CAIRN_CONF_DIR": ""})
    assert [record.getMessage() for record in caplog.records] == [
        (
            "CAIRN_DFS_REPLICATIN in the environment sets no key of Cairn's; "
            "did you mean CAIRN_DFS_REPLICATION?"
        )
    ]


def test_without_check_only_what_is_read_is_judged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site(tmp_path / "hdfs-site.xml", "dfs.replication=many", "dfs.nonsense=1")
    configuration = load(tmp_path, environ={}, check=False)
    assert not caplog.records
    assert configuration[keys.BLOCK_SIZE] == 128 << 20
    with pytest.raises(ConfigurationError, match=r"hdfs-site\.xml:2: dfs\.replication"):
        configuration[keys.REPLICATION]


@pytest.mark.requirement("A30")
def test_old_names_still_work(tmp_path: Path) -> None:
    site(tmp_path / "core-site.xml", "fs.default.name=hdfs://old:1", "dfs.block.size=1m")
    configuration = load(tmp_path, environ={})
    assert configuration[keys.DEFAULT_FS] == "hdfs://old:1"
    assert configuration[keys.BLOCK_SIZE] == 1 << 20


def test_yaml_may_leave_out_the_prefix_of_our_own_keys(tmp_path: Path) -> None:
    (tmp_path / "cairn.yaml").write_text("namenode:\n  audit-log: true\n")
    assert load(tmp_path, environ={}).text("cairn.namenode.audit-log") == "true"


@pytest.mark.requirement("A30")
def test_values_may_name_other_values(tmp_path: Path) -> None:
    site(
        tmp_path / "core-site.xml",
        "hadoop.tmp.dir=/scratch/${user.name}",
        "dfs.namenode.name.dir=${hadoop.tmp.dir}/dfs/name",
        "fs.defaultFS=hdfs://${env.NN_HOST:-localhost}:8020",
        "some.other.system=${left.alone}",
    )
    configuration = load(tmp_path, environ={"NN_HOST": "nn7"})
    import getpass

    assert configuration.text("dfs.namenode.name.dir") == f"/scratch/{getpass.getuser()}/dfs/name"
    assert configuration[keys.DEFAULT_FS] == "hdfs://nn7:8020"
    assert configuration.text("some.other.system") == "${left.alone}"


def test_loading_without_yaml_does_not_import_it(tmp_path: Path) -> None:
    site(tmp_path / "core-site.xml", "fs.defaultFS=hdfs://a:1")
    script = (
        "import sys; from cairnfs.config.loading import load; "
        f"load({str(tmp_path)!r}, environ={{}}, check=False); "
        "print('yaml' in sys.modules, 'cairnfs.config.registry' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"
