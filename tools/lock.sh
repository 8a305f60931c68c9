#!/bin/sh
# Resolves every requirements/*.txt anew: all platforms, with hashes, without naming an index.
# LOCK_ARGS=--upgrade takes the newest versions; without it, what is locked stays.
set -eu
cd "$(dirname "$0")/.."
uv=$(tools/bootstrap.sh)
compile() {
    output=$1
    shift
    echo "$output" >&2
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --custom-compile-command 'make lock' \
        ${LOCK_ARGS:-} --output-file "$output" "$@" >/dev/null
}
echo 'uv' | compile requirements/bootstrap.txt -
compile requirements/run.txt pyproject.toml --group build
compile requirements/test.txt --constraints requirements/run.txt \
    pyproject.toml --group build --group dev --group peers
compile requirements/accelerate.txt --constraints requirements/test.txt \
    pyproject.toml --group build --group accelerate
