# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's process 1: runs commands for the host, and buries whatever they leave behind.

One thread, one loop over the port to the host, the commands' pipes and a signal pipe. Output goes
to the port as it comes and waits there when the host does not read; input is taken one piece at a
time (wire.py says how), so nothing here grows without bound.
"""

import contextlib
import fcntl
import json
import os
import selectors
import signal
import struct
import sys
import termios

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from wire import MAX_PAYLOAD, PORT_NAME, Kind, Parser, frame  # noqa: E402

DRAIN_READS = 64  # a full pipe takes one, a full terminal a few


class Session:
    """One command: its process group, and its ends of the pipes (or of the terminal)."""

    def __init__(self, number, pid, stdin, outputs):
        self.number = number
        self.pid = pid
        self.stdin = stdin
        self.outputs = outputs  # descriptor -> Kind.STDOUT or Kind.STDERR
        self.pending = b""      # what of the last STDIN is not written yet


class Agent:
    def __init__(self, port):
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.sessions = {}
        self.parser = Parser()
        self.handlers = {
            Kind.EXEC: self.on_exec,
            Kind.STDIN: self.on_stdin,
            Kind.RESIZE: self.on_resize,
            Kind.SIGNAL: self.on_signal,
            Kind.NUDGE: lambda number, payload: None,
        }

    def run(self):
        wake, wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(wake, selectors.EVENT_READ, lambda: self.on_wakeup(wake))
        self.selector.register(self.port, selectors.EVENT_READ, self.on_port)
        self.send(0, Kind.READY)
        while True:
            for key, _ in self.selector.select():
                key.data()

    def send(self, number, kind, payload=b""):
        data = frame(number, kind, payload)
        while data:
            data = data[os.write(self.port, data):]

    def on_port(self):
        for number, kind, payload in self.parser.feed(os.read(self.port, MAX_PAYLOAD)):
            self.handlers[kind](number, payload)

    def on_exec(self, number, payload):
        request = json.loads(payload)
        try:
            session = start(number, request)
        except OSError as err:
            name = request["argv"][0]
            reason = os.strerror(err.errno).lower()
            culprit = request["cwd"] if err.filename == request["cwd"] else name
            self.send(number, Kind.STDERR, f"lab: {culprit}: {reason}\n".encode())
            self.send(number, Kind.EXIT, bytes([127]))
            return
        self.sessions[number] = session
        for output in session.outputs:
            self.selector.register(output, selectors.EVENT_READ,
                                   lambda fd=output: self.on_output(session, fd))

    def on_output(self, session, fd):
        try:
            data = os.read(fd, MAX_PAYLOAD)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose other side is closed
            data = b""
        if data:
            self.send(session.number, session.outputs[fd], data)
        else:
            self.selector.unregister(fd)
            del session.outputs[fd]
            if fd != session.stdin:
                os.close(fd)
        return bool(data)

    def on_stdin(self, number, payload):
        session = self.sessions.get(number)
        if session is None or session.stdin is None:
            return
        if payload:
            session.pending = payload
            self.write_stdin(session)
        elif session.stdin in session.outputs:
            with contextlib.suppress(OSError):  # a terminal: the character that means it
                os.write(session.stdin, b"\x04")
        else:
            self.close_stdin(session)

    def write_stdin(self, session):
        try:
            count = os.write(session.stdin, session.pending)
        except BlockingIOError:
            count = 0
        except OSError:  # the command closed it, or is gone
            session.pending = b""
            self.close_stdin(session)
            self.send(session.number, Kind.TAKEN)
            return
        session.pending = session.pending[count:]
        self.watch_stdin(session)
        if not session.pending:
            self.send(session.number, Kind.TAKEN)

    def watch_stdin(self, session):
        """Waits for room in the pipe exactly as long as something is to be written."""
        fd = session.stdin
        shared = fd in session.outputs
        with contextlib.suppress(KeyError):
            if not shared:
                self.selector.unregister(fd)
        if not session.pending:
            if shared:
                self.selector.modify(fd, selectors.EVENT_READ,
                                     lambda: self.on_output(session, fd))
            return
        if shared:
            self.selector.modify(fd, selectors.EVENT_READ | selectors.EVENT_WRITE,
                                 lambda: self.on_terminal(session))
        else:
            self.selector.register(fd, selectors.EVENT_WRITE, lambda: self.write_stdin(session))

    def on_terminal(self, session):
        self.on_output(session, session.stdin)
        if session.pending and session.stdin in session.outputs:
            self.write_stdin(session)

    def close_stdin(self, session):
        if session.stdin is None or session.stdin in session.outputs:
            return
        with contextlib.suppress(KeyError):
            self.selector.unregister(session.stdin)
        os.close(session.stdin)
        session.stdin = None

    def on_resize(self, number, payload):
        session = self.sessions.get(number)
        if session and session.stdin is not None:
            set_size(session.stdin, json.loads(payload))

    def on_signal(self, number, payload):
        session = self.sessions.get(number)
        if session:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session.pid, payload[0])

    def on_wakeup(self, wake):
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for session in list(self.sessions.values()):
                if session.pid == pid:
                    self.finish(session, os.waitstatus_to_exitcode(status))

    def finish(self, session, code):
        for fd in list(session.outputs):
            # What the command itself wrote; a child that it left behind may go on writing.
            for _ in range(DRAIN_READS):
                if fd not in session.outputs or not self.on_output(session, fd):
                    break
        for fd in set(session.outputs) | ({session.stdin} - {None}):
            with contextlib.suppress(KeyError):
                self.selector.unregister(fd)
            os.close(fd)
        del self.sessions[session.number]
        os.sync()  # what was written to a shared folder is on the host before the host goes on
        self.send(session.number, Kind.EXIT, bytes([code if code >= 0 else 128 - code]))


def start(number, request):
    """Forks and executes; an error of the child before its program runs is raised here."""
    if request["tty"]:
        ours, theirs = os.openpty()
        set_size(ours, request["tty"])
        child_fds = [theirs, theirs, theirs]
        stdin, outputs = ours, {ours: Kind.STDOUT}
    else:
        pipes = [os.pipe(), os.pipe(), os.pipe()]
        child_fds = [pipes[0][0], pipes[1][1], pipes[2][1]]
        stdin = pipes[0][1]
        outputs = {pipes[1][0]: Kind.STDOUT, pipes[2][0]: Kind.STDERR}

    failed, failed_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        become(request, child_fds, failed_in)
    os.close(failed_in)
    for fd in set(child_fds):
        os.close(fd)
    report = os.read(failed, 4096)
    os.close(failed)
    if report:
        os.waitpid(pid, 0)
        for fd in {stdin, *outputs}:
            os.close(fd)
        error, filename = json.loads(report)
        raise OSError(error, os.strerror(error), filename)
    for fd in {stdin, *outputs}:
        os.set_blocking(fd, False)
    return Session(number, pid, stdin, outputs)


def become(request, child_fds, failed_in):
    try:
        os.setsid()
        for target, fd in enumerate(child_fds):
            os.dup2(fd, target)
        if request["tty"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(request["cwd"])
        os.execvpe(request["argv"][0], request["argv"], request["env"])
    except OSError as err:
        os.write(failed_in, json.dumps([err.errno, os.fsdecode(err.filename)]).encode())
    finally:
        os._exit(127)


def set_size(fd, size):
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


def open_port():
    ports = "/sys/class/virtio-ports"
    for port in os.listdir(ports):
        with open(f"{ports}/{port}/name", encoding="ascii") as name:
            if name.read().strip() == PORT_NAME:
                return os.open(f"/dev/{port}", os.O_RDWR | os.O_CLOEXEC)
    raise FileNotFoundError(PORT_NAME)


if __name__ == "__main__":
    try:
        Agent(open_port()).run()
    except Exception as error:  # the kernel panics when process 1 ends: say why before
        print(f"lab: agent: {type(error).__name__}: {error}", flush=True)
        raise
