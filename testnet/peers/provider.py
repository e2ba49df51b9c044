"""What a node gives a member's programs over HTTP, and people over its control socket, beside nginx: see `provider`.

One centre under the US profile, of which members are granted what it publishes and no private matching, so that building
artifacts takes no part. Entries are made from a counter: MD5 and SHA-256, every fourth a PDQ hash too. Everything lies in a
temporary folder. Processor time is user and system time of the process named, from /proc; each peak of memory is of its step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node import PROFILE, CheckFailed, Node, free_port

HERE = Path(__file__).resolve().parent
ROUNDS = 3
PER_MEMBER = 4
LOOKUPS_A_REQUEST = 1_000
LOOKUP_BODIES = 32
LOOKUP_CONNECTIONS, LOOKUP_DEPTH = 4, 4
FILE_LINES = 400_000
# Of the values that are asked for, one in so many is listed.
SHARES = {"half": 2, "few": 100}
FORMS = {
    "cbor": ("-H", "Accept: application/cbor-seq"),
    "cbor_zstd": ("-H", "Accept: application/cbor-seq", "-H", "Accept-Encoding: zstd"),
    "ndjson": (),
}
TICK = os.sysconf("SC_CLK_TCK")
NGINX = """
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  sendfile on;
  keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    root {folder}/files;
  }}
}}
"""


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def load() -> float:
    """The load of the last minute: two cores are busy at 2."""
    return round(os.getloadavg()[0], 1)


class Watched:
    """A process: its processor time and its memory."""

    def __init__(self, pid: int) -> None:
        self.of = Path(f"/proc/{pid}")

    def cpu(self) -> float:
        """Seconds, user and system."""
        fields = (self.of / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def peak_mib(self) -> float:
        """The peak since it was reset."""
        line = next(line for line in (self.of / "status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def reset_peak(self) -> None:
        """From here on; only root may, and without it a peak is that since the start."""
        try:
            (self.of / "clear_refs").write_text("5")
        except OSError:
            progress("the peak of memory could not be reset: it is that since the start")


@dataclass
class Spent:
    """What a step took."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0


@contextmanager
def spent(process: Watched) -> Iterator[Spent]:
    """Measures a process during a block."""
    took = Spent()
    process.reset_peak()
    cpu, began = process.cpu(), time.monotonic()
    yield took
    took.wall_s = time.monotonic() - began
    took.cpu_s = process.cpu() - cpu
    took.peak_mib = process.peak_mib()


def md5(number: int) -> str:
    return hashlib.md5(b"%d" % number).hexdigest()


def asked(number: int, entries: int, one_in: int) -> str:
    """The value of a question: one in so many is listed, spread over the list; the others are of nobody."""
    listed = number % one_in == 0
    return "md5:" + md5(number // one_in * 7_919 % entries if listed else entries + number)


class Serving(Node):
    """A node that serves over TLS, with as many credentials as there are clients."""

    def __init__(self, program: str, folder: Path, options: argparse.Namespace) -> None:
        super().__init__(program, folder)
        self.url = f"https://127.0.0.1:{self.port}"
        self.options = options
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.tokens: list[tuple[str, str]] = []

    def found(self) -> None:
        super().found()
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        made += ["-keyout", str(self.key), "-out", str(self.certificate), "-days", "30", "-subj", "/CN=us"]
        made += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
        subprocess.run(made, check=True, capture_output=True)
        self.key.chmod(0o600)
        config = self.home / "hashpact.toml"
        listen = f'listen = "127.0.0.1:{self.port}"\n'
        tls = f'certificate = "{self.certificate}"\nkey = "{self.key}"\n'
        lookup = "\n[lookup]\nper_person_day = 1000000000\n"
        config.write_text(config.read_text().replace(listen, listen + tls) + lookup)

    def admit_all(self) -> None:
        """Members with some credentials each: one credential may have four streams at once."""
        terms = ("--lookup", "--rate", str(self.options.rate), "--quota", str(self.options.quota))
        for number in range(self.options.clients):
            member = f"shop-{number // PER_MEMBER}"
            if number % PER_MEMBER == 0:
                self.run("member", "add", member, "--jurisdiction", "US", "--sector", "hosting")
            token = self.run("member", "credential", "issue", member, *terms)["token"]
            self.tokens.append((member, token))
        self.token = self.tokens[0][1]

    def ask(self, path: str, token: str | None = None, body: bytes | None = None) -> dict:
        """A JSON answer."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        request = urllib.request.Request(self.url + path, body, headers)
        context = ssl.create_default_context(cafile=str(self.certificate))
        with urllib.request.urlopen(request, timeout=600, context=context) as answer:
            return json.load(answer)

    def published(self) -> int:
        """Entries that a member may have."""
        return self.ask("/v1/subset")["entries"]


def pdq(seed: bytes) -> str:
    """A PDQ hash with about as many bits set as real ones have: others are refused."""
    while not 112 <= int.from_bytes(seed := hashlib.sha256(b"pdq" + seed).digest()).bit_count() <= 142:
        pass
    return seed.hex()


def make_list(path: Path, entries: int) -> None:
    """The list, as CSV."""
    with path.open("w") as out:
        out.write("md5,sha256,pdq,kind,content,label\n")
        for number in range(entries):
            seed = b"%d" % number
            perceptual = pdq(seed) if number % 4 == 0 else ""
            kind = "video" if number % 4 == 1 else "image"
            sha256 = hashlib.sha256(seed).hexdigest()
            out.write(f"{hashlib.md5(seed).hexdigest()},{sha256},{perceptual},{kind},csam,A1\n")


def take_in(node: Serving, watched: Watched, entries: int) -> dict:
    """Ingest, and publishing, which begins meanwhile."""
    file, profile = node.folder / "list.csv", node.folder / "list.toml"
    make_list(file, entries)
    profile.write_text(PROFILE.replace('sha1 = "sha1"\n', ""))
    with spent(watched) as whole:
        with spent(watched) as ingest:
            answer = node.run("ingest", str(file), "--profile", str(profile))
        if answer["summary"]["accepted"] != entries:
            raise CheckFailed(f"ingest: {answer['summary']}")
        while (there := node.published()) < entries:
            if time.monotonic() % 10 < 0.5:
                progress(f"  {there} published")
            time.sleep(0.5)
    file.unlink()
    publish_s, publish_cpu = whole.wall_s - ingest.wall_s, whole.cpu_s - ingest.cpu_s
    return {
        "ingest_per_s": entries / ingest.wall_s,
        "ingest_per_cpu_s": entries / ingest.cpu_s,
        "published_after_ingest_s": publish_s,
        "published_after_ingest_cpu_s": publish_cpu,
        "ingest_and_publish_per_s": entries / whole.wall_s,
        "ingest_and_publish_per_cpu_s": entries / whole.cpu_s,
        "peak_mib": max(whole.peak_mib, ingest.peak_mib),
    }


@contextmanager
def nginx(node: Serving) -> Iterator[tuple[str, Path, Watched]]:
    """The reference: its address, the folder of its files, and the process that serves them."""
    folder, port = node.folder / "nginx", free_port()
    (folder / "files").mkdir(parents=True)
    # Its worker is nobody where root starts it.
    for path in (node.folder, folder, folder / "files"):
        path.chmod(0o755)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, certificate=node.certificate, key=node.key))
    master = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(config)], stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
    try:
        worker = node.wait("nginx", lambda: children.read_text().split(), 10)[0]
        yield f"https://127.0.0.1:{port}", folder / "files", Watched(int(worker))
    finally:
        master.terminate()
        master.wait()


def curl(node: Serving, url: str, out: str, *more: str) -> int:
    """Downloads, and says how many bytes."""
    line = ["curl", "-sS", "--fail", "--http1.1", "--cacert", str(node.certificate), "-o", out]
    line += ["-w", "%{size_download}", *more, url]
    return int(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def snapshots(node: Serving, watched: Watched, peer: tuple[str, Path, Watched], entries: int) -> dict:
    """The whole subset to one client in each form, and the same bytes by nginx, in turn."""
    address, files, worker = peer
    figures = {}
    # Processor time is told in steps of 10 ms: of small lists it takes more rounds to say something.
    rounds = max(ROUNDS, min(20, 2_000_000 // entries))
    for name, accept in FORMS.items():
        wishes = ("-H", f"Authorization: Bearer {node.token}", *accept)
        snapshot = f"{node.url}/v1/subset/snapshot"
        kept = files / name
        size = curl(node, snapshot, str(kept), *wishes)
        kept.chmod(0o644)
        if name == "ndjson":
            check_snapshot(kept, entries)
        took = {"node": [], "nginx": []}
        for _ in range(rounds):
            with spent(watched) as ours:
                again = curl(node, snapshot, "/dev/null", *wishes)
            with spent(worker) as theirs:
                same = curl(node, f"{address}/{name}", "/dev/null")
            if same != size or again < size * 0.99:
                raise CheckFailed(f"{name}: {size}, {again} and {same} bytes")
            took["node"].append(ours)
            took["nginx"].append(theirs)
        kept.unlink()
        wall = {who: min(each.wall_s for each in times) for who, times in took.items()}
        cpu = {who: max(sum(each.cpu_s for each in times), 1 / TICK) / rounds for who, times in took.items()}
        figures[name] = {
            "entries_per_s": entries / wall["node"],
            "entries_per_cpu_s": entries / cpu["node"],
            "mb": size / 1e6,
            "bytes_an_entry": size / entries,
            "mb_per_s": size / 1e6 / wall["node"],
            "mb_per_cpu_s": size / 1e6 / cpu["node"],
            "nginx_mb_per_s": size / 1e6 / wall["nginx"],
            "nginx_mb_per_cpu_s": size / 1e6 / cpu["nginx"],
            "ratio_to_nginx_wall": wall["nginx"] / wall["node"],
            "ratio_to_nginx_cpu": cpu["nginx"] / cpu["node"],
            "peak_mib": max(each.peak_mib for each in took["node"]),
        }
    return figures


def check_snapshot(kept: Path, entries: int) -> None:
    """Every entry is there, and the stream is whole."""
    with kept.open() as lines:
        items = [(item["kind"], item.get("count", 0)) for item in map(json.loads, lines)]
    if items[-1][0] != "end" or sum(count for _, count in items) != entries:
        raise CheckFailed(f"the snapshot has {sum(count for _, count in items)} of {entries} entries")


def wrk(address: str, requests: list[tuple[str, ...]], folder: Path, connections: int, depth: int, seconds: int) -> dict:
    """What wrk measured, on one thread."""
    file = folder / "requests"
    file.write_text("".join("\t".join(request) + "\n" for request in requests))
    environment = {**os.environ, "REQUESTS": str(file), "DEPTH": str(depth)}
    line = ["wrk", "--threads", "1", "--connections", str(connections), "--timeout", "30s"]
    line += ["--script", str(HERE / "provider.lua"), "--duration", f"{seconds}s", address]
    done = subprocess.run(line, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def hammered(watched: Watched, *arguments: object) -> dict:
    """Two seconds to warm up, then the measurement."""
    *rest, seconds = arguments
    wrk(*rest, 2)
    with spent(watched) as took:
        told = wrk(*rest, seconds)
    if told["refused"] or told["broken"] or not told["requests"]:
        raise CheckFailed(f"wrk: {told}")
    return {
        "requests_per_s": told["requests"] / told["s"],
        "requests_per_cpu_s": told["requests"] / max(took.cpu_s, 1 / TICK),
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
        "bytes_a_reply": told["bytes"] / told["requests"],
        "peak_mib": took.peak_mib,
    }


def polling(node: Serving, watched: Watched, peer: tuple[str, Path, Watched]) -> dict:
    """Clients that ask for changes behind their cursor, and there are none; nginx answers as many about a file."""
    options, (address, files, worker) = node.options, peer
    cursors = {member: node.ask("/v1/subset", token)["cursor"] for member, token in node.tokens}
    plain = [("GET", f"/v1/subset/changes?after={cursors[member]}", token, "", "") for member, token in node.tokens]
    held = [(*request[:3], f'"{cursors[member]}"', "") for request, (member, _) in zip(plain, node.tokens)]
    context = ssl.create_default_context(cafile=str(node.certificate))
    note = files / "note"
    note.write_text('{"cursor":"' + "x" * 90 + '","kind":"end","more":false}\n')
    note.chmod(0o644)
    with urllib.request.urlopen(f"{address}/note", context=context) as answer:
        tag = answer.headers["ETag"]
    theirs = {"304": [("GET", "/note", "x", tag, "")], "200": [("GET", "/note", "x", "", "")]}
    figures = {}
    for name, ours in (("304", held), ("200", plain)):
        rest = (node.folder, options.clients, 1, options.seconds)
        one = hammered(watched, node.url, ours, *rest)
        other = hammered(worker, address, theirs[name], *rest)
        one["alone_p50_ms"] = wrk(node.url, ours, node.folder, 1, 1, 2)["p50_ms"]
        one["nginx_alone_p50_ms"] = wrk(address, theirs[name], node.folder, 1, 1, 2)["p50_ms"]
        one["nginx_requests_per_s"] = other["requests_per_s"]
        one["nginx_requests_per_cpu_s"] = other["requests_per_cpu_s"]
        one["nginx_p99_ms"] = other["p99_ms"]
        one["ratio_to_nginx_wall"] = one["requests_per_s"] / other["requests_per_s"]
        one["ratio_to_nginx_cpu"] = one["requests_per_cpu_s"] / other["requests_per_cpu_s"]
        figures[name] = one
    return figures


def http_lookups(node: Serving, watched: Watched, entries: int) -> dict:
    """Requests of a thousand fingerprints, sent ahead over a few connections."""
    figures = {}
    for share, one_in in SHARES.items():
        requests = []
        for first in range(0, LOOKUP_BODIES * LOOKUPS_A_REQUEST, LOOKUPS_A_REQUEST):
            values = [asked(number, entries, one_in) for number in range(first, first + LOOKUPS_A_REQUEST)]
            body = json.dumps({"fingerprints": values}, separators=(",", ":"))
            requests.append(("POST", "/v1/lookup", node.tokens[len(requests) % len(node.tokens)][1], "", body))
        answers = node.ask("/v1/lookup", body=requests[0][4].encode())["answers"]
        matched = sum(bool(answer["matches"]) for answer in answers)
        if matched != LOOKUPS_A_REQUEST // one_in:
            raise CheckFailed(f"{matched} of {LOOKUPS_A_REQUEST} match")
        rest = (node.folder, LOOKUP_CONNECTIONS, LOOKUP_DEPTH, node.options.seconds)
        told = hammered(watched, node.url, requests, *rest)
        figures[share] = {
            "fingerprints_per_s": told["requests_per_s"] * LOOKUPS_A_REQUEST,
            "fingerprints_per_cpu_s": told["requests_per_cpu_s"] * LOOKUPS_A_REQUEST,
            "peak_mib": told["peak_mib"],
        }
    return figures


def file_lookups(node: Serving, watched: Watched, entries: int) -> dict:
    """`lookup --file`: the whole command, and its processor time apart."""
    figures = {}
    for share, one_in in SHARES.items():
        file = node.folder / "suspects.txt"
        file.write_text("".join(asked(number, entries, one_in) + "\n" for number in range(FILE_LINES)))
        line = [node.program, "--home", str(node.home), "lookup", "--file", str(file)]
        runs = []
        for _ in range(ROUNDS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            with spent(watched) as took:
                done = subprocess.run(line, check=True, capture_output=True, text=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if not done.stdout.startswith(f"{FILE_LINES // one_in} of {FILE_LINES} match."):
                raise CheckFailed(done.stdout.splitlines()[0])
            runs.append((took, client))
        figures[share] = {
            "lookups_per_s": FILE_LINES / min(took.wall_s for took, _ in runs),
            "lookups_per_cpu_s_of_the_node": FILE_LINES / min(took.cpu_s for took, _ in runs),
            "lookups_per_cpu_s_of_the_command": FILE_LINES / min(client for _, client in runs),
            "peak_mib": max(took.peak_mib for took, _ in runs),
        }
    return figures


def flat(figures: dict, name: str = "") -> Iterator[tuple[str, float]]:
    for key, value in figures.items():
        whole = f"{name} {key}".strip()
        if isinstance(value, dict):
            yield from flat(value, whole)
        else:
            yield whole, value


def one(entries: int, options: argparse.Namespace, folder: Path) -> dict:
    """All figures of one size."""
    node = Serving(options.hashpact, folder, options)
    node.found()
    figures: dict = {}
    with node.running():
        watched = Watched(node.process.pid)
        node.govern(releases=True, matches=False)
        node.admit_all()
        with nginx(node) as peer:
            steps = {
                "ingest": lambda: take_in(node, watched, entries),
                "snapshot": lambda: snapshots(node, watched, peer, entries),
                "polling": lambda: polling(node, watched, peer),
                "http_lookup": lambda: http_lookups(node, watched, entries),
                "file_lookup": lambda: file_lookups(node, watched, entries),
            }
            for name, step in steps.items():
                before = load()
                told = step()
                figures[name] = {"load_before": before, "load_after": load(), **told}
                for figure, value in flat(figures[name], name):
                    progress(f"  {figure:<56} {value:>16,.2f}")
    return figures


def main() -> None:
    """Prints figures as they come, then all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hashpact", help="the program")
    parser.add_argument("--entries", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--clients", type=int, default=200, help="that poll, each with a credential of its own")
    parser.add_argument("--seconds", type=int, default=10, help="that wrk runs")
    parser.add_argument("--rate", type=int, default=100_000, help="requests a second of a credential")
    parser.add_argument("--quota", type=int, default=10_000_000_000, help="units a day of a credential")
    options = parser.parse_args()
    versions = {
        "hashpact": [options.hashpact, "--version"],
        "nginx": ["nginx", "-v"],
        "curl": ["curl", "--version"],
        "wrk": ["dpkg-query", "-Wf", "${Version}", "wrk"] if shutil.which("dpkg-query") else ["true"],
    }
    told = {}
    for name, line in versions.items():
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        told[name] = ((done.stdout or done.stderr).splitlines() or ["?"])[0]
    result = {"versions": told, "cores": os.cpu_count(), "clients": options.clients, "wrk_s": options.seconds}
    for entries in options.entries:
        progress(f"{entries} synthetic entries, load {load()}")
        with tempfile.TemporaryDirectory(prefix="hashpact-provider-") as folder:
            result[str(entries)] = one(entries, options, Path(folder))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
