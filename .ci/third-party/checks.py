"""What is checked of a log: its head, its tiles, every leaf, every pair of heads, every signed header.

Each check is a function that returns a line about what it found, or raises. The mathematics are those of `aics-tlog`,
`cwt` and `scitt-cose`; what is ours is which bytes are handed to them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aics_tlog import (
    HttpTileReader,
    Note,
    VerifiedTileReader,
    VKey,
    audit_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    parse_note,
    verify_checkpoint,
    verify_consistency,
    verify_leaf_inclusion,
)
from aics_tlog.checkpoint import CheckpointVerifyResult
from aics_tlog.remote import tile_source_url
from aics_tlog.tiles import entry_bundle_path, tile_path

import cose
from trust import DeltaKey, Trust

HEADER_TYPE = "application/hashpact-delta+cbor"
CLASSES_TYPE = "application/hashpact-classes+cbor"
DELTA_LEAF, CLASSES_LEAF = 1, 3
TILE = 256
# More leaves than these are checked by a random sample.
LEAVES_MAX = 20_000


class CheckFailed(ValueError):
    """A check that did not hold."""


@dataclass(frozen=True)
class Head:
    """A signed head that verified, and who cosigned it when."""

    origin: str
    size: int
    root: bytes
    cosigned: dict[str, int]


def claimed_origin(folder: Path) -> str:
    """The origin line of a folder's checkpoint, before anything is verified."""
    return (folder / "checkpoint").read_text(encoding="utf-8").split("\n", 1)[0]


def open_head(data: bytes, trust: Trust, max_age: int | None = None) -> Head:
    """Verifies a note: a log key's signature, every cosignature of a witness that is known, and the quorum."""
    note = parse_note(data)
    key, signed = _signed_head(note, trust)
    cosigned = {}
    for witness in trust.policy.witnesses:
        # One at a time: a witness may hold two keys under one name.
        result = verify_checkpoint(note, key, [witness.vkey], max_age_seconds=max_age)
        if not result.ok:
            raise CheckFailed(result.error)
        at = result.timestamps.get(witness.vkey.name)
        if result.cosignature_count and witness.window.allows(at) and witness.window.reaches(signed.size):
            cosigned[witness.name] = at
    if not trust.policy.is_met(set(cosigned)):
        raise CheckFailed(f"size {signed.size}: cosigned by {', '.join(cosigned) or 'nobody'}, which is no quorum")
    return Head(signed.origin, signed.size, signed.root, cosigned)


def _signed_head(note: Note, trust: Trust) -> tuple[VKey, CheckpointVerifyResult]:
    """The log key that signed, and what it signed; around a change of keys there are several."""
    fault = "no log key"
    for key, window in trust.log_keys:
        signed = verify_checkpoint(note, key, expected_origin=key.name)
        if signed.ok and window.reaches(signed.size):
            return key, signed
        fault = signed.error or f"size {signed.size}: the log key is revoked"
    raise CheckFailed(fault)


class Log:
    """A folder with a log, and whose signatures count for it."""

    def __init__(self, folder: Path, trust: Trust, *, max_age: int | None = None, leaves: int = LEAVES_MAX) -> None:
        self.folder = folder
        self.trust = trust
        self.max_age = max_age
        self.leaves = leaves
        self.reader = HttpTileReader([tile_source_url(str(folder))])
        self.head: Head | None = None

    def checkpoint(self) -> str:
        """The newest head."""
        self.head = open_head((self.folder / "checkpoint").read_bytes(), self.trust, self.max_age)
        by = ", ".join(self.head.cosigned) or "nobody"
        quorum = "none was asked for" if self.trust.policy.quorum == "none" else "quorum met"
        return f"size {self.head.size}, signed by the log, cosigned by {by}: {quorum}"

    def verified(self) -> VerifiedTileReader:
        """The tiles, each proven against the head before it is used."""
        if self.head is None:
            raise CheckFailed("there is no verified checkpoint to check against")
        return VerifiedTileReader(self.reader, self.head.size, self.head.root)

    def tiles(self) -> str:
        """Every tile and every bundle, against the root."""
        reader = self.verified()
        audit = audit_tiles(self.reader, reader.size, reader.root)
        return f"{audit.tiles} tiles and {audit.bundles} bundles are those of the root"

    def indices(self) -> list[int]:
        """The leaves to look at: all, or the first, the last and a sample."""
        size = self.verified().size
        if size <= self.leaves:
            return list(range(size))
        drawn = random.SystemRandom().sample(range(size), self.leaves)
        return sorted({0, size - 1, *drawn})

    def inclusion(self) -> str:
        """An inclusion proof for each leaf, computed from tiles and checked against the root."""
        reader, indices = self.verified(), self.indices()
        for index in indices:
            proof = inclusion_proof_from_tiles(reader, index, reader.size)
            if not verify_leaf_inclusion(reader.entry(index), index, reader.size, proof, reader.root):
                raise CheckFailed(f"leaf {index} is not in the tree")
        return f"{len(indices)} of {reader.size} leaves"

    def heads(self) -> list[Head]:
        """Every head of the history, verified, and the newest."""
        path = self.folder / "history"
        notes = split_history(path.read_bytes()) if path.exists() else []
        return [*(open_head(note, self.trust) for note in notes), self.head]

    def pairs(self) -> list[tuple[Head, Head]]:
        """Heads of which the second continues the first: neighbours in the history; the first leaf and the newest."""
        reader, heads = self.verified(), self.heads()
        first = [Head(self.head.origin, 1, reader.leaf_hash(0), {})] if reader.size > 1 else []
        return [*zip(heads, heads[1:], strict=False), *((one, self.head) for one in first)]

    def consistency(self) -> str:
        """A consistency proof for each pair of heads, computed from tiles and checked against both roots."""
        reader, pairs = self.verified(), self.pairs()
        for old, new in pairs:
            check_pair(reader, old, new)
        sizes = {head.size for pair in pairs for head in pair}
        return (
            f"{len(pairs)} pairs of heads, {len(sizes)} sizes from {min(sizes, default=0)} to {max(sizes, default=0)}"
        )

    def headers(self) -> str:
        """Every delta header and class definition: signatures, order, chain."""
        reader = self.verified()
        leaves = ((index, reader.entry(index)) for index in range(reader.size))
        deltas, definitions = check_headers(leaves, self.head.origin, self.trust.delta_keys)
        return f"{deltas} delta headers, {definitions} class definitions: each signature under cwt and scitt-cose"


def tile_paths(size: int) -> list[str]:
    """The tiles of a log of this size, below its folder."""
    paths, level = [], 0
    while hashes := size // TILE**level:
        paths += [tile_path(level, number, width) for number, width in _parts(hashes)]
        level += 1
    return paths


def bundle_paths(size: int) -> list[str]:
    """The bundles of leaves of a log of this size, below its folder."""
    return [entry_bundle_path(number, width) for number, width in _parts(size)]


def _parts(count: int) -> list[tuple[int, int | None]]:
    """Numbers and widths of the files that hold so many hashes or leaves; a full one has no width."""
    full: list[tuple[int, int | None]] = [(number, None) for number in range(count // TILE)]
    return full + ([(count // TILE, count % TILE)] if count % TILE else [])


def split_history(history: bytes) -> list[bytes]:
    """Notes one after the other, each followed by an empty line."""
    parts = history.split(b"\n\n")
    if parts.pop() != b"" or len(parts) % 2:
        raise CheckFailed("the history does not end behind a note")
    return [text + b"\n\n" + signatures + b"\n" for text, signatures in zip(parts[::2], parts[1::2], strict=True)]


def check_pair(reader: VerifiedTileReader, old: Head, new: Head) -> None:
    """The tree of `new` continues that of `old`."""
    if old.size > new.size:
        raise CheckFailed(f"size {new.size} follows size {old.size}")
    proof = consistency_proof_from_tiles(reader, old.size, new.size)
    if not verify_consistency(old.size, new.size, old.root, new.root, proof):
        raise CheckFailed(f"size {new.size} does not continue size {old.size}")


def check_headers(leaves: Iterable[tuple[int, bytes]], origin: str, keys: list[DeltaKey]) -> tuple[int, int]:
    """Verifies every signed object in the leaves; says how many deltas and how many definitions there were."""
    chain, definitions = Chain(origin), 0
    for index, leaf in leaves:
        match cose.decode(leaf):
            case [kind, bytes() as signed, [rows, _]] if kind == DELTA_LEAF:
                chain.add(open_header(index, signed, keys), signed, rows)
            case [kind, bytes() as signed] if kind == CLASSES_LEAF:
                payload = cose.decode(cose.open_sign1(signed, key_for(index, signed, keys).key, CLASSES_TYPE))
                if payload[2] != origin:
                    raise CheckFailed(f"leaf {index}: of the log {payload[2]}")
                definitions += 1
            case [kind, *_] if kind in (DELTA_LEAF, CLASSES_LEAF):
                raise CheckFailed(f"leaf {index}: not the form of its kind")
    return chain.seq, definitions


def key_for(index: int, signed: bytes, keys: list[DeltaKey]) -> DeltaKey:
    """The key that a signed object names, if it is known and not revoked at this leaf."""
    kid = cose.claimed_kid(signed)
    for key in keys:
        if key.kid == kid and (key.window.cut is None or index < key.window.cut):
            return key
    raise CheckFailed(f"leaf {index}: signed by {kid.hex()}, which is no delta key here")


def open_header(index: int, signed: bytes, keys: list[DeltaKey]) -> list:
    """The fields of a header whose signature holds and whose key was valid when it was issued."""
    key = key_for(index, signed, keys)
    fields = cose.decode(cose.open_sign1(signed, key.key, HEADER_TYPE))
    if not isinstance(fields, list) or len(fields) != 10 or fields[0] != 1:
        raise CheckFailed(f"leaf {index}: not a header of format 1")
    if not key.window.allows(fields[8]):
        raise CheckFailed(f"leaf {index}: its key was not valid when it was issued")
    return fields


class Chain:
    """Headers in the order of their leaves: no gap, no fork, no step back in time."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.seq = 0
        self.prev = bytes(32)
        self.issued_at = 0

    def add(self, fields: list, signed: bytes, rows: list) -> None:
        """Takes the next header with the rows of its table; `T` is BLAKE3 and stays unchecked here."""
        _, _, origin, _, seq, prev, _, total, issued_at, _ = fields
        if (origin, seq, prev) != (self.origin, self.seq, self.prev):
            raise CheckFailed(f"delta {self.seq}: of another log, out of order or not chained to the one before")
        if total != sum(count for _, count, _ in rows) or issued_at < self.issued_at:
            raise CheckFailed(f"delta {seq}: its total is not that of its table, or its time runs back")
        self.seq, self.prev, self.issued_at = seq + 1, hashlib.sha256(signed).digest(), issued_at
