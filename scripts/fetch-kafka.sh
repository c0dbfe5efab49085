#!/usr/bin/env bash
# Fetches the Apache Kafka broker that tests start (about 50 MB, from the Maven repository that your Maven is set up for) to .cache/kafka/lib.
# Does nothing when it is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
pom=runtime/testkit/pom.xml
lib=.cache/kafka/lib

fail() {
  echo "fetch-kafka: $*" >&2
  exit 1
}

command -v java >/dev/null || fail "java is missing: the test broker needs Java 17 or newer (Debian: apt install openjdk-17-jre-headless)"
if cmp -s "$pom" "$lib/pom.xml"; then
  exit 0
fi
command -v mvn >/dev/null || fail "mvn is missing: Maven resolves the broker's jars (Debian: apt install maven)"

echo "fetch-kafka: fetching Apache Kafka to $lib" >&2
mkdir -p .cache/kafka
fresh="$(mktemp -d .cache/kafka/fetching.XXXXXX)"
trap 'rm -rf "$fresh"' EXIT
mvn --quiet --batch-mode --file "$pom" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime "-DoutputDirectory=$PWD/$fresh" >&2 || fail "Maven could not fetch Kafka (see above); behind a mirror, name it in ~/.m2/settings.xml"
cp "$pom" "$fresh/pom.xml"
chmod 755 "$fresh"
rm -rf "$lib"
mv "$fresh" "$lib"
