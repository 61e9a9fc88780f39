# SPDX-License-Identifier: LGPL-2.1-or-later
"""Things that take long to make and never change: kernels, initramfs, guest disks.

They live outside the tree, in ${XDG_CACHE_HOME:-~/.cache}/vole, one folder an entry. An entry's
folder is named for what it is and for a hash of everything that it is made from, so an entry is
never wrong, only missing. It is built in a folder beside its place and renamed into it: a reader
sees the whole entry or none, and of two builders the second waits and finds the first one's work.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

# An entry that nobody asked for in this time goes when the next one is built.
KEEP_SECONDS = 30 * 24 * 3600


class BuildError(Exception):
    """An entry could not be made; the text is one line for the user."""


def root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "vole"


def key_of(*parts):
    """A short hash of strings, bytes and files (their contents)."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def entry(name, key, build, note):
    """The folder of the entry `name`-`key`; made by build(folder) when it is not there.

    `note` is called with one line when something has to be built, which may take a minute.
    """
    top = root()
    path = top / f"{name}-{key}"
    if path.is_dir():
        _touch(path)
        return path

    top.mkdir(parents=True, exist_ok=True)
    with _locked(top / f"{name}.lock"):
        if path.is_dir():
            return path
        _remove_leftovers(top, name)
        note(f"making {name}, kept in {top} for the next time")
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=top))
        try:
            build(temporary)
            temporary.chmod(0o755)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return path


@contextlib.contextmanager
def _locked(path):
    with open(path, "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _touch(path):
    with contextlib.suppress(OSError):  # a cache that is mounted read-only still serves
        os.utime(path)


def _remove_leftovers(top, name):
    """Under the lock: what a killed builder left, and entries that are long out of use."""
    for path in top.glob(f".{name}-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in top.glob(f"{name}-" + "?" * 16):
        if path.stat().st_mtime < time.time() - KEEP_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
