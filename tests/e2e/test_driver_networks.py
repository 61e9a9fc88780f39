# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a domain has from others: networks and volumes of a libvirt that is libvirt's own mock
driver, one that hangs and one that is not there; and passt."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.virtvoled import domain_xml
from support.wait import SHORT, Deadline, until

NODE = """<node>
  <domain type='test'><name>x</name><memory>8192</memory><os><type>hvm</type></os></domain>
  <network><name>lan</name><bridge name='{bridge}'/></network>
  <pool type='dir'><name>images</name><source/><target><path>{folder}</path></target>
    <volume type='file'><name>data.img</name><key>k</key><source/><capacity>1048576</capacity>
      <target><path>{folder}/data.img</path><format type='raw'/></target></volume>
    <volume type='file'><name>layered.img</name><key>l</key><source/><capacity>1048576</capacity>
      <target><path>{folder}/layered.img</path><format type='qcow2'/></target></volume>
    <volume type='file'><name>cd.iso</name><key>c</key><source/><capacity>1048576</capacity>
      <target><path>{folder}/cd.iso</path><format type='iso'/></target></volume>
  </pool>
</node>"""

LAN = "<interface type='network'><source network='{}'/></interface>"
DISK = "<disk type='volume'><source pool='{}' volume='{}'/><target dev='vda'/></disk>"
USER = ("<interface type='user'><portForward proto='tcp' address='127.0.0.1'>"
        "<range start='{}' to='22'/></portForward></interface>")


@pytest.fixture
def bridge():
    name = f"vole-e2e-{os.getpid() % 100000}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.fixture
def daemon(virtvoled, folder, bridge):
    node = folder / "node.xml"
    node.write_text(NODE.format(folder=folder, bridge=bridge), encoding="utf-8")
    for name in ("data.img", "cd.iso"):
        (folder / name).write_bytes(bytes(1 << 20))
    virtvoled.restart("vole.conf",
                      f'network_uri = "test://{node}"\nstorage_uri = "test://{node}"\n')
    return virtvoled


@pytest.fixture
def create(virtvoled, folder, payloads):
    """create(devices): what virsh says to a domain "one" with them."""

    def run(devices, name="one"):
        path = folder / f"{name}.xml"
        path.write_text(domain_xml(name, payloads.echo, devices=devices), encoding="utf-8")
        return virtvoled.virsh_any("create", path)

    return run


def refused(answer):
    status, _, error = answer
    assert status == 1
    return error.splitlines()[-1]


def nothing_runs(daemon):
    left = [path.name for path in (daemon.root / "run/libvirt/vole").glob("*.json")]
    return not left and not daemon.vmm_pids() and daemon.virsh("list", "--all", "--name") == ""


# ---- networks and volumes ----

def test_a_network_without_ports_has_a_bridge(daemon, create, bridge):
    status, _, error = create(LAN.format("lan") + DISK.format("images", "data.img"))
    assert status == 0, error
    xml = daemon.virsh("dumpxml", "one")
    assert f"<source network='lan' bridge='{bridge}'/>" in xml
    assert "<source pool='images' volume='data.img'/>" in xml
    (tap,) = re.findall(r"<target dev='(vnet\d+)'/>", xml)
    assert os.path.realpath(f"/sys/class/net/{tap}/master").endswith(bridge)
    assert daemon.virsh("domblkinfo", "one", "vda").split()[1] == "1048576"
    daemon.virsh("destroy", "one")
    assert not os.path.exists(f"/sys/class/net/{tap}") and nothing_runs(daemon)


@pytest.mark.parametrize("devices, message", [
    (LAN.format("nowhere"), "error: Network not found: no network with matching name 'nowhere'"),
    (DISK.format("nowhere", "x"),
     "error: Storage pool not found: no storage pool with matching name 'nowhere'"),
    (DISK.format("images", "x"),
     "error: Storage volume not found: no storage vol with matching name 'x'"),
    (DISK.format("images", "layered.img"),
     "error: unsupported configuration: disk 'vda': volume 'layered.img' is a qcow2 image, and only "
     "raw images are supported"),
    (LAN.format("lan") + DISK.format("images", "x"),
     "error: Storage volume not found: no storage vol with matching name 'x'"),
    ("<interface type='direct'><source dev='nowhere'/></interface>",
     "error: internal error: Unable to get index for interface nowhere: No such device"),
])
def test_what_is_not_there(daemon, create, devices, message):
    assert refused(create(devices)) == message
    assert nothing_runs(daemon)


def test_an_image_of_a_cd_is_a_raw_one(daemon, create):
    status, _, error = create(DISK.format("images", "cd.iso"))
    assert status == 0, error
    daemon.virsh("destroy", "one")


def test_a_bridge_that_does_not_look_at_tags(daemon, create, bridge):
    error = refused(create(f"<interface type='bridge'><source bridge='{bridge}'/>"
                           "<vlan><tag id='42'/></vlan></interface>"))
    # The kernel may not even know how.
    assert error.endswith(f"has VLANs, and bridge '{bridge}' does not filter by VLAN") or \
        error.startswith("error: cannot set the VLANs of bridge port 'vnet")
    assert nothing_runs(daemon)


def test_a_libvirt_that_hangs(virtvoled, folder, create):
    """Its socket takes connections, and that is all. Other calls are served meanwhile."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "silent"))
        silent.listen()
        virtvoled.restart(
            "vole.conf", f'network_uri = "network:///system?socket={folder}/silent&mode=direct"\n'
                         'libvirt_timeout = 1\n')
        virtvoled.define("other", kernel="/boot/vmlinuz")
        path = folder / "one.xml"
        error = refused(create(LAN.format("lan")))
        assert error == ("error: Timed out during operation: the host's libvirt did not answer "
                         "within 1 seconds")
        assert virtvoled.virsh("domstate", "other") == "shut off"
        virtvoled.virsh("undefine", "other")
    assert path.exists() and nothing_runs(virtvoled)


def test_a_libvirt_that_is_not_there(virtvoled, folder, create):
    virtvoled.restart("vole.conf",
                      f'network_uri = "network:///system?socket={folder}/none&mode=direct"\n')
    assert refused(create(LAN.format("lan"))) == \
        f"error: Failed to connect socket to '{folder}/none': No such file or directory"
    assert nothing_runs(virtvoled)


# ---- passt ----

def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def passt_of(port):
    """Its pid, by the port that it was told."""
    return [int(pid) for pid in
            subprocess.run(["pgrep", "-f", f"passt .*127.0.0.1/{port}:22"], check=False, text=True,
                           stdout=subprocess.PIPE).stdout.split()]


def test_passt(virtvoled, create, port):
    status, _, error = create(USER.format(port))
    assert status == 0, error
    assert listens(port)
    (pid,) = passt_of(port)
    (vmm,) = virtvoled.vmm_pids()
    assert Path(f"/proc/{pid}/cgroup").read_text() == Path(f"/proc/{vmm}/cgroup").read_text()
    xml = virtvoled.virsh("dumpxml", "one")
    assert "<backend type='passt'/>" in xml
    # it has no tap: the VMM counts
    mac = re.search("mac address='(.*)'", xml)[1]
    for words in map(str.split, virtvoled.virsh("domifstat", "one", mac).splitlines()):
        assert words[0] == mac and words[2] == "0"
    stats = virtvoled.virsh("domstats", "one", "--interface")
    assert f"net.0.name={mac}" in stats and "net.0.rx.bytes=0" in stats
    # the port has one owner
    error = refused(create(USER.format(port), "two"))
    assert error.startswith("error: operation failed: Could not start 'passt': Failed to bind")
    # it is the domain's after a restart of the daemon, and ends with it
    virtvoled.stop(signal.SIGKILL)
    virtvoled.start()
    assert listens(port) and passt_of(port) == [pid]
    virtvoled.virsh("destroy", "one")
    until(lambda: not listens(port), "passt has ended")
    assert nothing_runs(virtvoled)


def test_passt_that_dies(virtvoled, create, port):
    """The guest goes on without."""
    create(USER.format(port))
    (pid,) = passt_of(port)
    os.kill(pid, signal.SIGKILL)
    deadline = Deadline(SHORT)
    while listens(port):
        assert not deadline.passed()
    assert virtvoled.virsh("domstate", "one") == "running"
    virtvoled.virsh("destroy", "one")
    assert nothing_runs(virtvoled)


def test_passt_that_does_not_like_its_words(virtvoled, create):
    error = refused(create("<interface type='user'><source dev='nowhere'/></interface>"))
    assert error.startswith("error: operation failed: Could not start 'passt': ")
    assert "nowhere" in error and nothing_runs(virtvoled)


def test_nobody_else_says_which_process_is_passt(virtvoled, create, port, folder, monkeypatch):
    """It is killed by its pid one day; the file that has it is named among passt's arguments."""
    (folder / "passt").write_text(f"#!/bin/sh\nstat -c '%a %U' $4 >{folder}/seen\n"
                                  f"exec {shutil.which('passt')} \"$@\"\n")
    (folder / "passt").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    virtvoled.stop()
    virtvoled.start()
    status, _, error = create(USER.format(port))
    assert status == 0, error
    (pid,) = passt_of(port)
    user = re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1]
    assert (folder / "seen").read_text() == f"600 {pwd.getpwuid(int(user)).pw_name}\n"
    virtvoled.virsh("destroy", "one")
    until(lambda: not passt_of(port), "passt has ended")
    assert nothing_runs(virtvoled)


def test_no_addresses_without_a_network(virtvoled, create, port):
    create(USER.format(port))
    assert virtvoled.virsh("domifaddr", "one").count("\n") <= 1
    status, _, error = virtvoled.virsh_any("domifaddr", "one", "--source", "agent")
    assert status == 1 and "QEMU guest agent is not configured" in error
    virtvoled.virsh("destroy", "one")
