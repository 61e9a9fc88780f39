# SPDX-License-Identifier: LGPL-2.1-or-later
"""A virtvoled of a test's own, and the unmodified virsh and libvirt library talking to it."""

import gc
import os
import signal
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

import libvirt
import pexpect

from . import events, session  # noqa: F401: events, before the first connection is opened
from .guest import MACHINE
from .vole import program
from .wait import BOOT, SHORT, Deadline, until

# What is not about time must not fail where a machine stands still for a while.
PATIENCE = {
    "virtvoled.conf": "host_daemon_timeout = 600\n",
    "vole.conf": "start_timeout = 600\ncommand_timeout = 600\nstop_timeout = 60\n"
                 "libvirt_timeout = 600\n",
}

# virtvoled's own messages reach us as errors; libvirt would print each of them as well.
libvirt.registerErrorHandler(lambda *_: None, None)


class Virtvoled:
    """A daemon that keeps everything below `folder`, or, if `whole_system`, the daemon of this
    machine, at the places where unmodified clients look without being told."""

    def __init__(self, folder, whole_system=False):
        self.process = None
        self.virsh_program = "virsh"
        self.options = ["--system"]
        self.prefix = []  # what runs it
        self.root = Path("/") if whole_system else Path(folder) / "root"
        self.uri = "vole:///system"
        if not whole_system:
            self.root.mkdir()
            self.uri += f"?socket={self.root}/run/libvirt/virtvoled-sock"
            self.options += ["--root", str(self.root)]
        self.folder = Path(folder)
        self.log = self.folder / "virtvoled.log"
        for name in PATIENCE:
            self.configure(name)

    def configure(self, name, text=""):
        """Settings for the next start; those of `text` are the last word."""
        path = self.root / "etc/libvirt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PATIENCE[name] + text, encoding="utf-8")

    def restart(self, name, text):
        """Anew, with these settings."""
        self.stop()
        self.configure(name, text)
        return self.start()

    def start(self):
        """Returns when it serves. It stays in the foreground, so that it is ours to end."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.prefix, program("virtvoled"), *self.options],
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
        # A connection that a failed call's traceback holds would be closed whenever Python comes
        # to it, and leave its own error in the place of another call's.
        gc.collect()
        if self.process.poll() is not None:
            self.start()
        self.process.send_signal(signal.SIGCONT)  # a test that failed may have stopped it
        with libvirt.open(self.uri) as connection:
            for domain in connection.listAllDomains():
                with suppress(libvirt.libvirtError):
                    domain.destroy()
        status = self.stop()
        assert status == 0, f"virtvoled ended with {status}: {self.log.read_text()}"

    def connect(self):
        return libvirt.open(self.uri)

    def uri_as(self, scheme):
        """The same daemon by the other name: tools choose other devices for "qemuvole"."""
        return self.uri.replace("vole:", f"{scheme}:").replace("virtvoled-", f"virt{scheme}d-")

    def virsh_argv(self, *arguments):
        return [str(self.virsh_program), "-c", self.uri, *map(str, arguments)]

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

    def vmm_pids(self):
        return sorted(session.processes("vole"))

    def define(self, name, **parts):
        """Defines a domain from domain_xml()'s parts; returns its XML."""
        xml = domain_xml(name, **parts)
        path = self.folder / f"{name}.xml"
        path.write_text(xml, encoding="utf-8")
        self.virsh("define", path)
        return xml

    def console(self, name):
        """`virsh console`, connected; a pexpect child."""
        return connected(self.virsh_terminal("console", name))

    def event_terminal(self, name):
        """`virsh event` of all kinds, which is told of them: it says nothing of its own when it has
        registered, so there are changes of that domain's title until it tells one. A pexpect child.
        """
        child = self.virsh_terminal("event", "--all", "--loop", "--timeout", BOOT)

        def registered():
            self.virsh("desc", name, "--title", "--new-desc", "one")
            return child.expect([pexpect.TIMEOUT, f"event 'metadata-change' for domain '{name}'"],
                                timeout=0.2)
        until(registered, "virsh has registered for events")
        return child


def connected(child):
    """Waits until `virsh console` in a pexpect child reads what is sent to it; the child. It says
    first that it is there, and then makes the terminal raw, which loses what was typed before."""
    child.expect("Escape character is")
    child.expect("\n")
    until(lambda: not termios.tcgetattr(child.fileno())[3] & termios.ICANON, "a raw terminal")
    return child


def answers(child):
    """Waits for the echo of the guest on the console; what it said when it started came before."""
    child.send("?")
    child.expect(r"\?")


def leave(child):
    """Ends a `virsh console` by its escape character."""
    child.sendcontrol("]")
    return ended(child)


def ended(child, timeout=SHORT):
    """Waits for the end of a pexpect child; its exit status."""
    child.expect(pexpect.EOF, timeout=timeout)
    child.close()
    return child.exitstatus


def hang_up(child):
    """Ends a pexpect child that has not ended by itself. Its close() alone would give up on one that
    takes more than a moment."""
    child.kill(signal.SIGKILL)
    child.wait()
    child.close()


def domain_xml(name, kernel, memory_mib=32, vcpus=1, initrd=None, cmdline=None, devices="",
               more=""):
    boot = f"<kernel>{kernel}</kernel>"
    if initrd:
        boot += f"<initrd>{initrd}</initrd>"
    if cmdline:
        boot += f"<cmdline>{cmdline}</cmdline>"
    return f"""<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>{vcpus}</vcpu>
  <os><type arch='{MACHINE}'>hvm</type>{boot}</os>
  {more}
  <devices>
    {devices}
    <serial type='pty'/>
    {'' if "<console" in devices else "<console type='pty'/>"}
  </devices>
</domain>
"""
