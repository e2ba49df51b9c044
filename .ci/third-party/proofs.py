"""The offline proof of one leaf: a C2SP tlog-proof beside the leaf's bytes, and perhaps an RFC 9942 receipt.

A folder holds `<name>.tlog-proof`, `<name>.leaf` and, where the log's own centre issued one, `<name>.receipt`, as
`hashpact audit prove` writes them. The inclusion is checked by `aics-tlog`, the receipt by `scitt-cose`; what is ours is
the reading of the proof's lines, which no tool does yet.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from aics_tlog import verify_leaf_inclusion
from scitt_cose.receipt import verify_receipt

import cose
from checks import CheckFailed, Head, open_head
from trust import Trust

FIRST_LINE = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Proof:
    """What a tlog-proof says, before anything is verified."""

    index: int
    path: list[bytes]
    note: bytes


def read(data: bytes) -> Proof:
    """The lines of a tlog-proof, strictly."""
    head, _, note = data.decode().partition("\n\n")
    first, *lines = head.split("\n")
    if first != FIRST_LINE:
        raise CheckFailed("not a tlog-proof")
    if lines and lines[0].startswith("extra "):
        lines.pop(0)
    word, _, index = lines.pop(0).partition(" ")
    if word != "index" or not index.isascii() or str(int(index)) != index:
        raise CheckFailed("a proof without its index")
    return Proof(int(index), [base64.b64decode(line, validate=True) for line in lines], note.encode())


class Leaf:
    """One leaf with its proofs, and whose signatures count."""

    def __init__(self, folder: Path, name: str, trust: Trust) -> None:
        self.trust = trust
        self.leaf = (folder / f"{name}.leaf").read_bytes()
        self.proof = (folder / f"{name}.tlog-proof").read_bytes()
        receipt = folder / f"{name}.receipt"
        self.receipt = receipt.read_bytes() if receipt.exists() else None

    def inclusion(self) -> str:
        """The leaf stands in the log whose head a quorum cosigned."""
        proof, head = self._proven()
        return f"leaf {proof.index} of {head.size}, {len(self.proof)} B, cosigned by {', '.join(head.cosigned)}"

    def _proven(self) -> tuple[Proof, Head]:
        proof = read(self.proof)
        head = open_head(proof.note, self.trust)
        if not verify_leaf_inclusion(self.leaf, proof.index, head.size, proof.path, head.root):
            raise CheckFailed(f"leaf {proof.index} does not lead to the root at {head.size}")
        return proof, head

    def signed(self) -> str:
        """The receipt's signature is the log's, over the root of that same head."""
        if self.receipt is None:
            raise CheckFailed("there is no receipt")
        proof, head = self._proven()
        for key, _ in self.trust.log_keys:
            pem = cose.public_pem(key.public_key)
            result = verify_receipt(self.receipt, leaf_entry_hex=self.leaf.hex(), log_public_key_pem=pem)
            if result.ok:
                break
        else:
            raise CheckFailed("; ".join(result.errors))
        root = result.root if isinstance(result.root, bytes) else bytes.fromhex(result.root)
        if (root, result.tree_size, result.leaf_index) != (head.root, head.size, proof.index):
            raise CheckFailed("the receipt is over another root, size or leaf than the proof")
        return f"RFC 9942 receipt of {len(self.receipt)} B over the root at {head.size}"

    def flips(self) -> str:
        """A flipped bit in leaf, proof or receipt is refused. Of an unsigned name in a note nobody says anything."""
        refused = 0
        for part in ("leaf", "proof", "receipt"):
            whole = getattr(self, part)
            for at in range(0, len(whole or b""), 7):
                damaged = bytearray(whole)
                damaged[at] ^= 1
                setattr(self, part, bytes(damaged))
                refused += self._is_refused(part, bytes(damaged))
            setattr(self, part, whole)
        return f"{refused} flipped bits, refused each time"

    def _is_refused(self, part: str, damaged: bytes) -> int:
        try:
            self.signed() if part == "receipt" else self.inclusion()
        except Exception:  # noqa: BLE001 - whatever a reader raises, it did not take it
            return 1
        if part == "proof" and self._still_met(damaged):
            return 0
        raise CheckFailed(f"a flipped bit in the {part} was taken")

    def _still_met(self, damaged: bytes) -> bool:
        """Whether the bit is in a line that the quorum does not need: the rest still verifies, with fewer cosigners."""
        before, after = read(self.proof), read(damaged)
        text = before.note.partition(b"\n\n")[0] == after.note.partition(b"\n\n")[0]
        return text and (before.index, before.path) == (after.index, after.path)
