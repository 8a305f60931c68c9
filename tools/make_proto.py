"""Regenerate ``src/cairnfs/wire/proto/*_pb2.py`` and ``.pyi`` from the ``.proto`` files.

    python tools/make_proto.py            write them
    python tools/make_proto.py --check    exit 1 and name them if they are not current

Needs grpcio-tools (protoc) and mypy-protobuf (the stubs).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
FOLDER = Path("cairnfs/wire/proto")
GENERATED = ("*_pb2.py", "*_pb2.pyi")


def generate(target: Path) -> None:
    """Write everything that the ``.proto`` files make below ``target``."""
    protos = sorted(str(path) for path in (SOURCE / FOLDER).glob("*.proto"))
    # protoc finds the stub generator beside the interpreter.
    plugin = Path(sys.executable).parent / "protoc-gen-mypy"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{SOURCE}",
            f"--plugin=protoc-gen-mypy={plugin}",
            f"--python_out={target}",
            f"--mypy_out=quiet:{target}",
            *protos,
        ],
        check=True,
    )


def files(root: Path) -> dict[str, bytes]:
    folder = root / FOLDER
    return {path.name: path.read_bytes() for glob in GENERATED for path in folder.glob(glob)}


def stale() -> list[str]:
    """Names of generated files that are missing, left over or differ from a fresh run."""
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        expected, present = files(Path(fresh)), files(SOURCE)
    names = expected.keys() | present.keys()
    return sorted(name for name in names if expected.get(name) != present.get(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    if not parser.parse_args().check:
        generate(SOURCE)
        return
    if names := stale():
        sys.exit("\n  ".join(["not current, run tools/make_proto.py:", *names]))


if __name__ == "__main__":
    main()
