# SPDX-License-Identifier: LGPL-2.1-or-later
"""One `vole` process."""

import os
import subprocess
from pathlib import Path

from .console import Console
from .qmp import QMP
from .wait import SHORT, Deadline


def program(name):
    """A program of the build tree under test."""
    path = Path(os.environ["VOLE_BUILDDIR"]) / name
    assert path.exists(), f"{path} is not built"
    return str(path)


def others_can_run(name):
    """Whether the build tree lies where a user without any rights comes to it."""
    path = Path(os.path.realpath(program(name)))
    return all(place.stat().st_mode & 0o001 for place in [path, *path.parents])


class Vole:
    """`vole run ARGUMENTS`, with a QMP socket and the serial port on sockets of its own.

    The guest waits until we are connected to the port, for what it says to nobody is lost; then it
    starts, unless `paused`.
    """

    def __init__(self, folder, *arguments, serial=True, qmp=True, paused=False, pass_fds=()):
        self.folder = Path(folder)
        self.serial_path = self.folder / "serial"
        self.qmp_path = self.folder / "qmp"
        self._consoles = []
        argv = [program("vole"), "run", *map(str, arguments)]
        if serial:
            argv += ["--serial", f"unix:{self.serial_path}"]
        if qmp:
            argv += ["--qmp", f"unix:{self.qmp_path}", "--paused"]
        self.stdout_path = self.folder / "stdout"
        self.stderr_path = self.folder / "stderr"
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            pass_fds=pass_fds)
        self.pid = self.process.pid
        # The monitor is the last thing that is made before the guest starts.
        self.qmp = self._connect(lambda: QMP(self.qmp_path), self.qmp_path) if qmp else None
        self.serial = self.open_serial() if serial else None
        if qmp and serial:
            self._wait_until_heard()
        if qmp and not paused:
            self.qmp.execute("cont")

    def _connect(self, connect, path):
        """Connects as soon as the socket is there; a process that ended ends the wait."""
        deadline = Deadline(SHORT)
        while not deadline.passed():
            try:
                return connect()
            except (FileNotFoundError, ConnectionRefusedError):
                try:
                    self.process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
                raise AssertionError(f"vole ended with {self.process.returncode}: "
                                     f"{self.stderr()}") from None
        raise AssertionError(f"no one listens on {path}")

    def _wait_until_heard(self):
        """The system connects us at once, vole notices a moment later; then nothing is lost."""
        deadline = Deadline(SHORT)
        while not any(port["label"] == "serial0" and port["frontend-open"]
                      for port in self.qmp.execute("query-chardev")):
            assert not deadline.passed(), "vole does not accept the serial port's client"

    def open_serial(self):
        console = self._connect(lambda: Console.unix(self.serial_path), self.serial_path)
        self._consoles.append(console)
        return console

    def another_qmp(self, **how):
        return QMP(self.qmp_path, **how)

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def stdout(self):
        return self.stdout_path.read_text(errors="replace")

    def wait(self, timeout=SHORT):
        """The exit status, when the process ends by itself."""
        return self.process.wait(timeout)

    def close(self):
        """The fixture's: ends what is still there."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for console in self._consoles:
            console.close()
        if self.qmp:
            self.qmp.close()


def run_vole(*arguments, timeout=SHORT, **how):
    """`vole run ARGUMENTS` to its end, for what should end at once."""
    return subprocess.run([program("vole"), "run", *map(str, arguments)], text=True, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, **how)
