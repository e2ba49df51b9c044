#!/usr/bin/env python3
"""How long the stock `tx` client takes for a first sync and for a later delta: of a node, and of a server that only replays.

    bench.py HASHPACT [ROWS [DELTA]]    25,000 entries and 1,000 if not given; run by the environment of .ci/clients/run

The replaying server sends the bytes that the node sent, from memory, by path and query. So that both are asked for the same
windows, the client's clock stands still (`sitecustomize.py` in the folder made for it). Wall time of the whole command.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from node import MEMBER, Node, rows
from tx import Tx

RUNS = 3
STILL = "import os, time\nnow = float(os.environ['BENCH_NOW'])\ntime.time = lambda: now\n"


class Recorder:
    """Passes requests on to a node and keeps the replies; later it only replays them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.kept: dict[str, bytes] = {}
        self.asked = 0
        self.missed = 0
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                recorder.asked += 1
                body = recorder.kept.get(self.path)
                if body is None:
                    recorder.missed += 1
                    url = recorder.node.url + self.path
                    body = requests.get(url, auth=(MEMBER, recorder.node.token), timeout=60).content
                    recorder.kept[self.path] = body
                self.send_response(200)
                self.send_header("Content-Type", "application/xml; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Side:
    """A state of `tx` whose server is the node or the recorder."""

    def __init__(self, node: Node, name: str, url: str) -> None:
        direct, node.url = node.url, url
        self.tx = Tx(node, name)
        node.url = direct
        folder = node.folder / "still"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(STILL)
        self.tx.environment["PYTHONPATH"] += f":{folder}"

    def sync(self, now: int) -> float:
        """Seconds of a fetch at that time."""
        self.tx.environment["BENCH_NOW"] = str(now)
        began = time.monotonic()
        self.tx.fetch("--skip-index-rebuild")
        return time.monotonic() - began


def measure(node: Node, recorder: Recorder, sides: dict[str, list[Side]], now: int, what: str) -> None:
    """Lets a scratch client record, then times both, in turn."""
    sides["scratch"][0].sync(now)
    recorded, recorder.missed = recorder.missed, 0
    spent: dict[str, list[float]] = {"node": [], "replay": []}
    for run in range(RUNS):
        for name, times in spent.items():
            times.append(sides[name][run].sync(now))
    if recorder.missed:
        raise SystemExit(f"{recorder.missed} requests were not replayed")
    asked, size = recorded, sum(len(body) for body in recorder.kept.values())
    node_s, replay_s = (min(spent[name]) for name in ("node", "replay"))
    print(
        f"{what:<22} {asked:>5} GETs {size / 1e6:>7.1f} MB so far   node {node_s:.2f} s   replay {replay_s:.2f} s   "
        f"ratio {node_s / replay_s:.2f}",
        flush=True,
    )


def main() -> None:
    """Prints one line a measurement."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    numbers = [int(text) for text in sys.argv[2:4]]
    count, delta = [*numbers, *(25_000, 1_000)[len(numbers) :]]
    with tempfile.TemporaryDirectory() as temporary:
        node = Node(sys.argv[1], Path(temporary))
        node.found()
        with node.running():
            node.govern(releases=True)
            node.admit()
            recorder = Recorder(node)
            sides = {
                "scratch": [Side(node, "scratch", recorder.url)],
                "node": [Side(node, f"node-{run}", node.url) for run in range(RUNS)],
                "replay": [Side(node, f"replay-{run}", recorder.url) for run in range(RUNS)],
            }
            for name, rows_made in (("first", count), ("delta", delta)):
                node.ingest(name, rows(name, rows_made, 0))
                # A thousand entries share a second, and the client leaves the last five.
                time.sleep(rows_made / 1000 + 10)
                measure(node, recorder, sides, int(time.time()), f"{name} of {rows_made}")
            for group in ("node", "replay"):
                for side in sides[group]:
                    side.tx.run("fetch", "--only-api", "hashpact", fails=False)
                    counts = side.tx.counts()
                    if counts != {"pdq": count + delta}:
                        raise SystemExit(f"{group}: {counts}")


if __name__ == "__main__":
    main()
