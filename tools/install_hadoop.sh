#!/bin/sh
# install_hadoop.sh POM DIR: Java and Maven where missing, and the POM's jars in DIR/lib.
set -eu
cd "$(dirname "$0")/.."
pom=$1
dir=$2
. tools/apt.sh

# Spark 4 wants Java 17, Hadoop 3.4 takes it.
java_is_new_enough() {
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}
missing=
java_is_new_enough || missing="openjdk-17-jre-headless"
mvn --version >/dev/null 2>&1 || missing="$missing maven"
# shellcheck disable=SC2086  # a list of packages
[ -z "$missing" ] || apt_install $missing

say "Fetching Hadoop's jars into $dir/lib"
rm -rf "$dir/lib"
mvn --quiet --batch-mode -Dmdep.useBaseVersion=true -DincludeScope=runtime \
    -DoutputDirectory="$PWD/$dir/lib" -f "$pom" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
