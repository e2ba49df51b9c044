"""The stock `tx` command line and the client below it, pointed at a node with the extension of docs/clients."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import requests
from threatexchange.exchanges.clients.ncmec import hash_api

from node import MEMBER, ROOT, CheckFailed, Node

CLIENTS = ROOT / "docs" / "clients"


class Tx:
    """A state folder of `tx`, and the command line that works on it."""

    def __init__(self, node: Node, name: str, zone: str = "UTC") -> None:
        self.node = node
        self.state = node.folder / name
        self.environment = {
            **os.environ,
            "TZ": zone,
            "TX_STATEDIR": str(self.state),
            "PYTHONPATH": str(CLIENTS),
            "TX_HASHPACT_CREDENTIALS": f"{MEMBER}:{node.token}",
        }
        self.run("config", "extensions", "add", "hashpact_tx")
        url = f"{node.url}/hashsharing"
        self.run("config", "collab", "edit", "hashpact", "--create", "NodeA", "--node-url", url)

    def run(self, *arguments: str, fails: bool = False) -> str:
        """What a command prints."""
        whole = [str(Path(sys.executable).parent / "tx"), *arguments]
        done = subprocess.run(whole, env=self.environment, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if bool(done.returncode) != fails:
            raise CheckFailed(f"tx {' '.join(arguments)}: exit code {done.returncode}\n{said[-2000:]}")
        return said

    def fetch(self, *arguments: str, fails: bool = False) -> str:
        """Syncs."""
        return self.run("-v", "fetch", "--only-api", "hashpact", *arguments, fails=fails)

    def counts(self) -> dict[str, int]:
        """Signals by type, as `tx dataset` tells them."""
        found = re.findall(r"^(\w+): (\d+)$", self.run("dataset"), re.MULTILINE)
        return {name: int(count) for name, count in found if int(count)}

    def synced(self, expected: dict[str, int], seconds: float = 120) -> dict[str, int]:
        """Fetches until the counts are these: the client leaves the last five seconds for its next fetch."""
        last: dict[str, int] = {}

        def ask() -> bool:
            nonlocal last
            self.fetch()
            last = self.counts()
            return last == expected

        try:
            self.node.wait(f"sync of {expected}", ask, seconds)
        except CheckFailed as error:
            raise CheckFailed(f"{error}\nthe last counts are {last}") from error
        return last


def client(node: Node, token: str | None = None) -> hash_api.NCMECHashAPI:
    """The client below `tx`, alone."""
    where = SimpleNamespace(value=f"{node.url}/hashsharing")
    return hash_api.NCMECHashAPI(MEMBER, token or node.token, where)


def entries(node: Node, since: int, until: int, **more: str) -> requests.Response:
    """A reply to `entries`, as it came."""
    stamp = [datetime.fromtimestamp(t, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") for t in (since, until)]
    return requests.get(
        f"{node.url}/hashsharing/v2/entries",
        params={"from": stamp[0], "to": stamp[1], **more},
        auth=(MEMBER, node.token),
        timeout=60,
    )


def parsed(response: requests.Response) -> hash_api.GetEntriesResponse:
    """A reply as the stock client reads it."""
    tree = hash_api.ET.iterparse(hash_api.BytesIO(response.content))
    for _, element in tree:
        element.tag = element.tag.partition("}")[2] or element.tag
    return hash_api.GetEntriesResponse.from_xml(hash_api._XMLWrapper(tree.root), 0)
