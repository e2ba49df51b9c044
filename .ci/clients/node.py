"""A node of this program under the US profile, with one member: what the stock clients talk to.

Everything lies in a temporary folder; all values are made up from a seed.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMBER = "shop"
WAIT_S = 120
STOP_S = 15
PROFILE = """
[source]
name = "synthetic"
format = "csv"

[columns]
md5 = "md5"
sha1 = "sha1"
sha256 = "sha256"
pdq = "pdq"

[label]
column = "label"
scheme = "tech-coalition"
version = "1"
issuer = "synthetic"

[labels]
media_kind = { column = "kind" }
content_class = { column = "content" }
state = "assessed"
depiction = "real"
minor_certain = "yes"
age_claim = "actual"
self_generated = "not_indicated"
context_flags = []
legal_basis = "voluntary"
legal_status = {}
residency = ["US"]
applicable_law = []
tlp = "AMBER"
hops = 1
recipients = ["provider"]
purposes = ["detect", "remove", "block"]
"""


class CheckFailed(Exception):
    """A check that does not hold, or a step that could not be done."""


@dataclass(frozen=True)
class Row:
    """A made-up entry."""

    md5: str
    sha1: str
    sha256: str
    pdq: str
    kind: str
    content: str = "csam"
    label: str = "A1"

    def line(self) -> str:
        """Its line in a list."""
        return ",".join((self.md5, self.sha1, self.sha256, self.pdq, self.kind, self.content, self.label))


def pdq(rng: random.Random) -> str:
    """A PDQ hash with as many bits set as real ones have."""
    while True:
        bits = rng.getrandbits(256)
        if 112 <= bits.bit_count() <= 142:
            return f"{bits:064x}"


def rows(name: str, images: int, videos: int) -> list[Row]:
    """Made-up entries; images have every hash, videos no PDQ."""
    rng = random.Random(name)

    def one(number: int, kind: str) -> Row:
        seed = f"{name} {kind} {number}".encode()
        sha256 = hashlib.sha256(seed).hexdigest()
        digests = (hashlib.md5(seed).hexdigest(), hashlib.sha1(seed).hexdigest(), sha256)
        return Row(*digests, pdq(rng) if kind == "image" else "", kind)

    return [one(n, "image") for n in range(images)] + [one(n, "video") for n in range(videos)]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Node:
    """A home, and the program that works on it."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program = str(Path(program).resolve())
        self.folder = folder
        self.home = folder / "us"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.keys: list[str] = []
        self.policies = 0
        self.process: subprocess.Popen

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> dict:
        """A command's answer."""
        whole = [self.program, "--json", "--home", str(self.home), *arguments]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        if done.returncode not in codes:
            raise CheckFailed(f"hashpact {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}

    def found(self) -> None:
        """A demonstration network of one centre, with the keys of two people, in force."""
        self.run(
            *("init", "--centre", "us", "--jurisdiction", "US", "--domain", "us.example"),
            *("--listen", f"/ip4/127.0.0.1/tcp/{free_port()}"),
        )
        self.keys = [str(self.folder / f"{name}.key") for name in ("alice", "bob")]
        for key in self.keys:
            self.run("policy", "key", "new", "--plain", key)
        self.run("enrol", *(word for key in self.keys for word in ("--policy-key", key)))
        root, roster = str(self.folder / "root.key"), str(self.folder / "roster-1.txt")
        self.run("roster", "key", root)
        made = self.run(
            *("roster", "new", "--demo", "--root", root, "--out", roster),
            *("--enrol", str(self.home / "enrolment.txt")),
        )
        self.run("roster", "apply", roster, "--pin", made["network"])
        with (self.home / "hashpact.toml").open("a") as config:
            config.write(f'\n[gateway]\nlisten = "127.0.0.1:{self.port}"\n')
            config.write("\n[subset]\nquarantine_s = 0\ncap_per_origin_day = 1000000\n")

    def govern(self, *, releases: bool, matches: bool = True) -> None:
        """Logs the US profile, with or without the grants under which members get and match anything; it widens at once."""
        self.policies += 1
        folder = self.folder / f"policy-{self.policies}"
        shutil.copytree(ROOT / "profiles" / "us", folder)
        profile = folder / "profile.toml"
        text = profile.read_text().replace("widen_after_hours = 24", "widen_after_hours = 0")
        granted = [action for action, on in (("publish", releases), ("match", matches), ("reveal", matches)) if on]
        text = text.replace('actions = ["publish", "match", "reveal"]', f"actions = {json.dumps(granted)}")
        if not matches:
            text = re.sub(r"(?m)^match = .*\n", "", text)
        profile.write_text(text)
        out = str(self.folder / f"policy-{self.policies}.txt")
        self.run("policy", "new", str(folder), "--out", out, *(w for key in self.keys for w in ("--key", key)))
        self.run("policy", "apply", out)

    def admit(self) -> None:
        """The member, and a credential that may look up."""
        self.run("member", "add", MEMBER, "--jurisdiction", "US", "--sector", "hosting")
        issued = self.run(
            *("member", "credential", "issue", MEMBER, "--lookup", "--rate", "10000"),
            *("--quota", "16000000"),
        )
        self.token = issued["token"]

    def ingest(self, name: str, made: list[Row]) -> None:
        """Takes in a list."""
        file, profile = self.folder / f"{name}.csv", self.folder / "list.toml"
        header = "md5,sha1,sha256,pdq,kind,content,label\n"
        file.write_text(header + "".join(row.line() + "\n" for row in made))
        profile.write_text(PROFILE)
        answer = self.run("ingest", str(file), "--profile", str(profile))
        if answer["summary"]["accepted"] != len(made):
            raise CheckFailed(f"ingest: {answer['summary']}")

    def entry(self, row: Row) -> str:
        """The id under which an entry is held."""
        return self.run("lookup", f"md5:{row.md5}")["entries"][0]["entry"]

    def retract(self, made: list[Row]) -> None:
        """Takes entries back."""
        self.run("retract", *(self.entry(row) for row in made))

    def wait(self, what: str, ask: Callable[[], object], seconds: float = WAIT_S):
        """The first answer that is one."""
        deadline, fault = time.monotonic() + seconds, "not yet"
        while time.monotonic() < deadline:
            try:
                if answer := ask():
                    return answer
            except (CheckFailed, OSError) as error:
                fault = str(error)
            time.sleep(0.2)
        journal = (self.folder / "journal").read_text()[-4000:]
        raise CheckFailed(f"no {what} within {seconds} s: {fault}\n{journal}")

    def start(self) -> None:
        """The node answers from here on."""
        with (self.folder / "journal").open("ab") as journal:
            whole = [self.program, "--home", str(self.home), "run", "--disk-is-current"]
            self.process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=journal)
        self.wait("answer", lambda: self.run("status"))
        self.wait("gateway", lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() or True)

    def stop(self) -> None:
        """The node ends."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The node answers, for as long as the block lasts."""
        try:
            self.start()
            yield
        finally:
            self.stop()
