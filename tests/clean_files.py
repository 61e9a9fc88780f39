# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which files clang-tidy and cppcheck had nothing to say about, so that they need not read them again.

What clang-tidy says depends on the file after preprocessing (comments included, for those can
silence it), on how it is compiled, on its configuration and on its version. cppcheck also reads
what the preprocessor would leave out: for it, all headers count as they are. A hash of all that is
an empty file's name in the cache; one that is not there, or whose file cannot be preprocessed, is
only checked again. Findings are never remembered.
"""

import contextlib
import hashlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))
import cache  # noqa: E402


SOURCES = ("vmm", "xml", "libvirt-driver", "tests")
INCLUDED = {".h", ".x", ".def"}  # or made into what is


class Known:
    """What is known of the files of `tree`, compiled in `folder`."""

    def __init__(self, tree, folder):
        self.places = [str(folder).encode(), str(tree).encode()]
        self.root = cache.root() / "clang-tidy"
        version = subprocess.run(["clang-tidy", "--version"], check=True, stdout=subprocess.PIPE)
        self.common = [version.stdout,
                       *(path.read_bytes() for path in [tree / ".clang-tidy",
                                                    *sorted(tree.glob("*/.clang-tidy"))])]
        version = subprocess.run(["cppcheck", "--version"], check=True, stdout=subprocess.PIPE)
        self.common_of_cppcheck = [version.stdout,
                                   *(path.read_bytes() for part in SOURCES
                                     for path in sorted((tree / part).rglob("*"))
                                     if path.suffix in INCLUDED)]
        self._forget()

    def _forget(self):
        """What no run has asked for in a long time."""
        if not self.root.is_dir():
            return
        oldest = time.time() - cache.KEEP_SECONDS
        for path in self.root.iterdir():
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def key(self, entry):
        """Of an entry of the compilation database; None if it does not compile."""
        words = shlex.split(entry["command"])
        preprocess = ["-E" if word == "-c" else word for word in words]
        output = preprocess.index("-o")
        del preprocess[output:output + 2]
        done = subprocess.run([*preprocess, "-C", "-MF", "/dev/null"], cwd=entry["directory"],
                              check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            return None
        return self._hash([*self.common, "\0".join(words).encode(), done.stdout])

    def key_of_cppcheck(self, entry, arguments):
        """The same for cppcheck, which is run with these."""
        words = "\0".join([entry["command"], *arguments]).encode()
        return self._hash([*self.common_of_cppcheck, words, Path(entry["file"]).read_bytes()])

    def _hash(self, parts):
        digest = hashlib.sha256()
        for part in parts:
            for place in self.places:  # the same in every copy of the tree
                part = part.replace(place, b"")
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    def is_clean(self, key):
        path = self.root / (key or "-")
        if key is None or not path.exists():
            return False
        with contextlib.suppress(OSError):
            os.utime(path)
        return True

    def clean(self, key):
        if key is None:
            return
        with contextlib.suppress(OSError):  # a cache that cannot be written forgets
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / key).touch()
