# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what KVM hands to a VMM's user space, by the kernel's own trace events.

The events are recorded for one process and its threads, in a trace buffer of our own, so other VMs
and other users of tracing are not in the way. kvm_userspace_exit is one return of KVM_RUN.
kvm_pio and kvm_mmio say where to; those that KVM answers by itself are in there as well, so they
explain but are not counted, but for the serial port's data and line status, which KVM never answers.
"""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import payload
from tools import BenchError

TRACING = Path("/sys/kernel/tracing")
EVENTS = ("kvm_userspace_exit", "kvm_pio", "kvm_mmio")
BUFFER_KIB = 32768  # a processor

SERIAL_DATA = 0x3F8
SERIAL_LINE_STATUS = 0x3FD

# Answered by KVM: interrupt controllers, timer, and on the MMIO side IOAPIC and local APIC.
IN_KERNEL_PORTS = {0x20, 0x21, 0xA0, 0xA1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x4D0, 0x4D1}
IN_KERNEL_PAGES = {0xFEC00000, 0xFEE00000}


class KvmTrace:
    """A context manager. Pass `follow` to Process as `in_child`."""

    def __enter__(self):
        if not (TRACING / "instances").is_dir():
            subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=False,
                           stderr=subprocess.DEVNULL)
        self.home = TRACING / "instances" / f"vole-bench-{os.getpid()}"
        try:
            self.home.mkdir()
        except OSError as error:
            raise BenchError(f"exits cannot be counted: {error}; it takes root") from None
        try:
            self._write("buffer_size_kb", BUFFER_KIB)
            self._write("options/event-fork", 1)
            for event in EVENTS:
                self._write(f"events/kvm/{event}/enable", 1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._write("tracing_on", 0)
        for event in EVENTS:
            self._write(f"events/kvm/{event}/enable", 0)
        self.home.rmdir()

    def _write(self, name, value):
        (self.home / name).write_text(str(value), "ascii")

    def follow(self):
        """In the child, before exec."""
        self._write("set_event_pid", os.getpid())

    def until_signal(self):
        """What happened until the guest wrote to the signal port."""
        self._write("tracing_on", 0)
        for stats in self.home.glob("per_cpu/cpu*/stats"):
            if not re.search(r"^overrun: 0$", stats.read_text("ascii"), re.MULTILINE):
                raise BenchError("more events came than the trace buffer takes")
        exits, serial, where = 0, 0, Counter()
        with open(self.home / "trace", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if "kvm_userspace_exit:" in line:
                    exits += 1
                    reason = re.search(r"reason (\S+)", line)[1]
                    if reason not in ("KVM_EXIT_IO", "KVM_EXIT_MMIO"):
                        where[reason] += 1
                elif match := re.search(r"kvm_pio: pio_(\w+) at (0x\w+)", line):
                    port = int(match[2], 16)
                    if port == payload.SIGNAL_PORT:
                        return {"exits": exits, "serial": serial, "others": exits - serial,
                                "where": dict(where.most_common())}
                    serial += port in (SERIAL_DATA, SERIAL_LINE_STATUS)
                    if port not in IN_KERNEL_PORTS:
                        where[f"port {port:#x} {match[1]}"] += 1
                elif match := re.search(r"kvm_mmio: mmio (\S+) len \d+ gpa (0x\w+)", line):
                    address = int(match[2], 16)
                    # A read that user space answers is there twice, the second time with a value.
                    if match[1] != "read" and address & ~0xFFF not in IN_KERNEL_PAGES:
                        where[f"{address:#x} {match[1].removeprefix('unsatisfied-')}"] += 1
        raise BenchError("the trace does not have the guest's signal")
