# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a machine tells of its guest and its guest of it: panics, the clock, KVM's statistics."""

import time

import pytest

from support.guest import Shell
from support.wait import BOOT

# Debian's kernels for arm64 have no driver for pvpanic.
pytestmark = [pytest.mark.guest, pytest.mark.x86_64]


def panic(guest):
    guest.run("modprobe pvpanic_mmio")
    guest.send("echo c >/proc/sysrq-trigger")


def test_a_panic_ends_with_its_own_status(shell):
    machine, guest = shell()
    panic(guest)
    assert machine.qmp.event("GUEST_PANICKED", BOOT)["data"] == {"action": "shutdown"}
    assert machine.qmp.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-panic"}
    assert machine.wait() == 4
    assert "the guest reports a panic" in machine.stderr()


def test_a_panic_pauses_until_somebody_looked(shell):
    """And what else there is to look at, since there is a guest."""
    machine, guest = shell("--on-panic", "pause", "--rtc", "utc,offset=86400")
    clock = int(guest.run("cat /sys/class/rtc/rtc0/since_epoch"))
    assert abs(clock - 86400 - time.time()) < 3600

    (stats,) = machine.qmp.execute("query-stats", target="vcpu")
    values = {stat["name"]: stat["value"] for stat in stats["stats"]}
    assert stats["qom-path"] == "/machine/cpu[0]" and values["exits"] > values["io_exits"] > 0
    (stats,) = machine.qmp.execute("query-stats", target="vm")
    assert stats["provider"] == "kvm" and stats["stats"]
    assert len(machine.qmp.execute("query-stats-schemas")) == 2
    assert guest.run("echo still here") == "still here"

    panic(guest)
    assert machine.qmp.event("GUEST_PANICKED", BOOT)["data"] == {"action": "pause"}
    machine.qmp.event("STOP")
    assert machine.qmp.execute("query-status") == {
        "running": False, "singlestep": False, "status": "guest-panicked"}
    machine.qmp.execute("system_reset")
    assert machine.qmp.execute("query-status")["status"] == "paused"
    machine.qmp.execute("cont")
    Shell.init(machine.serial)
    (stats,) = machine.qmp.execute("query-stats", target="vcpu")  # of the new VM


def test_a_panic_that_is_the_guests_own_business(shell):
    machine, guest = shell("--on-panic", "ignore", append="panic=1")
    panic(guest)
    assert machine.qmp.event("GUEST_PANICKED", BOOT)["data"] == {"action": "run"}
    assert machine.qmp.event("RESET", BOOT)["data"]["reason"] == "guest-reset"


def test_a_triple_fault_is_no_panic(shell):
    machine, guest = shell(append="reboot=t")
    guest.send("echo b >/proc/sysrq-trigger")
    assert machine.qmp.event("SHUTDOWN", BOOT)["data"] == {
        "guest": True, "reason": "guest-triple-fault"}
    assert machine.wait() == 3
