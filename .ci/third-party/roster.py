"""A Hashpact roster, read without Hashpact: who may sign what, from the root signatures and a pin.

Spec: `docs/protocol.md`, roster. The first version is compared with the pin, every later one is signed by the threshold
of the version before it and of its own. In scope: signatures, the chain, keys. Out of scope: the orders and bounds of
lists, which the root key holders checked before they signed.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aics_tlog import cosignature_vkey, vkey_from_ed25519

import cose
from trust import DeltaKey, Policy, Trust, Window, Witness

CONTENT_TYPE = "application/hashpact-roster+cbor"
BEGIN, END = b"-----BEGIN HASHPACT ROSTER-----", b"-----END HASHPACT ROSTER-----"
DELTA, LOG, WITNESS = 3, 4, 5
FORMAT = 1


@dataclass(frozen=True)
class Held:
    """A key of a centre or a witness, and what it is for."""

    use: int
    key: bytes
    since: int
    until: int | None


@dataclass(frozen=True)
class Centre:
    """A centre: its id, the origin line of its log, its keys."""

    id: str
    origin: str
    keys: list[Held]

    @property
    def witness_name(self) -> str:
        """The name under which it cosigns: its origin line with `witness` for the epoch."""
        return self.origin.rsplit("/", 1)[0] + "/witness"


@dataclass(frozen=True)
class Roster:
    """A roster whose signatures hold."""

    network: bytes
    version: int
    expires_at: int
    demo: bool
    threshold: int
    root_keys: list[bytes]
    centres: list[Centre]
    others: dict[str, list[Held]]
    revocations: dict[tuple[bytes, str], int]

    def centre_of(self, origin: str) -> Centre:
        """The centre that writes the log with this origin line."""
        for centre in self.centres:
            if centre.origin == origin:
                return centre
        raise ValueError(f"no centre of the roster writes the log {origin}")

    def window(self, held: Held, origin: str) -> Window:
        """When a key may sign, and up to which size of this log."""
        return Window(held.since, held.until, self.revocations.get((cose.key_id(held.key), origin)))


def read(paths: list[str], pin: str) -> Roster:
    """Reads versions 1 to n, in this order, and returns the last."""
    roster = None
    for path in paths:
        signed = unwrap(Path(path).read_bytes())
        payload, signatures = cose.open_sign(signed, CONTENT_TYPE)
        if roster is None and hashlib.sha256(payload).hexdigest() != pin.strip().lower():
            raise ValueError(f"{path}: not the roster that the pin names")
        new = decode(payload)
        _check_signers(signatures, [new] if roster is None else [roster, new])
        _check_successor(roster, new)
        roster = new
    if roster is None:
        raise ValueError("no roster")
    return roster


def unwrap(document: bytes) -> bytes:
    """The bytes of a roster: as a node serves them, or as text between the two lines that name the document."""
    text = document.strip()
    if not text.startswith(b"-----"):
        return document
    if not (text.startswith(BEGIN) and text.endswith(END)):
        raise ValueError("no HASHPACT ROSTER between its two lines")
    return base64.b64decode(b"".join(text[len(BEGIN) : -len(END)].split()), validate=True)


def decode(payload: bytes) -> Roster:
    """Reads the payload of a roster; its signatures are the caller's to check."""
    fields = cose.decode(payload)
    if not isinstance(fields, list) or len(fields) != 12 or fields[0] != FORMAT:
        raise ValueError("not a roster of format 1")
    _, network, version, _, expires_at, demo, threshold, roots, centres, auditors, witnesses, revocations = fields
    if (network is None) != (version == 1) or not 1 <= threshold <= len(roots):
        raise ValueError("a roster without a network or with a wrong threshold")
    return Roster(
        network=network or hashlib.sha256(payload).digest(),
        version=version,
        expires_at=expires_at,
        demo=demo,
        threshold=threshold,
        root_keys=roots,
        centres=[Centre(id_, origin, _held(keys)) for id_, _, origin, keys, _ in centres],
        others={name: _held(keys) for name, keys in [*auditors, *witnesses]},
        revocations={(kid, origin): size for kid, origin, size in revocations},
    )


def _held(keys: list) -> list[Held]:
    return [Held(*fields) for fields in keys]


def _check_signers(signatures: dict[bytes, bytes], versions: list[Roster]) -> None:
    """Every signature is by a root key of these versions and verifies; each version's threshold is met."""
    roots = {cose.key_id(key): key for version in versions for key in version.root_keys}
    for kid, tagged in signatures.items():
        if kid not in roots:
            raise ValueError(f"signed by {kid.hex()}, which is no root key")
        cose.verify_alone(tagged, roots[kid])
    for version in versions:
        signed = sum(cose.key_id(key) in signatures for key in version.root_keys)
        if signed < version.threshold:
            raise ValueError(f"{signed} root keys of version {version.version} signed, {version.threshold} must")


def _check_successor(last: Roster | None, new: Roster) -> None:
    if last is None:
        if new.version != 1:
            raise ValueError("the first roster given is not version 1")
        return
    if new.version != last.version + 1 or new.network != last.network:
        raise ValueError(f"version {new.version} does not follow version {last.version} of this network")
    origins = {centre.id: centre.origin for centre in last.centres}
    if any(origins.get(centre.id, centre.origin) != centre.origin for centre in new.centres):
        raise ValueError("a centre's origin changed")
    before, after = _holders(last), _holders(new)
    if any(before[key] != after[key] for key in before.keys() & after.keys()):
        raise ValueError("a key changed its use or its holder")


def _holders(roster: Roster) -> dict[bytes, tuple[str, int]]:
    parties = [(centre.id, centre.keys) for centre in roster.centres] + list(roster.others.items())
    return {held.key: (name, held.use) for name, keys in parties for held in keys}


def quorum_of(witnesses: int) -> int:
    """Cosignatures that make a checkpoint witnessed, of so many witnesses of which a third may lie."""
    if witnesses == 0:
        return 0
    return (witnesses + (witnesses - 1) // 3) // 2 + 1


def trust_for(roster: Roster, origin: str) -> Trust:
    """Whose signatures count for one log: its centre's, and those of all others that hold a witness key."""
    centre = roster.centre_of(origin)
    window = lambda held: roster.window(held, origin)  # noqa: E731
    return Trust(
        log_keys=[(vkey_from_ed25519(origin, held.key), window(held)) for held in centre.keys if held.use == LOG],
        policy=_policy(roster, centre),
        delta_keys=[DeltaKey(held.key, window(held)) for held in centre.keys if held.use == DELTA],
    )


def _policy(roster: Roster, own: Centre) -> Policy:
    parties = [(other.id, other.witness_name, other.keys) for other in roster.centres if other.id != own.id]
    parties += [(name, name, keys) for name, keys in roster.others.items()]
    policy, members = Policy(), []
    for party, name, keys in parties:
        held = [key for key in keys if key.use == WITNESS]
        # One party counts once, whatever number of keys it holds around a change of keys.
        names = [party if len(held) == 1 else f"{party}#{number}" for number in range(len(held))]
        for entry, key in zip(names, held, strict=True):
            vkey = cosignature_vkey(name, key.key)
            policy.witnesses.append(Witness(entry, vkey, roster.window(key, own.origin)))
        if len(held) > 1:
            policy.groups[party] = (1, names)
        members += [party] if held else []
    quorum = max(quorum_of(len(members)), 0 if roster.demo else 1)
    policy.groups["witnesses"] = (quorum, members)
    policy.quorum = "witnesses" if quorum else "none"
    return policy
