"""Asks a node with the stock Arachnid Shield SDK, in a process of its own: the SDK reads its address when it is imported.

    shield.py MEMBER TOKEN WHAT ARGUMENT...    prints one JSON value; ARGUMENT are PDQ hashes in hexadecimal
"""

from __future__ import annotations

import base64
import json
import sys

from arachnid_shield_sdk import ArachnidShield, ArachnidShieldException, ScanMediaFromPdq


def main() -> None:
    """Prints what was answered, or the detail of the refusal."""
    member, token, what, *arguments = sys.argv[1:]
    shield = ArachnidShield(username=member, password=token)
    try:
        if what == "pdq":
            texts = [base64.b64encode(bytes.fromhex(one)).decode() for one in arguments]
            found = shield.scan_pdq_hashes(ScanMediaFromPdq(hashes=texts)).scanned_hashes
            matches = [found[text] for text in texts]
            answer = [
                {
                    "classification": match.classification,
                    "match_type": match.match_type,
                    "known": match.matches_known_media,
                    "details": match.near_match_details and vars(match.near_match_details),
                }
                for match in matches
            ]
            print(json.dumps(answer))
        elif what == "raw":
            shield.scan_pdq_hashes(ScanMediaFromPdq(hashes=arguments))
            print(json.dumps("answered"))
        elif what == "bytes":
            shield.scan_media_from_bytes(b"x" * int(arguments[0]), "image/png")
            print(json.dumps("answered"))
        elif what == "url":
            shield.scan_media_from_url(arguments[0])
            print(json.dumps("answered"))
    except ArachnidShieldException as refusal:
        print(json.dumps({"refused": str(refusal)}))


if __name__ == "__main__":
    main()
