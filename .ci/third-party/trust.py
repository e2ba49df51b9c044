"""Whose signatures count: verifier keys, C2SP tlog-policy files, and the times in which a key may sign.

Spec: C2SP signed-note (vkeys) and tlog-policy. In scope: keys, groups, quorum. Out of scope: where the keys come from
(`roster`), and what they signed (`log`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from aics_tlog import VKey, parse_vkey

LOG_KEY = 0x01
COSIGNER_KEY = 0x04
NAMES_MAX = 1024


@dataclass(frozen=True)
class Window:
    """When a key may sign: from the first second up to, but not including, the last; in a log, only below `cut`."""

    since: int = 0
    until: int | None = None
    cut: int | None = None

    def allows(self, at: int) -> bool:
        """Whether a signature of this time counts."""
        return self.since <= at and (self.until is None or at < self.until)

    def reaches(self, size: int) -> bool:
        """Whether a head of this size is at or below the size from which the key is revoked."""
        return self.cut is None or size <= self.cut


@dataclass(frozen=True)
class DeltaKey:
    """A key that signs delta headers and class definitions."""

    key: bytes
    window: Window = Window()

    @property
    def kid(self) -> bytes:
        """The first 8 bytes of SHA-256 of the key."""
        return hashlib.sha256(self.key).digest()[:8]


@dataclass(frozen=True)
class Witness:
    """A key whose cosignature counts under a name of the policy."""

    name: str
    vkey: VKey
    window: Window = Window()


@dataclass
class Policy:
    """Logs, witnesses, groups and the name that a checkpoint must satisfy; `none` asks for nothing."""

    logs: list[VKey] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str | None = None

    def is_met(self, cosigned: set[str], name: str | None = None) -> bool:
        """Whether the witnesses with these names satisfy the quorum, or the group or witness `name`."""
        name = self.quorum if name is None else name
        if name is None:
            raise ValueError("the policy has no quorum line")
        if name == "none":
            return True
        if name not in self.groups:
            return name in cosigned
        least, members = self.groups[name]
        return sum(self.is_met(cosigned, member) for member in members) >= least


@dataclass
class Trust:
    """Everything that one log is checked against. A log key counts for heads that its window reaches."""

    log_keys: list[tuple[VKey, Window]]
    policy: Policy
    delta_keys: list[DeltaKey] = field(default_factory=list)


def vkey_of(text: str, kind: int) -> VKey:
    """Parses a vkey and checks that its key signs what it is listed for."""
    key = parse_vkey(text)
    if key.key_type != kind:
        raise ValueError(f"{key.name}: signature type {key.key_type:#04x}, expected {kind:#04x}")
    return key


def flat_policy(witnesses: list[str], quorum: int) -> Policy:
    """The policy that `quorum` of these vkeys must have cosigned."""
    lines = [f"witness {n} {vkey}" for n, vkey in enumerate(witnesses)]
    if quorum == 0:
        return parse_policy("\n".join([*lines, "quorum none\n"]))
    members = " ".join(str(n) for n in range(len(witnesses)))
    return parse_policy("\n".join([*lines, f"group witnesses {quorum} {members}", "quorum witnesses\n"]))


def parse_policy(text: str) -> Policy:
    """Reads a tlog-policy file. Anything that the specification does not allow raises ValueError."""
    if any(ord(char) < 0x20 and char not in "\t\n" or char == "\x7f" for char in text):
        raise ValueError("policy: a control character")
    policy = Policy()
    grouped: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            _read_line(policy, grouped, words)
        except (ValueError, IndexError) as error:
            raise ValueError(f"policy, line {number}: {error}") from None
    if policy.quorum is None:
        raise ValueError("policy: no quorum line")
    return policy


def _read_line(policy: Policy, grouped: set[str], words: list[str]) -> None:
    match words:
        case ["log", vkey, *url] if len(url) <= 1:
            _add_log(policy, vkey_of(vkey, LOG_KEY))
        case ["witness", name, vkey, *url] if len(url) <= 1:
            _check_new(policy, name)
            key = vkey_of(vkey, COSIGNER_KEY)
            if key.public_key in {witness.vkey.public_key for witness in policy.witnesses}:
                raise ValueError(f"the key of {name} stands twice")
            policy.witnesses.append(Witness(name, key))
        case ["group", name, least, *members] if members:
            _check_new(policy, name)
            _check_members(policy, grouped, members)
            policy.groups[name] = (_threshold(least, len(members)), members)
        case ["quorum", name]:
            if policy.quorum is not None:
                raise ValueError("a second quorum")
            if name != "none":
                _check_known(policy, name)
            policy.quorum = name
        case _:
            raise ValueError(f"not a line of a policy: {words[0]}")


def _add_log(policy: Policy, key: VKey) -> None:
    if key.public_key in {log.public_key for log in policy.logs}:
        raise ValueError("a log key stands twice")
    policy.logs.append(key)


def _names(policy: Policy) -> set[str]:
    return {witness.name for witness in policy.witnesses} | set(policy.groups)


def _check_new(policy: Policy, name: str) -> None:
    if name == "none" or name in _names(policy):
        raise ValueError(f"the name {name} is taken")
    if len(_names(policy)) >= NAMES_MAX:
        raise ValueError("too many names")


def _check_known(policy: Policy, name: str) -> None:
    if name not in _names(policy):
        raise ValueError(f"{name} is not defined above")


def _check_members(policy: Policy, grouped: set[str], members: list[str]) -> None:
    for member in members:
        _check_known(policy, member)
        if member in grouped:
            raise ValueError(f"{member} is a member twice")
        grouped.add(member)


def _threshold(word: str, members: int) -> int:
    if word in ("all", "any"):
        return members if word == "all" else 1
    if not (word.isascii() and word.isdigit()) or not 1 <= int(word) <= members:
        raise ValueError(f"a threshold of {word} among {members}")
    return int(word)
