# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two daemons, virtvoled and libvirt's own libvirtd with its qemu driver, side by side.

Both run as the system's daemon, at the places where unmodified clients look, because that is how
either is used: a session's daemon would leave control groups, ownership of files and the like
undone. A mount namespace makes these places private, so that a daemon which serves this machine is
neither seen nor disturbed; a PID namespace ends everything with the bench, and a network namespace
keeps libvirtd's hands off this machine's. enter() starts the bench again inside of them.

libvirtd gets what Debian's defaults are, but for what would only make it slower here: nobody
confines its guests, they run as root, their output goes to a file without another daemon in
between, and its guest is a QEMU microvm, the least that it can start.
"""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import libvirt
import payload
from tools import BenchError

PATIENCE = 240       # seconds for a daemon to come up or to end
CPUCLOCK_SCHED = 2   # of the kernel's numbers for a process's clocks
INSIDE = "VOLE_BENCH_INSIDE"

# Kept on disk on any machine, as opposed to /run.
ON_DISK = ("/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt")

QEMU_CONF = """
user = "root"
group = "root"
stdio_handler = "file"
security_driver = "none"
namespaces = []
remember_owner = 0
"""

# libvirtd wants the user of Debian's package of its configuration to be there, whoever it uses.
QEMU_USER = "libvirt-qemu"

DOMAIN = """<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='microvm'>hvm</type><kernel>{kernel}</kernel></os>
  <devices>
    <controller type='usb' model='none'/>
    <serial type='pty'/>
    <console type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""

libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; once is enough


# ---- the namespaces ----

def enter(argv):
    """Runs this program again inside and gives its exit status; None: this is inside."""
    if os.environ.get(INSIDE):
        bench = os.fork()
        return reap(bench) if bench else None
    if os.geteuid() != 0:
        raise BenchError("daemons of the system, even private ones, take root")
    command = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc",
               "--propagation", "private", "--", sys.executable, "-B", *argv]
    return subprocess.run(command, check=False, env={**os.environ, INSIDE: "1"}).returncode


def reap(bench):
    """What the first process of a PID namespace is for: a QEMU, which has left its parent, is not
    gone for libvirtd until somebody has asked for its exit status."""
    while True:
        pid, status = os.wait()
        if pid == bench:
            return os.waitstatus_to_exitcode(status)


def make_private(home):
    """Gives the namespace its own /run and folders of libvirt, the latter below `home`."""
    mount("-t", "tmpfs", "tmpfs", "/run")
    for place in ON_DISK:
        own = home / place.replace("/", "-").strip("-")
        own.mkdir()
        os.makedirs(place, exist_ok=True)
        mount("--bind", own, place)
    Path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF, "utf-8")
    for name in ("passwd", "group"):
        text = Path("/etc", name).read_text("utf-8")
        if f"\n{QEMU_USER}:" not in text:
            end = ":/nonexistent:/usr/sbin/nologin" if name == "passwd" else ""
            ids = "64055:64055:" if name == "passwd" else "64055:"
            (home / name).write_text(f"{text}{QEMU_USER}:x:{ids}{end}\n", "utf-8")
            mount("--bind", home / name, f"/etc/{name}")


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


# ---- the daemons ----

class Driver:
    """A daemon that serves; a context manager that ends its domains and itself."""

    def __init__(self, who, program, options, uri, home):
        self.who = who
        self.uri = uri
        self.home = home
        self.kernel = home / "wait.elf"
        self.kernel.write_bytes(payload.kernel(ends=False))
        self.log = home / f"{who}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        self.connection = None

    def __enter__(self):
        end = time.monotonic() + PATIENCE
        while self.connection is None:
            with suppress(libvirt.libvirtError):
                self.connection = libvirt.open(self.uri)
                break
            with suppress(subprocess.TimeoutExpired):
                raise BenchError(f"{self.who}: the daemon ended with {self.process.wait(0.05)}: "
                                 f"{self.last_words()}")
            if time.monotonic() > end:
                raise BenchError(f"{self.who}: the daemon does not answer: {self.last_words()}")
        return self

    def __exit__(self, *_):
        if self.connection:
            for domain in self.connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                with suppress(libvirt.libvirtError):
                    domain.destroy()
            self.connection.close()
        self.process.terminate()
        self.process.wait(PATIENCE)

    def last_words(self):
        lines = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def disconnect(self):
        self.connection.close()
        self.connection = None

    def connect(self):
        self.connection = libvirt.open(self.uri)

    def define(self, name):
        return self.connection.defineXML(DOMAIN.format(name=name, kernel=self.kernel))

    def virsh(self, *arguments):
        """Milliseconds that a virsh of its own takes."""
        begin = time.perf_counter()
        done = subprocess.run(["virsh", "-c", self.uri, *arguments], check=False, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
        spent = time.perf_counter() - begin
        if done.returncode != 0:
            raise BenchError(f"{self.who}: virsh {' '.join(arguments)}: {done.stderr.strip()}")
        return spent * 1e3

    def cpu_ms(self):
        """Processor time of all the daemon's threads, those that ended included."""
        return time.clock_gettime((~self.process.pid << 3) | CPUCLOCK_SCHED) * 1e3

    def private_mib(self):
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text("ascii").splitlines()
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_")) / 1024

    def wakeups(self):
        """How often its threads have been switched to. A thread that is gone takes its own along,
        so it counts only what those that are there have done."""
        total = 0
        for status in Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            with suppress(OSError):
                total += sum(int(line.split()[1]) for line in status.read_text("ascii").splitlines()
                             if "_ctxt_switches:" in line)
        return total


def timed(call, *arguments):
    """Milliseconds that a call takes."""
    begin = time.perf_counter()
    call(*arguments)
    return (time.perf_counter() - begin) * 1e3


def find_daemons():
    """{"vole": path, "qemu": path}"""
    build = os.environ.get("VOLE_BUILDDIR", Path(__file__).resolve().parents[2] / "build")
    virtvoled = os.path.join(build, "virtvoled")
    libvirtd = shutil.which("libvirtd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not os.access(virtvoled, os.X_OK):
        raise BenchError(f"{virtvoled} is not there; build first, or set VOLE_BUILDDIR")
    if not libvirtd:
        raise BenchError("libvirtd is not there; build-aux/deps bench installs it")
    return {"vole": virtvoled, "qemu": libvirtd}


def start_daemons(stack, home):
    """{"vole": Driver, "qemu": Driver}, which end with the stack."""
    programs = find_daemons()
    make_private(home)
    return {who: stack.enter_context(Driver(who, programs[who], options, f"{scheme}:///system",
                                            home))
            for who, scheme, options in (("vole", "vole", ["--system"]), ("qemu", "qemu", []))}
