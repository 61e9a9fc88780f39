# SPDX-License-Identifier: LGPL-2.1-or-later
"""The side of a lab that a person or a script sees: one command, with our standard streams.

A lab that stays is reached by a socket in a private folder; connecting to it is all that
`lab --enter` needs, and the process at the other end is what `lab --stop` ends.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import stat
import struct
import sys
import termios
import threading
import time
import tty
from pathlib import Path

from wire import MAX_PAYLOAD, Kind, Parser, frame

TIMED_OUT = 124
GRACE_SECONDS = 15  # between asking a command to end and ending the lab
STOP_SECONDS = 120

# Belongs to this machine's session, not to the lab's.
NOT_PASSED_ON = ["XDG_RUNTIME_DIR", "TMPDIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS",
                 "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"]


class LabGone(Exception):
    """The connection to the lab ended, or there is none; the text is one line for the user."""


class Listener:
    """The socket of a lab that stays."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.socket.listen()
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()  # stays when another lab is there

    def run(self, serve):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()


def socket_path(name):
    if not name.replace("-", "").replace("_", "").isalnum():
        raise LabGone(f"'{name}' is no name for a lab: letters, digits, - and _ only")
    base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    folder = Path(base) / f"vole-lab-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise LabGone(f"{folder} is not a private folder of ours")
    return folder / name


def try_connect(path):
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
        return connection
    except OSError:
        connection.close()
        return None


def connect(name):
    path = socket_path(name)
    connection = try_connect(path)
    if connection is None:
        with contextlib.suppress(OSError):
            path.parent.rmdir()
        raise LabGone(f"no lab named {name} is running")
    return connection


def stop(name):
    """Ends the lab's owner, which ends QEMU; waits until it is gone."""
    connection = connect(name)
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, _, _ = struct.unpack("3i", credentials)
    owner = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGTERM)
        if not select.select([owner], [], [], STOP_SECONDS)[0]:
            raise LabGone(f"the lab's process {pid} does not end")
    finally:
        os.close(owner)
        connection.close()
    return 0


def run_in(connection, options):
    """Runs options.command; returns its exit status."""
    terminal = options.tty == "yes" or (
        options.tty == "auto" and os.isatty(0) and os.isatty(1))
    with Session(connection, options, terminal) as session:
        return session.run()


class Session:
    def __init__(self, connection, options, terminal):
        self.connection = connection
        self.options = options
        self.terminal = terminal
        self.stdin_open = True
        self.may_send = True  # the last STDIN was taken
        self.deadline = time.monotonic() + options.timeout if options.timeout else None
        self.status_if_ended = None  # set when we, not the command, decide that it is over

    def __enter__(self):
        self.saved = None
        self.restore = {}
        self.wake, self.wake_in = socket.socketpair()
        self.wake_in.setblocking(False)
        signal.set_wakeup_fd(self.wake_in.fileno(), warn_on_full_buffer=False)
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH]
        for number in numbers:
            self.restore[number] = signal.signal(number, lambda *_: None)
        if self.terminal and os.isatty(0):
            self.saved = termios.tcgetattr(0)
            tty.setraw(0)
        return self

    def __exit__(self, *_):
        if self.saved:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)
        signal.set_wakeup_fd(-1)
        for number, handler in self.restore.items():
            signal.signal(number, handler)
        self.connection.close()

    def run(self):
        env = {k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
        env["VOLE_LAB"] = "1"
        self.send(Kind.EXEC, json.dumps({
            "argv": self.options.command, "cwd": os.getcwd(), "env": env,
            "tty": window_size() if self.terminal else None}).encode())
        parser = Parser()
        while True:
            for source in self.wait():
                if source is self.connection:
                    data = self.connection.recv(MAX_PAYLOAD)
                    if not data:
                        raise LabGone("the lab ended before the command")
                    for _, kind, payload in parser.feed(data):
                        if kind == Kind.EXIT:
                            return self.status_if_ended or payload[0]
                        self.on_frame(kind, payload)
                elif source is self.wake:
                    for number in self.wake.recv(64):
                        self.on_signal(number)
                else:
                    self.on_stdin()

    def wait(self):
        """What there is to read from; nothing else than the deadline's passing ends the lab."""
        sources = [self.connection, self.wake]
        if self.stdin_open and self.may_send:
            sources.append(0)
        timeout = None
        if self.deadline is not None:
            timeout = max(0, self.deadline - time.monotonic())
        ready = select.select(sources, [], [], timeout)[0]
        if not ready and self.status_if_ended is None:
            print(f"lab: not done after {self.options.timeout:g} s: ended", file=sys.stderr)
            self.end(signal.SIGTERM, TIMED_OUT)
        elif not ready:
            raise SystemExit(self.status_if_ended)
        return ready

    def end(self, number, status):
        """Asks the command to go; it has a moment before the lab does."""
        self.status_if_ended = status
        self.deadline = time.monotonic() + GRACE_SECONDS
        self.send(Kind.SIGNAL, bytes([number]))

    def on_frame(self, kind, payload):
        if kind == Kind.STDOUT:
            write_all(1, payload)
        elif kind == Kind.STDERR:
            write_all(2, payload)
        elif kind == Kind.TAKEN:
            self.may_send = True

    def on_stdin(self):
        try:
            data = os.read(0, MAX_PAYLOAD)
        except OSError:  # no standard input, or a terminal that hung up
            data = b""
        self.send(Kind.STDIN, data)
        self.stdin_open = bool(data)
        self.may_send = False

    def on_signal(self, number):
        if number == signal.SIGWINCH:
            if self.terminal:
                self.send(Kind.RESIZE, json.dumps(window_size()).encode())
        elif self.status_if_ended is None:
            self.end(number, 128 + number)
        else:
            raise SystemExit(self.status_if_ended)  # asked twice

    def send(self, kind, payload):
        try:
            self.connection.sendall(frame(1, kind, payload))
        except OSError:
            raise LabGone("the lab ended before the command") from None


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def window_size():
    for fd in (1, 0):
        with contextlib.suppress(OSError):
            rows, columns, _, _ = struct.unpack(
                "HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
            return [rows, columns]
    return [24, 80]
