# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every row needs: the programs under test, the guests, and how figures are put together."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/lab"))

import guest as lab_guest  # noqa: E402
import kernel as lab_kernel  # noqa: E402
import payload  # noqa: E402
import small  # noqa: E402
from cache import BuildError  # noqa: E402


class BenchError(Exception):
    """The text is one line for the user."""


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def find_programs():
    """{"vole": path, "qemu": path}"""
    build = os.environ.get("VOLE_BUILDDIR", TREE / "build")
    vole = os.path.join(build, "vole")
    emulator = f"qemu-system-{payload.ARCH}"
    qemu = shutil.which(emulator)
    if not os.access(vole, os.X_OK):
        raise BenchError(f"{vole} is not there; build first, or set VOLE_BUILDDIR")
    if not qemu:
        raise BenchError(f"{emulator} is not there; build-aux/deps lab installs it")
    return {"vole": vole, "qemu": qemu}


@contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="vole-bench-") as path:
        yield Path(path)


class LinuxGuest:
    """Debian's cloud kernel with guest.c as its first program, in an initramfs."""

    def __init__(self, home, drivers):
        try:
            image = lab_guest.guest("cloud", note)
            root = home / "initramfs"
            root.mkdir()
            make_guest(root)
            self.kernel = image / "vmlinuz"
            self.initrd = home / "initrd.img"
            small.pack(root, self.initrd)
            if drivers:  # an initramfs may be several, one after the other
                with open(self.initrd, "ab") as out:
                    out.write(small.initramfs(image, note).read_bytes())
        except BuildError as error:
            raise BenchError(str(error)) from None

    @staticmethod
    def command_line(console, *words):
        quiet = "quiet loglevel=1" if payload.ARCH == "aarch64" else "quiet"
        return f"console={console} {quiet} rdinit=/bench -- {' '.join(words)}"


SCRIPT = """\
#!/busybox sh
/busybox printf '!'
exec /busybox sleep 1000000
"""


def make_guest(root):
    """guest.c, which knows a PC's ports; elsewhere, a shell that knows no more than `idle`."""
    if payload.ARCH == "x86_64":
        compile_guest(root / "bench")
        return
    shutil.copy(lab_kernel.busybox(note), root / "busybox")
    (root / "bench").write_text(SCRIPT, encoding="ascii")
    (root / "bench").chmod(0o755)


def compile_guest(target):
    source = Path(__file__).with_name("guest.c")
    done = subprocess.run(["cc", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-o", target, source,
                           "-luring"], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{source.name} does not compile: {done.stderr.strip()}")


# ---- figures ----

def in_turns(rounds, measure):
    """{"vole": [...], "qemu": [...]} of measure(who, turn). Both have their turn in each round, and who is
    first changes."""
    results = {"vole": [], "qemu": []}
    for turn in range(rounds):
        for who in ("vole", "qemu") if turn % 2 else ("qemu", "vole"):
            results[who].append(measure(who, turn))
    return results


def spread(values):
    ordered = sorted(values)
    return {"median": statistics.median(ordered), "p10": ordered[len(ordered) // 10],
            "p90": ordered[(len(ordered) * 9) // 10], "values": values}


def row(name, unit, results, key=None, **limit):
    """One line of the table. `limit` is one of ratio_max, ratio_min (of the medians, vole to
    QEMU) and value_max (vole's median)."""
    pick = (lambda value: value) if key is None else (lambda value: value[key])
    line = {"row": name, "unit": unit, "limit": limit}
    for who in ("vole", "qemu"):
        line[who] = spread([pick(value) for value in results[who]])
    peers = line["qemu"]["median"]
    line["ratio"] = line["vole"]["median"] / peers if peers else None
    return line


def missed(line):
    limit = line["limit"]
    ratio = line["ratio"]
    return (("ratio_max" in limit and (ratio is None or ratio > limit["ratio_max"]))
            or ("ratio_min" in limit and (ratio is None or ratio < limit["ratio_min"]))
            or line["vole"]["median"] > limit.get("value_max", float("inf")))


def ratio_text(line):
    return "-" if line["ratio"] is None else f"{line['ratio']:.3f}"


def limit_text(line):
    limit = line["limit"]
    if "ratio_max" in limit:
        return f"<= {limit['ratio_max']:.3g}"
    if "ratio_min" in limit:
        return f">= {limit['ratio_min']:.3g}"
    if "value_max" in limit:
        return f"{limit['value_max']} {line['unit']}".strip()
    return ""
