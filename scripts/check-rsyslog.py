#!/usr/bin/env python3
"""Lets rsyslog receive Weir's alerts as CEF over UDP, TCP and TLS, and compares what it understood with what Weir forwarded.

    scripts/check-rsyslog.py [--weir target/release/weir]

Needs Debian's rsyslog and rsyslog-gnutls (the driver of rsyslog-openssl 8.2302 loses lines of many connections at once). Everything runs on free ports of 127.0.0.1 and in a folder that goes afterwards. The receivers are
down while Weir scores, and come up afterwards; but for UDP, where nobody can know.
"""

import argparse
import collections
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTDATA = ROOT / "egress/tests/testdata"
WAYS = ["udp", "tcp", "tls"]
PATIENCE_S = 300


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rsyslog(folder, ports, ways):
    """Configuration of rsyslog: each way has an input and a file of what was understood, one JSON object a message."""
    lines = [
        '$MaxMessageSize 64k',
        f'global(workDirectory="{folder}" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{TESTDATA}/ca.pem"'
        f' defaultNetstreamDriverCertFile="{TESTDATA}/server.pem" defaultNetstreamDriverKeyFile="{TESTDATA}/server.key")',
        'template(name="understood" type="list" option.jsonf="on") { property(outname="severity" name="syslogseverity" format="jsonf")'
        ' property(outname="program" name="app-name" format="jsonf") property(outname="kind" name="msgid" format="jsonf")'
        ' property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf") property(outname="text" name="msg" format="jsonf") }',
    ]
    if "udp" in ways:
        lines += ['module(load="imudp")', f'input(type="imudp" address="127.0.0.1" port="{ports["udp"]}" ruleset="udp")']
    if "tcp" in ways:
        lines += ['module(load="imtcp")', f'input(type="imtcp" address="127.0.0.1" port="{ports["tcp"]}" ruleset="tcp")']
        tls = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'
        lines += [f'input(type="imtcp" address="127.0.0.1" port="{ports["tls"]}" ruleset="tls" {tls})']
    lines += [f'ruleset(name="{way}") {{ action(type="omfile" file="{folder}/{way}.json" template="understood") }}' for way in ways]
    path = folder / f"{'-'.join(ways)}.conf"
    path.write_text("\n".join(lines) + "\n")
    return ["rsyslogd", "-n", "-f", path, "-i", folder / f"{'-'.join(ways)}.pid"]


def cef(text):
    """Header fields and extension of a CEF message, by its specification."""
    header, at = [], 0
    for match in re.finditer(r"(?<!\\)\|", text):
        header.append(text[at : match.start()])
        at = match.end()
        if len(header) == 7:
            break
    extension = dict(re.findall(r"(\w+)=((?:\\.|[^\\=])*)(?= \w+=|$)", text[at:]))
    return header, extension


def wait(what, is_so):
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > until:
            sys.exit(f"{what} does not come")
        time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", type=pathlib.Path, default=ROOT / "target/release/weir")
    weir = parser.parse_args().weir.resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-rsyslog-"))
    started = []

    def start(*command):
        log = open(folder / f"{len(started)}.log", "wb")
        started.append(subprocess.Popen([str(part) for part in command], stdout=log, stderr=subprocess.STDOUT, cwd=folder))

    try:
        ports = {way: free_port() for way in WAYS}
        subprocess.run([weir, "simulate", "--seed", "3", "--days", "0.2", "--out", folder / "sim"], check=True, capture_output=True)
        ways = {way: f'{{ to = "syslog+{way}://localhost:{port}", format = "cef"' for way, port in ports.items()}
        ways["tls"] += f', ca_file = "{TESTDATA}/ca.pem"'
        sets = [f"outputs.{way}={value} }}" for way, value in ways.items()] + ["learning.requests=800", "learning.min_requests=800"]
        listen = free_port()
        start(*rsyslog(folder, ports, ["udp"]))
        start(weir, "up", "--data", "data", "--listen", f"127.0.0.1:{listen}", *(part for setting in sets for part in ("--set", setting)))

        def ask(path, body=None):
            with urllib.request.urlopen(f"http://127.0.0.1:{listen}{path}", body, timeout=60) as answer:
                return json.loads(answer.read() or b"null")

        def is_up():
            try:
                return ask("/v1/status") is not None
            except OSError:
                return False

        wait("Weir", is_up)
        lines = (folder / "sim/traffic.ndjson").read_bytes().splitlines(keepends=True)
        half = len(lines) // 2
        for part in (lines[:half], lines[half:]):
            for at in range(0, len(part), 500):
                ask("/v1/exchanges", b"".join(part[at : at + 500]))
            wait("a model", lambda: any(api["model"] for api in ask("/v1/status")["apis"]))

        def judged():
            apis = [api for scorer in ask("/v1/status")["scorers"] for api in scorer["apis"].values()]
            return sum(api["benign"] + api["anomalous"] + api["insufficient"] for api in apis)

        wait("a verdict for each exchange", lambda: judged() == len(lines))
        outputs = lambda: {output["output"]: output for output in ask("/v1/status")["outputs"]}
        wait("the word that two receivers are down", lambda: outputs()["tcp"]["failing"] and outputs()["tls"]["failing"])
        print(f"{len(lines)} exchanges judged while TCP and TLS were down")
        start(*rsyslog(folder, ports, ["tcp", "tls"]))
        wait("all alerts", lambda: len(outputs()) == 3 and all(o["lag"] == 0 and o["delivered"] for o in outputs().values()))
        alerts = outputs()["tcp"]["delivered"]

        for way in WAYS:
            path = folder / f"{way}.json"
            wait(f"{alerts} alerts by {way}", lambda: path.exists() and len(path.read_text().splitlines()) >= alerts)
            understood = [json.loads(line) for line in path.read_text().splitlines()]
            messages = [cef(message["text"].strip()) for message in understood]
            for message, (header, extension) in zip(understood, messages):
                well = header[:2] == ["CEF:0", "Weir"] and message["program"] == "weir" and message["kind"] == "alert"
                if not (well and extension.get("externalId") and extension.get("cat") and extension.get("rt", "").isdigit()):
                    sys.exit(f"{way}: not understood: {message}")
            if len(messages) != alerts:
                sys.exit(f"{way}: {len(messages)} messages of {alerts} alerts")
            severities = collections.Counter(message["severity"] for message in understood)
            print(f"{way}: {alerts} alerts, each understood; syslog severities {dict(severities)}")
        if len({tuple(sorted(m["text"] for m in map(json.loads, (folder / f"{way}.json").read_text().splitlines()))) for way in WAYS}) != 1:
            sys.exit("the ways did not bring the same alerts")
    finally:
        for process in started:
            process.terminate()
            process.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
