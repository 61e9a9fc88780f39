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
EVENTS = ["kvm_userspace_exit", "kvm_mmio"] + (["kvm_pio"] if payload.ARCH == "x86_64" else [])
BUFFER_KIB = 32768  # a processor

SERIAL_DATA = 0x3F8
SERIAL_LINE_STATUS = 0x3FD

# Answered by KVM: interrupt controllers, timer, and on the MMIO side IOAPIC and local APIC.
IN_KERNEL_PORTS = {0x20, 0x21, 0xA0, 0xA1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x4D0, 0x4D1}
IN_KERNEL_PAGES = {0xFEC00000, 0xFEE00000}

# On arm64, of the serial port everything counts as its own; GIC's parts lie below the first address,
# and at the second (vole's redistributors).
ARM64_DEVICES = 0x9000000
ARM64_REDISTRIBUTORS = range(0x10000000, 0x14000000)


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
        figures = Figures()
        with open(self.home / "trace", encoding="ascii", errors="replace") as lines:
            if any(figures.take(line) for line in lines):
                return figures.result()
        raise BenchError("the trace does not have the guest's signal")


class Figures:
    """What the lines of a trace come to."""

    def __init__(self):
        self.exits, self.serial, self.where = 0, 0, Counter()

    def result(self):
        return {"exits": self.exits, "serial": self.serial, "others": self.exits - self.serial,
                "where": dict(self.where.most_common())}

    def take(self, line):
        """Whether it is the guest's signal."""
        if "kvm_userspace_exit:" in line:
            self.exits += 1
            reason = re.search(r"reason (\S+)", line)[1]
            if reason not in ("KVM_EXIT_IO", "KVM_EXIT_MMIO"):
                self.where[reason] += 1
        elif match := re.search(r"kvm_pio: pio_(\w+) at (0x\w+)", line):
            return self.port(int(match[2], 16), match[1])
        elif match := re.search(r"kvm_mmio: mmio (\S+) len \d+ gpa (0x\w+) val (0x\w+)", line):
            # A read that user space answers is there twice, the second time with a value.
            if match[1] != "read":
                return self.memory(int(match[2], 16), match[1].removeprefix("unsatisfied-"),
                                   int(match[3], 16))
        return False

    def port(self, port, direction):
        if port == payload.SIGNAL_PORT:
            return True
        self.serial += port in (SERIAL_DATA, SERIAL_LINE_STATUS)
        if port not in IN_KERNEL_PORTS:
            self.where[f"port {port:#x} {direction}"] += 1
        return False

    def memory(self, address, direction, value):
        if payload.ARCH == "aarch64":
            if (address, direction, value) == (payload.ARM64_UART, "write", ord("!")):
                return True
            self.serial += address & ~0xFFF == payload.ARM64_UART
            in_kernel = address < ARM64_DEVICES or address in ARM64_REDISTRIBUTORS
        else:
            in_kernel = address & ~0xFFF in IN_KERNEL_PAGES
        if not in_kernel:
            self.where[f"{address:#x} {direction}"] += 1
        return False
