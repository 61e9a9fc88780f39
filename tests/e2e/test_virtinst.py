# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-install, virt-clone and virt-xml, unmodified, by both names of the daemon. What they send is
in tests/golden (virt-install-*.xml) as well, where the parser is tested with it."""

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pexpect
import pytest
from support.virtinst import Tools, fails, succeeds
from support.virtvoled import connected, ended, leave
from support.vole import program
from support.wait import SHORT, until

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BOTH = pytest.mark.parametrize("scheme", ["vole", "qemuvole"])
UUID = "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b7d0001"
MAC = "52:54:00:6b:3c:58"


@pytest.fixture
def disk(folder):
    """In a folder that is no storage pool yet; virt-install makes it one."""
    path = folder / "images/disk.img"
    path.parent.mkdir()
    with open(path, "wb") as image:
        image.truncate(1 << 20)
    return path


@pytest.fixture
def tools(virtvoled, payloads):
    return Tools(virtvoled, payloads)


def targets(daemon, name):
    devices = ElementTree.fromstring(daemon.virsh("dumpxml", name)).find("devices")
    return [(disk.find("target").get("dev"), disk.find("target").get("bus"))
            for disk in devices.iterfind("disk")]


LINES = {
    # The usual line, and that of somebody who knows that there is no display.
    "import": ["--disk", "{disk}", "--network", "bridge=br0,mac={mac}"],
    "headless": ["--disk", "{disk},bus=virtio,driver.name=qemu,driver.type=raw", "--network",
                 "network=default,model=virtio,mac={mac}", "--graphics", "none", "--controller",
                 "usb,model=none", "--memballoon", "virtio", "--rng", "/dev/urandom", "--channel",
                 "unix,target.type=virtio,target.name=org.qemu.guest_agent.0"],
}


@BOTH
@pytest.mark.parametrize("line", LINES)
def test_what_virt_install_sends_is_what_the_parser_is_tested_with(tools, disk, scheme, line):
    words = [word.format(disk=disk, mac=MAC) for word in LINES[line]]
    sent = succeeds(tools.run(
        "virt-install", scheme, "--name", f"{scheme}-{line}", "--uuid", UUID, "--memory", 512,
        "--osinfo", "linux2022", "--import", "--boot", "kernel=/boot/vmlinuz,initrd=/boot/initrd.img"
        ",kernel_args=root=/dev/vda1 console=ttyS0", *words, "--print-xml"))
    sent = sent.replace(program("vole"), "/usr/bin/vole").replace(
        str(disk.parent), "/var/lib/libvirt/images")
    sent = re.sub("<vcpu>[0-9]+</vcpu>", "<vcpu>2</vcpu>", sent).strip() + "\n"
    golden = GOLDEN / f"virt-install-{scheme}-{line}.xml"
    if os.environ.get("VOLE_REGENERATE"):
        golden.write_text(sent)
    assert sent == golden.read_text()


@BOTH
def test_a_machine_is_made_from_a_disk_and_a_kernel(virtvoled, tools, disk, scheme):
    succeeds(tools.install(scheme, "web1", "--disk", disk, "--noautoconsole"))
    assert virtvoled.virsh("domstate", "web1") == "running"
    assert targets(virtvoled, "web1") == [("vda", "virtio")]
    assert "Persistent:     yes" in virtvoled.virsh("dominfo", "web1")


def test_a_new_disk_is_made_for_a_transient_machine(virtvoled, tools, folder):
    (folder / "images").mkdir()
    disk = folder / "images/new.img"
    succeeds(tools.install("vole", "brief", "--disk", f"{disk},size=0.01", "--transient",
                           "--noautoconsole"))
    assert "Persistent:     no" in virtvoled.virsh("dominfo", "brief")
    assert disk.stat().st_size == int(0.01 * (1 << 30))
    virtvoled.virsh("destroy", "brief")
    assert virtvoled.virsh("list", "--all", "--name") == ""


def test_virt_install_shows_the_console(virtvoled, tools):
    argv = tools.argv("virt-install", "qemuvole", "--name", "web1", "--memory", 64, "--osinfo",
                      "linux2022", "--import", "--disk", "none", "--network", "none", "--boot",
                      f"kernel={tools.kernel}", "--graphics", "none")
    child = pexpect.spawn(argv[0], argv[1:], encoding="utf-8", timeout=SHORT)
    connected(child)
    child.send("hello")
    child.expect("hello")
    assert leave(child) == 0
    assert virtvoled.virsh("domstate", "web1") == "running"


@BOTH
def test_virt_install_waits_for_the_end(virtvoled, tools, disk, scheme):
    """And then leaves what it made, or with --destroy-on-exit nothing that runs."""
    words = ["--name", "web1", "--memory", 64, "--osinfo", "linux2022", "--import", "--disk", disk,
             "--network", "none", "--graphics", "none", "--boot", f"kernel={tools.kernel}"]
    argv = tools.argv("virt-install", scheme, *words, "--autostart", "--wait", 20, "--check",
                      "all=off", "--noautoconsole")
    child = pexpect.spawn(argv[0], argv[1:], encoding="utf-8", timeout=SHORT)
    child.expect("Waiting")
    console = virtvoled.console("web1")
    console.send("Q")
    assert ended(console) == 0
    assert ended(child) == 0
    until(lambda: virtvoled.virsh("domstate", "web1") == "shut off", "the machine has ended")
    assert "Autostart:      enable" in virtvoled.virsh("dominfo", "web1")
    virtvoled.virsh("undefine", "web1")

    argv = tools.argv("virt-install", scheme, *words, "--transient", "--destroy-on-exit")
    child = pexpect.spawn(argv[0], argv[1:], encoding="utf-8", timeout=SHORT)
    connected(child)
    leave(child)
    assert virtvoled.virsh("list", "--all", "--name") == ""


@BOTH
def test_a_dry_run_makes_nothing(virtvoled, tools, folder, scheme):
    (folder / "images").mkdir()
    new = folder / "images/new.img"
    done = succeeds(tools.install(scheme, "web1", "--disk", f"{new},size=0.01", "--dry-run"))
    assert "Dry run completed successfully" in done
    assert virtvoled.virsh("list", "--all", "--name") == "" and not new.exists()


def test_what_it_cannot_have_is_told_and_nothing_stays(virtvoled, tools, disk):
    fails(tools.install("vole", "no", "--disk", disk, "--noautoconsole", kernel=False),
          "there is no <kernel>, and no firmware that could find one on a disk")
    for words, reason in (
            (["--disk", f"{disk},driver.type=qcow2"], "disk images are raw"),
            (["--graphics", "vnc,password=secret"], "<devices><graphics> (line"),
            (["--tpm", "default"], "a microVM has no TPM"),
            (["--machine", "q35"], "does not support domain type None with machine 'q35'")):
        disks = [] if "--disk" in words else ["--disk", "none"]
        fails(tools.install("vole", "no", *disks, *words, "--noautoconsole"), reason)
    fails(tools.install("vole", "no", "--disk", "none", "--unattended", "--noautoconsole"),
          "does not support unattended installation")
    assert virtvoled.virsh("list", "--all", "--name") == ""


def test_a_machine_is_cloned(virtvoled, tools, disk):
    succeeds(tools.install("qemuvole", "web1", "--disk", disk, "--noautoconsole"))
    virtvoled.virsh("destroy", "web1")
    succeeds(tools.run("virt-clone", "qemuvole", "--original", "web1", "--auto-clone"))
    clone = disk.with_name("disk-clone.img")
    assert str(clone) in virtvoled.virsh("dumpxml", "web1-clone")
    assert clone.stat().st_size == disk.stat().st_size


def test_virt_xml_edits_the_definition(virtvoled, tools):
    virtvoled.define("web1", kernel=tools.kernel, memory_mib=64)
    succeeds(tools.run("virt-xml", "qemuvole", "web1", "--edit", "--memory", 96))
    succeeds(tools.run("virt-xml", "qemuvole", "web1", "--add-device", "--rng", "/dev/urandom"))
    xml = virtvoled.virsh("dumpxml", "web1", "--inactive")
    assert "<memory unit='KiB'>98304</memory>" in xml and "<rng model='virtio'>" in xml
    succeeds(tools.run("virt-xml", "qemuvole", "web1", "--remove-device", "--rng", "1"))
    assert "<rng" not in virtvoled.virsh("dumpxml", "web1", "--inactive")


def test_virt_xml_is_told_that_a_running_machine_stays_as_it_is(virtvoled, tools):
    virtvoled.define("web1", kernel=tools.kernel)
    virtvoled.virsh("start", "web1")
    fails(tools.run("virt-xml", "vole", "web1", "--add-device", "--rng", "/dev/urandom",
                    "--update"), "live attach of device 'rng' is not supported")
