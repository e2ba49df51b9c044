"""COSE as Hashpact signs it, read by two libraries that are not ours: `cwt` and `scitt-cose`.

Spec: RFC 9052, and `docs/protocol.md`, signatures: untagged, Ed25519, an empty unprotected header, label 3 the content
type, label 4 the key id. In scope: envelopes and signatures. Out of scope: what payloads say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import cbor2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cwt import COSE, COSEKey
from scitt_cose.cose_sign1 import verify_sign1

ALG, CONTENT_TYPE, KID = 1, 3, 4
# Hashpact writes -8 (EdDSA) only, and `scitt-cose` does not know -19.
EDDSA = -8
SIGN1_TAG, SIGN_TAG = 18, 98
Reader = Callable[[bytes, bytes], bytes]


def decode(data: bytes) -> object:
    """Decodes one CBOR item, and refuses it if its deterministic encoding is another."""
    value = cbor2.loads(data)
    if cbor2.dumps(value, canonical=True) != data:
        raise ValueError("not in the deterministic encoding")
    return value


def key_id(key: bytes) -> bytes:
    """The first 8 bytes of SHA-256 of a public key."""
    return hashlib.sha256(key).digest()[:8]


def public_pem(key: bytes) -> bytes:
    """A raw Ed25519 key as PEM."""
    public = Ed25519PublicKey.from_public_bytes(key)
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def claimed_kid(signed: bytes) -> bytes:
    """The key id that a COSE_Sign1 names; nothing is verified."""
    match decode(signed):
        case [bytes() as protected, {}, bytes(), bytes()]:
            kid = decode(protected).get(KID)
            if isinstance(kid, bytes):
                return kid
    raise ValueError("not a COSE_Sign1 with a key id")


def open_sign1(signed: bytes, key: bytes, content_type: str, readers: Iterable[Reader] | None = None) -> bytes:
    """The payload of an untagged COSE_Sign1 that every reader, by default both libraries, verifies under `key`."""
    match decode(signed):
        case [bytes() as protected, {**unprotected}, bytes() as payload, bytes() as signature] if not unprotected:
            pass
        case _:
            raise ValueError("not a COSE_Sign1 with an empty unprotected header")
    header = decode(protected)
    if set(header) != {ALG, CONTENT_TYPE, KID} or header[ALG] != EDDSA:
        raise ValueError("other header parameters than algorithm, content type and key id, or not Ed25519")
    if header[CONTENT_TYPE] != content_type or header[KID] != key_id(key):
        raise ValueError("another content type or key id than expected")
    tagged = cbor2.dumps(cbor2.CBORTag(SIGN1_TAG, [protected, {}, payload, signature]))
    for read in READERS.values() if readers is None else readers:
        if read(tagged, key) != payload:
            raise ValueError("a reader found another payload")
    return payload


def _by_cwt(tagged: bytes, key: bytes) -> bytes:
    return COSE.new(verify_kid=True).decode(tagged, _cwt_key(key))


def _by_scitt_cose(tagged: bytes, key: bytes) -> bytes:
    return verify_sign1(tagged, public_key_pem=public_pem(key)).payload


# Each takes a tagged COSE_Sign1 and a raw key, and raises unless the signature verifies.
READERS: dict[str, Reader] = {"cwt": _by_cwt, "scitt-cose": _by_scitt_cose}


def open_sign(signed: bytes, content_type: str) -> tuple[bytes, dict[bytes, bytes]]:
    """The payload of an untagged COSE_Sign, and for each key id an object with its signature alone; not verified."""
    match decode(signed):
        case [bytes() as protected, {**unprotected}, bytes() as payload, [*signatures]] if not unprotected:
            pass
        case _:
            raise ValueError("not a COSE_Sign with an empty unprotected header")
    if decode(protected) != {CONTENT_TYPE: content_type}:
        raise ValueError("another content type than expected")
    alone = {}
    for entry in signatures:
        match entry:
            case [bytes() as own, {**unprotected}, bytes()] if not unprotected:
                header = decode(own)
            case _:
                raise ValueError("not a signature of a COSE_Sign")
        if set(header) != {ALG, KID} or header[ALG] != EDDSA or header[KID] in alone:
            raise ValueError("other header parameters than algorithm and key id, or a key twice")
        one = [protected, {}, payload, [entry]]
        alone[header[KID]] = cbor2.dumps(cbor2.CBORTag(SIGN_TAG, one))
    return payload, alone


def verify_alone(tagged: bytes, key: bytes) -> None:
    """Checks a COSE_Sign with one signature; raises if it does not verify under `key`. `scitt-cose` reads none."""
    _by_cwt(tagged, key)


def _cwt_key(key: bytes) -> COSEKey:
    # RFC 9053 section 7.2: an octet key pair (1: 1) on Ed25519 (-1: 6).
    return COSEKey.new({1: 1, 2: key_id(key), 3: EDDSA, -1: 6, -2: key})
