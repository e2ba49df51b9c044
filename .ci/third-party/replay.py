"""Runs the commands of a document as a reader would type them, and compares what they print with what it says.

In scope: blocks headed `sh`, in one shell in an empty folder, and the `text` below them, of which every line must occur
in the output; `...` stands for anything. Out of scope: blocks headed `bash`, which need a network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def blocks(text: str, kind: str) -> list[str]:
    """The contents of fenced blocks of one kind."""
    found, inside, lines = [], None, []
    for line in text.splitlines():
        if not line.startswith("```"):
            lines.append(line)
        elif inside is None:
            inside, lines = line[3:], []
        else:
            found += ["\n".join(lines)] if inside == kind else []
            inside = None
    return found


def missing(expected: list[str], output: str) -> list[str]:
    """The parts of expected lines that the output does not have."""
    flat = " ".join(output.split())
    lines = [line for block in expected for line in block.splitlines()]
    parts = [" ".join(part.split()) for line in lines for part in line.split("...")]
    return [part for part in parts if part not in flat]


def main(document: str, checkout: str) -> int:
    """Replays one document with the tools of this Python."""
    text = Path(document).read_text(encoding="utf-8")
    script, expected = "\n".join(blocks(text, "sh")), blocks(text, "text")
    tools = str(Path(sys.executable).parent)
    environment = {**os.environ, "hashpact": checkout, "PATH": os.pathsep.join([tools, os.environ["PATH"]])}
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=empty,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    absent = missing(expected, done.stdout)
    if done.returncode or absent or not script:
        print(done.stdout, *(f"not printed: {part}" for part in absent), sep="\n", file=sys.stderr)
        print(f"FAILED {document}: exit code {done.returncode}, {len(absent)} lines missing", file=sys.stderr)
        return 1
    print(f"ok     {Path(document).name}: {script.count(chr(10)) + 1} lines of commands, and what they print")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
