"""`aics-witness`, a C2SP witness that is not ours, cosigns a log over HTTP, and refuses what it must refuse.

Spec: C2SP tlog-witness. It runs on a free port of this machine, with its state in a temporary folder.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aics_tlog import consistency_proof_from_tiles, format_vkey, parse_note, parse_vkey, verify_checkpoint
from aics_witness.protocol import format_add_checkpoint_request, origin_hash

from checks import CheckFailed, Head, Log, split_history
from flip import flipped
from trust import VKey

NAME = "third-party.example/w1"
START_S = 30
STOP_S = 10
TIMEOUT_S = 10


class LiveWitness:
    """A running witness: where it listens, and the key that it signs with."""

    def __init__(self, folder: Path, log_key: VKey) -> None:
        self.config = str(folder / "witness.json")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{self.listen}"
        self.key = parse_vkey(self.command("init", "--name", NAME, "--listen", self.listen).strip())
        self.command("add-log", "--origin", log_key.name, "--vkey", format_vkey(log_key))

    def arguments(self, command: str, *rest: str) -> list[str]:
        """The command line of one of its commands."""
        return [sys.executable, "-m", "aics_witness", command, "--config", self.config, *rest]

    def command(self, command: str, *rest: str) -> str:
        """Runs a command and returns what it prints."""
        done = subprocess.run(self.arguments(command, *rest), capture_output=True, text=True, check=False)
        if done.returncode:
            raise CheckFailed(f"aics-witness {command}: {done.stderr.strip()}")
        return done.stdout

    def request(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of an answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", body, timeout=TIMEOUT_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return self.request("healthz")[0] == 200
        except OSError:
            return False


@contextmanager
def running(log_key: VKey) -> Iterator[LiveWitness]:
    """A witness that trusts one log, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as temporary:
        witness = LiveWitness(Path(temporary), log_key)
        journal = Path(temporary) / "journal"
        with journal.open("wb") as stderr:
            process = subprocess.Popen(witness.arguments("serve"), stderr=stderr)
        try:
            deadline = time.monotonic() + START_S
            while not witness.is_up():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CheckFailed(f"aics-witness does not serve: {journal.read_text().strip()}")
                time.sleep(0.05)
            yield witness
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Session:
    """One log before one witness."""

    def __init__(self, log: Log, witness: LiveWitness) -> None:
        self.log = log
        self.witness = witness
        self.reader = log.verified()
        self.log_key = next(key for key, _ in log.trust.log_keys)

    def post(self, old: int, proof: list[bytes], note: bytes) -> tuple[int, bytes]:
        """add-checkpoint."""
        return self.witness.request("add-checkpoint", format_add_checkpoint_request(old, proof, note))

    def proof(self, old: int, new: int) -> list[bytes]:
        """The consistency proof, from tiles; empty from size 0 and between equal sizes."""
        return consistency_proof_from_tiles(self.reader, old, new) if 0 < old < new else []

    def cosign(self, old: int, head: Head, note: bytes) -> str:
        """The witness cosigns this head, and its line verifies below the log's text."""
        status, line = self.post(old, self.proof(old, head.size), note)
        if status != 200:
            raise CheckFailed(f"size {head.size} on {old}: status {status}, {line!r}")
        self.verify(note + line, head)
        return f"size {head.size} on {old}: 200, and the cosignature verifies"

    def verify(self, note: bytes, head: Head) -> None:
        """The witness and the log both signed this head."""
        result = verify_checkpoint(parse_note(note), self.log_key, [self.witness.key], 1)
        if not result.ok or (result.size, result.root) != (head.size, head.root):
            raise CheckFailed(f"size {head.size}: {result.error or 'another head'}")

    def refused(self, what: str, expected: int, answer: tuple[int, bytes]) -> str:
        """An answer that is a refusal with this status."""
        if answer[0] != expected:
            raise CheckFailed(f"{what}: status {answer[0]}, expected {expected}")
        return f"{what}: {expected}"

    def monitor(self, head: Head) -> str:
        """What the witness shows to everybody is the newest head."""
        status, note = self.witness.request(f"{origin_hash(head.origin)}/checkpoint")
        if status != 200:
            raise CheckFailed(f"the witness shows no checkpoint: status {status}")
        self.verify(note, head)
        return f"the witness shows size {head.size}"

    def evidence(self) -> str:
        """The witness kept the fork."""
        kept = json.loads(self.witness.command("evidence"))
        if not kept:
            raise CheckFailed("the witness kept no evidence of the fork")
        return f"{len(kept)} requests kept: {kept[-1]['reason']}"


def story(session: Session, fork: bytes | None) -> Iterator[tuple[str, object]]:
    """What is shown to the witness, in order: each a name and a function that returns a line or raises."""
    heads = _growing(session.log)
    first, *rest = heads
    (head, note), (middle, middle_note) = heads[-1], heads[-2] if rest else first
    yield "unknown log", lambda: session.refused("a log it was not told of", 404, session.post(0, [], _renamed(note)))
    yield "cosigns", lambda: session.cosign(0, *first)
    for (old, _), new in zip(heads[:-1], rest[:-1], strict=False):
        yield "cosigns", lambda old=old, new=new: session.cosign(old.size, *new)
    if rest:
        proof = session.proof(middle.size, head.size)
        bad = [flipped(proof[0], 0), *proof[1:]]
        yield "proof", lambda: session.refused("a flipped byte in the proof", 422, session.post(middle.size, bad, note))
        if fork:
            yield "fork", lambda: session.refused("a larger fork", 422, session.post(middle.size, proof, fork))
        yield "cosigns", lambda: session.cosign(middle.size, head, note)
        yield "rollback", lambda: _is_told_size(session, head, session.post(middle.size, [], middle_note))
        below = "a head below its old size"
        yield "rollback", lambda: session.refused(below, 400, session.post(head.size, [], middle_note))
    if fork:
        yield "fork", lambda: session.refused("a fork of equal size", 422, session.post(head.size, [], fork))
        yield "evidence", session.evidence
    yield "signature", lambda: session.refused("a flipped signature", 403, session.post(head.size, [], _unsigned(note)))
    yield "cosigns", lambda: session.cosign(head.size, head, note)
    yield "monitor", lambda: session.monitor(head)


def _growing(log: Log) -> list[tuple[Head, bytes]]:
    """Heads with their notes, each larger than the one before."""
    path = log.folder / "history"
    notes = [*(split_history(path.read_bytes()) if path.exists() else []), (log.folder / "checkpoint").read_bytes()]
    larger: dict[int, tuple[Head, bytes]] = {}
    for head, note in zip(log.heads(), notes, strict=True):
        if head.size:
            larger[head.size] = (head, note)
    return [larger[size] for size in sorted(larger)]


def _is_told_size(session: Session, head: Head, answer: tuple[int, bytes]) -> str:
    line = session.refused("a head that it has left behind", 409, answer)
    if answer[1] != b"%d\n" % head.size:
        raise CheckFailed(f"told {answer[1]!r}, expected size {head.size}")
    return f"{line}, and told size {head.size}"


def _renamed(note: bytes) -> bytes:
    return b"x" + note


def _unsigned(note: bytes) -> bytes:
    """The note with a byte of the log's signature flipped, behind the key id."""
    line = note.index(b"\n\n") + 2
    return flipped(note, note.index(b"\n", line) - 20)
