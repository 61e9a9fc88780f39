# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's kernel and initramfs, from Debian packages, in the cache."""

import gzip
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cache
import vmlinux

HERE = Path(__file__).resolve().parent

@dataclass(frozen=True)
class Arch:
    """Of a machine, whose name is what uname calls it."""
    debian: str    # Debian's name for it
    kernel: str    # the metapackage of the lab's kernel
    console: str   # of the lab, and of a guest
    modules: list  # what must be loaded to mount the root or is wanted by every user of the lab;
                   # what these depend on comes with them


MODULES = ["virtio_pci", "virtio_console", "qemu_fw_cfg", "9pnet_virtio", "9p", "overlay", "tun"]
ARCHES = {
    "x86_64": Arch("amd64", "linux-image-amd64", "ttyS0", [*MODULES, "kvm_amd"]),
    "aarch64": Arch("arm64", "linux-image-arm64", "ttyAMA0", MODULES),
}
BUSYBOX = Path("/bin/busybox")
APPLETS = ["sh", "mount", "mkdir", "insmod", "cp", "chmod", "uname", "ip",
           "hostname", "switch_root", "poweroff"]


def machine():
    """The lab's architecture: this machine's, or the one that somebody asked for."""
    name = os.environ.get("VOLE_LAB_ARCH") or os.uname().machine
    if name not in ARCHES:
        raise cache.BuildError(f"there is no lab for {name} yet")
    return name


def arch():
    return ARCHES[machine()]


def is_foreign():
    return machine() != os.uname().machine


def package_name(name):
    """As apt has it, which takes this machine's own architecture to be meant."""
    return f"{name}:{arch().debian}" if is_foreign() else name


def entry_name(name):
    """Of the cache, where every architecture has its own, wherever it is asked for."""
    return name if machine() == "x86_64" else f"{name}-{machine()}"


def release():
    """What the kernel is taken from. In a lab whose root is not the host's, the host's own release is
    not known, and the same entry has to be found."""
    if machine() != "x86_64":
        return "bookworm"
    return Path("/etc/debian_version").read_text(encoding="ascii").strip()


def busybox(note):
    """The static busybox of the lab's architecture."""
    if machine() == "x86_64":
        if not BUSYBOX.exists():
            raise cache.BuildError(f"{BUSYBOX} is missing; run build-aux/deps lab")
        return BUSYBOX

    def unpack(folder):
        run("dpkg-deb", "-x", download(package_name("busybox-static"), folder), folder)
    return cache.entry(entry_name("busybox"), cache.key_of(Path(__file__)), unpack,
                       note) / "bin/busybox"


def kernel(note):
    """The folder of the unpacked kernel package: vmlinux, and lib/modules/RELEASE.

    vmlinux is what an emulator can start without unpacking it first, which would take seconds: the
    ELF file from inside a bzImage, which is entered by PVH; arm64's Image is that already.
    """
    key = cache.key_of(arch().kernel, release(), Path(__file__), HERE / "vmlinux.py")
    return cache.entry(entry_name("lab-kernel"), key,
                       lambda folder: _unpack_kernel(folder, package_name(arch().kernel)), note)


def initramfs(note):
    """The initramfs of that kernel with the lab's own init and agent, as a file."""
    base = kernel(note)
    shell = busybox(note)
    key = cache.key_of(base.name, shell, HERE / "init", HERE / "agent.py", HERE / "wire.py")
    folder = cache.entry(entry_name("lab-initramfs"), key,
                         lambda folder: _make_initramfs(folder, base, shell), note)
    return folder / "initrd.img"


def modules(base):
    (folder,) = (base / "lib" / "modules").iterdir()
    return folder


def run(*argv, **kwargs):
    """A tool, quietly; its last lines are the error when it fails."""
    try:
        return subprocess.run(argv, check=True, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, **kwargs).stdout
    except FileNotFoundError:
        raise cache.BuildError(f"{argv[0]} is missing; run build-aux/deps lab") from None
    except subprocess.CalledProcessError as error:
        lines = (error.stderr.strip() or error.stdout.strip() or "no message").splitlines()
        raise cache.BuildError(f"{argv[0]} failed: {'; '.join(lines[-3:])}") from None


def download(package, folder):
    """The newest .deb of `package`, into `folder`."""
    # Without a sandbox user of its own apt need not be able to write to the folder as that user.
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", package, cwd=folder)
    (deb,) = folder.glob(f"{package.partition(':')[0]}_*.deb")
    return deb


def real_package(metapackage):
    """The package with a version in its name that a metapackage depends on."""
    for line in run("apt-cache", "depends", metapackage).splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise cache.BuildError(f"apt knows no kernel behind {metapackage}; run apt-get update")


def _unpack_kernel(folder, metapackage):
    deb = download(real_package(metapackage), folder)
    run("dpkg-deb", "-x", deb, folder / "unpacked")
    deb.unlink()
    (image,) = (folder / "unpacked/boot").glob("vmlinuz-*")
    vmlinux.extract(image, folder / "vmlinux")
    (folder / "lib").mkdir()
    (folder / "unpacked/lib/modules").rename(folder / "lib/modules")
    shutil.rmtree(folder / "unpacked")
    run("depmod", "-b", folder, modules(folder).name)


def _make_initramfs(folder, base, shell):
    root = folder / "root"
    for name in ("bin", "proc", "sys", "dev", "modules", "agent"):
        (root / name).mkdir(parents=True)
    shutil.copy(shell, root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    shutil.copy(HERE / "init", root / "init")
    for name in ("agent.py", "wire.py"):
        shutil.copy(HERE / name, root / "agent" / name)

    order = load_order(base, arch().modules)
    for module in order:
        shutil.copy(module, root / "modules" / module.name)
    (root / "modules/order").write_text("".join(f"{m.name}\n" for m in order), encoding="ascii")

    names = "\0".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
    archive = subprocess.run(["cpio", "--null", "-o", "-H", "newc", "-R", "0:0", "--quiet"],
                             input=names.encode(), cwd=root, check=True, stdout=subprocess.PIPE)
    with gzip.open(folder / "initrd.img", "wb", compresslevel=1) as out:
        out.write(archive.stdout)
    shutil.rmtree(root)


def load_order(base, names):
    """Module files, each after those that it needs, as modprobe would load them."""
    order = []
    for name in names:
        listing = run("modprobe", "-d", base, "-S", modules(base).name, "--show-depends", name)
        for line in listing.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "insmod" and Path(rest.strip()) not in order:
                order.append(Path(rest.strip()))
    return order
