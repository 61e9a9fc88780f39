# SPDX-License-Identifier: LGPL-2.1-or-later
"""An unmodified Debian in a microVM: how it boots, what it finds, how it ends.

What needs Linux, but not Debian around it, runs the small guest."""

import base64
import hashlib
import os
import re
import subprocess

import pytest

from support.guest import CONSOLE, Shell, copy_disk
from support.wait import BOOT, SCALE, until

pytestmark = pytest.mark.guest


# ---- Debian ----

def test_boots_to_login_and_reboots_and_powers_off(debian):
    """The main road: bzImage, Debian's initramfs, a root file system on a disk, systemd."""
    machine = debian("--cpus", "2")
    shell = Shell.login(machine.serial)

    assert shell.run("nproc") == "2"
    assert shell.run("systemctl is-system-running --wait") == "running"
    total = int(shell.run("awk '/MemTotal/ {print $2}' /proc/meminfo"))
    assert 440 * 1024 <= total <= 512 * 1024
    assert "vda" in shell.run("lsblk --noheadings --output NAME,SIZE,TYPE,MOUNTPOINTS")
    assert shell.run("findmnt --noheadings --output SOURCE /") == "/dev/vda"
    assert shell.run("uname -r") != ""
    # Nothing that the kernel met made it complain; that there is no PCI bus, it may mention.
    complaints = shell.run("dmesg --level emerg,alert,crit,err --notime").splitlines()
    assert [line for line in complaints if not line.startswith("PCI:")] == []

    shell.run("echo kept >/root/note && sync")
    pid = machine.pid
    shell.send("reboot")
    assert machine.qmp.event("RESET", BOOT)["data"] == {"guest": True, "reason": "guest-reset"}
    shell = Shell.login(machine.serial)
    assert shell.run("cat /root/note") == "kept"
    assert machine.pid == pid

    shell.send("poweroff")
    assert machine.qmp.event("SHUTDOWN", BOOT)["data"] == {
        "guest": True, "reason": "guest-shutdown"}
    assert machine.wait() == 0
    assert machine.stderr() == ""


@pytest.mark.x86_64  # see test_guest_aarch64.py
def test_the_power_button_powers_off(debian):
    machine = debian()
    Shell.login(machine.serial)
    machine.qmp.execute("system_powerdown")
    machine.qmp.event("POWERDOWN")
    assert machine.qmp.event("SHUTDOWN", BOOT)["data"]["reason"] == "guest-shutdown"
    assert machine.wait() == 0


def test_debians_initramfs_alone(vole, image):
    """Without any disk: the initramfs's own shell."""
    machine = vole("--kernel", image.kernel, "--initrd", image.initrd, "--memory", "256M",
                   "--append", f"console={CONSOLE} quiet break=top")
    machine.serial.expect(r"\(initramfs\) ", BOOT)
    machine.serial.send("echo $((6 * 7))\n")
    machine.serial.expect("42")


@pytest.mark.x86_64
def test_debian_from_an_elf_kernel(shell, image):
    machine, guest = shell(kernel=image.elf_kernel)
    assert "init=/bin/sh" in guest.run("cat /proc/cmdline")
    assert machine.qmp.execute("query-status")["running"] is True


@pytest.mark.x86_64  # a guest that takes many minutes to make elsewhere; see test_guest_aarch64.py
def test_generic_kernel(vole, generic_image, folder):
    """The kernel of every Debian machine, with everything compiled in that a PC may have: it takes
    the generation id as well."""
    disk = copy_disk(generic_image.disk, folder / "disk.img")
    machine = vole("--kernel", generic_image.kernel, "--initrd", generic_image.initrd,
                   "--memory", "512M", "--disk", disk,
                   "--genid", "01234567-89ab-cdef-0123-456789abcdef",
                   "--append", f"console={CONSOLE} root=/dev/vda quiet init=/bin/sh")
    guest = Shell.init(machine.serial)
    assert "cloud" not in guest.run("uname -r")
    assert "VOLE0001:00" in guest.run("ls /sys/bus/acpi/drivers/vmgenid")
    assert guest.run("dd if=/dev/mem bs=4k skip=255 count=1 status=none | od -An -tx1 -N16").split() \
        == "67 45 23 01 ab 89 ef cd 01 23 45 67 89 ab cd ef".split()


# ---- the machine ----

@pytest.mark.parametrize("form", [
    "kernel", pytest.param("elf_kernel", marks=pytest.mark.x86_64)])
def test_little_memory(small, image, form):
    """As little as this kernel takes, which wants 52 MiB from 16 MiB on while it starts."""
    _, guest = small("--memory", "80M", kernel=getattr(image, form))
    assert 80 - 48 <= memory_mib(guest) <= 80


def test_memory_above_the_hole(small):
    """More than 4 GiB, of which Linux takes the part above the devices first."""
    _, guest = small("--memory", "5G")
    assert 4800 <= memory_mib(guest) <= 5120
    highest = max(int(line.split("-")[1].split()[0], 16)
                  for line in guest.run("grep 'System RAM' /proc/iomem").splitlines())
    assert highest > 5 << 30  # the hole is not RAM, so the end is moved up by it
    free = normal_zone_free_mib(guest)
    guest.run("mount -t tmpfs tmpfs /tmp; head -c 32m /dev/urandom >/tmp/data")
    assert normal_zone_free_mib(guest) <= free - 16
    assert guest.run("sha256sum </tmp/data") == guest.run("cat /tmp/data | sha256sum")


def memory_mib(guest):
    return int(guest.run("awk '/MemTotal/ {print $2}' /proc/meminfo")) // 1024


def normal_zone_free_mib(guest):
    """Of the zone that begins at 4 GiB."""
    zone = guest.run("cat /proc/zoneinfo").partition("zone   Normal")[2]
    return int(re.search(r"pages free\s+(\d+)", zone)[1]) // 256


@pytest.mark.parametrize("cpus", [1, 4])
def test_processors(small, cpus):
    _, guest = small("--cpus", cpus)
    assert guest.run("nproc") == str(cpus)
    assert guest.run("grep -c ^processor /proc/cpuinfo") == str(cpus)
    # Each of them works, not only counts.
    for cpu in range(cpus):
        assert guest.run(f"taskset -c {cpu} sh -c 'echo $((6 * 7))'") == "42"


def test_stop_and_cont(small):
    machine, guest = small()
    machine.qmp.execute("stop")
    machine.qmp.event("STOP")
    guest.send("echo $((6 * 7))")
    machine.qmp.execute("cont")
    machine.qmp.event("RESUME")
    guest.console.expect("42")
    assert guest.run("echo still here") == "still here"


def test_starts_paused(small):
    machine, _ = small(paused=True)
    assert machine.qmp.execute("query-status")["status"] == "prelaunch"
    assert machine.serial.transcript == ""
    machine.qmp.execute("cont")
    Shell.init(machine.serial).run("true")


# ---- the end, and the next beginning ----

def test_reboots_ten_times_in_place(small):
    """The same process, and nothing of an earlier life is left in it."""
    machine, guest = small("--cpus", "2", "--rng")
    open_files = len(os.listdir(f"/proc/{machine.pid}/fd"))
    for _ in range(10):
        guest.send("reboot -f")
        assert machine.qmp.event("RESET", BOOT)["data"]["reason"] == "guest-reset"
        guest = Shell.init(machine.serial)
        assert guest.run("nproc") == "2"
    assert len(os.listdir(f"/proc/{machine.pid}/fd")) == open_files
    assert machine.process.poll() is None
    guest.send("poweroff -f")
    assert machine.wait() == 0


def test_reset_from_outside(small):
    machine, guest = small()
    guest.run("echo 1 >/dev/null")
    machine.qmp.execute("system_reset")
    machine.qmp.event("RESET")
    Shell.init(machine.serial).run("true")


def test_reboot_with_no_reboot_ends(small):
    machine, guest = small("--no-reboot")
    guest.send("echo b >/proc/sysrq-trigger")
    assert machine.qmp.event("SHUTDOWN", BOOT)["data"]["reason"] == "guest-reset"
    assert machine.wait() == 0


def test_a_panic_reboots_when_the_kernel_is_told_to(small):
    machine, guest = small("--pvpanic", "off", append="panic=-1")
    guest.send("echo c >/proc/sysrq-trigger")
    assert machine.qmp.event("RESET", BOOT)["data"]["guest"] is True
    Shell.init(machine.serial).run("true")


# ---- consoles ----

def text(size):
    """Letters that nothing between here and there takes for something else."""
    return base64.b64encode(os.urandom(size * 3 // 4))[:size].decode()


def digest(data):
    return hashlib.sha256(data.encode()).hexdigest()


# An emulated processor takes a tenth of a millisecond and more for each byte of a serial port.
SERIAL_BYTES = 64 * 1024 // SCALE


def test_much_text_from_the_serial_port(small):
    _, guest = small()
    guest.run(f"head -c {SERIAL_BYTES * 3 // 4} /dev/urandom | base64 -w 0 >/tmp/data")
    expected = guest.run("sha256sum </tmp/data").split()[0]
    guest.send("cat /tmp/data")
    assert digest(guest.console.take(SERIAL_BYTES, BOOT)) == expected
    guest.run("true")


def test_much_text_to_the_serial_port(small):
    _, guest = small()
    data = text(SERIAL_BYTES)
    guest.send(f"stty raw; echo ready; head -c {SERIAL_BYTES} | sha256sum; stty cooked")
    guest.console.expect("ready\n")
    guest.console.send(data)
    assert guest.console.expect("([0-9a-f]{64})", BOOT)[1] == digest(data)
    guest.run("true")


# ---- other devices ----

def test_network_both_ways(small, tap):
    mac = "52:54:00:12:34:56"
    _, guest = small("--net", f"tap={tap},mac={mac}")
    assert guest.run("cat /sys/class/net/eth0/address") == mac
    guest.run("ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up")
    guest.run("until ping -c 3 -W 10 192.0.2.1; do :; done")
    until(lambda: subprocess.run(["ping", "-c", "3", "-i", "0.2", "-W", "10", "192.0.2.2"],
                                 check=False).returncode == 0, "the guest answers")
    # Larger than a frame: fragments, several buffers.
    guest.run("until ping -c 2 -s 8000 -W 10 192.0.2.1; do :; done")


def test_entropy(small):
    _, guest = small("--rng")
    assert "virtio_rng" in guest.run("cat /sys/class/misc/hw_random/rng_available")
    assert guest.run("head -c 4096 /dev/hwrng | wc -c") == "4096"
    assert guest.run("head -c 64 /dev/hwrng | hexdump -v -e '1/1 \"%02x\"' | tr -d 0 | wc -c") != "0"
