#!/usr/bin/env python3
"""Compares the ways from nginx to a server: uwsgi_pass and proxy_pass, by TCP and unix sockets.

For each: requests a second through nginx, and CPU in microseconds a request, of the server
and of nginx (one worker). Rounds are interleaved, medians are printed: only ratios of one
run mean something. `keep` lets nginx keep its connections to the server; by the uwsgi
protocol each request has a new one.

    nginx.py --app hello --rounds 5
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import GOWSGI, HERE, PEERS, cpu_seconds, end, read_report, tree, wait_listening, wrk

sys.path.insert(0, str(HERE.parent))
from support.nginx import Nginx
from support.server import free_port

RUN = f"{GOWSGI} run --python {{peers}}/python --threads {{t}} --log-level error -b {{bind}} apps:{{app}}"
UWSGI = "{peers}/uwsgi {bind} -M -p 1 --threads {t} --enable-threads -L -w apps --callable {app} --die-on-term"
GUNICORN = "{peers}/gunicorn --threads {t} -k gthread --log-level error -b {bind} {more} apps:{app}"
# Command, what it binds, which directive nginx has for it.
WAYS = {
    "gowsgi uwsgi unix": (RUN, "uwsgi+unix:{path}", "uwsgi_pass unix:{path};"),
    "gowsgi uwsgi tcp": (RUN, "uwsgi://{address}", "uwsgi_pass {address};"),
    "gowsgi http unix": (RUN, "unix:{path}", "proxy_pass http://unix:{path};"),
    "gowsgi http tcp": (RUN, "{address}", "proxy_pass http://{address};"),
    "gowsgi http tcp keep": (RUN, "{address}", "proxy_pass http://kept;"),
    "uwsgi uwsgi unix": (UWSGI, "--socket {path}", "uwsgi_pass unix:{path};"),
    "uwsgi uwsgi tcp": (UWSGI, "--socket {address}", "uwsgi_pass {address};"),
    "uwsgi http tcp": (UWSGI, "--http-socket {address}", "proxy_pass http://{address};"),
    "gunicorn uwsgi tcp": (GUNICORN.replace("{more}", "--protocol uwsgi"), "{address}", "uwsgi_pass {address};"),
    "gunicorn http tcp": (GUNICORN.replace("{more}", ""), "{address}", "proxy_pass http://{address};"),
    "gunicorn http tcp keep": (GUNICORN.replace("{more}", "--keep-alive 60"), "{address}", "proxy_pass http://kept;"),
}


def once(way: str, options: argparse.Namespace) -> dict:
    """Start a server and nginx, warm them up, measure, end them."""
    command, bind, hand_on = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        names = {"path": f"{folder}/s.sock", "address": f"127.0.0.1:{free_port()}"}
        line = command.format(bind=bind.format(**names), app=options.app, t=options.t, peers=PEERS)
        server = subprocess.Popen(
            shlex.split(line), cwd=HERE, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        front, port = None, free_port()
        try:
            if "tcp" in way:
                wait_listening(int(names["address"].split(":")[1]))
            kept = f"upstream kept {{ server {names['address']}; keepalive 64; }}"
            front = Nginx(
                Path(folder),
                f"{kept} access_log off; server {{ listen 127.0.0.1:{port}; location / {{ include params; "
                f'include proxy-headers; proxy_set_header Connection ""; {hand_on.format(**names)} }} }}',
            )
            url = f"http://127.0.0.1:{port}/"
            wrk(options, options.app, url, 2)
            before = cpu_seconds(tree(server.pid)), cpu_seconds(tree(front.pid))
            report = read_report(wrk(options, options.app, url, options.secs))
            after = cpu_seconds(tree(server.pid)), cpu_seconds(tree(front.pid))
        finally:
            if front:
                front.close()
            end(server)
    used = [(b - a) / max(report["requests"], 1) * 1e6 for a, b in zip(before, after, strict=True)]
    return {"rps": report["rps"], "server": used[0], "nginx": used[1], "wrong": report["wrong"]}


def main() -> None:
    """Run the rounds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", default="hello", help="a name in apps.py")
    parser.add_argument("--only", default="", help="ways that contain this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--secs", type=int, default=3)
    parser.add_argument("-t", type=int, default=4, help="threads")
    parser.add_argument("-c", type=int, default=32, help="connections")
    options = parser.parse_args()
    results: dict[str, list[dict]] = {way: [] for way in WAYS if options.only in way}
    for _ in range(options.rounds):
        for way, rounds in results.items():
            rounds.append(once(way, options))
    base = statistics.median(r["rps"] for r in next(iter(results.values())))
    cpu_base = statistics.median(r["server"] + r["nginx"] for r in next(iter(results.values())))
    print(f"| app {options.app} | requests/s | ratio | CPU us, server | nginx | together, ratio |")
    print("|---|---|---|---|---|---|")
    for way, rounds in results.items():
        rps, server, front = (statistics.median(r[key] for r in rounds) for key in ("rps", "server", "nginx"))
        wrong = " ".join({r["wrong"] for r in rounds if r["wrong"]})
        ratio = f"{(server + front) / cpu_base:.2f}"
        print(f"| {way} | {rps:,.0f} | {rps / base:.2f} | {server:.0f} | {front:.0f} | {ratio} | {wrong}".rstrip())


if __name__ == "__main__":
    main()
