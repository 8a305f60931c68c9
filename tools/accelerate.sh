#!/bin/sh
# accelerate.sh BUILD VENV: a wheel of this project whose hot modules are compiled, built in the
# environment BUILD, and VENV with that wheel and what it needs to run. src/ stays as it is.
set -eu
cd "$(dirname "$0")/.."
build=$1
venv=$2
. tools/apt.sh

tools/install.sh "$build" requirements/accelerate.txt none
has_headers() {
    "$build/bin/python" -c 'import os, sysconfig
raise SystemExit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
}
has_compiler() {
    echo '#include <stdlib.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1
}
has_compiler || apt_install gcc libc6-dev
has_headers || apt_install python3-dev
has_headers || {
    say "$("$build/bin/python" --version) has no headers here (Python.h); use one that has: make PYTHON=/path/to/python3"
    exit 1
}

say "Compiling the hot modules (a minute or two)"
rm -rf "$build/wheel"
log=$build/wheel.log
if ! CC="${CC:-gcc}" HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 \
    "$build/bin/python" -m hatchling build -t wheel -d "$build/wheel" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    exit 1
fi
tools/install.sh "$venv" requirements/run.txt "$(echo "$build"/wheel/*.whl)"
"$venv/bin/python" -c 'import cairnfs.namespace.walk as walk
raise SystemExit(not walk.__file__.endswith(".so") and f"{walk.__file__} is not compiled")'
