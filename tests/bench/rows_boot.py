# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows that boot Linux as far as /init: how long, how often the VMM is in the way, and what the
VMM holds while the guest is idle."""

from dataclasses import replace

from tools import LinuxGuest, folder, in_turns, row
from trace import KvmTrace
from vmm import Machine, Process


def machine(guest, console="ttyS0", *words):
    return Machine(guest.kernel, guest.initrd, guest.command_line(console, *words),
                   serial=console == "ttyS0", console=console == "hvc0")


def boot(programs, rounds):
    """exec to /init, with a quiet serial console; and private dirty memory of the idle VM then"""
    with folder() as home:
        wanted = machine(LinuxGuest(home, drivers=False), "ttyS0", "idle")

        def one(who, _, machine=wanted):
            with Process(who, programs, machine) as process:
                return {"wall": process.seconds_to_signal,
                        "memory": process.private_dirty_kib()}

        results = in_turns(max(rounds // 2, 1), one)
        # QEMU's microvm has no clock under KVM unless it is asked for, and Linux waits for one in
        # vain. What is left without that:
        tuned = replace(wanted, qemu_options=",rtc=on")
        with_clock = in_turns(max(rounds // 2, 1), lambda who, turn: one(who, turn, tuned))
    return [row("boot to /init", "s", results, "wall", ratio_max=0.55),
            row("boot to /init, QEMU with rtc=on", "s", with_clock, "wall"),
            row("memory, an idle Linux guest", "KiB", results, "memory", value_max=1536)]


def exits(programs, rounds):
    """returns to user space until /init; those that are not serial output; and with a virtio
    console"""
    rounds = min(rounds, 3)  # they hardly differ
    rows = []
    with folder() as home:
        guest = LinuxGuest(home, drivers=False)
        for console in ("ttyS0", "hvc0"):
            wanted = machine(guest, console, "idle")

            def one(who, _, wanted=wanted):
                with KvmTrace() as trace, Process(who, programs, wanted, trace.follow):
                    return trace.until_signal()

            results = in_turns(rounds, one)
            if console == "ttyS0":
                rows.append(row("exits until /init, ttyS0", "", results, "exits"))
                rows.append(row("... not the console's own", "", results, "others",
                                value_max=300))
            else:
                rows.append(row("exits until /init, hvc0", "", results, "exits", value_max=400))
            rows[-1]["where"] = {who: values[-1]["where"] for who, values in results.items()}
    return rows
