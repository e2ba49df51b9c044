#!/usr/bin/env python3
"""Verifies Hashpact logs with tools that Hashpact did not write. See docs/auditing.md.

    verify.py log DIR (--roster FILE... --pin HEX | --log-vkey VKEY ...)   every check on a log's folder
    verify.py flip DIR ...                                                flips bytes; each check must fail
    verify.py witness DIR [--fork FILE] ...                                aics-witness cosigns the log over HTTP
    verify.py proofs DIR --roster FILE... --pin HEX --origin LINE         tlog-proofs and RFC 9942 receipts of leaves
    verify.py paths DIR ...                                               the files that its checkpoint calls for
    verify.py roster FILE... --pin HEX [--origin LINE [--out DIR]]         the keys of a roster, as the tools take them
    verify.py policy FILE                                                 reads a C2SP tlog-policy file

One line per check; the exit code is 1 if one failed, 2 if the command line makes no sense.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from aics_tlog import format_vkey

import checks
import cose
import flip
import live
import proofs
import roster
from trust import LOG_KEY, DeltaKey, Policy, Trust, Window, flat_policy, parse_policy, vkey_of


class Report:
    """Prints a line per check, and remembers whether one failed."""

    def __init__(self) -> None:
        self.count = 0
        self.failed = 0

    def check(self, name: str, function: Callable[[], str]) -> bool:
        """Runs one check."""
        self.count += 1
        try:
            detail, verdict = function(), "ok    "
        except Exception as error:  # noqa: BLE001 - whatever a reader raises, the check did not hold
            detail, verdict = f"{error or type(error).__name__}", "FAILED"
            self.failed += 1
        print(f"{verdict} {name:<16} {detail}", flush=True)
        return verdict != "FAILED"

    def end(self) -> int:
        """The last line, and the exit code."""
        print(f"{self.count} checks, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.count else 0


def trust_of(args: argparse.Namespace) -> Trust:
    """Whose signatures count, from a pinned roster or from keys on the command line."""
    trust = Trust([], Policy())
    if args.roster:
        if not args.pin:
            raise ValueError("--roster needs --pin: a roster proves nothing about itself")
        trust = roster.trust_for(roster.read(args.roster, args.pin), checks.claimed_origin(args.folder))
    if args.log_vkey:
        trust.log_keys = [(vkey_of(text, LOG_KEY), Window()) for text in args.log_vkey]
    if args.policy:
        trust.policy = read_policy(args.policy)
        trust.log_keys = trust.log_keys or [(key, Window()) for key in trust.policy.logs]
    elif args.witness or args.quorum is not None:
        trust.policy = flat_policy(args.witness, args.quorum or 0)
    if args.delta_key:
        trust.delta_keys = [DeltaKey(bytes.fromhex(text)) for text in args.delta_key]
    if not trust.log_keys or trust.policy.quorum is None:
        raise ValueError("needs --roster and --pin, or a log key and a quorum")
    return trust


def read_policy(path: Path) -> Policy:
    """A tlog-policy file: octets, of which those beyond ASCII mean nothing."""
    return parse_policy(path.read_bytes().decode("utf-8", "surrogateescape"))


def open_log(args: argparse.Namespace) -> checks.Log:
    """The folder with what it is checked against."""
    return checks.Log(args.folder, trust_of(args), max_age=args.max_age, leaves=args.leaves)


def check_log(report: Report, log: checks.Log) -> bool:
    """Every check that an auditor makes; without a verified head there is nothing to check the rest against."""
    if not report.check("checkpoint", log.checkpoint):
        return False
    steps = [("tiles", log.tiles), ("inclusion", log.inclusion), ("consistency", log.consistency)]
    if log.trust.delta_keys:
        steps.append(("headers", log.headers))
    else:
        print("------ headers          NOT CHECKED: no delta key was given")
    return all([report.check(name, function) for name, function in steps])


def run_log(args: argparse.Namespace) -> int:
    """`verify.py log`."""
    report = Report()
    check_log(report, open_log(args))
    return report.end()


def run_flip(args: argparse.Namespace) -> int:
    """`verify.py flip`."""
    report, log = Report(), open_log(args)
    if not check_log(report, log):
        return report.end()
    flips = flip.Flips(log)
    for name in ("checkpoint", "tiles", "bundles", "leaves", "consistency", "headers"):
        if name != "headers" or log.trust.delta_keys:
            report.check(f"flip {name}", getattr(flips, name))
    return report.end()


def run_witness(args: argparse.Namespace) -> int:
    """`verify.py witness`."""
    report, log = Report(), open_log(args)
    if not report.check("checkpoint", log.checkpoint):
        return report.end()
    fork = args.fork.read_bytes() if args.fork else None
    with live.running(log.trust.log_keys[0][0]) as witness:
        for name, step in live.story(live.Session(log, witness), fork):
            report.check(name, step)
    return report.end()


def run_proofs(args: argparse.Namespace) -> int:
    """`verify.py proofs`."""
    report = Report()
    trust = roster.trust_for(roster.read(args.roster, args.pin), args.origin)
    for file in sorted(args.folder.glob("*.tlog-proof")):
        leaf = proofs.Leaf(args.folder, file.stem, trust)
        report.check(f"{file.stem} proof", leaf.inclusion)
        if leaf.receipt is not None:
            report.check(f"{file.stem} receipt", leaf.signed)
        report.check(f"{file.stem} flips", leaf.flips)
    return report.end()


def run_paths(args: argparse.Namespace) -> int:
    """`verify.py paths`."""
    log = open_log(args)
    log.checkpoint()
    print(*checks.tile_paths(log.head.size), *checks.bundle_paths(log.head.size), sep="\n")
    return 0


def run_roster(args: argparse.Namespace) -> int:
    """`verify.py roster`."""
    if not args.pin:
        raise ValueError("needs --pin")
    newest = roster.read(args.files, args.pin)
    kind = "demonstration" if newest.demo else "real"
    print(f"network  {newest.network.hex()}")
    print(f"version  {newest.version}, {kind}, {newest.threshold} of {len(newest.root_keys)} root keys must sign")
    for centre in newest.centres:
        if args.origin in (None, centre.origin):
            trust = roster.trust_for(newest, centre.origin)
            print_trust(trust)
            if args.origin and args.out:
                write_trust(args.out, trust)
    if args.origin and args.origin not in {centre.origin for centre in newest.centres}:
        raise ValueError(f"no centre of the roster writes the log {args.origin}")
    return 0


def print_trust(trust: Trust) -> None:
    """One line per key that counts for a log."""
    print()
    for key, _ in trust.log_keys:
        print(f"log      {format_vkey(key)}")
    for key in trust.delta_keys:
        print(f"delta    {key.key.hex()}  key id {key.kid.hex()}")
    for witness in trust.policy.witnesses:
        print(f"witness  {format_vkey(witness.vkey)}")
    least, members = trust.policy.groups["witnesses"]
    print(f"quorum   {least} of {len(members)}")


def write_trust(out: Path, trust: Trust) -> None:
    """The keys of a log as files: a vkey, a tlog-policy, the policy that aics-tlog takes, PEM."""
    out.mkdir(parents=True, exist_ok=True)
    logs = [format_vkey(key) for key, _ in trust.log_keys]
    witnesses = [(witness.name, format_vkey(witness.vkey)) for witness in trust.policy.witnesses]
    (out / "log.vkey").write_text("\n".join(logs) + "\n")
    lines = [f"log {key}" for key in logs] + [f"witness {name} {key}" for name, key in witnesses]
    groups = trust.policy.groups.items()
    lines += [f"group {name} {least} {' '.join(names)}" for name, (least, names) in groups if least]
    (out / "policy").write_text("\n".join([*lines, f"quorum {trust.policy.quorum}"]) + "\n")
    least, members = trust.policy.groups["witnesses"]
    if least and len(members) == len(witnesses):
        # A flat list counts keys, so it can say only what holds while nobody has two.
        flat = {"quorum": least, "witnesses": [key for _, key in witnesses]}
        (out / "policy.json").write_text(json.dumps(flat, indent=2) + "\n")
    for key in trust.delta_keys:
        (out / f"delta-{key.kid.hex()}.pem").write_bytes(cose.public_pem(key.key))
    print(f"written  {', '.join(sorted(path.name for path in out.iterdir()))} in {out}")


def run_policy(args: argparse.Namespace) -> int:
    """`verify.py policy`."""
    policy = read_policy(args.file)
    for key in policy.logs:
        print(f"log      {key.name}")
    for witness in policy.witnesses:
        print(f"witness  {witness.name}  {witness.vkey.name}")
    for name, (least, members) in policy.groups.items():
        print(f"group    {name}: {least} of {' '.join(members)}")
    print(f"quorum   {policy.quorum}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, run in (("log", run_log), ("flip", run_flip), ("witness", run_witness), ("paths", run_paths)):
        command = commands.add_parser(name, help=run.__doc__)
        command.set_defaults(run=run)
        add_trust(command)
        if name == "witness":
            command.add_argument("--fork", type=Path, help="a head of the newest size with another root")
    command = commands.add_parser("proofs", help=run_proofs.__doc__)
    command.set_defaults(run=run_proofs)
    command.add_argument("folder", type=Path, metavar="DIR", help="NAME.tlog-proof, NAME.leaf and perhaps NAME.receipt")
    command.add_argument("--roster", nargs="+", required=True, metavar="FILE", help="versions 1 to n, in this order")
    command.add_argument("--pin", required=True, metavar="HEX", help="network id of the roster, got out of band")
    command.add_argument("--origin", required=True, metavar="LINE", help="the log's origin line")
    command = commands.add_parser("roster", help="the keys of a roster")
    command.set_defaults(run=run_roster)
    command.add_argument("files", nargs="+", metavar="FILE", help="versions 1 to n, in this order")
    command.add_argument("--pin", help="network id: SHA-256 of the payload of version 1, 64 digits")
    command.add_argument("--origin", help="only the log with this origin line")
    command.add_argument("--out", type=Path, help="folder for the keys as files; with --origin")
    command = commands.add_parser("policy", help="reads a C2SP tlog-policy file")
    command.set_defaults(run=run_policy)
    command.add_argument("file", type=Path)
    return whole


def add_trust(command: argparse.ArgumentParser) -> None:
    """The arguments that say which log, and whose signatures count."""
    add = command.add_argument
    add("folder", type=Path, metavar="DIR", help="a log's folder: checkpoint, history, tile/...")
    add("--roster", nargs="+", default=[], metavar="FILE", help="rosters: versions 1 to n, in this order")
    add("--pin", metavar="HEX", help="network id of the roster, got out of band")
    add("--log-vkey", action="append", default=[], metavar="VKEY", help="a log key, got out of band")
    add("--policy", type=Path, metavar="FILE", help="a C2SP tlog-policy file")
    add("--witness", action="append", default=[], metavar="VKEY", help="a witness key")
    add("--quorum", type=int, metavar="N", help="how many of --witness must have cosigned")
    add("--delta-key", action="append", default=[], metavar="HEX", help="a key that signs delta headers")
    add("--max-age", type=int, metavar="SECONDS", help="older cosignatures of the newest head do not count")
    add("--leaves", type=int, default=checks.LEAVES_MAX, metavar="N", help="of a larger log, N leaves by chance")


def main(arguments: Iterable[str] | None = None) -> int:
    """Runs one command."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
