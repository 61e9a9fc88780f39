# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian guest: its files, and a shell in it over a console."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .wait import BOOT, SHORT

PASSWORD = "vole"
MACHINE = os.environ.get("VOLE_LAB_ARCH") or os.uname().machine
CONSOLE = {"x86_64": "ttyS0", "aarch64": "ttyAMA0"}.get(MACHINE)
TREE = Path(__file__).resolve().parents[3]


@dataclass
class Image:
    """Files of the cached guest; disks are copied before anything writes to them."""
    folder: Path

    small_initrd: Path

    @classmethod
    def find(cls, kernel="cloud"):
        return cls(guest_image("--kernel", kernel), guest_image("--kernel", kernel, "--small"))

    @property
    def kernel(self):
        return self.folder / "vmlinuz"

    @property
    def elf_kernel(self):
        return self.folder / "vmlinux"

    @property
    def initrd(self):
        return self.folder / "initrd.img"

    @property
    def disk(self):
        return self.folder / "disk.img"


def guest_image(*options):
    """What the tool of that name prints; ./check has asked it already."""
    known = json.loads(os.environ.get("VOLE_GUEST_IMAGES", "{}"))
    if " ".join(options) in known:
        return Path(known[" ".join(options)])
    argv = [TREE / "tests/lab/guest-image", *options]
    return Path(subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE).stdout.strip())


def copy_disk(source, target):
    """A writable copy that shares or skips what it can."""
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", source, target], check=True)
    return target


class Shell:
    """A shell in the guest: run() gives a command's output and insists on its success.

    What is left in the background has to be waited for in a later command: the small guest's shell,
    busybox's without line editing, takes a child's end while it reads for the end of its input, and
    ends, which is a panic of the guest.
    """

    def __init__(self, console):
        self.console = console
        self.count = 0

    @classmethod
    def login(cls, console, timeout=BOOT):
        """From a machine that is booting to a shell, by way of the login prompt."""
        console.expect(r"login: ", timeout)
        console.send("root\n")
        console.expect(r"Password: ", timeout)
        console.send(f"{PASSWORD}\n")
        console.expect(r"# ", timeout)
        # A shell without line editing, which would put control sequences into the output.
        console.send("exec sh\n")
        console.expect(r"# ")
        return cls(console)._quiet()

    @classmethod
    def init(cls, console, timeout=BOOT):
        """From a machine that was told init=/bin/sh to that shell."""
        console.expect(r"# ", timeout)
        return cls(console)._quiet()

    def _quiet(self):
        self.console.send("stty -echo; PS1=; PS2=; printf 'qui%s\\n' et\n")
        self.console.expect(r"quiet\r?\n")
        return self

    def send(self, command):
        """For what does not come back, such as reboot."""
        self.console.send(command + "\n")

    def run(self, command, timeout=SHORT * 4):
        status, output = self.run_any(command, timeout)
        assert status == 0, f"guest: {command}: exit status {status}\n{output}"
        return output

    def run_any(self, command, timeout=SHORT * 4):
        """(exit status, output)"""
        self.count += 1
        mark = f"mark-{self.count}"
        self.console.send(f"{{ {command}\n}} 2>&1; status=$?; echo; echo {mark}-$status-\n")
        match = self.console.expect(rf"(?s)(.*?)\r?\n{mark}-(\d+)-\r?\n", timeout)
        return int(match[2]), match[1].replace("\r\n", "\n").strip()
