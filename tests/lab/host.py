# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's side of a lab: QEMU, and the one byte stream to the agent, shared by sessions.

The process that owns QEMU is the lab: QEMU gets everything as inherited descriptors, so there are
no files to leave behind, and dies with its owner even when that is killed. One thread reads
from QEMU and hands each frame to the session it belongs to; each session has a thread of its own
that reads from its client, a socket, and writes to QEMU. Clients number their sessions from 1 and
are renumbered here.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import client
import foreign_root
import kernel
from wire import MAX_PAYLOAD, PORT_NAME, Kind, Parser, frame

BOOT_SECONDS = 600  # a healthy lab takes 3; a busy machine gets its time

# TCG's nested paging does not carry XSAVE; what depends on it must go with it, or a guest's
# kernel believes in AVX and faults in its crypto drivers.
CPU = "EPYC,+svm," + ",".join(
    f"-{f}" for f in "xsave xsaveopt xsavec xgetbv1 avx avx2 f16c fma".split())

# Of processors: one, if nobody asks for more. With several, TCG may translate code while another
# processor changes it, and keeps what it saw. Linux changes its code all the time (static keys: a
# new VM switches preemption notifiers on, in the scheduler), by way of a breakpoint; one that is
# kept stops the lab for good, once in twenty guests. One is faster, too.
DEFAULT_CPUS = 1

# QEMU's SVM now and then loses the timer interrupt that an idle lab waits for, and the lab sleeps
# until any other one comes. So there is another one.
NUDGE_SECONDS = 0.5

CONSOLE_BYTES = 64 * 1024
PR_SET_PDEATHSIG = 1


# By machine: the emulator, its arguments, and the kernel's words.
QEMUS = {
    "x86_64": (["qemu-system-x86_64", "-M", "q35", "-cpu", CPU],
               "no_timer_check tsc=reliable mitigations=off"),
    # Pointers are signed by an algorithm of QEMU's own, which costs a tenth of the real one.
    "aarch64": (["qemu-system-aarch64", "-M", "virt,virtualization=on,gic-version=3",
                 "-cpu", "max,pauth-impdef=on"], "mitigations=off"),
}


class LabError(Exception):
    """The lab failed, not the command in it; the text is one line for the user."""


def note(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


class Lab:
    """A running lab; a context manager that ends it."""

    def __init__(self, options):
        self.options = options
        self.qemu = None
        self.lock = threading.Lock()  # guards sessions, next_session, and writes to the port
        self.sessions = {}
        self.next_session = 1
        self.ready = threading.Event()
        self.ended = threading.Event()
        self.console = bytearray()

    def __enter__(self):
        words, _ = QEMUS[kernel.machine()]
        if shutil.which(words[0]) is None:
            group = kernel.machine() if kernel.is_foreign() else "lab"
            raise LabError(f"{words[0]} is missing; run build-aux/deps {group}")
        self.port, theirs = socket.socketpair()
        self.console_out, console_in = os.pipe()
        try:
            argv = qemu_arguments(self.options, theirs.fileno())
            self.qemu = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console_in, stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()], preexec_fn=die_with_parent, start_new_session=True)
        finally:
            theirs.close()
            os.close(console_in)
        threading.Thread(target=self._read_console, daemon=True).start()
        threading.Thread(target=self._read_port, daemon=True).start()
        try:
            if not self.ready.wait(BOOT_SECONDS) or self.qemu.poll() is not None:
                raise LabError(f"did not come up; its console ends:\n{self._console_tail()}")
        except BaseException:
            self.__exit__()
            raise
        threading.Thread(target=self._nudge, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        if self.qemu.poll() is None:
            self.qemu.kill()  # nothing inside is worth a shutdown
        self.qemu.wait()

    def attach(self):
        """A socket for one client, which speaks wire.py on it."""
        ours, theirs = socket.socketpair()
        threading.Thread(target=self.serve, args=(ours,), daemon=True).start()
        return theirs

    def serve(self, connection):
        """Passes a client's frames on until it closes; then its session is told to go."""
        parser = Parser()
        with self.lock:
            number = self.next_session
            self.next_session += 1
            self.sessions[number] = connection
        with contextlib.suppress(OSError):
            while data := connection.recv(MAX_PAYLOAD):
                for _, kind, payload in parser.feed(data):
                    self._send(number, kind, payload)
        self._send(number, Kind.SIGNAL, bytes([signal.SIGHUP]))
        with self.lock:
            self.sessions.pop(number, None)
        connection.close()

    def _send(self, number, kind, payload):
        with contextlib.suppress(OSError), self.lock:
            self.port.sendall(frame(number, kind, payload))

    def _nudge(self):
        while not self.ended.wait(NUDGE_SECONDS):
            self._send(0, Kind.NUDGE, b"")

    def _read_port(self):
        parser = Parser()
        with contextlib.suppress(OSError):
            while data := self.port.recv(MAX_PAYLOAD):
                for number, kind, payload in parser.feed(data):
                    self._hand_over(number, kind, payload)
        # QEMU is gone. A client sees the end of its connection, and the starter that it waits
        # for nothing.
        self.ready.set()
        with self.lock:
            sessions = list(self.sessions.values())
        for connection in sessions:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _hand_over(self, number, kind, payload):
        if kind == Kind.READY:
            self.ready.set()
            return
        with self.lock:
            connection = self.sessions.get(number)
        if connection:
            with contextlib.suppress(OSError):
                connection.sendall(frame(1, kind, payload))

    def _read_console(self):
        with contextlib.ExitStack() as stack:
            log = None
            if self.options.console_log:
                log = stack.enter_context(open(self.options.console_log, "wb", buffering=0))
            while data := os.read(self.console_out, 4096):
                self.console += data
                del self.console[:-CONSOLE_BYTES]
                if log:
                    log.write(data)

    def _console_tail(self):
        self.__exit__()
        lines = self.console.decode(errors="replace").splitlines()
        return "\n".join(f"  {line.rstrip()}" for line in lines[-12:])


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def qemu_arguments(options, port):
    base = kernel.kernel(note)
    initrd = kernel.initramfs(note)
    words, cmdline = QEMUS[kernel.machine()]
    config = []
    shares = file_system("root", "/", ",readonly=on")
    if kernel.is_foreign():
        config += ["host"]
        shares = file_system("root", str(foreign_root.root(note, options.package)), ",readonly=on")
        shares += file_system("host", "/", ",readonly=on")
    config += [f"modules {kernel.modules(base)}"]
    config += [f"keep {path}" for path in kept_folders(options.share)]
    for index, folder in enumerate(map(os.path.realpath, options.share)):
        config.append(f"share share{index} {folder}")
        shares += file_system(f"share{index}", folder, "")
    if any("\n" in line for line in config):
        raise LabError("a folder's name contains a newline")
    return [
        *words, "-nodefaults", "-no-user-config", "-display", "none", "-name", "vole-lab",
        "-accel", "tcg,thread=multi,tb-size=512",
        "-smp", str(options.cpus), "-m", options.memory, "-no-reboot", "-serial", "stdio",
        "-kernel", str(base / "vmlinux"), "-initrd", str(initrd),
        "-append", f"console={kernel.arch().console} loglevel=7 panic=-1 {cmdline}",
        "-fw_cfg", "name=opt/vole/lab,string=" + escape("\n".join(config) + "\n"),
        *shares,
        "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=port,fd={port}",
        "-device", f"virtserialport,chardev=port,name={PORT_NAME}",
    ]


def file_system(tag, path, more):
    # The security model "none" ignores a chown that a user may not make, and needs no attributes.
    return ["-fsdev", f"local,id={tag},path={escape(path)},security_model=none,"
                      f"multidevs=remap{more}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def escape(text):
    return text.replace(",", ",,")


def kept_folders(shares):
    """What has to be seen, and would not be: where we are, the tree, the build, and the cache. Of
    this machine's root that is what lies below /run; of another one, all."""
    tree = Path(__file__).resolve().parents[2]
    wanted = {os.getcwd(), tree, kernel.cache.root(), os.environ.get("VOLE_BUILDDIR", tree)}
    wanted = {os.path.realpath(path) for path in wanted}
    wanted -= {os.path.realpath(path) for path in shares} | {"/"}
    return sorted(path for path in wanted if kernel.is_foreign() or path.startswith("/run/"))


def start_in_background(options):
    """Forks the owner of a lab that stays; returns a connection to it when it is up.

    The owner tells its starter over a pipe: "+" when it serves, else the error.
    """
    path = client.socket_path(options.keep)
    if client.try_connect(path):
        raise LabError(f"a lab named {options.keep} is running; end it with --stop")
    kernel.initramfs(note)  # before the fork, so that notes and errors come as usual
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(told)
        background_owner(options, path, tell)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        answer = pipe.read().decode()
    if answer != "+":
        raise LabError(answer or "its owner ended without a word")
    return client.connect(options.keep)


def background_owner(options, path, tell):
    """Never returns. Ends when it is told to (SIGTERM, which --stop sends) or when QEMU ends."""
    os.setsid()
    # Blocked in every thread, so that none but the one that waits for them gets them: a handler of
    # Python's runs in the main thread, which nothing wakes when another one took the signal.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    status = 0
    try:
        with Lab(options) as lab, client.Listener(path) as listener:
            threading.Thread(target=listener.run, args=(lab.serve,), daemon=True).start()
            threading.Thread(target=lambda: (lab.qemu.wait(), os.kill(os.getpid(), signal.SIGTERM)),
                             daemon=True).start()
            os.write(tell, b"+")
            os.close(tell)
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            signal.sigwait(ends)
    except (LabError, OSError) as error:
        with contextlib.suppress(OSError):
            os.write(tell, str(error).encode())
        status = 1
    os._exit(status)
