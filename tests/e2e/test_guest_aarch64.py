# SPDX-License-Identifier: LGPL-2.1-or-later
"""An arm64 machine as Linux sees it: its processors, the device tree, the power key; and by virsh."""

import gzip
import os
import re

import pytest

from support.guest import CONSOLE, Shell
from support.virtvoled import ended, leave
from support.vole import run_vole
from support.wait import BOOT, Deadline

pytestmark = [pytest.mark.guest, pytest.mark.aarch64]

# The key's press is an event of 24 bytes.
POWER_KEY = "(head -c 24 /dev/input/event0 >/dev/null; poweroff -f) &"


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


def test_what_the_tree_tells(small):
    _, guest = small("--rng", "--rtc", "utc,offset=86400")
    tree = "/sys/firmware/devicetree/base"
    assert guest.run(f"tr '\\0' ' ' <{tree}/psci/compatible").split() == [
        "arm,psci-1.0", "arm,psci-0.2"]
    assert "GICv3" in guest.run("cat /proc/interrupts")
    assert "armv8_pmuv3" in guest.run("ls /sys/bus/event_source/devices")
    assert abs(int(guest.run("cat /sys/class/rtc/rtc0/since_epoch")) - 86400
               - int(guest.run("date +%s")) + 86400) < 3600
    guest.run("echo +2 >/sys/class/rtc/rtc0/wakealarm")
    assert guest.run("dd if=/dev/rtc0 bs=8 count=1 2>/dev/null | wc -c", BOOT) == "8"


def test_suspend_until_the_clocks_alarm(small):
    _, guest = small("--cpus", "2")
    guest.run("echo +3 >/sys/class/rtc/rtc0/wakealarm; echo mem >/sys/power/state", BOOT)
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


def test_a_gzipped_kernel(small, image, folder):
    packed = folder / "Image.gz"
    packed.write_bytes(gzip.compress(image.kernel.read_bytes(), 1))
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
