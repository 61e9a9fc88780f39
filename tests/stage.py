# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the stages of ./check share: their counts, the commands they run, and the builds."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "tests/lab"))
import cache  # noqa: E402

BUILD = TREE / "build"
JOBS = str(os.cpu_count() or 1)

# What was compiled before need not be again, in whatever copy of the tree. For the compilers that
# make the builds; the environment is for all that runs here.
CCACHE = "ccache " if shutil.which("ccache") else ""
os.environ.update(CCACHE_DIR=str(cache.root() / "ccache"), CCACHE_MAXSIZE="2G",
                  CCACHE_BASEDIR=str(TREE), CCACHE_NOHASHDIR="1")

# The builds: folder -> environment and options of configure.
BUILDS = {
    "gcc": ({"CC": CCACHE + "gcc"}, ["--enable-werror"]),
    "asan": ({"CC": CCACHE + "gcc", "CFLAGS": "-O1 -g"},
             ["--enable-werror", "--enable-sanitizers"]),
    "clang": ({"CC": "clang"}, ["--enable-werror"]),
    "fuzz": ({"CC": CCACHE + "clang", "CFLAGS": "-O1 -g"},
             ["--enable-werror", "--enable-sanitizers", "--enable-fuzzing"]),
    # For --arch, whose name they have.
    "aarch64": ({"CC": CCACHE + "aarch64-linux-gnu-gcc"},
                ["--enable-werror", "--host=aarch64-linux-gnu"]),
}


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    details: list = field(default_factory=list)  # one line a failure or skip
    reasons: list = field(default_factory=list)  # (what failed, the lines that say why)

    def __add__(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed,
                      self.skipped + other.skipped, self.details + other.details,
                      self.reasons + other.reasons)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def passed(number=1):
    return Counts(passed=number)


def failed(line, why=()):
    """With the lines that say why, if they are not for everybody to see above."""
    return Counts(failed=1, details=[f"FAILED  {line}"], reasons=[(line, list(why))] if why else [])


# Of a run in CI little more than this is kept.
REASON_LINES = 20
REASONS = 3


def shortened(lines, limit):
    """The beginning and the end of them, where the cause and the effect are."""
    lines = [line if len(line) <= 200 else f"{line[:200]} ..." for line in lines]
    if len(lines) <= limit:
        return lines
    tail = limit // 2
    return lines[:limit - tail - 1] + ["    ..."] + lines[-tail:]


def first_reasons(counts):
    """Why the first tests failed: no more than REASON_LINES lines."""
    shown = counts.reasons[:REASONS]
    for what, lines in shown:
        yield f"-- {what}:"
        yield from shortened(lines, REASON_LINES // len(shown) - 1)


class Broken(Exception):
    """A stage cannot go on; the text says why."""


def run(*argv, **kwargs):
    """A command, its output on ours; Broken if it fails."""
    argv = [str(arg) for arg in argv]
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, **kwargs)
    if done.returncode != 0:
        raise Broken(f"{shlex.join(argv[:4])}{' ...' if len(argv) > 4 else ''} "
                     f"ended with {done.returncode}")
    return done.stdout


def output_of(*argv, **kwargs):
    return run(*argv, stdout=subprocess.PIPE, text=True, **kwargs)


# ---- building ----

def configured(name):
    """The folder of a build, configured."""
    folder = BUILD / name
    env, options = BUILDS[name]
    if not (TREE / "configure").exists():
        run("autoreconf", "-fi", cwd=TREE)
    if not (folder / "Makefile").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run(TREE / "configure", "-q", *options, cwd=folder, env={**os.environ, **env})
    # Where the lists of files changed since: before make is asked for anything else.
    run("make", "-s", "am--refresh", cwd=folder, stdout=subprocess.DEVNULL)
    return folder


def built(name, *targets):
    folder = configured(name)
    run("make", "-s", f"-j{JOBS}", *targets, cwd=folder)
    return folder
