# SPDX-License-Identifier: LGPL-2.1-or-later
"""An unmodified Debian in a microVM: how it boots, what it finds, how it ends."""

import subprocess

import pytest

from support.console import Console
from support.guest import Shell, copy_disk
from support.wait import BOOT

pytestmark = pytest.mark.guest


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


def test_the_power_button_powers_off(debian):
    machine = debian()
    Shell.login(machine.serial)
    machine.qmp.execute("system_powerdown")
    machine.qmp.event("POWERDOWN")
    assert machine.qmp.event("SHUTDOWN", BOOT)["data"]["reason"] == "guest-shutdown"
    assert machine.wait() == 0


def test_elf_kernel_by_pvh(shell, image):
    machine, guest = shell(kernel=image.elf_kernel)
    assert "init=/bin/sh" in guest.run("cat /proc/cmdline")
    assert machine.qmp.execute("query-status")["running"] is True


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_processors(shell, cpus):
    _, guest = shell("--cpus", cpus)
    assert guest.run("nproc") == str(cpus)
    assert guest.run("grep -c ^processor /proc/cpuinfo") == str(cpus)
    # Each of them works, not only counts.
    for cpu in range(cpus):
        assert guest.run(f"taskset -c {cpu} sh -c 'echo $((6 * 7))'") == "42"


@pytest.mark.parametrize("memory, low, high", [("256M", 190, 256), ("3584M", 3300, 3584)])
def test_memory(vole, image, disk, memory, low, high):
    """Also more than fits below the devices at 3 GiB."""
    machine = vole("--kernel", image.kernel, "--initrd", image.initrd, "--disk", disk,
                   "--memory", memory, "--append", "console=ttyS0 root=/dev/vda quiet init=/bin/sh")
    guest = Shell.init(machine.serial)
    total = int(guest.run("awk '/MemTotal/ {print $2}' /proc/meminfo")) // 1024
    assert low <= total <= high


def test_stop_and_cont(shell):
    machine, guest = shell()
    machine.qmp.execute("stop")
    machine.qmp.event("STOP")
    guest.send("echo $((6 * 7))")
    machine.qmp.execute("cont")
    machine.qmp.event("RESUME")
    guest.console.expect("42")
    assert guest.run("echo still here") == "still here"


def test_starts_paused(debian):
    machine = debian(init="/bin/sh", paused=True)
    assert machine.qmp.execute("query-status")["status"] == "prelaunch"
    assert machine.serial.transcript == ""
    machine.qmp.execute("cont")
    Shell.init(machine.serial)


def test_reset_from_outside(shell):
    machine, guest = shell()
    guest.run("echo 1 >/dev/null")
    machine.qmp.execute("system_reset")
    machine.qmp.event("RESET")
    Shell.init(machine.serial).run("true")


def test_reboot_with_no_reboot_ends(shell):
    machine, guest = shell("--no-reboot")
    guest.send("echo b >/proc/sysrq-trigger")
    assert machine.qmp.event("SHUTDOWN", BOOT)["data"]["reason"] == "guest-reset"
    assert machine.wait() == 0


def test_a_panic_reboots_when_the_kernel_is_told_to(shell):
    machine, guest = shell(append="panic=-1")
    guest.send("echo c >/proc/sysrq-trigger")
    assert machine.qmp.event("RESET", BOOT)["data"]["guest"] is True
    Shell.init(machine.serial).run("true")


# ---- devices ----

def test_disk_keeps_what_is_written(shell, disk):
    """What the guest wrote is in the image, byte for byte, and there again after a reboot."""
    machine, guest = shell()
    guest.run("dd if=/dev/urandom of=/root/data bs=1M count=24 conv=fsync")
    before = guest.run("sha256sum </root/data")
    guest.run("sync; mount -o remount,ro /")
    guest.send("echo b >/proc/sysrq-trigger")
    machine.qmp.event("RESET", BOOT)
    guest = Shell.init(machine.serial)
    assert guest.run("sha256sum </root/data") == before
    guest.run("mount -o remount,ro /")
    machine.qmp.execute("quit")
    assert machine.wait() == 0

    check = subprocess.run(["/sbin/e2fsck", "-fn", disk], check=False, capture_output=True,
                           text=True)
    assert check.returncode == 0, check.stdout
    dump = subprocess.run(["/sbin/debugfs", "-R", "cat /root/data", disk], check=True,
                          capture_output=True).stdout
    digest = subprocess.run(["sha256sum"], input=dump, check=True, capture_output=True).stdout
    assert digest.decode().strip() == before


def test_second_disk_read_only_and_serial(shell, folder):
    second = folder / "second.img"
    second.write_bytes(b"first sector".ljust(512, b".") + bytes(1 << 20))
    original = second.read_bytes()
    machine, guest = shell("--disk", f"{second},readonly=on,serial=SECOND-1")
    assert guest.run("head -c 12 /dev/vdb") == "first sector"
    assert guest.run("cat /sys/block/vdb/ro") == "1"
    assert guest.run("cat /sys/block/vdb/serial") == "SECOND-1"
    assert guest.run("cat /sys/block/vdb/size") == str(len(original) // 512)
    status, _ = guest.run_any("dd if=/dev/zero of=/dev/vdb bs=512 count=1 conv=fsync")
    assert status != 0
    machine.qmp.execute("quit")
    machine.wait()
    assert second.read_bytes() == original


def test_network_both_ways(shell, tap):
    mac = "52:54:00:12:34:56"
    _, guest = shell("--net", f"tap={tap},mac={mac}")
    guest.run("modprobe virtio_net; udevadm settle 2>/dev/null; true")
    name = guest.run("ls -d /sys/class/net/e*").rpartition("/")[2]
    assert guest.run(f"cat /sys/class/net/{name}/address") == mac
    guest.run(f"ip address add 192.0.2.2/24 dev {name}; ip link set {name} up")
    guest.run("ping -c 3 -i 0.2 -W 10 192.0.2.1")
    subprocess.run(["ping", "-c", "3", "-i", "0.2", "-W", "10", "192.0.2.2"], check=True)
    # Larger than a frame: fragments, several buffers.
    guest.run("ping -c 2 -s 8000 -W 10 192.0.2.1")


def test_entropy(shell):
    _, guest = shell("--rng")
    guest.run("modprobe virtio_rng")
    assert "virtio_rng" in guest.run("cat /sys/class/misc/hw_random/rng_available")
    assert guest.run("head -c 4096 /dev/hwrng | wc -c") == "4096"
    assert guest.run("head -c 64 /dev/hwrng | od -An -v -tx1 | tr -d ' 0\\n' | wc -c") != "0"


def test_virtio_console(shell, folder):
    path = folder / "console"
    _, guest = shell("--console", f"unix:{path}")
    console = Console.unix(path)
    try:
        guest.run("modprobe virtio_console; test -c /dev/hvc0")
        guest.run("stty -F /dev/hvc0 raw -echo; (cat /dev/hvc0 >/tmp/heard &) ; true")
        guest.run("echo from the guest >/dev/hvc0")
        console.expect("from the guest")
        console.send("from the host\n")
        guest.run("until grep -q 'from the host' /tmp/heard; do sleep 0.1; done")
    finally:
        console.close()


def test_an_initramfs_alone(vole, image):
    """Without any disk: the initramfs's own shell."""
    machine = vole("--kernel", image.kernel, "--initrd", image.initrd, "--memory", "256M",
                   "--append", "console=ttyS0 quiet break=top")
    machine.serial.expect(r"\(initramfs\) ", BOOT)
    machine.serial.send("echo $((6 * 7))\n")
    machine.serial.expect("42")


def test_generic_kernel(vole, generic_image, folder):
    """The kernel of every Debian machine, with everything compiled in that a PC may have."""
    disk = copy_disk(generic_image.disk, folder / "disk.img")
    machine = vole("--kernel", generic_image.kernel, "--initrd", generic_image.initrd,
                   "--memory", "512M", "--disk", disk,
                   "--append", "console=ttyS0 root=/dev/vda quiet init=/bin/sh")
    guest = Shell.init(machine.serial)
    assert "cloud" not in guest.run("uname -r")
