# SPDX-License-Identifier: LGPL-2.1-or-later
"""The small guest: Debian's kernel with an initramfs that is a shell and the virtio drivers.

For tests that need Linux in a microVM but not Debian in it: it is at its prompt in a fraction of
the time. The drivers come out of the guest disk (guest.py), so they fit the kernel beside it; the
shell is busybox.
"""

import re
import shutil
import subprocess
from pathlib import Path

import cache
import kernel

DRIVERS = ["virtio_mmio", "virtio_blk", "virtio_net", "virtio_console", "virtio-rng",
           "virtio_balloon", "vmw_vsock_virtio_transport"]
BUTTON = ["gpio_keys", "evdev"]

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /tmp
mount -t devpts devpts /dev/pts
while read -r module; do
    insmod /modules/$module
done </modules/order
stty -echo # and with it, the line editing of busybox goes
exec sh
"""


def initramfs(guest, note):
    """The initramfs for the kernel of the folder `guest`, as a file."""
    shell = kernel.busybox(note)
    key = cache.key_of(guest.name, shell, Path(__file__))
    flavour = guest.name.split("-")[1]

    def copy_drivers(target):
        _copy_drivers(guest / "disk.img", target)
    return cache.entry(kernel.entry_name(f"small-{flavour}"), key,
                       lambda folder: _make(folder, copy_drivers, shell), note) / "initrd.img"


def of_lab(note):
    """The same with the lab's own kernel, which has drivers that the cloud kernel has not: a folder
    with vmlinuz and initrd.img."""
    base = kernel.kernel(note)
    shell = kernel.busybox(note)
    key = cache.key_of(base.name, shell, Path(__file__))

    def make(folder):
        modules = kernel.load_order(base, [*DRIVERS, *BUTTON])
        _make(folder, lambda target: _copy_modules(modules, target), shell)
        shutil.copy(base / "vmlinux", folder / "vmlinuz")
    return cache.entry(kernel.entry_name("small-lab"), key, make, note)


def _copy_modules(modules, target):
    for module in modules:
        shutil.copy(module, target / module.name)
    (target / "order").write_text("".join(f"{m.name}\n" for m in modules), encoding="ascii")


def _make(folder, copy_drivers, shell):
    root = folder / "root"
    for name in ("bin", "proc", "sys", "dev", "modules", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy(shell, root / "bin/busybox")
    (root / "init").write_text(INIT, encoding="ascii")
    (root / "init").chmod(0o755)
    copy_drivers(root / "modules")
    pack(root, folder / "initrd.img")
    shutil.rmtree(root)


def pack(root, target):
    """A folder as an initramfs: a cpio archive, not compressed."""
    names = "\0".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
    with open(target, "wb") as out:
        subprocess.run(["cpio", "--null", "-o", "-H", "newc", "-R", "0:0", "--quiet"],
                       input=names.encode(), cwd=root, check=True, stdout=out)


def _copy_drivers(disk, target):
    """The modules and a file "order" with their names, each after those that it needs."""
    top = "/usr/lib/modules"
    (release,) = re.findall(r"^/\d+/\d+/\d+/\d+/(\d[^/]*)/", _debugfs(disk, f"ls -p {top}"),
                            re.MULTILINE)
    needs = {}
    for line in _debugfs(disk, f"cat {top}/{release}/modules.dep").splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    by_name = {Path(path).stem.replace("-", "_"): path for path in needs}
    order = []
    for name in DRIVERS:
        path = by_name.get(name.replace("-", "_"))
        if not path:
            raise cache.BuildError(f"the guest's kernel {release} has no driver {name}")
        # modules.dep has what a module needs directly or not, the deepest last.
        order += [p for p in [*reversed(needs[path]), path] if p not in order]
    for path in order:
        _debugfs(disk, f"dump {top}/{release}/{path} {target / Path(path).name}")
    (target / "order").write_text("".join(f"{Path(p).name}\n" for p in order), encoding="ascii")


def _debugfs(disk, request):
    """What it prints. It says nothing of failures in its exit status."""
    done = subprocess.run(["/sbin/debugfs", "-R", request, disk], check=True, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("debugfs ")]
    if errors:
        raise cache.BuildError(f"debugfs: {request}: {errors[-1]}")
    return done.stdout
