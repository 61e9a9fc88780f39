# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two VMMs, told to make the same machine, and one process of either.

A machine is described once (Machine); vole() and qemu() are its command lines. The guest says
that it runs, and later what it measured, by writing to a port that both VMMs pass to their
standard output. An arm64 machine has no such ports: there it is the serial port, where nothing
else comes out.
"""

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from select import select

import payload
from tools import BenchError

PATIENCE = 180  # seconds until a guest that says nothing is given up
MEMORY_MIB = 128
CPUCLOCK_SCHED = 2  # of the kernel's numbers for a process's clocks


@dataclass
class Machine:
    kernel: Path
    initrd: Path = None
    append: str = None
    memory_mib: int = MEMORY_MIB
    serial: bool = False   # the first serial port, whose output nobody reads
    console: bool = False  # a virtio console, likewise
    disk: Path = None
    direct: bool = False   # the disk without the host's page cache
    tap: str = None
    vhost: bool = False
    qemu_options: str = ""  # more for -M microvm


def vole(program, machine):
    argv = [program, "run", "--kernel", machine.kernel, "--memory", f"{machine.memory_mib}M"]
    if payload.ARCH == "aarch64":
        argv += ["--serial", "stdio"]
    else:
        argv += ["--serial", "null" if machine.serial else "none",
                 "--debug-port", hex(payload.SIGNAL_PORT)]
    if machine.initrd:
        argv += ["--initrd", machine.initrd, "--append", machine.append]
    if machine.console:
        argv += ["--console", "null"]
    if machine.disk:
        argv += ["--disk", f"{machine.disk}{',direct=on' if machine.direct else ''}"]
    if machine.tap:
        argv += ["--net", f"tap={machine.tap},vhost={'on' if machine.vhost else 'off'}"]
    return [str(word) for word in argv]


def qemu(program, machine):
    """The best that QEMU's microvm is known to do: virtio 1 transport, a thread of its own for the
    disk, io_uring, vhost where vole has it."""
    argv = [program, "-M",
            f"microvm,accel=kvm,isa-serial={'on' if machine.serial else 'off'}"
            f"{machine.qemu_options}",
            "-m", f"{machine.memory_mib}M", "-nodefaults", "-no-user-config", "-display", "none",
            "-monitor", "none", "-serial", "null" if machine.serial else "none",
            "-global", "virtio-mmio.force-legacy=false",
            "-kernel", machine.kernel,
            "-chardev", "stdio,id=signal,signal=off",
            "-device", f"isa-debugcon,iobase={payload.SIGNAL_PORT:#x},chardev=signal"]
    if machine.initrd:
        argv += ["-cpu", "host", "-initrd", machine.initrd, "-append", machine.append]
    else:  # the payload's way to end
        argv += ["-device", f"isa-debug-exit,iobase={payload.QEMU_EXIT_PORT:#x},iosize=1"]
    if machine.console:
        argv += ["-device", "virtio-serial-device", "-chardev", "null,id=console",
                 "-device", "virtconsole,chardev=console"]
    if machine.disk:
        cache = "none" if machine.direct else "writeback"
        argv += ["-object", "iothread,id=io", "-device", "virtio-blk-device,drive=disk,iothread=io",
                 "-drive", f"if=none,id=disk,file={machine.disk},format=raw,aio=io_uring,"
                           f"cache={cache},discard=unmap"]
    if machine.tap:
        argv += ["-device", "virtio-net-device,netdev=net",
                 "-netdev", f"tap,id=net,ifname={machine.tap},script=no,downscript=no,"
                            f"vhost={'on' if machine.vhost else 'off'}"]
    return [str(word) for word in argv]


def qemu_virt(program, machine):
    """QEMU's machine for arm64 guests, with nothing more than it has by itself."""
    argv = [program, "-M", "virt,accel=kvm,gic-version=host", "-cpu", "host",
            "-m", f"{machine.memory_mib}M", "-nodefaults", "-no-user-config", "-display", "none",
            "-monitor", "none", "-chardev", "stdio,id=signal,signal=off", "-serial",
            "chardev:signal", "-kernel", machine.kernel]
    if machine.initrd:
        argv += ["-initrd", machine.initrd, "-append", machine.append]
    return [str(word) for word in argv]


COMMANDS = {"vole": vole, "qemu": qemu_virt if payload.ARCH == "aarch64" else qemu}


class Process:
    """A VMM whose guest has told that it runs; a context manager that ends it."""

    def __init__(self, who, programs, machine, in_child=None):
        self.who = who
        self.machine = machine
        self.output = b""
        begin = time.perf_counter()
        self.process = subprocess.Popen(COMMANDS[who](programs[who], machine),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, preexec_fn=in_child)
        # The signal is one byte; everything before it would be a mistake.
        byte = self._read(1)
        self.seconds_to_signal = time.perf_counter() - begin
        if byte != b"!":
            self._fail("the guest did not come up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def _read(self, size):
        if not select([self.process.stdout], [], [], PATIENCE)[0]:
            return b""
        return os.read(self.process.stdout.fileno(), size)

    def _fail(self, what):
        self.process.kill()
        said, errors = self.process.communicate()
        errors = errors.decode(errors="replace").strip()
        raise BenchError(f"{self.who}: {what}; it said {self.output + said!r}, {errors}")

    def results(self):
        """{name: (bytes, operations, seconds)} of the lines that the guest prints till its end."""
        while not self.output.endswith(b"end\n"):
            data = self._read(4096)
            if not data or b"error:" in self.output:
                self._fail("the guest did not get to its end")
            self.output += data
        lines = [line.split() for line in self.output.decode().splitlines()[:-1]]
        return {name: (int(size), int(count), int(ns) / 1e9) for name, size, count, ns in lines}

    def wait(self):
        """To the end of the process, which the guest brings about."""
        try:
            self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._fail("the guest ended, the VMM did not")

    def cpu_seconds(self):
        """Processor time of all its threads, those that ended included."""
        return time.clock_gettime((~self.process.pid << 3) | CPUCLOCK_SCHED)

    def private_dirty_kib(self):
        """Pages that the process has for itself and wrote to, without those of the guest's RAM:
        mappings without a file, side by side (advice to the kernel cuts them up), of its size."""
        maps = self._mappings()
        for first, (begin, *_) in enumerate(maps):
            expected = begin
            for last in range(first, len(maps)):
                low, high, anonymous, _ = maps[last]
                if not anonymous or low != expected:
                    break
                if high - begin == self.machine.memory_mib << 20:
                    return sum(dirty for *_, dirty in maps[:first] + maps[last + 1:])
                expected = high
        raise BenchError(f"{self.who}: no mapping looks like the guest's RAM")

    def _mappings(self):
        """(begin, end, whether it is memory without a file, private dirty KiB) of each."""
        found = []
        for line in Path(f"/proc/{self.process.pid}/smaps").read_text("ascii").splitlines():
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)", line):
                place = (int(match[1], 16), int(match[2], 16))
                anonymous = match[4] == "0" and match[3].startswith("rw")
            elif line.startswith("Private_Dirty:"):
                found.append((*place, anonymous, int(line.split()[1])))
        return found
