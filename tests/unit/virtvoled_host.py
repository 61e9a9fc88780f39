# SPDX-License-Identifier: LGPL-2.1-or-later
"""For the tests of virtvoled (test-virtvoled*): a daemon with fake-vole in the place of the VMM, as
libvirt's own client library sees it, and a way to speak the protocol without that library.

Each test has a daemon of its own, which keeps everything below a temporary directory. A script
marks its tests with @test and ends with run(), which speaks TAP.
"""
import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

try:
    import libvirt
except ImportError:
    print("1..0 # SKIP libvirt's Python module is not installed")
    sys.exit(0)

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake-vole")
DAEMON = os.path.abspath("virtvoled")
TIMEOUT = 120  # ends a test that hangs; on a busy machine all of it may take long
TESTS = []

LIFECYCLE = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
REBOOT = libvirt.VIR_DOMAIN_EVENT_ID_REBOOT
DEFINED_ADDED, DEFINED_UPDATED, UNDEFINED = (0, 0), (0, 1), (1, 0)
STARTED, SUSPENDED, RESUMED = (2, 0), (3, 0), (4, 0)
STOPPED_SHUTDOWN, STOPPED_DESTROYED, STOPPED_CRASHED, STOPPED_FAILED = (5, 0), (5, 1), (5, 2), (5, 5)
SHUTDOWN_GUEST, REBOOTED = (6, 1), "reboot"


def test(fn):
    TESTS.append(fn)
    return fn


def wait_for(what, condition):
    """For what no event tells: looks again until it is so; what the condition was then."""
    end = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.01)
    return value


class Host:
    """A daemon, its directories, and one connection to it."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="vole-test-")
        self.socket = self.root + "/run/libvirt/virtvoled-sock"
        self.uri = "vole:///system?socket=" + self.socket
        self.events = []
        self.changed = threading.Condition()
        for name in ("kernel", "disk.img", "disk2.img"):
            self.write(name, "0123456789abcdef")
        self.daemon = None
        self.conn = None

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)

    def start(self, *options):
        self.daemon = subprocess.Popen([DAEMON, "--root", self.root, *options],
                                       stderr=open(self.path("daemon.log"), "a"))
        first = wait_for("the daemon", self.can_connect)
        self.conn = libvirt.open(self.uri)
        first.close()  # not before: the daemon may be one that ends when nobody is there
        self.callbacks = [
            self.conn.domainEventRegisterAny(None, LIFECYCLE, self.on_lifecycle, None),
            self.conn.domainEventRegisterAny(None, REBOOT, self.on_reboot, None)]
        return self.conn

    def disconnect(self):
        """Domains and registrations keep a connection open: the test's own domains have to go."""
        for callback in self.callbacks:
            self.conn.domainEventDeregisterAny(callback)
        self.conn.close()
        self.conn = None

    def can_connect(self):
        assert self.daemon.poll() is None, open(self.path("daemon.log")).read()
        with contextlib.suppress(OSError):
            return self.raw()

    def raw(self, suffix=""):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT)
        sock.connect(self.socket + suffix)
        return sock

    def daemon_has_open(self, path):
        with contextlib.suppress(FileNotFoundError):  # one that is closed meanwhile
            return path in map(os.readlink, glob.glob(f"/proc/{self.daemon.pid}/fd/*"))

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        self.conn = None

    def stop(self):
        """Ends all domains and the daemon, which has to end well."""
        if self.daemon is None:
            return
        if self.daemon.poll() is None:
            for domain in libvirt.open(self.uri).listAllDomains(1):
                with contextlib.suppress(libvirt.libvirtError):
                    domain.destroy()
            self.daemon.terminate()
        assert self.daemon.wait(TIMEOUT) == 0, open(self.path("daemon.log")).read()

    def clean(self):
        """What a daemon that failed has left running goes too."""
        for path in glob.glob(self.path("run/libvirt/vole/*.json")):
            with open(path) as f, contextlib.suppress(OSError, ValueError, KeyError):
                os.kill(json.load(f)["pid"], signal.SIGKILL)
        for group in glob.glob(f"/sys/fs/cgroup/**/vole-*{self.group_suffix()}", recursive=True):
            wait_for(f"the end of {group}", lambda path=group: removed(path))
        shutil.rmtree(self.root)

    def group_suffix(self):
        """What this daemon's control groups end in: GLib's hash of its run directory."""
        number = 5381
        for byte in self.path("run/libvirt/vole").encode():
            number = (number * 33 + byte) & 0xffffffff
        return f".{number:08x}"

    def on_lifecycle(self, conn, domain, event, detail, opaque):
        with self.changed:
            self.events.append((domain.name(), (event, detail)))
            self.changed.notify_all()

    def on_reboot(self, conn, domain, opaque):
        with self.changed:
            self.events.append((domain.name(), REBOOTED))
            self.changed.notify_all()

    def expect(self, name, *events):
        """The next events, exactly these, in this order."""
        want = [(name, event) for event in events]
        with self.changed:
            self.changed.wait_for(lambda: len(self.events) >= len(want), TIMEOUT)
            got, self.events = self.events[:len(want)], self.events[len(want):]
        assert got == want, f"events {got}, not {want}"

    def xml(self, name, words="", disk="disk.img", uuid=None, extra=""):
        uuid = f"<uuid>{uuid}</uuid>" if uuid else ""
        return f"""<domain type='kvm'><name>{name}</name>{uuid}<memory unit='MiB'>64</memory>
            <vcpu>2</vcpu><os><type>hvm</type><kernel>{self.path("kernel")}</kernel>
            <cmdline>{words}</cmdline></os>{extra}
            <devices><emulator>{FAKE}</emulator>
            <disk type='file' device='disk'><driver name='qemu' type='raw'/>
            <source file='{self.path(disk)}'/><target dev='vda' bus='virtio'/></disk>
            <serial type='pty'/></devices></domain>"""

    def define(self, *args, **kwargs):
        domain = self.conn.defineXML(self.xml(*args, **kwargs))
        self.expect(domain.name(), DEFINED_ADDED)
        return domain

    def started(self, *args, **kwargs):
        domain = self.define(*args, **kwargs)
        domain.create()
        self.expect(domain.name(), RESUMED, STARTED)
        return domain

    def state_files(self):
        return sorted(name for name in os.listdir(self.path("run/libvirt/vole"))
                      if not name.endswith("autostarted"))


def removed(group):
    with contextlib.suppress(FileNotFoundError, OSError):
        os.rmdir(group)
    return not os.path.exists(group)


def refused(code, call, *args, text=""):
    try:
        call(*args)
    except libvirt.libvirtError as error:
        assert error.get_error_code() == code, f"code {error.get_error_code()}: {error}"
        assert text in str(error), f"{str(error)!r} does not say {text!r}"
    else:
        raise AssertionError(f"{call} was not refused")


class Console:
    def __init__(self, host, domain, device=None, flags=0):
        self.stream = host.conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain.openConsole(device, self.stream, flags)

    def read(self, until):
        """What comes up to and with `until`; `until` None: up to the end."""
        got = b""
        end = time.monotonic() + TIMEOUT
        while until is None or until not in got:
            data = self.stream.recv(4096)
            assert time.monotonic() < end, f"only {got} came"
            if data == b"":
                assert until is None, f"ended after {got}"
                return got
            if data == -2:
                time.sleep(0.01)
            else:
                got += data
        return got

    def ask(self, text):
        self.stream.send(text)
        self.read(text.upper())


# ---- the wire ----

def string(text, optional=False):
    data = struct.pack(">I", len(text)) + text + bytes(-len(text) % 4)
    return struct.pack(">I", 1) + data if optional else data


def packet(procedure, payload=b"", serial=1, program=0x20008086, kind=0, status=0):
    return struct.pack(">IIIiiIi", 28 + len(payload), program, 1, procedure, kind, serial,
                       status) + payload


def receive(sock):
    def exactly(n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    length, = struct.unpack(">I", exactly(4))
    data = exactly(length - 4)
    return struct.unpack(">IIiiIi", data[:24]), data[24:]


def call(sock, procedure, payload=b"", serial=1):
    sock.sendall(packet(procedure, payload, serial))
    header, reply = receive(sock)
    assert header[2] == procedure and header[3] == 1 and header[4] == serial, header
    return header[5], reply


def opened(host):
    sock = host.raw()
    assert call(sock, 1, string(b"", optional=True) + bytes(4))[0] == 0
    return sock


# ---- running ----

def run_events():
    while True:
        libvirt.virEventRunDefaultImpl()


def hangs(*_):
    raise TimeoutError(f"it has not come to its end in {5 * TIMEOUT} s")


def main():
    libvirt.registerErrorHandler(lambda *_: None, None)
    signal.signal(signal.SIGALRM, hangs)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=run_events, daemon=True).start()
    wanted = [fn for fn in TESTS if not sys.argv[1:] or fn.__name__ in sys.argv[1:]]
    print(f"1..{len(wanted)}", flush=True)
    failed = 0
    for number, fn in enumerate(wanted, 1):
        host = Host()
        signal.alarm(5 * TIMEOUT)
        try:
            fn(host)
            host.stop()
            problem = None
        except Exception as error:  # pylint: disable=broad-except
            problem = "".join(traceback.format_exception(error)[-2:])
            if host.daemon is not None:
                host.daemon.kill()
                host.daemon.wait()
        if problem:
            failed += 1
            for line in (problem + "\n" + open(host.path("daemon.log")).read()).splitlines():
                print("# " + line)
        host.clean()
        print(f"{'not ' if problem else ''}ok {number} - {fn.__name__}", flush=True)
    return failed != 0


def run():
    """Runs the tests of the script that calls it, and ends the process."""
    status = main()
    sys.stdout.flush()
    # The event thread still uses the library: no destructors.
    os._exit(status)
