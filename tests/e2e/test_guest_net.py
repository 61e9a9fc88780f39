# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network and vsock of a Linux guest, served by vole itself and by the host's kernel."""

import hashlib
import os
import random
import socket
import subprocess
import threading

import pytest

from support.wait import BOOT, SCALE, SHORT, Deadline, until

pytestmark = pytest.mark.guest

SIZE = (100 << 20) // SCALE
HOST = "192.0.2.1"
GUEST = "192.0.2.2"
CID = 42


def payload():
    """SIZE bytes, no two pieces of which are the same, made at little cost."""
    piece = random.Random(1).randbytes(1 << 20)
    return b"".join(number.to_bytes(8, "big") + piece[8:] for number in range(SIZE >> 20))


class Server(threading.Thread):
    """Serves one connection: `talk(connection)` in a thread of its own."""

    def __init__(self, talk, family=socket.AF_INET, address=(HOST, 0)):
        super().__init__(daemon=True)
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen(1)
        self.listener.settimeout(BOOT)
        self.port = self.listener.getsockname()[1]
        self.talk = talk
        self.result = None
        self.start()

    def run(self):
        with self.listener, self.listener.accept()[0] as connection:
            connection.settimeout(BOOT)
            self.result = self.talk(connection)

    def wait(self):
        self.join(BOOT)
        assert not self.is_alive(), "the guest did not do its part"
        return self.result


def receive_digest(connection):
    digest = hashlib.sha256()
    while data := connection.recv(1 << 20):
        digest.update(data)
    return digest.hexdigest()


def configure(guest):
    """Address and link of the guest's one interface; its name."""
    guest.run("modprobe virtio_net; udevadm settle 2>/dev/null; true")
    name = guest.run("ls -d /sys/class/net/e*").rpartition("/")[2]
    guest.run(f"ip address add {GUEST}/24 dev {name}; ip link set {name} up")
    return name


def ping():
    """From the host."""
    return subprocess.run(["ping", "-q", "-c", "1", "-W", "10", GUEST], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0


def wait_for_ping():
    """Who does not say within three seconds where it is counts as not there."""
    until(ping, "the guest answers")


def vhost_threads(machine):
    """How many threads the host's kernel has for this vole."""
    listing = subprocess.run(["ps", "-eLo", "comm"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.split()
    return listing.count(f"vhost-{machine.pid}")


@pytest.fixture
def vhost():
    subprocess.run(["modprobe", "vhost_net"], check=True)
    subprocess.run(["modprobe", "vhost_vsock"], check=True)


@pytest.fixture
def wide_tap():
    """A tap with room for several queues, as the tap fixture otherwise."""
    name = f"vm{os.getpid() % 100000}"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr", "multi_queue"],
                   check=True)
    subprocess.run(["ip", "address", "add", f"{HOST}/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.mark.parametrize("how", ["off", "on"])
def test_transfer_both_ways(shell, tap, vhost, how):
    """Much data there and back, once through vole and once through vhost-net."""
    machine, guest = shell("--net", f"tap={tap},vhost={how}")
    configure(guest)
    assert vhost_threads(machine) == (1 if how == "on" else 0)
    data = payload()
    wanted = hashlib.sha256(data).hexdigest()

    guest.run("mount -t tmpfs tmpfs /mnt")
    down = Server(lambda connection: connection.sendall(data))
    guest.run(f"bash -c 'cat </dev/tcp/{HOST}/{down.port} >/mnt/data'", BOOT)
    down.wait()
    assert guest.run("sha256sum </mnt/data", BOOT).split()[0] == wanted

    up = Server(receive_digest)
    guest.run(f"bash -c 'cat /mnt/data >/dev/tcp/{HOST}/{up.port}'", BOOT)
    assert up.wait() == wanted
    # Larger than a frame, the other way round.
    guest.run(f"until ping -c 2 -s 8000 -W 10 {HOST}; do :; done")


@pytest.mark.parametrize("how, queues", [("off", 4), ("on", 2)])
def test_several_queues(shell, wide_tap, vhost, how, queues):
    machine, guest = shell("--cpus", queues, "--net",
                           f"tap={wide_tap},queues={queues},vhost={how}")
    name = configure(guest)
    assert len(guest.run(f"ls -d /sys/class/net/{name}/queues/rx-*").split()) == queues
    assert vhost_threads(machine) == (queues if how == "on" else 0)
    digests = [hashlib.sha256(bytes([n]) * (1 << 20)).hexdigest() for n in range(queues)]
    servers = [Server(receive_digest) for _ in digests]
    # Flows from each processor, and so by each queue.
    for n, server in enumerate(servers):
        guest.run(f"taskset -c {n} bash -c 'head -c {1 << 20} /dev/zero | "
                  f"tr \"\\\\000\" \"\\\\{n:03o}\" >/dev/tcp/{HOST}/{server.port}'", BOOT)
    assert [server.wait() for server in servers] == digests
    # A guest that starts anew has a device that starts anew.
    guest.send("echo b >/proc/sysrq-trigger")
    machine.qmp.event("RESET", BOOT)


@pytest.mark.parametrize("how", ["off", "on"])
def test_the_cable(shell, tap, vhost, how):
    machine, guest = shell("--net", f"tap={tap},vhost={how},id=lan")
    name = configure(guest)
    wait_for_ping()
    machine.qmp.execute("set_link", name="lan", up=False)
    deadline = Deadline(SHORT)
    while guest.run(f"cat /sys/class/net/{name}/carrier") != "0":
        assert not deadline.passed(), "the guest does not see that the cable is out"
    assert not ping()
    machine.qmp.execute("set_link", name="lan", up=True)
    guest.run(f"until [ $(cat /sys/class/net/{name}/carrier) = 1 ]; do sleep 0.1; done")
    wait_for_ping()


def test_starts_without_a_cable(shell, tap):
    _, guest = shell("--net", f"tap={tap},link=off")
    name = configure(guest)
    assert guest.run(f"cat /sys/class/net/{name}/carrier") == "0"


@pytest.mark.parametrize("how", ["off", "on"])
def test_stop_and_cont_under_load(shell, tap, vhost, how):
    """What is on the way while the machine stands still comes when it goes on."""
    machine, guest = shell("--net", f"tap={tap},vhost={how}")
    configure(guest)
    data = payload()[:SIZE // 3]
    server = Server(lambda connection: connection.sendall(data))
    guest.send(f"bash -c 'cat </dev/tcp/{HOST}/{server.port} | sha256sum'")
    for _ in range(5):
        machine.qmp.execute("stop")
        machine.qmp.execute("cont")
    guest.console.expect(hashlib.sha256(data).hexdigest(), BOOT)
    server.wait()
    wait_for_ping()


def test_large_frames(shell, tap):
    """A guest without offloads on a tap whose MTU is above Ethernet's."""
    subprocess.run(["ip", "link", "set", tap, "mtu", "9000"], check=True)
    _, guest = shell("--net", f"tap={tap},mtu=9000,vhost=off")
    name = configure(guest)
    assert guest.run(f"cat /sys/class/net/{name}/mtu") == "9000"
    wait_for_ping()
    until(lambda: subprocess.run(["ping", "-q", "-c", "2", "-M", "do", "-s", "8900", "-W", "10",
                                  GUEST], check=False).returncode == 0, "the guest answers")
    guest.run(f"until ping -c 2 -M do -s 8900 -W 10 {HOST}; do :; done")


def test_no_such_vhost_is_an_error(vole, image, tap, folder):
    with pytest.raises(AssertionError, match="fd:0"):
        vole("--kernel", image.kernel, "--net", f"tap={tap},vhost=on,vhost_fds=fd:0")


ECHO = r"""
use Socket;
socket(my $l, 40, SOCK_STREAM, 0) or die "socket: $!";
bind($l, pack("SSLLx4", 40, 0, 5000, 0xffffffff)) or die "bind: $!";
listen($l, 1) or die "listen: $!";
print "listening\n";
close STDOUT;
accept(my $c, $l) or die "accept: $!";
while (sysread($c, my $data, 65536)) {
    for (my $at = 0; $at < length $data;) { $at += syswrite($c, $data, length($data) - $at, $at); }
}
"""


def test_vsock_echo(shell, vhost):
    """The host calls the guest, and hears what it said."""
    machine, guest = shell("--vsock", f"cid={CID}")
    guest.run("modprobe vmw_vsock_virtio_transport")
    program = ECHO.replace("\n", " ").replace("$", "\\$").replace('"', '\\"')
    assert guest.run(f'perl -e "{program}" >/tmp/out & until grep listening /tmp/out; '
                     "do sleep 0.1; done") == "listening"
    data = payload()[:4 << 20]
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as call:
        call.settimeout(BOOT)
        call.connect((CID, 5000))
        heard = bytearray()
        sender = threading.Thread(target=lambda: (call.sendall(data),
                                                  call.shutdown(socket.SHUT_WR)))
        sender.start()
        while more := call.recv(1 << 16):
            heard += more
        sender.join(BOOT)
    assert bytes(heard) == data
    machine.qmp.execute("quit")
    assert machine.wait() == 0


def test_vsock_to_the_host_after_a_reset(shell, vhost):
    machine, guest = shell("--vsock", f"cid={CID}")
    guest.send("echo b >/proc/sysrq-trigger")
    machine.qmp.event("RESET", BOOT)
    guest = type(guest).init(machine.serial)
    guest.run("modprobe vmw_vsock_virtio_transport")
    server = Server(receive_digest, socket.AF_VSOCK, (socket.VMADDR_CID_ANY, 5001))
    program = ('use Socket; socket(S, 40, SOCK_STREAM, 0); '
               'connect(S, pack("SSLLx4", 40, 0, 5001, 2)) or die $!; syswrite(S, "from the guest")')
    guest.run(f"perl -e '{program}'")
    assert server.wait() == hashlib.sha256(b"from the guest").hexdigest()


def test_a_cid_that_is_taken(shell, vole, image, vhost):
    shell("--vsock", f"cid={CID}")
    with pytest.raises(AssertionError, match=f"cid {CID} is another guest's"):
        vole("--kernel", image.kernel, "--vsock", f"cid={CID}")
