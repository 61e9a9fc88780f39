# SPDX-License-Identifier: LGPL-2.1-or-later
"""The root of a lab of another architecture, which cannot share this machine's own: a Debian that
was unpacked and not set up, because setting it up would take running its programs. That is enough
to run ours on it, and their tests.
"""

import os
import shlex
from pathlib import Path

import cache
import kernel

SUITE = "bookworm"

# What every lab has, what our programs are linked with, and what their tests use.
PACKAGES = """
    base-files base-passwd bash coreutils dash findutils grep gzip hostname kmod login mawk mount
    procps sed tar util-linux iproute2 iputils-ping e2fsprogs socat xorriso passt
    dbus-daemon
    python3 python3-pytest python3-libvirt python3-lxml python3-pexpect libvirt-clients
    libjansson4 liburing2 libfdt1 zlib1g libzstd1 libglib2.0-0 libxml2 libtirpc3 libvirt0
""".split()

LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"]

# As the packages would be when they were set up, as far as somebody asks.
FILES = {
    "etc/hostname": "lab\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def root(note, more=()):
    """The folder that is to be /; with `more` packages, if need be."""
    packages = [*PACKAGES, *sorted(more)]
    key = cache.key_of(Path(__file__), SUITE, " ".join(packages),
                       os.environ.get("VOLE_DEBIAN_MIRROR", ""))
    return cache.entry(kernel.entry_name("lab-root"), key,
                       lambda folder: _make(folder, packages), note) / "root"


def _make(folder, packages):
    tree, tar = folder / "root", folder / "root.tar"
    mirror = os.environ.get("VOLE_DEBIAN_MIRROR", "")
    argv = ["mmdebstrap", "--quiet", "--variant=extract", "--format=tar",
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
            f"--architectures={kernel.arch().debian}", "--include=" + ",".join(packages)]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    kernel.run(*argv, SUITE, str(tar), *([mirror] if mirror else []))
    tree.mkdir()
    # The owner of all is who runs this; in the lab, 9p shows root.
    kernel.run("tar", "-x", "--no-same-owner", "--exclude=./dev/*", "-C", tree, "-f", tar)
    tar.unlink()
    for name in ("passwd", "group"):
        master = tree / f"usr/share/base-passwd/{name}.master"
        (tree / "etc" / name).write_bytes(master.read_bytes())
    for name, text in FILES.items():
        (tree / name).write_text(text, encoding="ascii")
    (tree / "var/run").rmdir()
    (tree / "var/run").symlink_to("/run")  # where libvirt's clients look for sockets
    if not (tree / "bin/sh").exists():
        (tree / "bin/sh").symlink_to("dash")
    kernel.run("chmod", "-R", "u+rwX", tree)


if __name__ == "__main__":
    print(shlex.quote(str(root(print))))
