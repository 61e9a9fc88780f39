# SPDX-License-Identifier: LGPL-2.1-or-later
"""The PC as Linux sees it: processors, memory, clock, interrupt lines, and the ways into a kernel."""

import hashlib
import os
import re
import struct
from pathlib import Path

import pytest

from support.wait import BOOT, until

pytestmark = [pytest.mark.guest, pytest.mark.x86_64]

MIB = 1 << 20


def topology(guest, name):
    text = guest.run(f"cat /sys/devices/system/cpu/cpu*/topology/{name}")
    return [int(line) for line in text.split()]


def cpuinfo(guest, name):
    text = guest.run("cat /proc/cpuinfo")
    return [int(n) for n in re.findall(rf"^{name}\s*: (\d+)$", text, re.MULTILINE)]


# ---- processors ----

def test_sockets_of_three_cores(small):
    """A count that is no power of two leaves a hole in the processors' ids."""
    _, guest = small("--cpus", "6,sockets=2,cores=3")
    assert topology(guest, "physical_package_id") == [0, 0, 0, 1, 1, 1]
    assert topology(guest, "core_id") == [0, 1, 2, 0, 1, 2]
    assert cpuinfo(guest, "apicid") == [0, 1, 2, 4, 5, 6]
    assert cpuinfo(guest, "cpu cores") == [3] * 6


def test_threads_of_a_core(small):
    _, guest = small("--cpus", "4,cores=2,threads=2", "--cpu", "sse4.2=off,rdtscp=off,ssse3=on")
    assert topology(guest, "core_id") == [0, 0, 1, 1]
    assert guest.run("cat /sys/devices/system/cpu/cpu3/topology/thread_siblings_list") == "2-3"
    assert "kvm-clock" in guest.run("cat /sys/devices/system/clocksource/*/available_clocksource")
    flags = guest.run("grep -m1 ^flags /proc/cpuinfo").split()
    assert {"ssse3", "sse4_1", "topoext", "hypervisor"} <= set(flags)
    assert not {"sse4_2", "rdtscp", "svm"} & set(flags)


# ---- the clock ----

def test_the_clocks_alarm(small):
    """Set for two seconds ahead; reading the clock's file, open already, waits for the interrupt."""
    _, guest = small("--rtc", "utc,offset=86400")
    guest.run("exec 3</dev/rtc0; echo +2 >/sys/class/rtc/rtc0/wakealarm")
    assert guest.run("dd bs=8 count=1 <&3 2>/dev/null | wc -c", BOOT) == "8"
    assert re.search(r"\s[1-9]\d*\s+IO-APIC +8-edge +rtc0", guest.run("cat /proc/interrupts"))


def test_no_clock(small):
    _, guest = small("--rtc", "off")
    assert guest.run("ls /sys/class/rtc") == ""


# ---- interrupt lines ----

def test_more_devices_than_interrupt_lines(small, folder, tap):
    """The last one shares the first disk's line. Both are at work at once, and neither waits for an
    interrupt that was lost."""
    arguments = ["--rng", "--console", "null", "--balloon", "--net", f"tap={tap}"]
    sums = []
    for n in range(16):
        path = folder / f"disk{n}.img"
        data = os.urandom(MIB) * (16 if n == 0 else 1)
        path.write_bytes(data)
        sums.append(hashlib.md5(data).hexdigest())
        arguments += ["--disk", str(path)]
    machine, guest = small(*arguments, "--memory", "256M")

    lines = guest.run("cat /proc/interrupts")
    assert re.search(r"IO-APIC +16-edge +virtio0, virtio19$", lines, re.MULTILINE), lines
    for target in (160, 224, 160):
        machine.qmp.execute("balloon", value=target * MIB)
        guest.run("echo 3 >/proc/sys/vm/drop_caches")
        got = guest.run("md5sum /dev/vd?", BOOT).splitlines()
        assert [line.split()[0] for line in got] == sums
        while machine.qmp.event("BALLOON_CHANGE", BOOT)["data"]["actual"] != target * MIB:
            pass


# ---- memory ----

def test_huge_pages_that_the_host_has(small):
    """All of RAM comes out of the host's pool, and goes back when the machine is gone."""
    pool = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
    before = (pool / "nr_hugepages").read_text("ascii")

    def reserve():  # which takes memory in one piece, of which there may be little at first
        for name in ("drop_caches", "compact_memory"):
            Path(f"/proc/sys/vm/{name}").write_text("1", "ascii")
        (pool / "nr_hugepages").write_text("64", "ascii")
        return (pool / "nr_hugepages").read_text("ascii") == "64\n"

    try:
        until(reserve, "there are huge pages")
        machine, guest = small("--memory", "128M,hugepages=2M,prealloc=on,lock=on")
        assert (pool / "free_hugepages").read_text("ascii") == "0\n"
        guest.run("free")
        machine.qmp.execute("system_reset")
        machine.serial.expect("# ", BOOT)
        machine.qmp.execute("quit")
        assert machine.wait() == 0
        until(lambda: (pool / "free_hugepages").read_text("ascii") == "64\n", "all are free")
    finally:
        (pool / "nr_hugepages").write_text(before, "ascii")


def test_memory_on_both_sides_of_the_hole(small):
    _, guest = small("--memory", "4G,shared=on")
    total = int(guest.run("awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert 3840 * MIB < total <= 4096 * MIB
    assert "100000000-13fffffff : System RAM" in guest.run("cat /proc/iomem")


# ---- ways in ----

def test_an_elf_kernel_without_a_pvh_entry(small, image, folder):
    """It is started where its header says, as any boot loader of 64 bits would."""
    data = bytearray(image.elf_kernel.read_bytes())
    notes = [m.start() for m in re.finditer(re.escape(struct.pack("<I", 18) + b"Xen\0"), data)]
    assert len(notes) == 1
    data[notes[0]] = 99
    kernel = folder / "vmlinux"
    kernel.write_bytes(data)
    _, guest = small(kernel=kernel)
    assert "Linux version" in guest.run("cat /proc/version")
