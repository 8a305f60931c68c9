#!/bin/sh
# Prints the path of a working uv; installs one under .bootstrap/ where the machine has none.
# Everything but that path goes to stderr.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
. tools/apt.sh

if uv --version >/dev/null 2>&1; then
    command -v uv
    exit 0
fi
if ! command -v "$PYTHON" >/dev/null 2>&1; then
    say "There is no $PYTHON here: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
    exit 1
fi
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "$("$PYTHON" --version) is too old: Cairn needs Python 3.11 or newer (make PYTHON=/path/to/python3)"
    exit 1
fi
# The stamp is the lock itself: a changed lock makes a new uv.
if ! cmp -s requirements/bootstrap.txt .bootstrap/installed.txt; then
    if ! "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        apt_install python3-venv
    fi
    say "Installing uv into .bootstrap/"
    rm -rf .bootstrap
    "$PYTHON" -m venv .bootstrap >&2
    .bootstrap/bin/python -m pip install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements/bootstrap.txt >&2
    cp requirements/bootstrap.txt .bootstrap/installed.txt
fi
echo "$PWD/.bootstrap/bin/uv"
