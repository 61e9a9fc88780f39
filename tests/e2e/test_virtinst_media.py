# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virt-install brings along for a machine's first start: CD-ROMs, the seed of cloud-init, an
installer's kernel. All of it lies in /var/lib/libvirt/boot, so these tests have one of their own, in a
mount namespace."""

import subprocess
import xml.etree.ElementTree as ElementTree

import pexpect
import pytest
from support.virtinst import Tools, fails, succeeds
from support.virtvoled import Virtvoled, answers, connected, ended, leave
from support.wait import SHORT, until

BOTH = pytest.mark.parametrize("scheme", ["vole", "qemuvole"])
OWN_LIB = 'mkdir -p /var/lib/libvirt && mount --bind "$1" /var/lib/libvirt && shift && exec "$@"'


@pytest.fixture
def daemon(folder):
    daemon = Virtvoled(folder)
    lib = daemon.root / "var/lib/libvirt"
    lib.mkdir(parents=True)
    daemon.prefix = ["unshare", "--mount", "sh", "-c", OWN_LIB, "sh", str(lib)]
    daemon.start()
    yield daemon
    daemon.close()


class MediaTools(Tools):
    def __init__(self, daemon, payloads, folder):
        super().__init__(daemon, payloads)
        self.prefix = ["nsenter", "--mount", "--wd=/", f"--target={daemon.process.pid}"]
        self.folder = folder

    def spawn(self, scheme, name, *words):
        argv = self.argv("virt-install", scheme, "--name", name, "--memory", 64, "--osinfo",
                         "linux2022", "--network", "none", "--graphics", "none", *words)
        return pexpect.spawn(argv[0], argv[1:], encoding="utf-8", timeout=SHORT)

    def iso(self, name):
        path = self.folder / name
        subprocess.run(["xorrisofs", "-quiet", "-o", path, "-V", "tools", self.kernel], check=True)
        return path

    def tree(self):
        """An installer's tree as Debian has it, with a kernel that knows nothing of installing."""
        tree = self.folder / "debian/dists/bookworm/main/installer-amd64"
        images = tree / "current/images"
        netboot = images / "netboot/debian-installer/amd64"
        netboot.mkdir(parents=True)
        (images / "MANIFEST").write_text("netboot/debian-installer/amd64/linux\n")
        (netboot / "linux").write_bytes(self.kernel.read_bytes())
        with open(netboot / "initrd.gz", "wb") as initrd:
            subprocess.run(["gzip"], input=b"", stdout=initrd, check=True)
        return tree


@pytest.fixture
def tools(daemon, payloads, folder):
    return MediaTools(daemon, payloads, folder)


@pytest.fixture
def disk(folder):
    path = folder / "images/disk.img"
    path.parent.mkdir()
    with open(path, "wb") as image:
        image.truncate(1 << 20)
    return path


def disks(daemon, name, *options):
    """{name in the guest: (source, whether it can be written to)}"""
    devices = ElementTree.fromstring(daemon.virsh("dumpxml", name, *options)).find("devices")
    for found in devices.iterfind("disk"):
        assert (found.get("device"), found.find("target").get("bus")) == ("disk", "virtio")
    return {found.find("target").get("dev"):
            (found.find("source").get("file"), found.find("readonly") is None)
            for found in devices.iterfind("disk")}


def boot(daemon, name, *options):
    """{element of <os>: text}"""
    return {found.tag: found.text for found in
            ElementTree.fromstring(daemon.virsh("dumpxml", name, *options)).find("os")}


def scratch(daemon):
    """What tools left where they put what a machine is installed from."""
    return list((daemon.root / "var/lib/libvirt/boot").iterdir())


def wait_for_shut_off(daemon):
    until(lambda: daemon.virsh("domstate", "web1") == "shut off", "the machine has ended")


# ---- CD-ROMs ----

@BOTH
def test_a_cdrom_is_a_disk_that_cannot_be_written_to(daemon, tools, disk, scheme):
    iso = tools.iso("tools.iso")
    succeeds(tools.install(scheme, "web1", "--disk", disk, "--disk", "device=cdrom", "--disk",
                           f"{iso},device=cdrom", "--noautoconsole"))
    both = {"vda": (str(disk), True), "vdb": (str(iso), False)}
    assert disks(daemon, "web1") == both
    assert disks(daemon, "web1", "--inactive") == both

    for words in (["vdb", "--eject"], ["vdb", iso, "--insert"]):
        status, _, error = daemon.virsh_any("change-media", "web1", *words)
        assert status != 0 and "No disk found whose source path or target is vdb" in error
    changed = tools.folder / "cdrom.xml"
    changed.write_text("<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>")
    status, _, error = daemon.virsh_any("update-device", "web1", changed, "--config")
    assert status != 0 and "missing source information for device sda" in error

    succeeds(tools.run("virt-xml", scheme, "web1", "--remove-device", "--disk", "target=vdb"))
    assert disks(daemon, "web1", "--inactive") == {"vda": (str(disk), True)}
    succeeds(tools.run("virt-xml", scheme, "web1", "--add-device", "--disk",
                       f"{iso},device=cdrom"))
    assert disks(daemon, "web1", "--inactive") == both


# ---- cloud-init ----

@BOTH
def test_cloud_inits_seed_is_there_for_the_first_start(daemon, tools, disk, scheme):
    """The seed is a file of virt-install's, which it removes as soon as the machine runs."""
    child = tools.spawn(scheme, "web1", "--import", "--disk", disk, "--boot",
                        f"kernel={tools.kernel}", "--cloud-init", "disable=on")
    answers(connected(child))
    first = disks(daemon, "web1")
    assert first["vda"] == (str(disk), True)
    assert first["vdb"][0].endswith("cloudinit.iso") and not first["vdb"][1]
    assert disks(daemon, "web1", "--inactive") == {"vda": (str(disk), True)}
    assert scratch(daemon) == []
    assert leave(child) == 0

    daemon.stop()  # the seed's file is gone, and the machine does not mind
    daemon.start()
    assert disks(daemon, "web1") == first
    console = daemon.console("web1")
    console.send("Q")
    assert ended(console) == 0
    wait_for_shut_off(daemon)
    daemon.virsh("start", "web1")
    assert disks(daemon, "web1") == {"vda": (str(disk), True)}


# ---- installers ----

@BOTH
def test_an_installer_runs_from_its_tree(daemon, tools, disk, scheme):
    child = tools.spawn(scheme, "web1", "--disk", disk, "--location", tools.tree(), "--extra-args",
                        "console=ttyS0", "--boot", f"kernel={tools.kernel},kernel_args=installed")
    answers(connected(child))
    installer = boot(daemon, "web1")
    assert installer["kernel"].startswith("/var/lib/libvirt/boot/")
    assert installer["initrd"].startswith("/var/lib/libvirt/boot/")
    assert "console=ttyS0" in installer["cmdline"]
    assert scratch(daemon) == []

    # the installer's reboot ends it, and the same console shows what was installed
    child.send("R")
    child.expect("Restarting guest")
    answers(connected(child))
    assert boot(daemon, "web1")["kernel"] == str(tools.kernel)
    assert boot(daemon, "web1")["cmdline"] == "installed"
    child.send("Q")
    assert ended(child) == 0
    wait_for_shut_off(daemon)


def test_what_was_installed_needs_a_kernel_to_start(daemon, tools, disk):
    """virt-install hands over a definition that boots the disk, when the installer runs already."""
    succeeds(tools.run("virt-install", "vole", "--name", "web1", "--memory", 64, "--osinfo",
                       "linux2022", "--network", "none", "--disk", disk, "--location",
                       tools.tree(), "--noautoconsole"))
    daemon.virsh("destroy", "web1")
    assert "kernel" not in boot(daemon, "web1")
    status, _, error = daemon.virsh_any("start", "web1")
    assert status != 0 and "there is no <kernel>, and no firmware" in error
    assert daemon.virsh("domstate", "web1") == "shut off"
    succeeds(tools.run("virt-xml", "vole", "web1", "--edit", "--boot",
                       f"kernel={tools.kernel}"))
    daemon.virsh("start", "web1")


def test_unattended_installs_from_a_tree(daemon, tools, disk):
    password = tools.folder / "password"
    password.write_text("secret\n")
    succeeds(tools.run(
        "virt-install", "vole", "--name", "web1", "--memory", 64, "--osinfo", "debian11",
        "--network", "none", "--disk", disk, "--location", tools.tree(), "--noautoconsole",
        "--unattended", f"profile=jeos,user-login=user,user-password-file={password},"
        f"admin-password-file={password}"))
    # its answers are in the initrd
    assert "debconf/priority=critical" in boot(daemon, "web1")["cmdline"]


@BOTH
def test_what_needs_firmware_is_refused_and_nothing_stays(daemon, tools, folder, scheme):
    (folder / "images").mkdir()
    new = folder / "images/new.img"
    for words in (["--cdrom", tools.iso("installer.iso")], ["--pxe"]):
        fails(tools.run("virt-install", scheme, "--name", "no", "--memory", 64, "--osinfo",
                        "linux2022", "--network", "none", "--disk", f"{new},size=0.01",
                        "--noautoconsole", *words), "there is no <kernel>, and no firmware")
        assert not new.exists()
    assert daemon.virsh("list", "--all", "--name") == ""
