#!/usr/bin/env python3
"""Sends requests through real gateways, set up by the files beside this one, and looks whether Weir has a verdict for each, tells callers apart, and
knows of headers and bodies what the table in the README says.

    check.py [--weir target/release/weir] [--requests 200] nginx nginx-bodies envoy envoy-log envoy-tap haproxy caddy traefik opentelemetry

Needed besides Weir: the programs of the gateways that are named (`opentelemetry`: a collector, by its path in OTELCOL).
Everything runs on free ports of 127.0.0.1 and in a folder that goes afterwards.
"""

import argparse
import collections
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE_S = 60
# Callers that take turns, and where the path of a request says whose turn it is.
CALLERS = 7
ORDERS = "/v1/orders/"
FIRST = 1000


class Upstream(http.server.BaseHTTPRequestHandler):
    """The API behind the gateway."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        said = json.dumps({"path": self.path, "got": len(body), "name": "Jürgen"}, ensure_ascii=False).encode()
        self.send_response(201 if body else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Api(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A gateway may close its connections as it likes."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Check:
    """One gateway under test: where everything is, and what was started for it."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.gateway, self.weir, self.api = free_port(), free_port(), Api(("127.0.0.1", 0), Upstream)
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.api_port = self.api.server_address[1]
        self.log = folder / "weir.json"
        self.started = []

    def config(self, name, changes):
        """A file from beside this one with its addresses and paths changed; each change must apply."""
        text = (HERE / name).read_text()
        for old, new in changes.items():
            if old not in text:
                sys.exit(f"{name} has no `{old}`: put this script right")
            text = text.replace(old, str(new))
        path = self.folder / pathlib.Path(name).name
        path.write_text(text)
        return path

    def start(self, *command, output=None, **more):
        out = open(output or self.folder / f"{len(self.started)}.log", "wb")
        self.started.append(subprocess.Popen([str(part) for part in command], stdout=out, stderr=subprocess.STDOUT, **more))

    def follow(self):
        """Settings that let Weir follow the gateway's log."""
        return ["--set", f'ingest.files=[{{ path = "{self.log}", format = "json" }}]']

    def start_weir(self, settings=()):
        data = ["--data", self.folder / "data", "--listen", f"127.0.0.1:{self.weir}"]
        self.start(self.options.weir, "up", *data, *settings, cwd=self.folder)
        self.wait("Weir", lambda: self.ask(self.weir, "/healthz") == 200)

    def ask(self, port, path, body=None, headers=()):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def wait(self, what, is_so):
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > until:
                logs = "".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(self.folder.glob("*.log")))
                sys.exit(f"{logs}\n{what} does not come")
            time.sleep(0.1)

    def play(self, requests):
        """Sends requests of several callers; returns their paths."""
        self.wait("the gateway", lambda: self.ask(self.gateway, "/up") == 200)
        paths = ["/up"]
        for n in range(requests):
            caller = n % CALLERS
            headers = {"authorization": f"Bearer caller-{caller}", "user-agent": "check/1", "cookie": f"sid={caller}; theme=dark"}
            body = None
            if n % 3 == 0:
                body = json.dumps({"qty": n, "note": 'quotes " and \\ and ü'}).encode()
                headers["content-type"] = "application/json"
            path = f"{ORDERS}{FIRST + n}"
            if self.ask(self.gateway, f"{path}?page={n % 5}&q=%22a%22", body, headers) not in (200, 201):
                sys.exit("the gateway did not hand a request on")
            paths.append(path)
        return paths

    def verdicts(self):
        command = [self.options.weir, "verdicts", "--json", "--limit", "10000", "--listen", f"127.0.0.1:{self.weir}"]
        said = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=self.folder).stdout
        return [json.loads(line) for line in said.splitlines()]

    def known(self):
        """What some request told of itself, as `weir ingest check` says it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.weir}/v1/arrivals", timeout=10) as answer:
            lines = [line.strip().partition(": ") for line in answer.read().decode().splitlines()]
        said = [what for title, _, what in lines if title in ("always known", "sometimes known")]
        return {item.partition(" (")[0] for what in said for item in what.split(", ")}

    def stop(self):
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.api.shutdown()


def nginx(check, name="weir.conf", load="", location="", changes=None):
    log = check.config(f"nginx/{name}", {"/var/log/nginx/weir.json": check.log} | (changes or {}))
    (check.folder / "nginx.conf").write_text(
        f"{load} daemon off; pid {check.folder}/nginx.pid; error_log {check.folder}/error.log; events {{}} http {{ include {log};"
        f" client_body_temp_path {check.folder}/body; proxy_temp_path {check.folder}/proxy; fastcgi_temp_path {check.folder}/f;"
        f" uwsgi_temp_path {check.folder}/u; scgi_temp_path {check.folder}/s;"
        f" server {{ listen 127.0.0.1:{check.gateway}; location / {{ {location} proxy_pass http://127.0.0.1:{check.api_port}; }} }} }}"
    )
    check.start_weir(check.follow())
    check.start("nginx", "-e", check.folder / "error.log", "-p", check.folder, "-c", check.folder / "nginx.conf")
    return check.play(check.options.requests)


def nginx_bodies(check):
    check.config("nginx/weir.js", {})
    module = "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;"
    keep = "js_body_filter weir.keep buffer_type=buffer;"
    return nginx(check, "weir-bodies.conf", module, keep, {"/etc/nginx/njs": check.folder})


ENVOY = {"port_value: 10000": "port_value: {gateway}", "port_value: 8080": "port_value: {api_port}"}


def start_envoy(check, name, **changes):
    ports = {old: new.format(gateway=check.gateway, api_port=check.api_port) for old, new in ENVOY.items()}
    config = check.config(f"envoy/{name}", ports | changes)
    check.start("envoy", "-c", config, "--base-id", os.getpid(), "-l", "warn")


def envoy(check):
    check.start_weir()
    start_envoy(check, "ext-proc.yaml", **{"port_value: 8088": f"port_value: {check.weir}"})
    return check.play(check.options.requests)


def envoy_log(check):
    check.start_weir(check.follow())
    start_envoy(check, "envoy.yaml", **{"/var/log/envoy/weir.json": check.log})
    return check.play(check.options.requests)


def envoy_tap(check):
    check.start_weir()
    admin, taps = free_port(), check.folder / "taps.json"
    start_envoy(check, "tap.yaml", **{"port_value: 9901": f"port_value: {admin}"})
    check.wait("the gateway", lambda: check.ask(check.gateway, "/before") == 200)
    check.start("curl", "-sSN", "--data", f"@{HERE}/envoy/tap.json", f"http://127.0.0.1:{admin}/tap", output=taps)
    check.wait("the tap", lambda: check.ask(check.gateway, "/probe") == 200 and taps.stat().st_size > 0)
    paths = check.play(check.options.requests)
    check.wait("the last request in the tap", lambda: f'"{paths[-1]}?' in taps.read_text(errors="replace"))
    check.started.pop().terminate()
    if check.ask(check.weir, "/v1/exchanges?format=tap", taps.read_bytes()) != 202:
        sys.exit("Weir did not take the tap")
    return paths


def haproxy(check):
    config = check.config("haproxy/haproxy.cfg", {"127.0.0.1:8080": f"127.0.0.1:{check.gateway}", "127.0.0.1:9000": f"127.0.0.1:{check.api_port}"})
    check.start_weir(check.follow())
    check.start("haproxy", "-f", config, output=check.log)
    return check.play(check.options.requests)


def caddy(check):
    config = check.config("caddy/Caddyfile", {"127.0.0.1:8080": f"127.0.0.1:{check.gateway}", "127.0.0.1:9000": f"127.0.0.1:{check.api_port}"})
    check.start_weir(check.follow())
    environment = os.environ | {"WEIR_LOG_FILE": str(check.log), "HOME": str(check.folder)}
    check.start("caddy", "run", "--adapter", "caddyfile", "--config", config, env=environment)
    return check.play(check.options.requests)


def traefik(check):
    config = check.config("traefik/traefik.yaml", {"/var/log/traefik/weir.json": check.log})
    routes = {
        "http": {
            "routers": {"api": {"rule": "PathPrefix(`/`)", "service": "api"}},
            "services": {"api": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{check.api_port}"}]}}},
        }
    }
    (check.folder / "routes.yaml").write_text(json.dumps(routes))
    with config.open("a") as file:
        file.write(f'entryPoints: {{ web: {{ address: "127.0.0.1:{check.gateway}" }} }}\n')
        file.write(f'providers: {{ file: {{ filename: "{check.folder}/routes.yaml" }} }}\n')
    check.start_weir(check.follow())
    check.start("traefik", f"--configFile={config}")
    return check.play(check.options.requests)


def opentelemetry(check):
    otlp = free_port()
    changes = {"127.0.0.1:4318": f"127.0.0.1:{otlp}", "127.0.0.1:4317": f"127.0.0.1:{free_port()}", "127.0.0.1:8088": f"127.0.0.1:{check.weir}"}
    config = check.config("opentelemetry/collector.yaml", changes)
    check.start_weir()
    check.start(os.environ.get("OTELCOL", "otelcol-contrib"), "--config", config)
    check.wait("the collector", lambda: check.ask(otlp, "/v1/traces", b"{}", {"content-type": "application/json"}) == 200)
    paths = [f"{ORDERS}{FIRST + n}" for n in range(check.options.requests)]
    for n, path in enumerate(paths):
        said = {"http.request.method": "GET", "url.path": path, "http.route": "/v1/orders/{id}", "client.address": f"203.0.113.{n % CALLERS}"}
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in said.items()]
        attributes.append({"key": "http.response.status_code", "value": {"intValue": "200"}})
        at = 1_770_104_100_000_000_000 + n * 1_000_000_000
        span = {"traceId": f"{n + 1:032x}", "spanId": f"{n + 1:016x}", "name": "GET", "kind": 2, "attributes": attributes}
        span |= {"startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 5_000_000)}
        body = json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [span]}]}]}).encode()
        if check.ask(otlp, "/v1/traces", body, {"content-type": "application/json"}) != 200:
            sys.exit("the collector did not take a span")
    return paths


HEADERS = {"request headers", "response headers"}
BODIES = {"request body", "response body"}

# How each is checked, and what of headers and bodies it tells.
GATEWAYS = {
    "nginx": (nginx, HEADERS | {"request body"}),
    "nginx-bodies": (nginx_bodies, HEADERS | BODIES),
    "envoy": (envoy, HEADERS | BODIES),
    "envoy-log": (envoy_log, HEADERS),
    "envoy-tap": (envoy_tap, HEADERS | BODIES),
    "haproxy": (haproxy, HEADERS),
    "caddy": (caddy, HEADERS),
    "traefik": (traefik, HEADERS),
    "opentelemetry": (opentelemetry, set()),
}


def sessions_of_callers(verdicts):
    """The one session of each caller; ends where callers are not told apart."""
    sessions = collections.defaultdict(set)
    for verdict in verdicts:
        if verdict["path"].startswith(ORDERS):
            sessions[(int(verdict["path"].removeprefix(ORDERS)) - FIRST) % CALLERS].add(verdict.get("session"))
    named = set().union(*sessions.values())
    if None in named or any(len(own) != 1 for own in sessions.values()) or len(named) != len(sessions):
        sys.exit(f"callers are not told apart: {dict(sessions)}")
    return named


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gateways", nargs="+", choices=GATEWAYS)
    parser.add_argument("--weir", type=pathlib.Path, default=HERE.parent.parent / "target/release/weir")
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    options.weir = options.weir.resolve()
    for name in options.gateways:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"weir-{name}-"))
        folder.chmod(0o755)
        check = Check(folder, options)
        try:
            play, tells = GATEWAYS[name]
            wanted = collections.Counter(play(check))
            arrived = {}

            def all_there():
                arrived.update({verdict["id"]: verdict for verdict in check.verdicts()})
                return not wanted - collections.Counter(verdict["path"] for verdict in arrived.values())

            check.wait("a verdict for each request", all_there)
            counts = collections.Counter(verdict["path"] for verdict in arrived.values())
            if any(counts[path] != n for path, n in wanted.items() if path != "/up"):
                sys.exit(f"{name}: a request has more than one verdict")
            callers = len(sessions_of_callers(arrived.values()))
            known = check.known()
            if known & (HEADERS | BODIES) != tells or not {"time", "session", "source address", "response status"} <= known:
                sys.exit(f"{name}: known is {sorted(known)}; of headers and bodies it should be {sorted(tells)}")
            print(f"{name}: {sum(wanted.values())} requests of {callers} callers, each with its verdict; known: {', '.join(sorted(known))}")
        finally:
            check.stop()
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
