#!/usr/bin/env python3
"""Keeps Weir's block list in two files for a gateway, one entry a line, and has it read them again when they change.

    kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic weir.blocklist --from-beginning \\
      --isolation-level read_committed --property print.key=true |
      blocklist.py /etc/haproxy/weir-addresses.lst /etc/haproxy/weir-tokens.lst systemctl reload haproxy

Each line of its input is a key, a tab, and a value or `null`. Entries go when they end, or when the topic says so.
"""

import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

# Seconds between two looks at what has ended; a reload comes no more often.
LOOK_S = 1


def follow(lines):
    for line in sys.stdin:
        lines.put(line)
    lines.put(None)


def write(path, entries):
    """Replaces a file, so that nobody reads half of it; whether anything changed."""
    text = "".join(f"{entry}\n" for entry in sorted(entries))
    if path.exists() and path.read_text() == text:
        return False
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)
    return True


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    files = {"address": pathlib.Path(sys.argv[1]), "token": pathlib.Path(sys.argv[2])}
    lines, until_ms = queue.Queue(), {}
    threading.Thread(target=follow, args=[lines], daemon=True).start()
    is_over = False
    while not is_over:
        time.sleep(LOOK_S)
        while not lines.empty():
            line = lines.get()
            if line is None:
                is_over = True
                break
            key, _, value = line.rstrip("\n").partition("\t")
            if value == "null":
                until_ms.pop(key, None)
            elif key.partition("/")[0] in files:
                until_ms[key] = json.loads(value)["until_ms"]
        now_ms = time.time() * 1000
        until_ms = {key: until for key, until in until_ms.items() if until > now_ms}
        changed = [
            write(path, [key.partition("/")[2] for key in until_ms if key.startswith(f"{kind}/")]) for kind, path in files.items()
        ]
        if any(changed) and len(sys.argv) > 3:
            subprocess.run(sys.argv[3:], check=True)


if __name__ == "__main__":
    main()
