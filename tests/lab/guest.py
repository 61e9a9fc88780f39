# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest disk of tests and quickstart: a small Debian, exactly as Debian makes it.

mmdebstrap installs it from Debian's archive; its kernel is Debian's own package, its initramfs is
what that package's installation makes. Nothing in it knows of vole: besides the packages there
are a hostname, a password, an fstab, and time for devices to appear. The disk is one ext4 file
system without a partition table, so root=/dev/vda boots it.
"""

import os
import shlex
import subprocess
from pathlib import Path

import cache
import foreign
import kernel
import vmlinux

SUITE = "bookworm"
DISK_SIZE = "1G"
PASSWORD = "vole"
LABEL = "debian-root"

# By flavour of Debian's kernel: cloud is the small one for virtual machines, generic the one that
# every Debian machine has.
KERNELS = {"cloud": "linux-image-cloud-{}", "generic": "linux-image-{}"}

# Without dbus there is no logind, and without logind a power button does nothing.
PACKAGES = ["systemd-sysv", "udev", "dbus", "login", "util-linux", "iproute2", "iputils-ping",
            "kmod", "procps", "initramfs-tools", "e2fsprogs"]

# systemd gives a device or a service a minute and a half. An emulated guest on a busy machine may
# take longer to find its own serial port, and would never ask for a login on it.
PATIENCE = "[Manager]\\nDefaultDeviceTimeoutSec=1h\\nDefaultTimeoutStartSec=1h\\n"

# What nobody reads in a test machine; a third of the disk.
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"]


def guest(flavour, note):
    """A folder with disk.img, vmlinuz, initrd.img, vmlinux (the ELF kernel) and config."""
    key = cache.key_of(Path(__file__), SUITE, flavour, mirror())
    return cache.entry(kernel.entry_name(f"guest-{flavour}"), key, lambda folder: _make(folder, flavour), note)


def mirror():
    return os.environ.get("VOLE_DEBIAN_MIRROR", "")


def _make(folder, flavour):
    boot = folder / "boot"
    boot.mkdir()
    boot.chmod(0o777)
    disk = folder / "disk.img"
    disk.touch()
    root = '"$1"'
    hooks = [
        f"printf 'debian\\n' >{root}/etc/hostname",
        f"printf 'LABEL={LABEL} / ext4 defaults 0 1\\n' >{root}/etc/fstab",
        f"printf 'root:{PASSWORD}\\n' | chroot {root} chpasswd",
        f"mkdir -p {root}/etc/systemd/system.conf.d",
        f"printf '{PATIENCE}' >{root}/etc/systemd/system.conf.d/patience.conf",
        # Empty, not absent: each machine makes its own and keeps it.
        f": >{root}/etc/machine-id",
        "copy-out /boot " + shlex.quote(str(folder)),
        f"rm -rf {root}/boot/* {root}/var/cache/apt/* {root}/var/lib/apt/lists/*",
        f"truncate -s {DISK_SIZE} {root}.img",
        # In a mount namespace, to see the root without the /proc and /sys that hooks have.
        "unshare --mount sh -euc 'mount --bind \"$1\" /mnt;"
        f" /sbin/mkfs.ext4 -q -L {LABEL} -d /mnt \"$1.img\"' sh {root}",
        # Made beside the root and moved into it: only from there, but with user namespaces as
        # well, `download` brings it out.
        f"mv {root}.img {root}/disk.img",
        "download /disk.img " + shlex.quote(str(disk)),
    ]
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=null",
            "--architectures=" + kernel.arch().debian,
            "--include=" + ",".join([*PACKAGES, KERNELS[flavour].format(kernel.arch().debian)])]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    argv += [f"--aptopt={line}" for line in _proxy()]
    argv += [f"--customize-hook={hook}" for hook in hooks]
    env = dict(os.environ)
    if os.geteuid() == 0:  # with user namespaces, another user works there, who may not come here
        env["TMPDIR"] = str(folder)
    argv += [SUITE, "-", *([mirror()] if mirror() else [])]
    argv, preexec = foreign.wrap(kernel.machine(), argv)
    kernel.run(*argv, env=env, preexec_fn=preexec)

    for name in ("vmlinuz", "initrd.img", "config"):
        (image,) = boot.glob(f"{name}-*")
        image.rename(folder / name)
    for path in boot.iterdir():
        path.unlink()
    boot.rmdir()
    # Holes again: on its way out of the root the file lost them.
    kernel.run("fallocate", "--dig-holes", disk)
    vmlinux.extract(folder / "vmlinuz", folder / "vmlinux")


def _proxy():
    """What the host's apt goes through, mmdebstrap's apt does not see by itself."""
    lines = subprocess.run(["apt-config", "dump", "Acquire::http::Proxy"], check=False,
                           capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if line.startswith("Acquire::http::Proxy \"http")]
