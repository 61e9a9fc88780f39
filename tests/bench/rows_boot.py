# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows that boot Linux as far as /init: how long, how often the VMM is in the way, and what the
VMM holds while the guest is idle."""

from dataclasses import replace

import payload
from tools import LinuxGuest, folder, in_turns, row
from trace import KvmTrace
from vmm import Machine, Process


SERIAL = "ttyAMA0" if payload.ARCH == "aarch64" else "ttyS0"


def machine(guest, console=SERIAL, *words):
    return Machine(guest.kernel, guest.initrd, guest.command_line(console, *words),
                   serial=console == SERIAL, console=console == "hvc0")


def boot(programs, rounds):
    """exec to /init, with a quiet serial console; and private dirty memory of the idle VM then"""
    with folder() as home:
        wanted = machine(LinuxGuest(home, drivers=False), SERIAL, "idle")

        def one(who, _, machine=wanted):
            with Process(who, programs, machine) as process:
                return {"wall": process.seconds_to_signal,
                        "memory": process.private_dirty_kib()}

        results = in_turns(max(rounds // 2, 1), one)
        if payload.ARCH != "x86_64":
            return [row("boot to /init", "s", results, "wall", ratio_max=1),
                    row("memory, an idle Linux guest", "KiB", results, "memory", value_max=1536)]
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
        for console in (SERIAL, "hvc0") if payload.ARCH == "x86_64" else (SERIAL,):
            wanted = machine(guest, console, "idle")

            def one(who, _, wanted=wanted):
                with KvmTrace() as trace, Process(who, programs, wanted, trace.follow):
                    return trace.until_signal()

            results = in_turns(rounds, one)
            if console == SERIAL:
                rows.append(row(f"exits until /init, {SERIAL}", "", results, "exits"))
                rows.append(row("... not the console's own", "", results, "others",
                                value_max=300))
            else:
                rows.append(row("exits until /init, hvc0", "", results, "exits", value_max=400))
            rows[-1]["where"] = {who: values[-1]["where"] for who, values in results.items()}
    return rows
