"""A flipped byte anywhere must make the matching check fail; one that no check notices is a failure of the tools.

In scope: a copy of the log in a temporary folder. Out of scope: the log itself, which is not touched.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from aics_tlog import (
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    verify_consistency,
    verify_leaf_inclusion,
)
from aics_tlog.note import EM_DASH

import cose
from checks import DELTA_LEAF, HEADER_TYPE, CheckFailed, Log, bundle_paths, open_head, tile_paths

# Of a large log, these many tiles and bundles, and these many leaves.
FILES_MAX = 16
LEAVES_MAX = 16


def flipped(data: bytes, at: int) -> bytes:
    """The data with the lowest bit of one byte turned over."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def is_refused(check: Callable[[], object]) -> bool:
    """Whether a check raises, or says no."""
    try:
        return check() is False
    except Exception:  # noqa: BLE001 - damaged bytes may fail a reader in any way
        return True


def _require(what: str, cases: Iterable[tuple[str, Callable[[], object]]]) -> str:
    count = 0
    for name, check in cases:
        if not is_refused(check):
            raise CheckFailed(f"{name}: a flipped byte went unnoticed")
        count += 1
    if not count:
        raise CheckFailed(f"the log has nothing of this kind to damage: {what}")
    return f"{count} times a byte of {what}, refused each time"


class Flips:
    """One log that every check accepts, and the ways to damage it."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.reader = log.verified()
        self.size = self.reader.size

    def checkpoint(self) -> str:
        """Every byte of the text and of the log's line, and every byte of each known cosigner's signature."""
        note = (self.log.folder / "checkpoint").read_bytes()
        known = {witness.vkey.name for witness in self.log.trust.policy.witnesses}
        cases = (
            (f"checkpoint, byte {at}", partial(open_head, flipped(note, at), self.log.trust))
            for at in _signed_bytes(note, self.log.head.origin, known)
        )
        return _require("the checkpoint and its cosignatures", cases)

    def tiles(self) -> str:
        """First, middle and last byte of tiles, in a copy."""
        return self._files("tiles", tile_paths(self.size), Log.tiles)

    def bundles(self) -> str:
        """First, middle and last byte of bundles of leaves, in a copy."""
        return self._files("bundles", bundle_paths(self.size), Log.inclusion)

    def leaves(self) -> str:
        """Every hash of inclusion proofs, and the leaves that they are for."""
        return _require("leaves and inclusion proofs", self._inclusion_cases())

    def consistency(self) -> str:
        """Every hash of the proofs between the heads of the history."""
        return _require("consistency proofs", self._consistency_cases())

    def headers(self) -> str:
        """Every byte of the first delta header, as COSE_Sign1, once for each COSE library alone."""
        return _require("a delta header", self._header_cases())

    def _header_cases(self) -> Iterable[tuple[str, Callable]]:
        leaves = (cose.decode(self.reader.entry(index)) for index in range(self.size))
        signed = next((leaf[1] for leaf in leaves if leaf[0] == DELTA_LEAF), b"")
        for key in (key.key for key in self.log.trust.delta_keys if signed and key.kid == cose.claimed_kid(signed)):
            for library, reader in cose.READERS.items():

                def opens(header: bytes, key: bytes = key, reader: cose.Reader = reader) -> bytes:
                    return cose.open_sign1(header, key, HEADER_TYPE, [reader])

                opens(signed)
                for at in range(len(signed)):
                    yield f"header, byte {at}, {library}", partial(opens, flipped(signed, at))

    def _files(self, what: str, paths: list[str], check: Callable[[Log], str]) -> str:
        chosen = paths if len(paths) <= FILES_MAX else [*paths[: FILES_MAX // 2], *paths[-FILES_MAX // 2 :]]
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary) / "log"
            shutil.copytree(self.log.folder, copy)
            damaged = Log(copy, self.log.trust, leaves=self.log.leaves)
            damaged.checkpoint()
            check(damaged)  # as it is the copy holds, so what fails below fails for its flipped byte
            return _require(what, self._damage(copy, chosen, lambda: check(damaged)))

    @staticmethod
    def _damage(copy: Path, paths: list[str], check: Callable[[], object]) -> Iterable[tuple[str, Callable]]:
        for path in paths:
            whole = (copy / path).read_bytes()
            for at in sorted({0, len(whole) // 2, len(whole) - 1}):
                (copy / path).write_bytes(flipped(whole, at))
                yield f"{path}, byte {at}", check
            (copy / path).write_bytes(whole)

    def _inclusion_cases(self) -> Iterable[tuple[str, Callable]]:
        step = max(1, self.size // LEAVES_MAX)
        for index in sorted({*range(0, self.size, step), self.size - 1}):
            leaf = self.reader.entry(index)
            proof = inclusion_proof_from_tiles(self.reader, index, self.size)

            def holds(leaf: bytes, proof: list[bytes], index: int = index) -> bool:
                return verify_leaf_inclusion(leaf, index, self.size, proof, self.reader.root)

            if not holds(leaf, proof):
                raise CheckFailed(f"leaf {index} is not in the tree")
            yield f"leaf {index}", partial(holds, flipped(leaf, len(leaf) // 2), proof)
            for bad in _bent(proof):
                yield f"inclusion proof of leaf {index}", partial(holds, leaf, bad)

    def _consistency_cases(self) -> Iterable[tuple[str, Callable]]:
        for old, new in self.log.pairs():
            proof = consistency_proof_from_tiles(self.reader, old.size, new.size)

            def holds(old_root: bytes, proof: list[bytes], old=old, new=new) -> bool:
                return verify_consistency(old.size, new.size, old_root, new.root, proof)

            if not holds(old.root, proof):
                raise CheckFailed(f"size {new.size} does not continue size {old.size}")
            yield f"root of size {old.size}", partial(holds, flipped(old.root, 0), proof)
            for bad in _bent(proof):
                yield f"proof from {old.size} to {new.size}", partial(holds, old.root, bad)


def _bent(proof: list[bytes]) -> list[list[bytes]]:
    """The proof with a byte of each hash flipped in turn."""
    return [[*proof[:at], flipped(proof[at], at % 32), *proof[at + 1 :]] for at in range(len(proof))]


def _signed_bytes(note: bytes, origin: str, known: set[str]) -> Iterable[int]:
    """Offsets whose flip must be refused: not those that only turn a cosigner into somebody unknown."""
    offset = note.rindex(b"\n\n") + 2
    yield from range(offset)
    for line in note[offset:].splitlines(keepends=True):
        name = line.decode().removeprefix(EM_DASH).split(" ")[1]
        if name == origin:
            yield from range(offset, offset + len(line))
        elif name in known:
            # Behind the key id, 4 bytes in 6 characters of base64.
            start = line.rindex(b" ") + 7
            yield from range(offset + start, offset + len(line))
        offset += len(line)
