# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients at once, each with its own domains and with everybody's, while the daemon is killed at
random moments. What a client was told must hold, and nothing may be left over."""

import os
import random
import signal
import socket
import struct
import threading
from pathlib import Path

import libvirt
import pytest

from support.virtvoled import domain_xml
from support.wait import SHORT, Deadline

CLIENTS = 8
OWN = 3  # domains of each client
OPERATIONS = 1000
KILLS = 8

# What an operation may be told when others do things to the same domain.
EXPECTED = {
    libvirt.VIR_ERR_OPERATION_INVALID,  # in this state
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_OPERATION_FAILED,   # ended while it was talked to
    libvirt.VIR_ERR_INTERNAL_ERROR,     # ended while it was started
}


class Gone(Exception):
    """The connection was lost: nobody knows whether the operation was carried out."""


class Client:
    def __init__(self, number, stage):
        self.thread = threading.Thread(target=self.run, name=f"client {number}", daemon=True)
        self.stage = stage
        self.random = random.Random(stage.seed * 100 + number)
        self.own = [f"s{number}-{i}" for i in range(OWN)]
        self.defined = {name: False for name in self.own}  # None: not known
        self.connection = None
        self.failure = None

    def run(self):
        try:
            while self.stage.take_one():
                self.step()
        except BaseException as error:  # told by the test
            self.failure = error

    def connect(self):
        deadline = Deadline(SHORT)
        while True:
            try:
                return libvirt.open(self.stage.uri)
            except libvirt.libvirtError:
                assert not deadline.passed(), "the daemon does not come back"
                self.stage.daemon_is_up.wait(SHORT)

    def step(self):
        if not self.connection:
            self.connection = self.connect()
        own = self.random.random() < 0.4
        operation = self.random.choice(self.OWN_OPERATIONS if own else self.OPERATIONS)
        name = self.random.choice(self.own if own else self.stage.names)
        try:
            operation(self, name)
        except libvirt.libvirtError as error:
            if not self.connection.isAlive() or error.get_error_code() in (
                    libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_RPC,
                    libvirt.VIR_ERR_INVALID_CONN):
                self.connection = None
                if own:
                    self.defined[name] = None
            else:
                assert error.get_error_code() in EXPECTED, f"{operation.__name__} {name}: {error}"

    def domain(self, name):
        return self.connection.lookupByName(name)

    # Of one's own domains: what the client was told is what must hold in the end.

    def define(self, name):
        xml = domain_xml(name, kernel=self.stage.kernel, memory_mib=16, more=(
            f"<uuid>{self.stage.uuids[name]}</uuid>"
            f"<description>{self.random.random()}</description>"))
        self.connection.defineXML(xml)
        self.defined[name] = True

    def undefine(self, name):
        self.domain(name).undefine()
        self.defined[name] = False

    # Of everybody's.

    def start(self, name):
        self.domain(name).create()

    def start_paused(self, name):
        self.domain(name).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)

    def destroy(self, name):
        self.domain(name).destroy()

    def suspend(self, name):
        self.domain(name).suspend()

    def resume(self, name):
        self.domain(name).resume()

    def reset(self, name):
        self.domain(name).reset()

    def describe(self, name):
        self.domain(name).setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, str(self.random.random()),
                                      None, None)

    def look(self, name):
        domain = self.domain(name)
        assert f"<name>{name}</name>" in domain.XMLDesc() and domain.info()

    def list(self, _name):
        names = [domain.name() for domain in self.connection.listAllDomains()]
        assert len(names) == len(set(names)), names

    def statistics(self, _name):
        self.connection.getAllDomainStats()

    def vanish(self, name):
        """Sends a call and goes, without waiting for the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SHORT)
            connection.connect(self.stage.socket)
            for procedure, payload in ((1, struct.pack(">II", 0, 0)), (9, wire_domain(
                    name, self.stage.uuids[name]))):
                connection.sendall(struct.pack(">IIIiiIi", 28 + len(payload), 0x20008086, 1,
                                               procedure, 0, procedure, 0) + payload)

    def vanish_safely(self, name):
        try:
            self.vanish(name)
        except OSError:
            pass  # the daemon is dead just now

    OWN_OPERATIONS = [define, define, define, undefine]
    OPERATIONS = [start, start, start, start_paused, destroy, destroy, suspend, resume, reset,
                  describe, look, list, statistics, vanish_safely]


def wire_domain(name, uuid):
    text = name.encode()
    return (struct.pack(">I", len(text)) + text + bytes(-len(text) % 4)
            + bytes.fromhex(uuid.replace("-", "")) + struct.pack(">i", -1))


class Stage:
    """What the clients share."""

    def __init__(self, daemon, kernel, seed):
        self.daemon, self.kernel, self.seed = daemon, kernel, seed
        self.uri = daemon.uri
        self.socket = f"{daemon.root}/run/libvirt/virtvoled-sock"
        self.lock = threading.Lock()
        self.left = OPERATIONS
        self.done = threading.Condition(self.lock)
        self.daemon_is_up = threading.Event()
        self.daemon_is_up.set()
        self.names = [f"s{client}-{i}" for client in range(CLIENTS) for i in range(OWN)]
        numbers = random.Random(seed)
        self.uuids = {name: "%08x-0000-4000-8000-%012x" % (numbers.getrandbits(32), i)
                      for i, name in enumerate(self.names)}

    def take_one(self):
        with self.lock:
            self.left -= 1
            self.done.notify_all()
            return self.left >= 0

    def wait_until(self, left):
        with self.lock:
            self.done.wait_for(lambda: self.left <= left, SHORT * 4)

    def kill_daemon(self):
        self.daemon_is_up.clear()
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        self.daemon_is_up.set()


def check_definitions(daemon, clients):
    """What each client was told holds; each domain is there once."""
    with daemon.connect() as connection:
        found = [domain.name() for domain in connection.listAllDomains(
            libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT)]
    assert len(found) == len(set(found)), found
    for client in clients:
        for name, defined in client.defined.items():
            if defined is not None:
                assert (name in found) == defined, (
                    f"{name} is {'there' if name in found else 'lost'}, "
                    f"its client was told {defined}")


def check_processes(daemon):
    """Each domain that runs has one VMM, and each VMM a domain."""
    deadline = Deadline(SHORT)
    while True:
        with daemon.connect() as connection:
            active = connection.numOfDomains()
        pids = daemon.vmm_pids()
        if len(pids) == active:
            return
        assert not deadline.passed(), f"{active} domains run, and {len(pids)} VMMs"


@pytest.mark.parametrize("seed", [int(os.environ.get("VOLE_STRESS_SEED", "1"))])
def test_random_operations_while_the_daemon_is_killed(virtvoled, payloads, seed):
    stage = Stage(virtvoled, payloads.echo, seed)
    clients = [Client(number, stage) for number in range(CLIENTS)]
    moments = random.Random(seed)
    for client in clients:
        client.thread.start()
    for kill in range(KILLS):
        between = OPERATIONS // (KILLS + 1)
        stage.wait_until(OPERATIONS - kill * between - moments.randrange(1, between))
        stage.kill_daemon()
    for client in clients:
        client.thread.join(SHORT * 4)
        assert not client.thread.is_alive(), f"{client.thread.name} hangs"
        if client.failure:
            raise client.failure
        client.connection = None
    check_processes(virtvoled)
    check_definitions(virtvoled, clients)
    virtvoled.stop()
    virtvoled.start()
    check_processes(virtvoled)
    check_definitions(virtvoled, clients)

    # Nothing is left when all of them end.
    with virtvoled.connect() as connection:
        for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            domain.destroy()
    assert virtvoled.vmm_pids() == []
    run = Path(virtvoled.root) / "run/libvirt/vole"
    assert [path.name for path in run.iterdir() if not path.name.endswith("autostarted")] == []
