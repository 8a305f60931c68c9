#!/bin/sh
# install.sh VENV LOCK [PROJECT]: VENV gets what LOCK names, and this project: editable, or the
# wheel PROJECT, or not at all where PROJECT is "none".
# Locks carry hashes and no build may fetch anything, so that nothing unlocked gets in.
set -eu
cd "$(dirname "$0")/.."
venv=$1
lock=$2
project=${3:-editable}
uv=$(tools/bootstrap.sh)
export UV_PYTHON_DOWNLOADS=never
if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    "$uv" venv --quiet --clear --python "${PYTHON:-python3}" "$venv"
fi
install() {
    "$uv" pip install --quiet --python "$venv/bin/python" --no-build-isolation "$@"
}
echo "Installing $lock into $venv" >&2
install --require-hashes -r "$lock"
case $project in
editable) install --no-deps --editable . ;;
none) ;;
*) install --no-deps --reinstall "$project" ;;
esac
# Start-up counts, and the environment may forbid Python to keep what it compiled.
PYTHONDONTWRITEBYTECODE='' "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" src || true
