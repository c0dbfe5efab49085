#!/usr/bin/env bash
# Shows that what `docker compose up --detach` started works: mirrors simulated traffic in, waits for the stages, and reads verdicts and alerts
# out with Kafka's own console consumer. May be run again and again; what stands on the topics already is counted apart.
set -euo pipefail
cd "$(dirname "$0")/.."

setting() { # setting NAME: from the environment, else from .env
  if [ -n "${!1:-}" ]; then echo "${!1}"; else sed -n "s/^$1=//p" .env | tail -n 1; fi
}
listen="$(setting WEIR_LISTEN)"
token="$(setting WEIR_TOKEN)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }
fail() {
  say "FAILED: $*"
  exit 1
}

# Everything that is committed on a topic, one value a line. The consumer ends with an error when nothing more comes, and may say so here.
committed() {
  docker compose exec -T kafka /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic "$1" \
    --isolation-level read_committed --from-beginning --timeout-ms "${2:-8000}" 2>/dev/null | grep '^{' || true
}

post() { # post FILE: exchanges, 500 a request; what is refused for the moment is sent again
  rm -f "$work"/piece.*
  split -l 500 "$1" "$work/piece."
  for piece in "$work"/piece.*; do
    curl --silent --show-error --fail-with-body --retry 30 --retry-delay 1 --retry-all-errors --output "$work/answer" \
      --header "authorization: Bearer $token" --header "content-type: application/x-ndjson" \
      --data-binary "@$piece" "http://$listen/v1/exchanges" || fail "ingest refused exchanges: $(cat "$work/answer")"
  done
}

wait_until() { # wait_until SECONDS WHAT COMMAND...: runs the command until it succeeds
  local limit=$((SECONDS + $1)) what="$2"
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$limit" ] || fail "$what: not within the time"
  done
}

# Of the shop: other hosts of the simulation have too little traffic to be learned.
newest_stage() { committed weir.status 5000 | grep -o '"api":"api.shop.example","stage":"[a-z]*"' | tail -n 1 | cut -d'"' -f8; }
is_evaluating() {
  local stage
  stage="$(newest_stage)"
  [ "$stage" = "${said:-}" ] || say "stage: ${stage:-nothing said yet}"
  said="$stage"
  [ "$stage" = evaluating ]
}
all_judged() {
  committed weir.verdicts >"$work/verdicts"
  [ "$(wc -l <"$work/verdicts")" -ge "$wanted" ]
}

say "simulating a web shop, its users and its attackers"
start="$(date --utc --date '1 day ago' +%FT%TZ)"
docker compose exec -T ingest weir simulate --seed "$((SECONDS + $$))" --start "$start" --days 1 --requests-per-day 36000 --learning 0.7 --out /tmp/smoke >/dev/null 2>&1
for part in train test; do
  docker compose exec -T ingest cat "/tmp/smoke/$part.ndjson" >"$work/$part.ndjson"
done

committed weir.verdicts >"$work/before"
before="$(wc -l <"$work/before")"
sent=0
if [ "$(newest_stage)" != evaluating ]; then
  lines="$(wc -l <"$work/train.ndjson")"
  needed="$(docker compose exec -T trainer weir config show | sed -n 's/^learning.requests = \([0-9]*\).*/\1/p')"
  [ "$lines" -ge "$needed" ] || fail "$lines exchanges were simulated, and the first training starts after $needed"
  say "mirroring $lines exchanges to learn from"
  post "$work/train.ndjson"
  sent=$((sent + lines))
  wait_until 900 "the first training" is_evaluating
fi
lines="$(wc -l <"$work/test.ndjson")"
say "mirroring $lines exchanges with attacks among them"
post "$work/test.ndjson"
sent=$((sent + lines))

wanted=$((before + sent))
wait_until 300 "$wanted verdicts ($before were there before)" all_judged
count="$(wc -l <"$work/verdicts")"
distinct="$(grep -o '^{"id":"[^"]*"' "$work/verdicts" | sort -u | wc -l)"
anomalous="$(grep -c '"label":"anomalous"' "$work/verdicts" || true)"
alerts="$(committed weir.alerts | wc -l)"

say "verdicts: $count, of which $((count - before)) new; different ids: $distinct; anomalous: $anomalous; alerts: $alerts"
grep '"label":"anomalous"' "$work/verdicts" | tail -n 3 | cut -c 1-400
[ "$count" -eq "$wanted" ] || fail "$sent exchanges were accepted and $((count - before)) verdicts came"
[ "$distinct" -eq "$count" ] || fail "a verdict is there twice"
[ "$anomalous" -gt 0 ] || fail "no attack was seen"
[ "$alerts" -gt 0 ] || fail "no alert was raised"
say "well: every accepted exchange has exactly one verdict"
