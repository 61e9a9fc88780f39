# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tiny guests in assembler, which run on any KVM; assembled once a session."""

import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "payloads"

# Which lie in memory as they are, and which are ELF files with a PVH entry.
FLAT = ["hello", "spin", "panics"]
ELF = ["balloon", "echo", "flood"]


class Payloads:
    def __init__(self, folder):
        for name in FLAT:
            self._build(folder, name, ["-Ttext=0x1000", "--oformat=binary"])
        for name in ELF:
            # -n: no page of file headers below the text, where a machine has its boot data.
            self._build(folder, name, ["-n", "-Ttext=0x100000", "-e", "_start", "--build-id=none"])

    def _build(self, folder, name, options):
        target = Path(folder) / name
        subprocess.run(["as", "-o", f"{target}.o", SOURCES / f"{name}.S"], check=True)
        subprocess.run(["ld", *options, "-o", target, f"{target}.o"], check=True)
        setattr(self, name, target)
