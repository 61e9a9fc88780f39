# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lets the programs of another architecture run here, by QEMU's user emulation, for a command and
its children alone.

Where the system has it registered (binfmt_misc, as Debian's qemu-user-static does on a running
system), there is nothing to do. Elsewhere, in a container for example, a user namespace of its own
has a table of its own to register it in (Linux 6.7); of the host's settings nothing is changed.
"""

import ctypes
import os
import subprocess
from pathlib import Path

from cache import BuildError

TABLE = Path("/proc/sys/fs/binfmt_misc")
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000

ENTER = """\
set -eu
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cat "$0" >/proc/sys/fs/binfmt_misc/register
exec "$@"
"""


def runnable(machine):
    return os.uname().machine == machine or (TABLE / f"qemu-{machine}").exists()


def wrap(machine, argv):
    """The words to run `argv` by, and the preexec function that goes with them."""
    if runnable(machine):
        return list(argv), None
    rule = Path(f"/usr/lib/binfmt.d/qemu-{machine}.conf")
    if not rule.exists():
        raise BuildError(f"{rule} is missing; run build-aux/deps {machine}")
    if os.geteuid() != 0:
        raise BuildError(f"programs for {machine} do not run here: register qemu-user-static "
                         f"(systemctl restart systemd-binfmt)")
    return ["sh", "-c", ENTER, str(rule), *argv], enter_namespace


def enter_namespace():
    """In the child, between fork and exec: a user and a mount namespace, with all our users."""
    ready, told = os.pipe(), os.pipe()
    target = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.read(ready[0], 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{target}/{name}").write_text("0 0 65536\n", encoding="ascii")
        os.write(told[1], b"+")
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.write(ready[1], b"+")
    os.close(told[1])
    mapped = os.read(told[0], 1)
    os.waitpid(helper, 0)
    for fd in (*ready, told[0]):
        os.close(fd)
    if not mapped:
        raise PermissionError("this process may not map users")


if __name__ == "__main__":
    import sys
    words, preexec = wrap(sys.argv[1], sys.argv[2:])
    sys.exit(subprocess.run(words, check=False, preexec_fn=preexec).returncode)
