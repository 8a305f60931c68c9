#!/bin/sh
# install_go_client.sh MODULE DIR: Go where missing; DIR/hdfs is colinmarc/hdfs's command line and
# DIR/driver our door into its library, both built from what MODULE's go.mod and go.sum pin.
set -eu
cd "$(dirname "$0")/.."
module=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
. tools/apt.sh

# What go.mod asks for; Debian bookworm has just this one.
go_is_new_enough() {
    minor=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge 19 ]
}
go_is_new_enough || apt_install golang-go

say "Building the Go client into $2"
# No other toolchain, nothing that is not pinned, no compiler of C.
export GOTOOLCHAIN=local GOFLAGS='-mod=readonly -buildvcs=false -trimpath' GOWORK=off CGO_ENABLED=0
cd "$module"
go build -o "$dir/hdfs" github.com/colinmarc/hdfs/v2/cmd/hdfs
go build -o "$dir/driver" ./driver
