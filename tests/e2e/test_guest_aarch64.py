# SPDX-License-Identifier: LGPL-2.1-or-later
"""An arm64 machine as Linux sees it: its processors, the device tree, the power key; and by virsh."""

import ctypes
import gzip
import os
import re
import struct

import pytest

from support.guest import CONSOLE, Shell
from support.virtvoled import ended, leave
from support.vole import run_vole
from support.wait import BOOT, Deadline

pytestmark = [pytest.mark.guest, pytest.mark.aarch64]

# The key's press is an event of 24 bytes. Who is to read it has opened it before it is pressed.
POWER_KEY = "exec 4</dev/input/event0; (head -c 24 <&4 >/dev/null; poweroff -f) &"


def topology(guest, name):
    text = guest.run(f"cat /sys/devices/system/cpu/cpu*/topology/{name}")
    return [int(line) for line in text.split()]


def test_processors_and_what_they_can(small):
    """Sockets, cores and threads come out of the device tree; a processor that is switched off and on
    again goes by way of PSCI."""
    _, guest = small("--cpus", "4,cores=2,threads=2", "--cpu", "pmu=off,sve=off,pauth=on")
    assert topology(guest, "core_id") == [0, 0, 1, 1]
    assert guest.run("cat /sys/devices/system/cpu/cpu3/topology/thread_siblings_list") == "2-3"
    features = guest.run("grep -m1 ^Features /proc/cpuinfo").split()
    assert "paca" in features and "sve" not in features
    assert guest.run("ls /sys/bus/event_source/devices | grep -c armv8 || true") == "0"
    guest.run("echo 0 >/sys/devices/system/cpu/cpu2/online")
    assert guest.run("nproc") == "3"
    guest.run("echo 1 >/sys/devices/system/cpu/cpu2/online")
    assert guest.run("taskset -c 2 sh -c 'echo $((6 * 7))'") == "42"


def test_the_last_of_512_processors(folder):
    """A kernel of a few instructions: the first CPU starts the last one, and that powers off."""
    second = 9 * 4
    code = struct.pack(
        "<13I",
        0x52800060, 0x72B88000,  # w0 = CPU_ON (64 bits)
        0xD2800001 | 0x1F0F << 5,  # x1: affinity 1.15.15
        0x10000002 | (second - 3 * 4) // 4 << 5,  # adr x2, second
        0xD2800003,  # x3: what the other one gets
        0xD4000002,  # hvc #0
        0xD503207F, 0x17FFFFFF, 0xD503201F,  # wfi, for ever
        0x52800100, 0x72B08000,  # second: w0 = SYSTEM_OFF
        0xD4000002, 0x14000000)
    kernel = folder / "kernel"
    kernel.write_bytes(struct.pack("<IIQQQ24x4sI", 0x14000010, 0, 0, 1 << 16, 0xA, b"ARM\x64", 0)
                       + code)
    done = run_vole("--cpus", "512", "--memory", "16M", "--kernel", kernel, timeout=BOOT)
    assert (done.returncode, done.stderr) == (0, "")
    done = run_vole("--cpus", "513", "--memory", "16M", "--kernel", kernel)
    assert done.returncode == 1 and "512" in done.stderr, done.stderr


def test_what_the_tree_tells(small):
    _, guest = small("--rng", "--rtc", "utc,offset=86400",
                     "--genid", "01234567-89ab-cdef-0123-456789abcdef")
    tree = "/sys/firmware/devicetree/base"
    assert guest.run(f"tr '\\0' ' ' <{tree}/psci/compatible").split() == [
        "arm,psci-1.0", "arm,psci-0.2"]
    assert guest.run(f"tr -d '\\0' <{tree}/vmgenid@9050000/compatible") == "microsoft,vmgenid"
    assert [guest.run(f"devmem {address:#x} 64") for address in (0x9050000, 0x9050008)] == [
        "0xCDEF89AB01234567", "0xEFCDAB8967452301"]
    assert "GICv3" in guest.run("cat /proc/interrupts")
    assert "armv8_pmuv3" in guest.run("ls /sys/bus/event_source/devices")
    assert abs(int(guest.run("cat /sys/class/rtc/rtc0/since_epoch")) - 86400
               - int(guest.run("date +%s")) + 86400) < 3600
    guest.run("exec 3</dev/rtc0; echo +2 >/sys/class/rtc/rtc0/wakealarm")
    assert guest.run("dd bs=8 count=1 <&3 2>/dev/null | wc -c", BOOT) == "8"


def test_suspend_until_the_clocks_alarm(small):
    _, guest = small("--cpus", "2")
    # Time enough to fall asleep before.
    guest.run("echo +20 >/sys/class/rtc/rtc0/wakealarm; echo mem >/sys/power/state", BOOT)
    assert guest.run("nproc") == "2"
    assert guest.run("cat /sys/power/suspend_stats/success") == "1"


def test_the_power_key(vole, button_guest):
    machine = vole("--kernel", button_guest / "vmlinuz", "--initrd", button_guest / "initrd.img",
                   "--memory", "192M", "--append", f"console={CONSOLE} quiet")
    guest = Shell.init(machine.serial)
    guest.run(POWER_KEY)
    machine.qmp.execute("system_powerdown")
    assert machine.qmp.event("SHUTDOWN", BOOT)["data"]["reason"] == "guest-shutdown"
    assert machine.wait() == 0
    assert machine.stderr() == ""


def test_kernels_that_are_none(image, folder):
    whole = image.kernel.read_bytes()
    bzimage = bytearray(0x1000)
    bzimage[0x202:0x206] = b"HdrS"
    for data, says in [
            (bytes(bzimage), "is an x86 kernel (bzImage): no Image for arm64"),
            (b"#!/bin/sh\n", "is no kernel: no Image for arm64"),
            (b"\x7fELF\2\1\1".ljust(18, b"\0") + bytes([62]) + bytes(64),
             "is an ELF file for x86_64: no Image for arm64"),
            (whole[:1 << 20], "is truncated"),
            (gzip.compress(whole[:1 << 20], 1), "is truncated"),
            (gzip.compress(whole[:1 << 20], 1)[:-9], "is truncated: its compressed part has no end"),
            (gzip.compress(b"text"), "unpacks to is no arm64 kernel")]:
        path = folder / "kernel"
        path.write_bytes(data)
        done = run_vole("--kernel", path, "--memory", "128M")
        assert done.returncode == 1
        assert done.stderr.startswith("vole: ") and done.stderr.count("\n") == 1
        assert str(path) in done.stderr and says in done.stderr, done.stderr
    done = run_vole("--kernel", image.kernel, "--memory", "16M")
    assert "too little memory for kernel" in done.stderr
    done = run_vole("--flat", path)
    assert "flat: there are no real-mode binaries for aarch64" in done.stderr


def zstd(data):
    """By the library, for the program is not everywhere."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    room = library.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(room)
    size = library.ZSTD_compress(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), 1)
    assert not library.ZSTD_isError(ctypes.c_size_t(size))
    return out.raw[:size]


def zboot(payload, compression):
    """The EFI program around it, as far as its first 64 bytes go (Linux: zboot-header.S), and the size
    that the kernel's build appends."""
    return struct.pack("<2sH4sII8x32s4xI", b"MZ", 0, b"zimg", 64, len(payload), compression, 0) \
        + payload + bytes(4)


@pytest.mark.parametrize("pack", [
    lambda data: gzip.compress(data, 1),
    lambda data: zboot(gzip.compress(data, 1), b"gzip"),
    lambda data: zboot(zstd(data), b"zstd")], ids=["gzip", "zboot-gzip", "zboot-zstd"])
def test_a_packed_kernel(small, image, folder, pack):
    packed = folder / "packed"
    packed.write_bytes(pack(image.kernel.read_bytes()))
    _, guest = small(kernel=packed)
    assert guest.run("uname -m") == "aarch64"


def wait_for_state(daemon, name, wanted):
    deadline = Deadline(BOOT)
    while (current := daemon.virsh("domstate", name)) != wanted:
        assert not deadline.passed(), f"{name} is {current}, not {wanted}"


def test_virsh(system_virtvoled, button_guest):
    daemon = system_virtvoled
    assert "<arch>aarch64</arch>" in daemon.virsh("capabilities")
    assert "<machine>microvm" in daemon.virsh("domcapabilities")
    daemon.define("small", kernel=button_guest / "vmlinuz", initrd=button_guest / "initrd.img",
                  memory_mib=192, vcpus=2, cmdline=f"console={CONSOLE} quiet")
    assert re.search(r"<type arch='aarch64' machine='microvm'>hvm", daemon.virsh("dumpxml", "small"))

    daemon.virsh("start", "small")
    assert re.search(r"small\s+running", daemon.virsh("list"))
    console = daemon.console("small")
    console.send("\r")
    console.expect("# ", timeout=BOOT)
    console.send("nproc; uname -m\r")
    console.expect(r"2\r\naarch64", timeout=BOOT)
    console.send(POWER_KEY + "\r")
    console.expect("# ", timeout=BOOT)
    daemon.virsh("shutdown", "small")
    wait_for_state(daemon, "small", "shut off")
    ended(console)
    assert daemon.virsh("domstate", "--reason", "small") == "shut off (shutdown)"

    daemon.virsh("start", "small")
    (pid,) = daemon.vmm_pids()
    os.kill(pid, 0)
    leave(daemon.console("small"))
    daemon.virsh("destroy", "small")
    assert daemon.virsh("domstate", "small") == "shut off"
    assert daemon.vmm_pids() == []
    daemon.virsh("undefine", "small")
