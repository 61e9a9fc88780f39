# SPDX-License-Identifier: LGPL-2.1-or-later
"""Consoles, named ports and the memory balloon, with Linux's drivers at the other end."""

import hashlib
import re
import socket

import pytest

from support.guest import Shell
from support.wait import BOOT, SHORT, Deadline, until

pytestmark = pytest.mark.guest

MIB = 1 << 20
TRANSFER = SHORT * 4

# The same megabyte on both sides.
TEXT = "".join(f"{n}\n" for n in range(1, 200000)).encode()[:MIB]
MAKE_TEXT = f"seq 1 200000 | head -c {MIB} >/dev/shm/text"
DIGEST = hashlib.sha256(TEXT).hexdigest()


class Peer:
    """The host's end of a chardev."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TRANSFER)
        self.socket.connect(str(path))

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(min(65536, size - len(data)))
            assert piece, f"closed after {len(data)} bytes of {size}"
            data += piece
        return bytes(data)

    def close(self):
        self.socket.close()


@pytest.fixture
def peers():
    """peers(path): a Peer that ends with the test."""
    made = []

    def connect(path):
        made.append(Peer(path))
        return made[-1]

    yield connect
    for peer in made:
        peer.close()


def with_shm(guest):
    guest.run("mkdir -p /dev/shm; mount -t tmpfs -o size=400M none /dev/shm")
    return guest


def exchange(guest, peer, device, prepare="true"):
    """A megabyte each way, one after the other. The device stays open: a terminal that nobody has
    open forgets its settings, and a port has one user."""
    guest.run(f"exec 3<>{device}; {prepare} <&3")
    guest.send("cat /dev/shm/text >&3")
    assert hashlib.sha256(peer.receive(MIB)).hexdigest() == DIGEST
    guest.run("true")
    guest.send(f"head -c {MIB} <&3 | sha256sum | cut -d' ' -f1")
    peer.send(TEXT)
    assert DIGEST in guest.run("true", TRANSFER)
    guest.run("exec 3>&-")


def port_device(guest):
    """The one port that the guest has a name for."""
    guest.run("modprobe virtio_console")
    return "/dev/" + guest.run("ls -d /sys/class/virtio-ports/*").rpartition("/")[2]


# ---- consoles and ports ----

def test_consoles_and_ports_carry_text_both_ways(shell, folder, peers):
    machine, guest = shell("--console", f"unix:{folder}/console0",
                           "--console", f"unix:{folder}/console1",
                           "--port", f"name=org.test.port,id=myport,chardev=unix:{folder}/port")
    hosts = [peers(folder / name) for name in ("console0", "console1", "port")]
    guest.run("modprobe virtio_console")
    with_shm(guest)
    guest.run(MAKE_TEXT)
    assert "org.test.port" in guest.run("cat /sys/class/virtio-ports/*/name").split()

    exchange(guest, hosts[0], "/dev/hvc0", "stty raw -echo")
    exchange(guest, hosts[1], "/dev/hvc1", "stty raw -echo")
    port = guest.run("grep -l org.test.port /sys/class/virtio-ports/*/name").split("/")[-2]
    exchange(guest, hosts[2], f"/dev/{port}")
    assert machine.stderr() == ""


def port_event(machine):
    return machine.qmp.event("VSERPORT_CHANGE", TRANSFER)["data"]


def test_a_port_opens_and_closes(shell, folder, peers):
    machine, guest = shell("--port", f"name=org.test.port,id=myport,chardev=unix:{folder}/port")
    device = port_device(guest)

    def is_open():
        return [each["frontend-open"] for each in machine.qmp.execute("query-chardev")]

    # Nobody is there on the host: for a reader the end.
    assert is_open() == [True, False]  # the serial port, and this one
    guest.run(f"exec 3<>{device}")
    assert port_event(machine) == {"id": "myport", "open": True}
    assert is_open() == [True, True]
    assert guest.run("cat <&3 | wc -c") == "0"

    # A client that comes, asks, gets its answer and goes, which the guest sees; and the next.
    for number in (1, 2):
        peer = peers(folder / "port")
        guest.send("until read question <&3; do :; done; echo answer $question >&3; cat <&3")
        peer.send(f"{number}\n".encode())
        assert peer.receive(9) == f"answer {number}\n".encode()
        peer.close()
        guest.run("true")

    guest.run("exec 3>&-")
    assert port_event(machine) == {"id": "myport", "open": False}
    assert is_open() == [True, False]


def test_what_the_guest_has_open_goes_with_it(shell, folder, peers):
    machine, guest = shell("--port", f"name=org.test.port,id=myport,chardev=unix:{folder}/port")
    device = port_device(guest)
    peer = peers(folder / "port")
    guest.run(f"exec 3<>{device}")
    assert port_event(machine)["open"] is True
    machine.qmp.execute("system_reset")
    assert port_event(machine)["open"] is False
    guest = Shell.init(machine.serial)
    assert port_device(guest) == device
    guest.run(f"echo again >{device}")
    assert peer.receive(6) == b"again\n"


def test_a_transfer_goes_on_after_a_pause(shell, folder, peers):
    machine, guest = shell("--port", f"name=org.test.port,chardev=unix:{folder}/port")
    device = port_device(guest)
    with_shm(guest)
    guest.run(MAKE_TEXT)
    peer = peers(folder / "port")
    guest.send(f"cat /dev/shm/text >{device}")
    first = peer.receive(MIB // 3)
    machine.qmp.execute("stop")
    machine.qmp.event("STOP")
    machine.qmp.execute("cont")
    rest = peer.receive(MIB - len(first))
    assert hashlib.sha256(first + rest).hexdigest() == DIGEST


# ---- the balloon ----

def resident(machine):
    """Bytes of host memory that the process has."""
    with open(f"/proc/{machine.pid}/smaps_rollup", encoding="ascii") as rollup:
        return int(re.search(r"^Rss: +(\d+) kB", rollup.read(), re.M)[1]) * 1024


def memory(guest, field):
    return int(guest.run(f"awk '/^{field}:/ {{print $2}}' /proc/meminfo")) * 1024


def touch_memory(guest, mib):
    """Has the guest use memory and give it back to itself."""
    guest.run(f"head -c {mib}M /dev/zero >/dev/shm/used", TRANSFER)
    guest.run("rm /dev/shm/used")


def wait_for_balloon(machine, size):
    while machine.qmp.event("BALLOON_CHANGE", TRANSFER)["data"]["actual"] != size:
        pass
    assert machine.qmp.execute("query-balloon") == {"actual": size}


def test_the_balloon_moves(shell):
    machine, guest = shell("--balloon=free_page_reporting=off")
    guest.run("modprobe virtio_balloon")
    with_shm(guest)
    assert machine.qmp.execute("query-balloon") == {"actual": 512 * MIB}
    touch_memory(guest, 250)
    used, available = resident(machine), memory(guest, "MemAvailable")
    assert used > 250 * MIB

    machine.qmp.execute("balloon", value=212 * MIB)
    wait_for_balloon(machine, 212 * MIB)
    assert memory(guest, "MemAvailable") < available - 280 * MIB
    assert resident(machine) < used - 200 * MIB

    machine.qmp.execute("balloon", value=512 * MIB)
    wait_for_balloon(machine, 512 * MIB)
    until(lambda: memory(guest, "MemAvailable") > available - 20 * MIB, "the memory is the guest's")
    touch_memory(guest, 250)
    assert resident(machine) > 250 * MIB
    assert machine.stderr() == ""


def test_the_balloon_over_a_reset(shell):
    """The guest's balloon is gone with the guest; what is wanted of the next one stays."""
    machine, guest = shell("--balloon")
    guest.run("modprobe virtio_balloon")
    machine.qmp.execute("balloon", value=400 * MIB)
    wait_for_balloon(machine, 400 * MIB)
    machine.qmp.execute("system_reset")
    wait_for_balloon(machine, 512 * MIB)
    guest = Shell.init(machine.serial, BOOT)
    guest.run("modprobe virtio_balloon")
    wait_for_balloon(machine, 400 * MIB)


def test_statistics(shell):
    machine, guest = shell("--balloon")
    place = {"path": "/machine/peripheral/balloon0"}
    guest.run("modprobe virtio_balloon")
    machine.qmp.execute("qom-set", **place, property="guest-stats-polling-interval", value=1)
    first = wait_for_stats(machine, place, 0)
    assert first["stats"]["stat-total-memory"] == memory(guest, "MemTotal")
    assert 0 < first["stats"]["stat-free-memory"] < first["stats"]["stat-total-memory"]
    assert first["stats"]["stat-major-faults"] >= 0
    later = wait_for_stats(machine, place, first["last-update"])
    assert later["stats"]["stat-minor-faults"] >= first["stats"]["stat-minor-faults"]


def wait_for_stats(machine, place, after):
    deadline = Deadline(TRANSFER)
    while not deadline.passed():
        stats = machine.qmp.execute("qom-get", **place, property="guest-stats")
        if stats["last-update"] > after:
            return stats
    raise AssertionError("no new statistics")


def test_free_pages_go_back_by_themselves(shell):
    machine, guest = shell("--balloon")
    guest.run("modprobe virtio_balloon")
    with_shm(guest)
    guest.run("head -c 250M /dev/zero >/dev/shm/used", TRANSFER)
    used = resident(machine)
    assert used > 250 * MIB
    guest.run("rm /dev/shm/used")
    deadline = Deadline(TRANSFER)
    while resident(machine) > used - 200 * MIB:
        assert not deadline.passed(), "free pages stay with the guest"
        guest.run("sleep 1")
    assert machine.qmp.execute("query-balloon") == {"actual": 512 * MIB}
