#!/usr/bin/env bash
# Everything that must hold before a change lands. The last line counts the tests that ran, out of what the test runner itself printed.
set -euo pipefail
cd "$(dirname "$0")/.."
log=.cache/test.log
mkdir -p .cache
: >"$log"

step() { # step WHAT COMMAND...
  echo "== $1" >&2
  shift
  "$@"
}

# tests COMMAND...: runs tests to the end, keeps what they print, and remembers whether any failed.
failed=0
tests() {
  "$@" 2>&1 | tee -a "$log" || failed=1
}

step "formatting (make fmt repairs it)" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
step "licences, bans and sources of dependencies" .cache/tools/bin/cargo-deny --log-level error check licenses bans sources
step "unit, property, golden and broker tests" tests cargo test --workspace --all-targets --no-fail-fast
step "examples in the documentation" tests cargo test --workspace --doc --no-fail-fast

awk '/^test result:/ { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) passed += $(i - 1); if ($i ~ /^failed/) failed += $(i - 1) } }
     END { printf "\n%d passed, %d failed\n", passed, failed; exit passed == 0 || failed > 0 }' "$log" || failed=1
exit "$failed"
