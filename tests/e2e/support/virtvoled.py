# SPDX-License-Identifier: LGPL-2.1-or-later
"""A virtvoled of a test's own, and the unmodified virsh and libvirt library talking to it."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import libvirt
import pexpect

from .vole import program
from .wait import SHORT, Deadline

# virtvoled's own messages reach us as errors; libvirt would print each of them as well.
libvirt.registerErrorHandler(lambda *_: None, None)


class Virtvoled:
    """`virtvoled --root FOLDER`, or with `root` None the daemon of this whole system."""

    def __init__(self, root, *options):
        self.root = Path(root) if root else None
        self.options = list(options) if options else ["--system"]
        self.process = None
        self.socket = (self.root or Path("/")) / "run/libvirt/virtvoled-sock"
        self.uri = "vole:///system"
        if root:
            self.root.mkdir(parents=True, exist_ok=True)
            self.uri = f"vole+unix:///system?socket={self.socket}"
            self.options += ["--root", str(root)]
        self.log = Path(f"{self.root}.log") if root else Path("/tmp/virtvoled-e2e.log")

    def start(self):
        """Returns when it serves, which it tells by going into the background; its process
        is ours to end nevertheless, so it stays in the foreground here and is asked."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([program("virtvoled"), *self.options],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = Deadline(SHORT)
        while not deadline.passed():
            with suppress(libvirt.libvirtError):
                libvirt.open(self.uri).close()
                return self
            try:
                status = self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"virtvoled ended with {status}: {self.log.read_text()}")
        raise AssertionError(f"virtvoled does not answer: {self.log.read_text()}")

    def stop(self, number=signal.SIGTERM):
        """Ends the daemon alone; its domains go on."""
        self.process.send_signal(number)
        return self.process.wait(SHORT)

    def close(self):
        """Ends the domains as well."""
        if self.process.poll() is not None:
            self.start()
        with libvirt.open(self.uri) as connection:
            for domain in connection.listAllDomains():
                with suppress(libvirt.libvirtError):
                    domain.destroy()
        status = self.stop()
        assert status == 0, f"virtvoled ended with {status}: {self.log.read_text()}"

    def connect(self):
        return libvirt.open(self.uri)

    def virsh_argv(self, *arguments):
        return ["virsh", "-q", "-c", self.uri, *map(str, arguments)]

    def virsh(self, *arguments):
        """What virsh prints; it must succeed."""
        status, output, error = self.virsh_any(*arguments)
        assert status == 0, f"virsh {' '.join(map(str, arguments))}: {status}: {error}"
        return output

    def virsh_any(self, *arguments):
        """(exit status, standard output, standard error)"""
        done = subprocess.run(self.virsh_argv(*arguments), check=False, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=SHORT * 2,
                              env={**os.environ, "LC_ALL": "C.UTF-8"})
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def virsh_terminal(self, *arguments):
        """virsh on a terminal of its own, for `console`: a pexpect child."""
        argv = self.virsh_argv(*arguments)
        return pexpect.spawn(argv[0], argv[1:], encoding="utf-8", codec_errors="replace",
                             timeout=SHORT, env={**os.environ, "LC_ALL": "C.UTF-8"})

    def vole_pids(self):
        """The pids of the domains' VMMs, by what their monitors' folder has open."""
        return sorted(int(path.read_text()) for path in self.run_dir.glob("*.pid"))

    @property
    def run_dir(self):
        return (self.root or Path("/")) / "run/libvirt/vole"
