# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests on what the host's own libvirt has: its default network, a volume of its storage; on a
macvtap and a bridge with VLANs; and an unprivileged user's guest behind passt."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import libvirt
import pytest

from support.console import Console
from support.guest import CONSOLE, Shell
from support.virtvoled import Virtvoled
from support.wait import BOOT, SHORT, Deadline, until

pytestmark = pytest.mark.guest

MAC = "52:54:00:12:34:01"
OWN_MAC = "52:54:00:12:34:02"
LEASED = "192.168.122."
NETWORK = ["virsh", "-c", "network:///system"]
# busybox's udhcpc has a script do what the lease says.
CONFIGURE = ("printf '#!/bin/sh\\n[ \"$1\" = bound ] && ip address add $ip/$mask dev $interface\\n"
             "[ \"$1\" = bound ] && ip route add default via $router\\ntrue\\n' >/tmp/bound; "
             "chmod +x /tmp/bound; ip link set {0} up; udhcpc -i {0} -n -q -t 20 -T 1 -s /tmp/bound")


def output_of(*argv):
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE).stdout


def ip(*arguments):
    return output_of("ip", *arguments)


def interfaces(prefix):
    return sorted(name for name in os.listdir("/sys/class/net") if name.startswith(prefix))


def ports():
    return re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", output_of(*NETWORK, "net-port-list", "default"))


@pytest.fixture
def libvirtd():
    """The host's own libvirt, with Debian's default network and nothing else of its own."""
    assert os.environ.get("VOLE_LAB"), "only a lab is there to throw away"
    for module in ("bridge", "nf_tables", "nft_compat", "dummy", "macvtap"):
        subprocess.run(["modprobe", module], check=False)
    # Its qemu driver looks for a user and a group, without which nothing of it starts.
    subprocess.run(["groupadd", "--system", "libvirt-qemu"], check=False)
    subprocess.run(["useradd", "--system", "-g", "libvirt-qemu", "libvirt-qemu"], check=False)
    process = subprocess.Popen(["/usr/sbin/libvirtd"], stdin=subprocess.DEVNULL)
    deadline = Deadline(BOOT)
    while True:
        with suppress(libvirt.libvirtError):
            connection = libvirt.open("network:///system")
            break
        assert process.poll() is None and not deadline.passed(), "libvirtd does not answer"
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    network = connection.networkLookupByName("default")
    if not network.isActive():
        network.create()
    yield connection
    network.destroy()
    connection.close()
    process.send_signal(signal.SIGTERM)
    process.wait(SHORT)


@pytest.fixture
def links():
    """Two interfaces that lead nowhere, and a bridge that looks at VLANs."""
    for name in ("vole-e2e-up", "vole-e2e-own"):
        ip("link", "add", name, "type", "dummy")
        ip("link", "set", name, "up")
    ip("link", "add", "vole-e2e-br", "type", "bridge", "vlan_filtering", "1")
    ip("link", "set", "vole-e2e-br", "up")
    yield
    ip("link", "delete", "vole-e2e-br")
    for name in ("vole-e2e-up", "vole-e2e-own"):
        ip("link", "delete", name)


@pytest.fixture
def volume(libvirtd, folder):
    """A pool with one volume of 3 MiB."""
    target = folder / "pool"
    target.mkdir()
    connection = libvirt.open("storage:///system")
    pool = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>e2e</name><target><path>{target}</path></target></pool>")
    pool.createXML("<volume><name>data.img</name><capacity unit='MiB'>3</capacity>"
                   "<target><format type='raw'/></target></volume>")
    yield target / "data.img"
    pool.destroy()
    connection.close()


def create(daemon, image, devices):
    """Starts "guest" and returns its first shell, and the domain's XML."""
    path = daemon.folder / "guest.serial"
    # Where everybody may read them.
    kernel = shutil.copy(image.kernel, daemon.folder / "vmlinuz")
    initrd = shutil.copy(image.small_initrd, daemon.folder / "initrd.img")
    xml = daemon.folder / "guest.xml"
    xml.write_text(f"""<domain type='kvm'><name>guest</name><memory unit='MiB'>256</memory>
        <os><type>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>
          <cmdline>console={CONSOLE} quiet net.ifnames=0</cmdline></os>
        <devices>{devices}
          <serial type='unix'><source mode='bind' path='{path}'/></serial></devices></domain>
        """, encoding="utf-8")
    status, _, error = daemon.virsh_any("create", xml)
    if status != 0:
        return None, error
    shell = Shell.init(Console.unix(path))
    return shell, daemon.virsh("dumpxml", "guest")


def mac_of(name):
    return Path(f"/sys/class/net/{name}/address").read_text().strip()


def ping(address):
    return subprocess.run(["ping", "-q", "-c", "1", "-W", "20", address], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0


# In a lab of another architecture there is no libvirtd, whose part is the same everywhere.
@pytest.mark.x86_64
def test_networks_and_volumes(libvirtd, system_virtvoled, image, links, volume):
    daemon = system_virtvoled
    devices = f"""
        <disk type='volume'><source pool='e2e' volume='data.img'/><target dev='vda'/></disk>
        <interface type='network'><mac address='{MAC}'/><source network='default'/></interface>
        <interface type='direct'><source dev='vole-e2e-up' mode='bridge'/></interface>
        <interface type='direct'><mac address='{OWN_MAC}'/>
          <source dev='vole-e2e-own' mode='passthrough'/></interface>
        <interface type='bridge'><source bridge='vole-e2e-br'/>
          <vlan><tag id='42'/></vlan><port isolated='yes'/></interface>"""
    mac_before = mac_of("vole-e2e-own")
    shell, xml = create(daemon, image, devices)
    assert shell, xml

    # what it is, while it runs
    (port,) = ports()
    assert f"<source network='default' portid='{port}' bridge='virbr0'/>" in xml
    macvtap, own = interfaces("macvtap")
    assert f"<target dev='{macvtap}'/>" in xml and f"<target dev='{own}'/>" in xml
    assert "macvtap mode bridge" in ip("-d", "link", "show", macvtap)
    assert "macvtap mode passthru" in ip("-d", "link", "show", own)
    assert mac_of(own) == mac_of("vole-e2e-own") == OWN_MAC
    tagged = re.findall(r"<target dev='(vnet\d+)'/>", xml)[1]
    vlans = output_of("bridge", "vlan", "show", "dev", tagged).split()
    assert vlans[-4:] == [tagged, "42", "PVID", "Egress"] or "42 PVID Egress Untagged" in \
        " ".join(vlans) and " 1 " not in " ".join(vlans)
    assert "isolated on" in ip("-d", "link", "show", tagged)
    assert shell.run("cat /sys/block/vda/size") == str(3 << 11)
    assert daemon.virsh("domblklist", "guest").split()[-2:] == ["vda", volume.name]
    assert daemon.virsh("domblkinfo", "guest", "vda").split()[1] == str(3 << 20)

    # a lease, by which it is found, and the host's neighbour
    shell.run(CONFIGURE.format("eth0"))
    (address,) = re.findall(rf"{re.escape(LEASED)}\d+", shell.run("ip -4 -o address show eth0"))[:1]
    # The guest has it a moment before libvirt's helper has written it down.
    until(lambda: f"{address}/24" in daemon.virsh("domifaddr", "guest"), "the lease is known")
    assert MAC in daemon.virsh("domifaddr", "guest")
    until(lambda: ping(address), "the guest answers")
    assert address in daemon.virsh("domifaddr", "guest", "--source", "arp")
    status, _, error = daemon.virsh_any("domifaddr", "guest", "--source", "agent")
    assert status != 0 and "QEMU guest agent is not configured" in error

    # the port is the domain's, whoever starts anew, and nobody's in the end
    daemon.stop(signal.SIGKILL)
    daemon.start()
    assert "running" in daemon.virsh("list")
    assert f"{address}/24" in daemon.virsh("domifaddr", "guest")
    assert ports() == [port]
    daemon.virsh("destroy", "guest")
    assert not ports() and not interfaces("macvtap") and not interfaces("vnet")
    assert mac_of("vole-e2e-own") == mac_before

    # a network that is missing, or that nobody started
    gone = f"<interface type='network'><mac address='{MAC}'/><source network='nowhere'/></interface>"
    shell, error = create(daemon, image, gone)
    assert not shell
    assert "Network not found: no network with matching name 'nowhere'" in error
    libvirtd.networkLookupByName("default").destroy()
    shell, error = create(daemon, image, gone.replace("nowhere", "default"))
    assert not shell and "network 'default' is not active" in error
    libvirtd.networkLookupByName("default").create()
    assert not ports() and not interfaces("vnet")
    assert daemon.virsh("list", "--all", "--name") == ""


# ---- an unprivileged user ----

class Session(Virtvoled):
    """The daemon of a user's session, and virsh as that user."""

    def __init__(self, folder, user):
        super().__init__(folder)
        self.prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
                       "env", f"HOME={folder}", f"XDG_RUNTIME_DIR={folder}/run"]
        self.uri = f"vole:///session?socket={folder}/run/libvirt/virtvoled-sock"
        self.options = ["--session"]
        (folder / "run").mkdir(mode=0o700)
        shutil.rmtree(self.root)
        for path in (folder, folder / "run"):
            os.chown(path, user.pw_uid, user.pw_gid)

@pytest.fixture
def session(folder):
    os.chmod("/dev/kvm", 0o666)
    subprocess.run(["modprobe", "dummy"], check=False)
    # passt gives its guest the addresses of the interface with the default route.
    ip("link", "add", "vole-e2e-up", "type", "dummy")
    ip("address", "add", "198.51.100.2/24", "dev", "vole-e2e-up")
    ip("link", "set", "vole-e2e-up", "up")
    ip("route", "add", "default", "via", "198.51.100.1", "metric", "1")
    daemon = Session(folder, pwd.getpwnam("nobody")).start()
    yield daemon
    daemon.close()
    ip("link", "delete", "vole-e2e-up")


def test_user_networking_without_privileges(session, image, port):
    shell, xml = create(session, image, f"""<interface type='user'><mac address='{MAC}'/>
        <portForward proto='tcp' address='127.0.0.1'><range start='{port}' to='80'/></portForward>
        </interface>""")
    assert shell, xml
    assert "<backend type='passt'/>" in xml
    assert set(output_of("ps", "-o", "user=", "-C", "passt,passt.avx2").split()) == {"nobody"}
    shell.run(CONFIGURE.format("eth0"))
    assert "198.51.100.2/24" in shell.run("ip -4 -o address show eth0")
    shell.run("printf '#!/bin/sh\\nread line\\necho the guest says so\\n' >/tmp/say; chmod +x /tmp/say; "
              "nc -ll -p 80 -e /tmp/say & until netstat -tln | grep -q ':80 '; do :; done")
    deadline = Deadline(SHORT)
    heard = b""
    while not heard and not deadline.passed():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), SHORT) as client:
            client.settimeout(SHORT)
            # Debian 12's passt tells the guest that it is connected only with the first data.
            client.sendall(b"who is there?\n")
            heard = client.makefile("rb").readline()
    assert heard == b"the guest says so\n"

    # what has gone through it, as the VMM counts it
    counted = dict(line.split()[1:] for line in
                   session.virsh("domifstat", "guest", MAC).splitlines())
    assert int(counted["rx_bytes"]) > int(counted["rx_packets"]) > 0
    assert int(counted["tx_bytes"]) > int(counted["tx_packets"]) > 0
    stats = session.virsh("domstats", "guest", "--interface")
    assert f"net.0.name={MAC}" in stats and "net.0.tx.pkts=" in stats

    # passt is killed: the guest's cable is out, and it goes on
    (pid,) = output_of("pgrep", "-f", f"passt .*127.0.0.1/{port}:80").split()
    os.kill(int(pid), signal.SIGKILL)
    deadline = Deadline(SHORT * 4)
    while "<link state='down'/>" not in session.virsh("dumpxml", "guest"):
        assert not deadline.passed()
    shell.run("until [ $(cat /sys/class/net/eth0/carrier) = 0 ]; do sleep 0.1; done")
    status, _, error = session.virsh_any("domif-setlink", "guest", MAC, "up")
    assert status != 0 and "stays down: its peer is gone" in error
    session.virsh("destroy", "guest")
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0  # nobody has it any more
