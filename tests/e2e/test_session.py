# SPDX-License-Identifier: LGPL-2.1-or-later
"""vole:///session as a user who may do nothing else: with nothing running, libvirt's client starts
the daemon by itself, from the URI alone, with an argv and environment of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest

from support.virtvoled import connected, domain_xml, ended, leave
from support.vole import others_can_run, program
from support.wait import SHORT, Deadline, readable, until
from support.wait import connected as client_of

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else"),
    pytest.mark.skipif(not others_can_run("virtvoled"),
                       reason="the programs under test are where others cannot run them")]

NOBODY = 65534
# Runs a command as nobody, on a host where everybody may use KVM.
AS_NOBODY = """
    mount -t tmpfs tmpfs "$0" && mknod "$0/kvm" c 10 232 && chmod 0666 "$0/kvm" &&
    mount --bind "$0/kvm" /dev/kvm && umount -l "$0" &&
    exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "$@"
"""


class Session:
    """A user's home, and virsh run by that user."""

    def __init__(self, home, virsh):
        self.home = home
        self.virsh_program = str(virsh)
        for name in ("", "run", "config", "cache", "mnt"):
            (home / name).mkdir(mode=0o700)
            os.chown(home / name, NOBODY, NOBODY)
        build = os.path.dirname(program("virtvoled"))
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C",
            "XDG_RUNTIME_DIR": str(home / "run"), "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"), "VIRTD_PATH": build, "LIBVIRTD_PATH": build}

    def add_file(self, name, content):
        path = self.home / name
        path.write_bytes(content)
        os.chown(path, NOBODY, NOBODY)
        return path

    def as_nobody(self, argv):
        return ["unshare", "--mount", "sh", "-c", AS_NOBODY, str(self.home / "mnt"), *argv]

    def run(self, argv, **how):
        return subprocess.Popen(self.as_nobody(argv), text=True, env=self.environment, cwd="/",
                                **how)

    def virsh(self, *arguments, uri="vole:///session"):
        with self.run([self.virsh_program, "-c", uri, *map(str, arguments)],
                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE) as process:
            output, error = process.communicate(timeout=SHORT)
        assert process.returncode == 0, error
        return output.strip()

    def terminal(self, *arguments):
        argv = self.as_nobody([self.virsh_program, "-c", "vole:///session", *arguments])
        return pexpect.spawn(argv[0], argv[1:], env=self.environment, cwd="/", encoding="utf-8",
                             timeout=SHORT)

    def processes(self, name):
        """Pids of this user's: the home is in the environment of all that comes from it."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "exe") == os.path.realpath(program(name)) and \
                        f"HOME={self.home}".encode() in (entry / "environ").read_bytes().split(
                            b"\0"):
                    found.append(int(entry.name))
        return found

    def end(self, pid, number=signal.SIGTERM):
        fd = os.pidfd_open(pid)
        os.kill(pid, number)
        assert readable(fd, Deadline(SHORT))
        os.close(fd)


@pytest.fixture(params=["installed", "newer"])
def session(request, folder, payloads):
    virsh = shutil.which("virsh")
    if request.param == "newer":
        # Where the user can come to it: the cache is somebody else's home.
        clients = folder / "clients"
        shutil.copytree(request.getfixturevalue("newer_clients"), clients, symlinks=True)
        virsh = clients / "bin/virsh"
    folder.chmod(0o755)
    session = Session(folder / "home", virsh)
    kernel = session.add_file("kernel", payloads.echo.read_bytes())
    session.add_file("mine.xml", domain_xml("mine", kernel=kernel).encode())
    yield session
    for name in ("virtvoled", "vole"):
        for pid in session.processes(name):
            session.end(pid, signal.SIGKILL)


def test_a_users_machine(session):
    home = session.home
    # The daemon is not there: asked for it directly, the client starts it.
    session.virsh("define", home / "mine.xml", uri="vole:///session?mode=direct")
    (daemon,) = session.processes("virtvoled")
    assert Path(f"/proc/{daemon}/cmdline").read_bytes().split(b"\0")[1:] == [b"--timeout=120", b""]
    assert (home / "config/libvirt/vole/mine.xml").exists()
    assert (home / "cache/libvirt/vole/virtvoled.log").exists()

    console = session.terminal("start", "--console", "mine")
    connected(console)
    console.send("hello")
    console.expect("hello")
    assert leave(console) == 0
    (vmm,) = session.processes("vole")
    assert os.stat(f"/proc/{vmm}").st_uid == NOBODY
    assert session.virsh("list", "--name") == "mine"

    # It goes, and leaves the socket's file, so that any client starts the next one. The machine
    # runs on, and with its terminal.
    session.end(daemon)
    assert (home / "run/libvirt/virtvoled-sock").exists()
    assert session.virsh("domstate", "mine") == "running"
    (second,) = session.processes("virtvoled")
    assert second != daemon and session.processes("vole") == [vmm]
    console = session.terminal("console", "mine")
    connected(console)
    console.send("Q")  # the guest powers off
    assert ended(console) == 0
    until(lambda: session.virsh("domstate", "mine") == "shut off", "the machine has ended")

    session.virsh("start", "mine")
    session.virsh("destroy", "mine")
    session.virsh("undefine", "mine")
    assert session.processes("vole") == []
    assert not list((home / "config/libvirt/vole").glob("*.xml"))
    assert not list((home / "run/libvirt/vole").rglob("mine*"))
    session.end(second)


@pytest.mark.parametrize("session", ["installed"], indirect=True)
def test_an_idle_daemon_leaves(session):
    # Time enough for a first client to come, which stays until there is a machine.
    with session.run([program("virtvoled"), "--timeout=15"], stdin=subprocess.DEVNULL) as daemon:
        with until(lambda: client_of(session.home / "run/libvirt/virtvoled-sock"),
                   "virtvoled serves"):
            session.virsh("create", session.home / "mine.xml")
        # It cannot go while a machine runs; and it is still the same that ends it.
        session.virsh("destroy", "mine")
        assert daemon.wait(SHORT) == 0
    assert session.processes("virtvoled") == session.processes("vole") == []
