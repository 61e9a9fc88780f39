# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon as a program: its settings and logs, whom VMMs run as, and who may connect."""

import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack

import libvirt
import pytest

from support import session
from support.authority import authority
from support.virtvoled import answers, hang_up
from support.vole import others_can_run, program
from support.wait import SHORT, Deadline, until

# A client that is run as somebody else: opens a URI and prints what comes of it.
CLIENT = """
import libvirt, sys
libvirt.registerErrorHandler(lambda *_: None, None)
try:
    print("opened", libvirt.open(sys.argv[1]).getType())
except libvirt.libvirtError as error:
    print("error", error.get_error_code(), error)
"""

CAP_SYS_RESOURCE = 24

# The first packet of every client.
AUTH_LIST = struct.pack(">7I", 28, 0x20008086, 1, 66, 0, 0, 0)


@pytest.mark.parametrize("name, text, words", [
    ("virtvoled.conf", "max_clients = many\n", ["virtvoled.conf:1", "'max_clients'"]),
    ("virtvoled.conf", "\nlog_outputs = \"3:nowhere\"\n", ["log_outputs", "3:nowhere"]),
    ("virtvoled.conf", "log_filters = \"5:rpc\"\n", ["log_filters", "5:rpc"]),
    ("virtvoled.conf", "unix_sock_group = \"nobody-knows\"\n", ["nobody-knows"]),
    ("vole.conf", "max_clients = 5\n", ["vole.conf:1", "unknown setting 'max_clients'"]),
])
def test_settings_that_make_no_sense(folder, name, text, words):
    path = folder / "etc/libvirt" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([program("virtvoled"), "--system", "--root", folder], check=False,
                          capture_output=True, text=True, timeout=SHORT)
    assert done.returncode == 1 and all(word in done.stderr for word in words), done.stderr


def test_messages_go_where_they_are_told(virtvoled, payloads, folder):
    everything, warnings = folder / "all.log", folder / "warnings.log"
    virtvoled.restart("virtvoled.conf", f"""
        log_level = 2
        log_filters = "4:domain.store"
        log_outputs = "1:file:{everything} 3:file:{warnings}"
        """)
    (virtvoled.root / "etc/libvirt/vole/broken.xml").write_text("<domain", encoding="utf-8")
    virtvoled.process.send_signal(signal.SIGHUP)
    virtvoled.define("echo", kernel=payloads.echo)
    virtvoled.virsh("start", "echo")
    virtvoled.stop(signal.SIGKILL)
    for pid in virtvoled.vmm_pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not virtvoled.vmm_pids(), "the VMM has ended")
    virtvoled.start()
    deadline = Deadline(SHORT)
    while "is gone" not in warnings.read_text(encoding="utf-8"):
        assert not deadline.passed(), warnings.read_text(encoding="utf-8")
    lines = warnings.read_text(encoding="utf-8").splitlines()
    assert any(": warning : domain.process : domain 'echo' is gone" in line for line in lines)
    assert "broken.xml" not in everything.read_text(encoding="utf-8")


def test_a_long_log_is_put_aside(virtvoled, payloads):
    virtvoled.restart("vole.conf", "max_log_size = 10\nmax_log_files = 2\n")
    virtvoled.define("echo", kernel=payloads.echo)
    logs = virtvoled.root / "var/log/libvirt/vole"
    for _ in range(5):
        virtvoled.virsh("start", "echo")
        virtvoled.virsh("destroy", "echo")
    # Who watches the log may be at it still.
    until(lambda: sorted(path.name for path in logs.iterdir()) == [
        "echo.log", "echo.log.0", "echo.log.1"], "a log and two that were put aside")


def test_a_running_domains_log_is_cut(virtvoled, payloads):
    virtvoled.restart("vole.conf", "max_log_size = 4096\nmax_log_files = 2\n")
    virtvoled.define("echo", kernel=payloads.echo)
    virtvoled.virsh("start", "echo")
    logs = virtvoled.root / "var/log/libvirt/vole"
    stranger = logs / "other.log"
    stranger.write_text("x" * 10000, encoding="ascii")
    for number in range(3):
        # Like the VMM, which appends: what it says next is at the beginning again.
        with open(logs / "echo.log", "ab") as log:
            log.write(b"%d" % number * 5000)
        deadline = Deadline(SHORT)
        while (logs / "echo.log").stat().st_size:
            assert not deadline.passed()
        assert (logs / "echo.log.0").read_text(encoding="ascii").endswith(f"{number}" * 5000)
    assert (logs / "echo.log.1").read_text(encoding="ascii") == "1" * 5000
    assert sorted(path.name for path in logs.iterdir()) == [
        "echo.log", "echo.log.0", "echo.log.1", "other.log"]
    assert stranger.stat().st_size == 10000


def test_the_emulator_can_be_chosen(virtvoled, payloads):
    virtvoled.restart("vole.conf", "emulator = \"/nowhere/vole\"\n")
    virtvoled.define("echo", kernel=payloads.echo)
    status, _, error = virtvoled.virsh_any("start", "echo")
    assert status == 1 and "/nowhere/vole" in error


# ---- whom VMMs run as ----

def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("text, words", [
    ("user = \"nobody-knows\"\n", ["there is no user 'nobody-knows'"]),
    ("user = \"+4294967295\"\n", ["there is no user '+4294967295'"]),
    ("user = \"+64321\"\n", ["nothing says which group '+64321' has"]),
    ("group = \"nobody-knows\"\n", ["there is no group 'nobody-knows'"])])
def test_users_that_are_not_there(folder, text, words):
    test_settings_that_make_no_sense(folder, "vole.conf", text, words)


@pytest.mark.skipif(os.geteuid() != 0 or not others_can_run("vole"),
                    reason="only root can run something as somebody else, who has to come to it")
def test_vmms_of_another_user(virtvoled, payloads, folder):
    """They have no rights to what they use, and use it all the same."""
    virtvoled.restart("vole.conf", "user = \"nobody\"\ngroup = \"+64321\"\n")
    image = folder / "disk.img"
    image.write_bytes(bytes(1 << 20))
    image.chmod(0o600)
    # In some containers not even root may raise limits.
    may_lock = int(status_of(os.getpid())["CapEff"][0], 16) >> CAP_SYS_RESOURCE & 1
    virtvoled.define("echo", kernel=payloads.echo, memory_mib=64, more="<memoryBacking>"
                     f"{'<locked/>' if may_lock else ''}</memoryBacking>", devices=f"""
        <disk type='file'><driver type='raw'/><source file='{image}'/>
        <target dev='vda' bus='virtio'/></disk>
        <interface type='ethernet'><target dev='{session.interface()}'/><model type='virtio'/></interface>
        <channel type='unix'><target type='virtio' name='org.example.0'/></channel>
        <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>""")
    virtvoled.virsh("start", "echo")
    (pid,) = virtvoled.vmm_pids()
    found = status_of(pid)
    assert found["Uid"] == ["65534"] * 4 and found["Gid"] == ["64321"] * 4
    assert found["Groups"] == [] and int(found["CapEff"][0], 16) == 0
    assert found["NoNewPrivs"] == ["1"]
    assert image.stat().st_uid == 0
    virtvoled.virsh("blockresize", "echo", "vda", "2M")
    assert image.stat().st_size == 2 << 20

    virtvoled.stop(signal.SIGKILL)
    virtvoled.start()
    child = virtvoled.console("echo")
    answers(child)
    virtvoled.virsh("reboot", "echo")
    child.send("Q")
    child.expect("ready")
    assert virtvoled.vmm_pids() != [pid]
    virtvoled.virsh("destroy", "echo")
    hang_up(child)


# ---- who may connect ----

def open_as_nobody(uri):
    done = subprocess.run([sys.executable, "-c", CLIENT, uri], check=True, text=True, user=65534,
                          group=65534, extra_groups=[], capture_output=True, timeout=SHORT,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, cwd="/")
    return done.stdout.strip()


@pytest.fixture
def reachable(folder):
    folder.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_the_sockets_modes_decide(reachable, virtvoled):
    virtvoled.root.chmod(0o755)
    assert "error 38" in open_as_nobody(virtvoled.uri)
    assert open_as_nobody(virtvoled.uri + "-ro") == "opened VOLE"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_polkit_that_is_not_there_lets_nobody_in_but_root(reachable, virtvoled, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    virtvoled.restart("virtvoled.conf", "auth_unix_rw = \"polkit\"\n"
                      "auth_unix_ro = \"polkit\"\nunix_sock_rw_perms = \"0777\"\n")
    virtvoled.root.chmod(0o755)
    for uri in (virtvoled.uri, virtvoled.uri + "-ro"):
        assert open_as_nobody(uri).startswith(f"error {libvirt.VIR_ERR_AUTH_FAILED} ")
    assert virtvoled.connect().getType() == "VOLE"


# Asks to be let in twice at once, says what comes of the second, and goes when it is told to.
IMPATIENT = """
import socket, struct, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.sendall(struct.pack(">7I", 28, 0x20008086, 1, 70, 0, 1, 0) +
             struct.pack(">7I", 28, 0x20008086, 1, 70, 0, 2, 0))
_, _, _, _, _, serial, status = struct.unpack(">7I", sock.recv(4096)[:28])
print(serial, status, flush=True)
sys.stdin.read()
sock.sendall(struct.pack(">I", 65537))
print(sock.recv(4096))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_types_a_password_holds_nobody_up(reachable, virtvoled, folder, monkeypatch):
    """More of them than there are workers."""
    nobody = {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/", "text": True,
              "stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as stack:
        address, polkit = stack.enter_context(authority(folder))
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        virtvoled.restart("virtvoled.conf", "auth_unix_rw = \"polkit\"\n"
                          "max_workers = 1\nunix_sock_rw_perms = \"0777\"\n")
        virtvoled.root.chmod(0o755)
        path = str(virtvoled.root / "run/libvirt/virtvoled-sock")
        typists = [stack.enter_context(subprocess.Popen(
            [sys.executable, "-c", CLIENT, virtvoled.uri], **nobody)) for _ in range(4)]
        for _ in typists:
            assert polkit.said() == "asked org.libvirt.unix.manage"
        with subprocess.Popen([sys.executable, "-c", IMPATIENT, path], **nobody) as impatient:
            assert polkit.said() == "asked org.libvirt.unix.manage"
            assert impatient.stdout.readline() == "2 1\n"
            with virtvoled.connect() as conn:
                assert conn.getAllDomainStats() == []
            impatient.stdin.close()
            assert impatient.stdout.readline() == "b''\n", "more than a stranger may send"
            assert polkit.said() == "taken back"
        for _ in typists:
            polkit.answer(True)
        for typist in typists:
            assert typist.communicate(timeout=SHORT)[0] == "opened VOLE\n"
            assert typist.returncode == 0
        virtvoled.stop()
        monkeypatch.undo()
        virtvoled.start()


# Connects two times as somebody who has to authenticate, and asks on the first connection how, once
# for each line of its standard input.
STRANGER = f"""
import socket, sys
sockets = [socket.socket(socket.AF_UNIX) for _ in range(2)]
for one in sockets:
    one.connect(sys.argv[1])
for _ in sys.stdin:
    sockets[0].sendall({AUTH_LIST})
    print(len(sockets[0].recv(4096)), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_strangers_wait_outside(reachable, virtvoled):
    """Nobody is let in while as many as may are there who have not said who they are."""
    virtvoled.restart("virtvoled.conf", "auth_unix_rw = \"polkit\"\n"
                      "max_anonymous_clients = 2\nunix_sock_rw_perms = \"0777\"\n")
    virtvoled.root.chmod(0o755)
    path = str(virtvoled.root / "run/libvirt/virtvoled-sock")
    with subprocess.Popen([sys.executable, "-c", STRANGER, path], user=65534, group=65534,
                          extra_groups=[], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as stranger, socket.socket(socket.AF_UNIX) as own:
        def ask():
            stranger.stdin.write("ask\n")
            stranger.stdin.flush()
            assert stranger.stdout.readline() == "36\n"

        ask()
        own.connect(path)
        own.sendall(AUTH_LIST)
        for _ in range(3):  # whoever had been let in would have been answered by now
            ask()
        with pytest.raises(BlockingIOError):
            own.recv(4096, socket.MSG_DONTWAIT)
        stranger.stdin.close()
        assert stranger.wait(SHORT) == 0
        own.settimeout(SHORT)
        assert len(own.recv(4096)) == 36
