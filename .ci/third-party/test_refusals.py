"""What the parts of verify.py that are ours must refuse: policies, rosters, histories. Run by `run`."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import cbor2
from aics_tlog import cosignature_vkey, format_vkey, vkey_from_ed25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import checks
import cose
import roster
from trust import Window, parse_policy

GOLDEN = Path(__file__).resolve().parents[2] / "protocol" / "tests" / "golden" / "three"
PIN = (GOLDEN / "pin").read_text()


def key(number: int) -> bytes:
    """A public key from a fixed seed."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw()


LOG = format_vkey(vkey_from_ed25519("log.example/a/1", key(0)))
WITNESSES = [format_vkey(cosignature_vkey(f"w{n}.example", key(n))) for n in range(1, 6)]
HEAD = "\n".join([f"log {LOG}", *(f"witness W{n} {vkey}" for n, vkey in enumerate(WITNESSES, 1))]) + "\n"


class PolicyTest(unittest.TestCase):
    """C2SP tlog-policy."""

    def test_groups_of_groups_count_members_and_not_keys(self) -> None:
        text = HEAD + "group X 2 W1 W2 W3\ngroup Y any W4 W5\n# both\n\tgroup Z all X Y\nquorum Z\n"
        policy = parse_policy(text)
        self.assertTrue(policy.is_met({"W1", "W3", "W5"}))
        for too_few in ({"W1", "W2", "W3"}, {"W1", "W4", "W5"}, set()):
            self.assertFalse(policy.is_met(too_few), too_few)

    def test_one_witness_or_none_can_be_the_quorum(self) -> None:
        self.assertTrue(parse_policy(HEAD + "quorum W2\n").is_met({"W2"}))
        self.assertFalse(parse_policy(HEAD + "quorum W2\n").is_met({"W1"}))
        self.assertTrue(parse_policy("quorum none\n").is_met(set()))

    def test_what_the_specification_does_not_allow_is_refused(self) -> None:
        for line in (
            "",
            "quorum W9",
            "quorum W1\nquorum W1",
            "group G 0 W1\nquorum G",
            "group G 3 W1 W2\nquorum G",
            "group G +1 W1\nquorum G",
            "group G all\nquorum G",
            "group G any H\ngroup H any W1\nquorum G",
            "group G any none\nquorum G",
            "group G any W1\ngroup H any W1\nquorum H",
            "group G any W1 W1\nquorum G",
            "group W1 any W2\nquorum W1",
            "group none any W1\nquorum none",
            f"witness again {WITNESSES[0]}\nquorum none",
            f"witness log {LOG}\nquorum none",
            f"log {WITNESSES[0]}\nquorum none",
            f"log {LOG}\nquorum none",
            f"witness X {WITNESSES[0][:-4]}AAA=\nquorum none",
            "threshold 3\nquorum none",
            "quorum none\r",
        ):
            with self.subTest(line), self.assertRaises(ValueError):
                parse_policy(HEAD + line + "\n")


class RosterTest(unittest.TestCase):
    """The golden roster, damaged."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "roster"
        self.signed = roster.unwrap((GOLDEN / "roster").read_bytes())

    def read(self, signed: bytes, pin: str = PIN) -> roster.Roster:
        """Reads a roster as a node serves it."""
        self.path.write_bytes(signed)
        return roster.read([str(self.path)], pin)

    def test_served_bytes_and_text_are_the_same_roster(self) -> None:
        self.assertEqual(self.read(self.signed), roster.read([str(GOLDEN / "roster")], PIN))

    def test_every_flipped_byte_is_refused(self) -> None:
        for at in range(len(self.signed)):
            with self.subTest(at), self.assertRaises(Exception):
                self.read(self.signed[:at] + bytes([self.signed[at] ^ 1]) + self.signed[at + 1 :])

    def test_one_root_signature_less_than_the_threshold_is_refused(self) -> None:
        protected, unprotected, payload, signatures = cbor2.loads(self.signed)
        alone = cbor2.dumps([protected, unprotected, payload, signatures[:1]], canonical=True)
        with self.assertRaisesRegex(ValueError, "1 root keys of version 1 signed, 2 must"):
            self.read(alone)

    def test_signature_of_a_stranger_is_refused(self) -> None:
        protected, unprotected, payload, signatures = cbor2.loads(self.signed)
        stranger = [cbor2.dumps({1: -8, 4: cose.key_id(key(7))}, canonical=True), {}, bytes(64)]
        with self.assertRaisesRegex(ValueError, "which is no root key"):
            self.read(cbor2.dumps([protected, unprotected, payload, [*signatures, stranger]], canonical=True))

    def test_a_version_that_follows_nothing_is_refused(self) -> None:
        self.path.write_bytes(self.signed)
        with self.assertRaisesRegex(ValueError, "version 1 does not follow version 1"):
            roster.read([str(self.path), str(self.path)], PIN)

    def test_quorums_are_those_of_the_protocol(self) -> None:
        self.assertEqual([roster.quorum_of(n) for n in (0, 1, 2, 3, 4, 5, 7)], [0, 1, 2, 2, 3, 4, 5])


class LogTest(unittest.TestCase):
    """Histories and times."""

    def test_cut_histories_are_refused(self) -> None:
        history = (GOLDEN / "log" / "history").read_bytes()
        self.assertEqual(len(checks.split_history(history)), 3)
        for cut in (1, 2, 100, len(history) - 3):
            with self.subTest(cut), self.assertRaises(ValueError):
                checks.split_history(history[:-cut])

    def test_cosignatures_outside_their_keys_time_do_not_count(self) -> None:
        trust = roster.trust_for(roster.read([str(GOLDEN / "roster")], PIN), "eu.example/eu/1")
        note = (GOLDEN / "log" / "checkpoint").read_bytes()
        at = checks.open_head(note, trust).cosigned["us"]
        for window in (Window(since=at + 1), Window(until=at), Window(cut=2)):
            late = [type(w)(w.name, w.vkey, window if w.name == "us" else w.window) for w in trust.policy.witnesses]
            policy = type(trust.policy)([], late, trust.policy.groups, trust.policy.quorum)
            with self.subTest(window), self.assertRaisesRegex(checks.CheckFailed, "which is no quorum"):
                checks.open_head(note, type(trust)(trust.log_keys, policy))


if __name__ == "__main__":
    unittest.main()
