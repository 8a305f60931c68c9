"""Apache Hadoop and Cairn in turn on this machine: ratios from one run.

    python -m bench [--only NAME,NAME] [--runs 3] [--quick] [--write FILE]

Each run starts Apache's servers, measures, ends them, and does the same with Cairn's: both
never run at once. Figures are medians over the runs. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from bench import (
    bulk,
    first_file,
    machine,
    namespace_load,
    random_reads,
    raw_transfer,
    restart,
    shell_start,
    small_files,
)
from bench.figures import MAKERS, Book
from bench.world import (
    CAIRN,
    ROOT,
    ClusterError,
    Hadoop,
    Measure,
    Sizes,
    Source,
    World,
    judge_logs,
)

# In this order; idle memory first, while the cluster is fresh.
MEASURES: tuple[Measure, ...] = (
    *first_file.MEASURES,
    *shell_start.MEASURES,
    *namespace_load.MEASURES,
    *bulk.MEASURES,
    *raw_transfer.MEASURES,
    *random_reads.MEASURES,
    *small_files.MEASURES,
    *restart.MEASURES,
)
_BUSY_LOAD = 1.0
_SETUP = (
    "NameNode, 3 DataNodes and clients on this one machine; replication 3, blocks of 128 MiB; "
    "Apache with 1 GB of heap a server, 32 handlers, synced edits, no audit log"
)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ", ".join(measure.name for measure in MEASURES)
    parser.add_argument("--only", metavar="NAME,NAME", help=f"some of: {names}")
    parser.add_argument("--runs", type=int, default=3, help="of each measure (default: 3)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="smaller everything; rougher figures")
    size.add_argument("--tiny", action="store_true", help="only to see that it works")
    parser.add_argument("--files", type=int, help="in the namespace of a NameNode that restarts")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a Markdown table")
    parser.add_argument("--makers", default=",".join(MAKERS), help="default: apache,cairn")
    parser.add_argument(
        "--hadoop-lib",
        type=Path,
        default=ROOT / ".cache" / "hadoop" / "lib",
        help="Hadoop's jars (default: where `make java` puts them)",
    )
    parser.add_argument(
        "--directory", type=Path, default=ROOT / ".cache", help="a disk's, for all data"
    )
    parser.add_argument(
        "--cairn",
        type=Path,
        default=CAIRN,
        metavar="PATH",
        help="the command of the build of Cairn to measure (default: .venv/bin/cairn)",
    )
    parser.add_argument("--keep", action="store_true", help="leave data and logs for reading")
    options = parser.parse_args()
    # Not resolved: a virtual environment's Python is a link to another.
    options.cairn = options.cairn.absolute()
    if not options.cairn.exists():
        parser.error(f"there is no {options.cairn}; `make accelerated` makes the compiled one")
    known = {measure.name for measure in MEASURES}
    options.only = options.only.split(",") if options.only else sorted(known)
    options.makers = options.makers.split(",")
    if unknown := set(options.only) - known | set(options.makers) - set(MAKERS):
        parser.error(f"{', '.join(sorted(unknown))}: unknown; there are {names}; and {MAKERS}")
    if not any(options.hadoop_lib.glob("hadoop-hdfs-3*.jar")) or not shutil.which("java"):
        parser.error(f"no java, or no Hadoop in {options.hadoop_lib}; `make java` gets both")
    return options


def _turn(world: World, measures: list[Measure]) -> None:
    """One maker, one run of every measure."""
    for measure in measures:
        if measure.alone:
            print(f" {measure.name}", flush=True)
            measure.run(world)
    together = [measure for measure in measures if not measure.alone]
    while together:
        with world.new_cluster(world.name("cluster")) as cluster:
            world.use(cluster)
            together = _measure_all(world, together)
            judge_logs(world)


def _measure_all(world: World, measures: list[Measure]) -> list[Measure]:
    """Run ``measures`` on the cluster; those that are left because a server of it ended."""
    for number, measure in enumerate(measures, 1):
        print(f" {measure.name}", flush=True)
        measure.run(world)
        try:
            world.cluster.check_alive()
        except ClusterError as error:
            world.book.note(f"a server ended during {measure.name}: {error}"[:1000])
            return measures[number:]
    return []


def _report(book: Book, about: list[str]) -> str:
    lines = "".join(f"- {line}\n" for line in about)
    return f"# Apache Hadoop 3.4.2 and Cairn, measured in turn\n\n{lines}\n{book.markdown()}"


def _run(options: argparse.Namespace, directory: Path) -> int:
    java = shutil.which("java")
    assert java is not None
    hadoop = Hadoop(java, options.hadoop_lib)
    sizes = Sizes.tiny() if options.tiny else Sizes.quick() if options.quick else Sizes()
    sizes = sizes.with_files(options.files)
    about = [
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC; medians of {options.runs}"
        + ", quick: smaller sizes" * options.quick
        + ", tiny: no figures to judge by" * options.tiny,
        *machine.describe(java, directory),
        f"Cairn's build: {machine.build_of(options.cairn)}",
        _SETUP,
    ]
    book = Book()
    busy = os.getloadavg()[0]
    if busy > _BUSY_LOAD:
        book.note(f"the machine was busy at the start (load {busy:.1f}): judge with care")
    source = Source.make(directory / "source", sizes.file_bytes)
    measures = [measure for measure in MEASURES if measure.name in options.only]
    for run in range(options.runs):
        for maker in options.makers:
            print(f"run {run + 1} of {options.runs}, {maker}", flush=True)
            own = directory / maker
            own.mkdir(exist_ok=True)
            world = World(maker, hadoop, own, sizes, source, book, options.keep, options.cairn)
            _guarded_turn(world, measures)
            # After each turn, so that a run that is cut short leaves what it found.
            if options.write:
                options.write.write_text(_report(book, about))
    print(f"\n{_report(book, about)}")
    return 1 if book.has_failures else 0


def _guarded_turn(world: World, measures: list[Measure]) -> None:
    try:
        _turn(world, measures)
    except Exception as error:
        world.book.note(
            f"{world.maker}'s turn was cut short: {type(error).__name__}: {error}"[:1000]
        )
        world.book.has_failures = True
    finally:
        if not world.keep:
            shutil.rmtree(world.directory, ignore_errors=True)


def main() -> int:
    options = _options()
    options.directory.mkdir(parents=True, exist_ok=True)
    if machine.file_system_of(options.directory) == "tmpfs":
        print(f"bench: {options.directory} is in memory; name a disk's with --directory")
        return 1
    # Whoever ends the benchmark ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=options.directory)).resolve()
    try:
        return _run(options, directory)
    finally:
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
