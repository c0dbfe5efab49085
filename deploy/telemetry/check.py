#!/usr/bin/env python3
"""Asks a Prometheus every query of the dashboard and of the alert rules, and says which return nothing.

    deploy/telemetry/check.py http://127.0.0.1:9090

Of an alert rule the value is asked for, without the comparison that makes it fire; what stands in for an absent series (`or vector(0)`)
is left out. Exit code 1 when a query fails or returns nothing,
unless its metric is named in --may-be-empty: a healthy installation has no aborted transactions.
"""
import argparse
import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
COMPARISON = re.compile(r"\s*[<>]=?\s*[0-9.]+\s*$")


def dashboard():
    panels = json.loads((HERE / "grafana/dashboards/weir.json").read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def ask(server, path):
    with urllib.request.urlopen(f"{server}{path}", timeout=10) as answer:
        return json.load(answer)["data"]


def rules(server):
    groups = ask(server, "/api/v1/rules")["groups"]
    return [(rule["name"], COMPARISON.sub("", rule["query"])) for group in groups for rule in group["rules"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("--may-be-empty", nargs="*", default=[], metavar="METRIC")
    options = parser.parse_args()
    failed = 0
    for name, query in dashboard() + rules(options.server):
        query = query.replace(" or vector(0)", "")
        found = ask(options.server, "/api/v1/query?" + urllib.parse.urlencode({"query": query}))["result"]
        values = [series["value"][1] for series in found if series["value"][1] != "NaN"]
        excused = not values and any(metric in query for metric in options.may_be_empty)
        failed += not values and not excused
        said = f"{len(values)} series, first {values[0]}" if values else "nothing" + (", as allowed" if excused else "")
        print(f"{'ok  ' if values or excused else 'FAIL'}  {name}: {said}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
