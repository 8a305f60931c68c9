"""What the package says of itself, and how it is built."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import cairnfs

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src" / "cairnfs"


def test_the_version_is_the_packages() -> None:
    assert cairnfs.__version__ == importlib.metadata.version("cairnfs")


def test_nothing_compiled_lies_beside_the_sources() -> None:
    # Python would prefer it, and edits would have no effect.
    assert not [path for path in SOURCES.parent.rglob("*") if path.suffix in {".so", ".pyd"}]


def test_a_wheel_is_pure_unless_that_is_asked_for(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if "HATCH" not in key}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")


def test_what_is_compiled_is_all_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
    assert listed == sorted(listed)
    assert not [pattern for pattern in listed if not list(SOURCES.glob(pattern))]
    if Path(str(cairnfs.__file__)).is_relative_to(SOURCES):
        return
    # The package under test is an installed one: all of the list is compiled, or nothing is.
    installed = Path(str(cairnfs.__file__)).parent
    names = [
        path.relative_to(SOURCES)
        for pattern in listed
        for path in SOURCES.glob(pattern)
        if path.name != "__init__.py"
    ]
    compiled = {
        name
        for name in names
        if any((installed / name).with_suffix(each).exists() for each in EXTENSION_SUFFIXES)
    }
    assert compiled in (set(), set(names))
