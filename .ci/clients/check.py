#!/usr/bin/env python3
"""Runs the stock clients of members against a node, one line a check.

    check.py HASHPACT [CHECK...]    HASHPACT is the program; without CHECK all of them, in order
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests
from threatexchange.exchanges.clients.ncmec import hash_api

from node import MEMBER, CheckFailed, Node, Row, rows
from tx import Tx, client, entries, parsed

IMAGES, VIDEOS, BULK = 2_500, 300, 25_000
NOT_CSAM = "e7ca1b7a-e2f2-5026-89de-342804f3223e"


class Checks:
    """What is checked, in order; each works on what those before left."""

    def __init__(self, node: Node, made: list[Row]) -> None:
        self.node = node
        self.made = made
        self.tx = Tx(node, "tx-state")
        self.images, self.videos = IMAGES, VIDEOS

    def expected(self) -> dict[str, int]:
        """Signals that `tx` must have: it matches PDQ of images and MD5 of videos."""
        return {"pdq": self.images, "video_md5": self.videos}

    def first_sync(self) -> str:
        """The first sync brings every entry."""
        began = time.monotonic()
        counts = self.tx.synced(self.expected())
        return f"{counts} within {time.monotonic() - began:.1f} s"

    def labels(self) -> str:
        """What the client keeps of an entry is what the list said, and the client knows who it is."""
        api = client(self.node)
        me, others = api.status(), api.members()
        found = {e.fingerprints["md5"]: e for e in windows(api)}
        row = self.made[0]
        one = found[row.md5]
        got = (one.classification, one.fingerprints, one.deleted, one.entry_type.value)
        want = (row.label, {"md5": row.md5, "sha1": row.sha1, "pdq": row.pdq}, False, "image")
        same(got, want)
        same(me.esp_name, MEMBER)
        if one.member_id not in {member.esp_id for member in others} or me not in others:
            raise CheckFailed("the entry's member is not listed")
        return f"{len(found)} entries once each, of {[m.esp_name for m in others]}"

    def retraction(self) -> str:
        """What is retracted is gone after the next fetch."""
        gone, self.made = self.made[:3], self.made[3:]
        self.node.retract(gone)
        self.images -= len(gone)
        return f"{len(gone)} retracted, {self.tx.synced(self.expected())} left"

    def policy(self) -> str:
        """Whoever loses access loses every entry, and whoever gets it back gets them under new times."""
        self.node.govern(releases=False)
        none = self.tx.synced({})
        self.node.govern(releases=True)
        back = self.tx.synced(self.expected())
        return f"without the grant {none}, with it again {back}"

    def pages(self) -> str:
        """Rows that change between two pages are not skipped, nor are their neighbours; `next` is good after a restart."""
        now = int(time.time()) - 1
        first = entries(self.node, 0, now, size="500")
        page = parsed(first)
        seen = {entry.id for entry in page.updates if not entry.deleted}
        unseen = [row for row in self.made if row.kind == "image" and self.node.entry(row) not in seen][:20]
        self.node.retract(unseen)
        self.made = [row for row in self.made if row not in unseen]
        self.images -= len(unseen)
        self.restart()
        while page.next:
            page = parsed(requests.get(f"{self.node.url}/hashsharing{page.next}", auth=(MEMBER, self.node.token), timeout=60))
            for entry in page.updates:
                if entry.id in seen:
                    raise CheckFailed("an entry came twice")
                if not entry.deleted:
                    seen.add(entry.id)
        wanted = {entry.id for entry in windows(client(self.node)) if not entry.deleted}
        if missing := wanted - seen:
            raise CheckFailed(f"{len(missing)} entries were skipped")
        return f"{len(seen)} rows over pages, 20 retracted and the node restarted between them"

    def restart(self) -> None:
        """The node ends, and another process takes its place."""
        self.node.stop()
        self.node.start()

    def votes(self) -> str:
        """Votes are signed for the origin, once however often they are sent."""
        api = client(self.node)
        kind = hash_api.FingerprintType.pdq
        reasons = api.feedback_reasons(kind)
        if reasons.get(NOT_CSAM) is None or len(reasons) != 7:
            raise CheckFailed(f"reasons: {reasons}")
        entry = next(e for e in windows(api) if e.entry_type.value == "image" and not e.deleted)
        sizes = [self.size()]
        for vote in (hash_api.FeedbackType.upvote, hash_api.FeedbackType.downvote):
            for _ in range(2):
                api.submit_feedback(entry.member_id, entry.id, kind, vote, NOT_CSAM)
                sizes.append(self.size())
        grown = [after - before for before, after in zip(sizes, sizes[1:])]
        same(grown, [1, 0, 1, 0])
        fates = [self.fate(entry.id, vote) for vote in ({"vote": "affirmative"}, {"vote": "negative", "reason": "not_csam"})]
        same([fate["state"] for fate in fates], ["received", "received"])
        same(self.size(), sizes[-1])
        unknown = refused(lambda: api.submit_feedback(entry.member_id, entry.id, kind, hash_api.FeedbackType.downvote, "r1"))
        absent = refused(lambda: api.submit_upvote(entry.member_id, "0" * 32, kind))
        same((unknown, absent), (400, 404))
        return "2 signed objects for 4 votes, at their origin; an unknown reason 400, an unknown entry 404"

    def size(self) -> int:
        """Leaves of the centre's log: each object that it signs is one."""
        return self.node.run("status")["own"]["size"]

    def fate(self, entry: str, vote: dict) -> dict:
        """What became of the same word, said through the native API: it is the same object."""
        body = {"origin": "us.example/us/1", "entry": entry, "rev": 1, "algorithm": "pdq", **vote}
        auth = (MEMBER, self.node.token)
        said = requests.post(f"{self.node.url}/v1/feedback", json=body, auth=auth, timeout=60)
        said.raise_for_status()
        told = requests.get(f"{self.node.url}/v1/feedback/{said.json()['id']}", auth=auth, timeout=60)
        told.raise_for_status()
        return told.json()

    def bulk(self) -> str:
        """25,000 entries of one import finish, also cut by --limit and resumed on the stored page after a restart."""
        self.node.ingest("bulk", rows("bulk", BULK, 0))
        self.images += BULK
        cut = Tx(self.node, "tx-cut")
        time.sleep(30)
        cut.fetch("--limit", "3000")
        some = cut.counts()
        self.restart()
        whole = cut.synced(self.expected())
        same(self.tx.synced(self.expected()), whole)
        if not 0 < some.get("pdq", 0) < whole["pdq"]:
            raise CheckFailed(f"--limit 3000 brought {some}")
        return f"--limit 3000 brought {some}, then {whole}"

    def zones(self) -> str:
        """A client that says local time is UTC is refused east of it, and told why; west of it it works."""
        tokyo = Tx(self.node, "tx-tokyo", "Asia/Tokyo")
        said = tokyo.fetch(fails=True)
        if "400" not in said and "Some collabs had errors" not in said:
            raise CheckFailed(said)
        answer = entries(self.node, 0, int(time.time()) + 9 * 3600)
        if answer.status_code != 400 or "TZ=UTC" not in answer.json()["detail"]:
            raise CheckFailed(f"{answer.status_code} {answer.text}")
        Tx(self.node, "tx-york", "America/New_York").fetch()
        early = entries(self.node, -18_000, 0)
        same((early.status_code, len(parsed(early).updates)), (200, 0))
        reverse = entries(self.node, int(time.time()), 5)
        same((reverse.status_code, len(parsed(reverse).updates)), (200, 0))
        return "Asia/Tokyo 400 with TZ=UTC in it, America/New_York 200"

    def strangers(self) -> str:
        """A wrong token opens nothing and stops the client."""
        wrong = client(self.node, self.node.token[:-4] + "AAAA")
        same(refused(wrong.status), 401)
        return "401"

    def shield_matches(self) -> str:
        """Exact, near and no match, in the stock shape, with the distance beside it."""
        row = next(row for row in self.made if row.kind == "image")
        near = f"{int(row.pdq, 16) ^ 0x3FF << 80:064x}"
        far = f"{int(row.pdq, 16) ^ (1 << 32) - 1:064x}"
        exact, close, none, black = self.ask("pdq", row.pdq, near, far, "0" * 64)
        for match, distance in ((exact, 0), (close, 10)):
            same((match["classification"], match["match_type"], match["known"]), ("csam", "near", True))
            details = match["details"]
            same(details["sha256_hex"], row.sha256.upper())
            same(base64.b32decode(details["sha1_base32"]).hex(), row.sha1)
            same(self.distance([row.pdq, near][distance > 0]), distance)
        for match in (none, black):
            same(match, {"classification": "no-known-match", "match_type": None, "known": False, "details": None})
        return "distances 0 and 10 match, 32 does not, a black picture does not"

    def shield_refusals(self) -> str:
        """Refusals are JSON that the SDK understands; content and addresses are not taken."""
        bad = self.ask("raw", "AAAA")["refused"]
        content = [self.ask("bytes", str(size))["refused"] for size in (10, 5_000_000)]
        url = self.ask("url", "https://example.org/x")["refused"]
        stranger = self.ask("pdq", "0" * 64, token="hp1_00000000_" + "A" * 43)["refused"]
        if "base64 of 32 bytes" not in bad or "credential" not in stranger:
            raise CheckFailed(f"{bad} / {stranger}")
        for text in (*content, url):
            if "no content" not in text:
                raise CheckFailed(text)
        return f'"{bad}"; "{stranger[:30]}..."; media and url 404'

    def ask(self, what: str, *arguments: str, token: str | None = None):
        """What the stock SDK is told."""
        here = Path(__file__).resolve().parent
        whole = [sys.executable, str(here / "shield.py"), MEMBER, token or self.node.token, what, *arguments]
        environment = {**os.environ, "ARACHNID_SHIELD_URL": f"{self.node.url}/"}
        done = subprocess.run(whole, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CheckFailed(f"the SDK: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def distance(self, pdq: str) -> int:
        """The distance beside a match: the SDK passes it over."""
        text = base64.b64encode(bytes.fromhex(pdq)).decode()
        auth = (MEMBER, self.node.token)
        answer = requests.post(f"{self.node.url}/v1/pdq/", json={"hashes": [text]}, auth=auth, timeout=60)
        return answer.json()["scanned_hashes"][text]["distance"]


def windows(api: hash_api.NCMECHashAPI) -> list[hash_api.NCMECEntryUpdate]:
    """Every row that there is."""
    pages = api.get_entries_iter(start_timestamp=0, end_timestamp=int(time.time()))
    return [entry for page in pages for entry in page.updates]


def refused(ask: Callable[[], object]) -> int:
    """The status of a refusal."""
    try:
        ask()
    except requests.HTTPError as error:
        return error.response.status_code
    raise CheckFailed("it was not refused")


def same(got: object, want: object) -> None:
    """Fails if they differ."""
    if got != want:
        raise CheckFailed(f"got {got!r}, expected {want!r}")


ORDER = (
    "first_sync",
    "labels",
    "shield_matches",
    "shield_refusals",
    "retraction",
    "votes",
    "zones",
    "strangers",
    "pages",
    "policy",
    "bulk",
)


def main() -> int:
    """Returns the exit code."""
    if len(sys.argv) < 2 or set(sys.argv[2:]) - set(ORDER):
        print(f"{__doc__}\nchecks: {' '.join(ORDER)}", file=sys.stderr)
        return 2
    names = sys.argv[2:] or list(ORDER)
    os.environ["TZ"] = "UTC"
    time.tzset()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        node = Node(sys.argv[1], Path(temporary))
        node.found()
        with node.running():
            node.govern(releases=True)
            node.admit()
            made = rows("first", IMAGES, VIDEOS)
            node.ingest("first", made)
            checks = Checks(node, made)
            for name in names:
                try:
                    print(f"ok     {name:<16} {getattr(checks, name)()}", flush=True)
                except (CheckFailed, requests.RequestException, KeyError, AssertionError) as error:
                    failed += 1
                    print(f"FAILED {name:<16} {type(error).__name__}: {error}", flush=True)
    print(f"{len(names)} checks, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
