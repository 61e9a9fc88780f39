# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtvoled on a machine where Linux boots, for clients that run here: in the lab, its socket brought
to this machine. A desktop in the lab itself would take ten minutes for what takes one here."""

import os
import socket
import subprocess
import threading
from contextlib import suppress

from .guest import TREE
from .virtvoled import program
from .wait import BOOT, until

LAB = TREE / "tests/lab/lab"
SOCKET = "/run/libvirt/virtvoled-sock"
IMAGES = "/var/lib/libvirt/images"


class Elsewhere:
    def __init__(self, folder):
        self.name = f"elsewhere-{os.getpid()}"
        self.socket_path = folder / "virtvoled-sock"
        self.uri = f"vole:///system?socket={self.socket_path}"
        self.bridges = []
        self.listener = None

    def start(self):
        subprocess.run([LAB, "--keep", self.name, "--", "true"], check=True,
                       stdin=subprocess.DEVNULL, timeout=BOOT)
        self.run("sh", "-c", f"setsid {program('virtvoled')} </dev/null >/tmp/virtvoled.log 2>&1 &")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket_path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        until(lambda: self._virsh("version").returncode == 0, "virtvoled answers", BOOT)
        return self

    def close(self):
        if self.listener:
            with suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            self.listener.close()
        subprocess.run([LAB, "--stop", self.name], check=True,
                       stdin=subprocess.DEVNULL, timeout=BOOT)
        for bridge in self.bridges:
            bridge.wait(BOOT)

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                self.bridges.append(subprocess.Popen(
                    [LAB, "--enter", self.name, "--tty", "no", "--", "socat", "-",
                     f"UNIX-CONNECT:{SOCKET}"], stdin=client, stdout=client,
                    stderr=subprocess.DEVNULL))

    def run(self, *argv):
        """A command there; what it prints."""
        return subprocess.run([LAB, "--enter", self.name, "--tty", "no", "--", *map(str, argv)],
                              check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, timeout=BOOT).stdout

    def _virsh(self, *arguments):
        return subprocess.run(["virsh", "-c", self.uri, *map(str, arguments)], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=BOOT, env={**os.environ, "LC_ALL": "C.UTF-8"})

    def virsh(self, *arguments):
        done = self._virsh(*arguments)
        assert done.returncode == 0, f"virsh {arguments}: {done.stderr}"
        return done.stdout.strip()
