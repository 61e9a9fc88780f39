# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is of this run of pytest: others may go on beside it, of the same build tree. Its folders have
names of its own, and every program under test has such a name, or the mark that is made of it, among
its arguments or in its environment."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

MARK = f"vole-{os.getpid()}-"
os.environ["VOLE_E2E"] = MARK  # of all that is started from here


def new_folder():
    """With a name that is short enough for sockets in it."""
    return Path(tempfile.mkdtemp(prefix=MARK))


def interface():
    """The name of an interface of this run's own: others may make theirs on the same machine."""
    return f"vti{os.getpid() % 100000}"


def processes(name=None):
    """{pid: command line} of the programs under test, or of that one, whoever is their parent by
    now."""
    build = os.path.realpath(os.environ["VOLE_BUILDDIR"])
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            folder, program = os.path.split(os.readlink(entry / "exe").removesuffix(" (deleted)"))
            if folder != build or name not in (None, program):
                continue
            line = (entry / "cmdline").read_bytes()
            if MARK.encode() in line + (entry / "environ").read_bytes():
                found[int(entry.name)] = line.replace(b"\0", b" ")
    return found
