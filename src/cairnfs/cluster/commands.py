"""``cairn up``, ``cairn namenode``, ``cairn datanode`` and their options."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import cairnfs
from cairnfs.errors import CairnError, sentence_of

_VERBS = """\
Files:    cairn fs -ls /        as `hdfs dfs`; `cairn fs -help` lists all
          cairn shell           the same, interactively
"""


@click.group(
    help="Cairn, a distributed file system for HDFS clients.",
    epilog=_VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(cairnfs.__version__, "--version", message="cairn %(version)s")
def cairn() -> None:
    pass


@cairn.command("up", help="Start a whole cluster on this machine and keep it running.")
@click.option(
    "--dir", "directory", default="cairn-data", show_default=True, type=click.Path(path_type=Path),
    help="Directory that holds everything.",
)  # fmt: skip
@click.option(
    "--datanodes", default=3, show_default=True, type=click.IntRange(1, 64),
    help="How many DataNodes.",
)  # fmt: skip
@click.option("--port", default=8020, show_default=True, type=click.IntRange(0, 65535),
              help="Port for RPC; 0 takes a free one.")  # fmt: skip
@click.option("--http-port", default=9870, show_default=True, type=click.IntRange(0, 65535),
              help="Port for the web; 0 takes a free one.")  # fmt: skip
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS",
              help="Address to listen on.")  # fmt: skip
@click.option("--conf", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Directory with core-site.xml, hdfs-site.xml or cairn.yaml.")  # fmt: skip
@click.option("-D", "defines", multiple=True, metavar="KEY=VALUE", help="Set a configuration key.")
def up(
    directory: Path,
    datanodes: int,
    port: int,
    http_port: int,
    listen: str,
    conf: Path | None,
    defines: tuple[str, ...],
) -> None:
    from cairnfs.cluster.up import UpOptions, run_up

    options = UpOptions(
        directory=directory.resolve(),
        datanodes=datanodes,
        rpc_port=port,
        http_port=http_port,
        listen=listen,
        conf=conf,
        overrides=_parse_defines(defines),
    )
    sys.exit(run_up(options))


@cairn.command("namenode", help="Run a NameNode in the foreground.")
@click.option("--conf", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Directory with core-site.xml, hdfs-site.xml or cairn.yaml.")  # fmt: skip
@click.option("--format", "do_format", is_flag=True,
              help="Make a new, empty namespace in dfs.namenode.name.dir and stop.")  # fmt: skip
@click.option("--cluster-id", default=None, help="With --format: the id of the cluster.")
@click.option("-D", "defines", multiple=True, metavar="KEY=VALUE", help="Set a configuration key.")
def namenode(
    conf: Path | None, do_format: bool, cluster_id: str | None, defines: tuple[str, ...]
) -> None:
    from cairnfs.config.loading import load
    from cairnfs.namenode.main import format_namespace, run

    configuration = load(conf, _parse_defines(defines))
    if do_format:
        info = format_namespace(configuration, cluster_id)
        click.echo(f"formatted cluster {info.cluster_id}, block pool {info.pool_id}")
        return
    sys.exit(run(configuration))


@cairn.command("datanode", help="Run a DataNode in the foreground.")
@click.option("--conf", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Directory with core-site.xml, hdfs-site.xml or cairn.yaml.")  # fmt: skip
@click.option("-D", "defines", multiple=True, metavar="KEY=VALUE", help="Set a configuration key.")
def datanode(conf: Path | None, defines: tuple[str, ...]) -> None:
    from cairnfs.config.loading import load
    from cairnfs.datanode.main import run

    overrides = _parse_defines(defines)
    sys.exit(run(load(conf, overrides), reload=lambda: load(conf, overrides)))


def _parse_defines(defines: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for define in defines:
        key, separator, value = define.partition("=")
        if not separator or not key:
            raise click.UsageError(f"-D {define}: write -D KEY=VALUE")
        values[key] = value
    return values


def run(arguments: list[str]) -> int:
    """Run one verb; its exit code."""
    try:
        cairn.main(args=arguments, prog_name="cairn", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return 130
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except CairnError as error:
        print(f"cairn: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"cairn: {sentence_of(error)}", file=sys.stderr)
        return 1
    return 0
