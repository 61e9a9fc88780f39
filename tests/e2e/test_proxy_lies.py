# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls that are handed on to a libvirt daemon which is slow, lies, or breaks off."""

import os
import random
import signal
import struct
import subprocess
import threading
from pathlib import Path

import libvirt
import pytest

from support.rpc import (AUTH_LIST, AUTH_POLKIT, CALL, CONTINUE, ERROR, HOLE, KEEPALIVE, MESSAGE,
                         OK, OPEN, REPLY, SET_IDENTITY, STREAM, FakeLibvirtd, Packet, Wire,
                         error_of, error_payload, let_in, string)
from support.virtvoled import Virtvoled
from support.vole import program
from support.wait import SHORT, listens, until

NUM_OF_DOMAINS, NUM_OF_NETWORKS, NETWORK_LOOKUP, LIST_NETWORKS = 51, 52, 46, 283
REGISTER, DEREGISTER = 313, 314
NUM_OF_POOLS, POOL_LOOKUP, VOL_UPLOAD, VOL_DOWNLOAD = 71, 84, 208, 209
INTERNAL, NO_SUPPORT, RPC, TIMEOUT, SYSTEM = 1, 3, 39, 68, 38
NUMBER = struct.pack(">i", 7)
# The scripts are asked nothing but what the test asks, and may take their time with it.
PATIENT = "host_daemon_timeout = 3600\nkeepalive_interval = 0\n"
CHUNK = 65536


@pytest.fixture
def ours(folder):
    daemon = Virtvoled(folder)
    daemon.configure("virtvoled.conf", PATIENT)
    daemon.start()
    yield daemon
    daemon.close()


@pytest.fixture
def upstream(ours):
    """upstream(script, name) listens where the daemon looks for libvirt's."""
    started = []

    def start(script, name="libvirt-sock"):
        started.append(FakeLibvirtd(ours.root / "run/libvirt" / name, script))
        return started[-1]
    yield start
    for fake in started:
        fake.close()


def open_wire(ours, name="virtvoled-sock"):
    wire = Wire.connect(ours.root / "run/libvirt" / name)
    opened = wire.ask(Packet(OPEN, payload=struct.pack(">I", 1) + string("vole:///system") +
                             bytes(4)))
    assert opened.status == OK
    return wire


@pytest.fixture
def client(ours):
    with open_wire(ours) as wire:
        yield wire


def still_serves(ours, client):
    """Our own calls work, on this connection and on others."""
    assert client.ask(Packet(NUM_OF_DOMAINS, serial=9000)).status == OK
    with ours.connect() as connection:
        assert connection.numOfDomains() == 0


def serve(wire, answer=lambda packet: packet.reply(NUMBER), opened=None):
    let_in(wire, opened)
    while True:
        wire.send(answer(wire.receive()))


# ---- what is handed on ----

def test_packets_are_handed_on_as_they_are(ours, upstream, client):
    seen, opened = [], []

    def script(wire):
        let_in(wire, opened)
        while True:
            seen.append(wire.receive())
            wire.send(seen[-1].reply(b"any bytes", status=OK))
    upstream(script)
    calls = [Packet(NETWORK_LOOKUP, serial=serial, payload=os.urandom(4 * serial % 64))
             for serial in (1, 2, 3, 0x80000000, 0xffffffff)]
    for call in calls:  # all at once: the first has to wait for the connection
        client.send(call)
    assert sorted(client.receive() for _ in calls) == sorted(c.reply(b"any bytes") for c in calls)
    assert seen == calls
    assert opened == [struct.pack(">I", 1) + string("network:///system") + bytes(4)]
    still_serves(ours, client)


def test_each_driver_has_a_connection_of_its_own(upstream, client):
    opened = []

    def script(wire):
        let_in(wire, opened)
        while True:
            wire.send(wire.receive().reply(NUMBER))
    upstream(script)
    for serial, procedure in enumerate((NUM_OF_NETWORKS, NUM_OF_POOLS, NUM_OF_NETWORKS, 111, 139,
                                        178, 126), 1):
        assert client.ask(Packet(procedure, serial=serial)).payload == NUMBER
    names = [payload[8:].split(b":")[0].decode() for payload in opened]
    assert names == ["network", "storage", "nodedev", "secret", "nwfilter", "interface"]


def test_the_modular_daemon_comes_first(ours, upstream, client):
    upstream(lambda wire: serve(wire, lambda packet: packet.reply(b"monolithic")))
    modular = upstream(lambda wire: serve(wire, lambda packet: packet.reply(b"modular!")),
                       "virtnetworkd-sock")
    assert client.ask(Packet(NUM_OF_NETWORKS, serial=1)).payload == b"modular!"
    assert client.ask(Packet(NUM_OF_POOLS, serial=2)).payload == b"monolithic"
    # A socket that a dead one has left behind is passed over.
    modular.stop_listening()
    with open_wire(ours) as other:
        assert other.ask(Packet(NUM_OF_NETWORKS, serial=1)).payload == b"monolithic"


def test_who_may_only_look(ours, upstream):
    opened = []
    upstream(lambda wire: let_in(wire, opened), "libvirt-sock-ro")
    with open_wire(ours, "virtvoled-sock-ro") as reader:
        error_of(reader.ask(Packet(NUM_OF_NETWORKS, serial=1)))  # it ends after the opening
    assert opened == [struct.pack(">I", 1) + string("network:///system") + struct.pack(">I", 1)]


def test_a_session_asks_the_sessions_daemons(folder):
    """And neither makes a socket of its own for readers."""
    opened = []
    runtime = folder / "run"
    fake = FakeLibvirtd(runtime / "libvirt/libvirt-sock",
                        lambda wire: serve(wire, opened=opened))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime),
                   "XDG_CONFIG_HOME": str(folder / "config"),
                   "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
    daemon = subprocess.Popen([program("virtvoled"), "--session"], env=environment)
    until(lambda: listens(runtime / "libvirt/virtvoled-sock"), "virtvoled serves")
    with Wire.connect(runtime / "libvirt/virtvoled-sock") as wire:
        reply = wire.ask(Packet(OPEN, payload=struct.pack(">I", 1) + string("vole:///session") +
                                struct.pack(">I", 1)))
        assert reply.status == OK
        assert wire.ask(Packet(NUM_OF_NETWORKS, serial=1)).payload == NUMBER
    daemon.terminate()
    assert daemon.wait(SHORT) == 0
    fake.close()
    assert opened == [struct.pack(">I", 1) + string("network:///session") + struct.pack(">I", 1)]


def test_a_gateways_word_for_whom_it_speaks(upstream, client):
    identity = (struct.pack(">I", 1) + string("user-name") + struct.pack(">i", 7) +
                string("ada") + bytes(4))
    assert client.ask(Packet(SET_IDENTITY, serial=1, payload=identity)).status == OK
    told = []

    def script(wire):
        let_in(wire)
        packet = wire.receive()
        told.append((packet.procedure, packet.payload))
        wire.send(packet.reply())
        wire.send(wire.receive().reply(NUMBER))
    upstream(script)
    assert client.ask(Packet(NUM_OF_NETWORKS, serial=2)).payload == NUMBER
    assert told == [(SET_IDENTITY, identity)]


def registration(serial, kind):
    return Packet(REGISTER, serial=serial, payload=struct.pack(">iI", kind, 0))


def number(value):
    return struct.pack(">i", value)


def test_events(upstream, client):
    def script(wire):
        let_in(wire)
        wire.send(wire.receive().reply(NUMBER))
        call = wire.receive()
        for procedure in (315, 318, 370, 446, 5000, 1, -1):
            for told in NUMBER, number(8), b"":
                wire.send(Packet(procedure, MESSAGE, serial=1, payload=told + b"!!!!"))
        wire.send(call.reply(NUMBER))
        wire.receive()
    upstream(script)
    ours = client.ask(registration(4, 0)).payload
    client.send(Packet(NUM_OF_NETWORKS, serial=5))
    got = []
    while not got or got[-1].type != REPLY:
        got.append(client.receive())
    # Those of networks that were asked for, and those that are younger than our table, whatever is
    # in them; never one of a domain.
    assert [(packet.procedure, packet.payload) for packet in got[:-1]] == [
        (315, ours + b"!!!!"), (446, ours + b"!!!!"), (5000, ours + b"!!!!"),
        (5000, number(8) + b"!!!!"), (5000, b"!!!!")]


def test_registrations_are_made_again(upstream, client):
    """The next daemon numbers them as it likes, and has something against one of them."""
    heard = []

    def serve_registrations(wire, *numbers):
        for told in numbers:
            call = wire.receive()
            heard.append((call.procedure, call.payload))
            if told is None:
                wire.send(call.reply(error_payload(NO_SUPPORT, "not any more"), ERROR))
            else:
                wire.send(call.reply(told))

    def first(wire):
        let_in(wire)
        serve_registrations(wire, number(7), number(8))
        wire.receive()

    def second(wire):
        let_in(wire)
        serve_registrations(wire, None, number(7))
        call = wire.receive()
        wire.send(Packet(315, MESSAGE, serial=1, payload=number(7)))
        wire.send(call.reply(NUMBER))
        serve_registrations(wire, None, b"")
        wire.receive()

    scripts = iter((first, second))
    upstream(lambda wire: next(scripts)(wire))
    ids = [client.ask(registration(kind, kind)).payload for kind in (1, 2)]
    assert client.ask(Packet(NUM_OF_NETWORKS, serial=3)).status == ERROR
    client.send(Packet(NUM_OF_NETWORKS, serial=5))
    assert client.receive().payload == ids[1]
    assert client.receive().payload == NUMBER
    del heard[:2]
    assert heard == [(REGISTER, struct.pack(">iI", kind, 0)) for kind in (1, 2)]
    del heard[:]
    assert client.ask(Packet(DEREGISTER, serial=6, payload=ids[0])).status == ERROR
    assert client.ask(Packet(DEREGISTER, serial=7, payload=ids[1])).status == OK
    assert heard == [(DEREGISTER, number(-1)), (DEREGISTER, NUMBER)]


def test_a_call_that_comes_behind_an_end_goes_to_the_next_daemon(ours, upstream, client):
    """Both are there when our daemon looks, which stands still meanwhile."""
    leave = threading.Event()

    def script(wire):
        let_in(wire)
        wire.send(wire.receive().reply(NUMBER))
        leave.wait(SHORT)
    fake = upstream(script)
    assert client.ask(Packet(NUM_OF_NETWORKS, serial=1)).payload == NUMBER
    stat = Path(f"/proc/{ours.process.pid}/stat")
    ours.process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T",
              "our daemon stands still")
        leave.set()
        fake.threads[0].join(SHORT)
        client.send(Packet(NUM_OF_NETWORKS, serial=2))
    finally:
        ours.process.send_signal(signal.SIGCONT)
    assert client.receive() == Packet(NUM_OF_NETWORKS, serial=2).reply(NUMBER)
    still_serves(ours, client)


def test_what_belongs_to_nobody_goes_nowhere(ours, upstream, client):
    fake = upstream(lambda wire: pytest.fail("somebody connected"))
    for procedure in (454, 5000, -1, 0, 315, 118, 62):
        code, _ = error_of(client.ask(Packet(procedure, serial=1)))
        assert code in (RPC, NO_SUPPORT)
    bare = Wire.connect(ours.root / "run/libvirt/virtvoled-sock")
    with bare:  # before the connection is open nothing is asked
        assert "not open" in error_of(bare.ask(Packet(NUM_OF_NETWORKS)))[1]
    assert not fake.threads


def test_a_client_that_goes_takes_its_connection_along(ours, upstream):
    gone = threading.Event()

    def script(wire):
        let_in(wire)
        wire.send(wire.receive().reply(NUMBER))
        try:
            wire.receive()
        except EOFError:
            gone.set()
    upstream(script)
    with open_wire(ours) as wire:
        assert wire.ask(Packet(NUM_OF_NETWORKS, serial=1)).payload == NUMBER
    assert gone.wait(SHORT)


# ---- nobody there ----

def test_a_host_without_daemons(ours, client):
    assert client.ask(Packet(NUM_OF_NETWORKS, serial=1)).payload == bytes(4)
    assert client.ask(Packet(LIST_NETWORKS, serial=2, payload=struct.pack(">II", 1, 0))).payload == \
        bytes(8)
    code, message = error_of(client.ask(Packet(NETWORK_LOOKUP, serial=3, payload=string("x"))))
    assert (code, message.split(": ")[1]) == (NO_SUPPORT, "virNetworkLookupByName")
    with ours.connect() as connection:
        for call in (connection.listAllSecrets, connection.listAllDevices,
                     connection.listAllInterfaces, connection.listAllNWFilters):
            with pytest.raises(libvirt.libvirtError) as caught:
                call()
            assert caught.value.get_error_code() == NO_SUPPORT


def test_a_daemon_without_the_driver(ours, upstream, client):
    opened = []

    def script(wire):
        packet = wire.receive()
        wire.send(packet.reply(struct.pack(">II", 1, 0)))
        packet = wire.receive()
        opened.append(packet.payload)
        wire.send(packet.reply(error_payload(5, "no connection driver available"), status=ERROR))
        wire.receive()
    upstream(script)
    for serial in (1, 2):
        assert client.ask(Packet(NUM_OF_NETWORKS, serial=serial)).payload == bytes(4)
        assert client.ask(Packet(NUM_OF_POOLS, serial=serial)).payload == bytes(4)
    assert len(opened) == 2  # it is not asked again
    code, _ = error_of(client.ask(Packet(POOL_LOOKUP, serial=3, payload=string("x"))))
    assert code == libvirt.VIR_ERR_NO_STORAGE_POOL  # the built-in driver's
    still_serves(ours, client)


# ---- until the connection is open ----

def refuse(wire):
    wire.send(wire.receive().reply(error_payload(9, "not you"), status=ERROR))
    wire.receive()


def ask_for_polkit(wire):
    wire.send(wire.receive().reply(struct.pack(">II", 1, 2)))
    packet = wire.receive()
    assert packet.procedure == AUTH_POLKIT
    wire.send(packet.reply(error_payload(45, "denied by policy"), status=ERROR))
    wire.receive()


@pytest.mark.parametrize("script, code, text", [
    (refuse, 9, "not you"),
    (ask_for_polkit, 45, "denied by policy"),
    (lambda wire: wire.receive(), SYSTEM, "End of file while reading data: Input/output error"),
    (lambda wire: None, SYSTEM, ""),
    (lambda wire: wire.send(wire.receive().reply(struct.pack(">II", 1, 1))),
     45, "unsupported authentication type 1"),
    (lambda wire: wire.send(wire.receive().reply(b"")), RPC, "Unable to decode message payload"),
    (lambda wire: wire.send(wire.receive().reply(struct.pack(">I", 0xffffffff))),
     RPC, "Unable to decode message payload"),
    (lambda wire: wire.send(wire.receive().reply(serial=77)), RPC, "serial 77"),
    (lambda wire: wire.send(wire.receive().reply(procedure=2)), RPC, "no call waiting"),
    (lambda wire: wire.send(wire.receive().reply(type=MESSAGE)), RPC, "no call waiting"),
    (lambda wire: wire.send(wire.receive().reply(program=5)), RPC, "Cannot find program 5"),
    (lambda wire: wire.send(wire.receive().reply(status=ERROR)),
     RPC, "Unable to decode message payload"),
    (lambda wire: (wire.receive(), wire.send(struct.pack(">I", 27))), RPC, "impossible length"),
    (lambda wire: (wire.receive(), wire.send(struct.pack(">I", 1 << 26))), RPC,
     "impossible length"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_no_way_in(ours, upstream, client, script, code, text):
    upstream(script)
    client.send(Packet(NUM_OF_NETWORKS, serial=1))
    answer = client.receive()
    assert (answer.procedure, answer.serial, answer.status) == (NUM_OF_NETWORKS, 1, ERROR)
    assert error_of(answer)[0] == code and text in error_of(answer)[1], error_of(answer)
    still_serves(ours, client)


@pytest.mark.parametrize("script, settings, code, text", [
    (lambda wire: (wire.receive(), wire.receive()), "host_daemon_timeout = 2\n",
     TIMEOUT, "within 2 seconds"),
    (lambda wire: (let_in(wire), wire.send(b"\0\0\0\x1c"), [wire.receive() for _ in range(3)]),
     "keepalive_interval = 2\nkeepalive_count = 1\n", INTERNAL, "keepalive timeout"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_one_that_does_not_answer(ours, upstream, script, settings, code, text):
    ours.restart("virtvoled.conf", settings)
    upstream(script)
    with open_wire(ours) as client:
        answer = client.ask(Packet(NUM_OF_NETWORKS, serial=1))
        assert (answer.procedure, answer.serial, answer.status) == (NUM_OF_NETWORKS, 1, ERROR)
        assert error_of(answer)[0] == code and text in error_of(answer)[1], error_of(answer)
        still_serves(ours, client)


def test_one_that_is_slow_keeps_no_other_call_waiting(upstream, client):
    second_is_answered = threading.Event()

    def script(wire):
        let_in(wire)
        call = wire.receive()
        assert second_is_answered.wait(SHORT)
        wire.send(call.reply(NUMBER))
        wire.receive()
    upstream(script)
    client.send(Packet(NUM_OF_NETWORKS, serial=1).encode() +
                Packet(NUM_OF_DOMAINS, serial=2).encode())
    assert client.receive().serial == 2
    second_is_answered.set()
    assert client.receive().serial == 1


# ---- once it is open ----

@pytest.mark.parametrize("lie, text", [
    (lambda call: call.reply(serial=call.serial + 1), "no call waiting for reply"),
    (lambda call: call.reply(procedure=1), "Unexpected message proc 1"),
    (lambda call: call.reply(status=7), "Unexpected message status 7"),
    (lambda call: call.reply(type=5), "Unexpected message type 5"),
    (lambda call: call.reply(type=CALL), "Unexpected message type 0"),
    (lambda call: call.reply(program=0x20008087), "Cannot find program"),
    (lambda call: call.reply(version=2), "Cannot find program"),
    (lambda call: struct.pack(">I", 5), "impossible length"),
    (lambda call: call.reply(NUMBER).encode()[:30], "End of file"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_answers_that_are_none(ours, upstream, client, lie, text):
    honest = []

    def script(wire):
        if honest:
            serve(wire)
        honest.append(True)
        let_in(wire)
        wire.receive()
        wire.send(lie(wire.receive()))
    upstream(script)
    client.send(Packet(NUM_OF_NETWORKS, serial=1))
    client.send(Packet(NUM_OF_NETWORKS, serial=2))
    answers = sorted([client.receive(), client.receive()], key=lambda packet: packet.serial)
    assert [answer.serial for answer in answers] == [1, 2]
    assert all(text in error_of(answer)[1] for answer in answers), answers
    # The next call finds a better one.
    assert client.ask(Packet(NUM_OF_NETWORKS, serial=3)).payload == NUMBER
    still_serves(ours, client)


def test_packets_for_streams_that_there_are_not(ours, upstream, client):
    def script(wire):
        let_in(wire)
        call = wire.receive()
        for serial in (0, 5, call.serial):
            for status in (OK, ERROR, CONTINUE, 9):
                wire.send(Packet(VOL_DOWNLOAD, STREAM, serial, status, b"data"))
            wire.send(Packet(VOL_DOWNLOAD, HOLE, serial, CONTINUE, bytes(12)))
        wire.send(Packet(2, MESSAGE, program=KEEPALIVE))
        wire.send(Packet(1, MESSAGE, program=KEEPALIVE))
        assert wire.receive() == Packet(2, MESSAGE, program=KEEPALIVE)
        wire.send(call.reply(NUMBER))
        wire.receive()
    upstream(script)
    assert client.ask(Packet(NUM_OF_POOLS, serial=1)).payload == NUMBER
    client.send(Packet(VOL_UPLOAD, STREAM, 1, CONTINUE, b"data"))
    still_serves(ours, client)


def test_a_serial_that_is_in_use_ends_the_client(ours, upstream, client):
    upstream(lambda wire: (let_in(wire), wire.receive(), wire.receive()))
    client.send(Packet(NUM_OF_NETWORKS, serial=1))
    client.send(Packet(NUM_OF_POOLS, serial=1))
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            client.receive()
    with ours.connect() as connection:
        assert connection.numOfDomains() == 0


def test_noise(ours, upstream, client):
    """Whatever comes back, each call has one answer, and everybody else is served."""
    source = random.Random(42)

    def script(wire):
        if source.random() < 0.8:
            let_in(wire)
        packet = wire.receive()
        data = bytearray(packet.reply(source.randbytes(source.randrange(80))).encode() * 3)
        for _ in range(source.randrange(1, 12)):
            data[source.randrange(len(data))] = source.randrange(256)
        wire.send(bytes(data))
    upstream(script)
    for serial in range(1, 150):
        client.send(Packet(NUM_OF_NETWORKS, serial=serial))
        while True:
            answer = client.receive()
            if answer.type == REPLY and answer.serial == serial:
                break
            assert answer.type == MESSAGE, answer
    still_serves(ours, client)


# ---- streams ----

def start_stream(client, procedure):
    reply = client.ask(Packet(procedure, serial=3, payload=b"args"))
    assert (reply.status, reply.serial) == (OK, 3)


def test_a_stream_that_breaks_off(ours, upstream, client):
    def script(wire):
        let_in(wire)
        wire.send(wire.receive().reply())
        wire.send(Packet(VOL_DOWNLOAD, STREAM, 3, CONTINUE, b"one"))
        wire.send(Packet(VOL_DOWNLOAD, HOLE, 3, CONTINUE, bytes(12)))
    upstream(script)
    start_stream(client, VOL_DOWNLOAD)
    assert client.receive().payload == b"one"
    assert client.receive().type == HOLE
    last = client.receive()
    assert (last.procedure, last.type, last.serial) == (VOL_DOWNLOAD, STREAM, 3)
    assert "End of file" in error_of(last)[1]
    still_serves(ours, client)


def test_a_stream_that_is_aborted(ours, upstream, client):
    seen = []

    def script(wire):
        let_in(wire)
        wire.send(wire.receive().reply())
        seen.append(wire.receive())
        wire.send(Packet(VOL_UPLOAD, STREAM, 3, OK))
        wire.send(Packet(VOL_UPLOAD, STREAM, 3, CONTINUE, b"late"))
        wire.send(wire.receive().reply(NUMBER))
        wire.receive()
    upstream(script)
    start_stream(client, VOL_UPLOAD)
    abort = Packet(VOL_UPLOAD, STREAM, 3, ERROR)
    assert client.ask(abort) == Packet(VOL_UPLOAD, STREAM, 3, OK)
    assert seen == [abort]
    # The serial is free again, and what comes for the stream is thrown away.
    assert client.ask(Packet(NUM_OF_POOLS, serial=3)).payload == NUMBER
    still_serves(ours, client)


def send_until_full(sock, packet, seconds=0.5):
    """How many packets are taken until nothing more is for a while."""
    count, rest = 0, b""
    sock.settimeout(seconds)
    try:
        while count < 4096:
            rest = rest or packet
            rest = rest[sock.send(rest):]
            count += not rest
    except TimeoutError:
        pass
    sock.settimeout(SHORT)
    return count, rest


def test_a_client_that_does_not_read_stops_the_download(ours, upstream, client):
    packet = Packet(VOL_DOWNLOAD, STREAM, 3, CONTINUE, bytes(CHUNK)).encode()
    sent, filled = [], threading.Event()

    def script(wire):
        let_in(wire)
        wire.send(wire.receive().reply())
        count, rest = send_until_full(wire.sock, packet)
        sent.append(count + bool(rest))
        filled.set()
        wire.send(rest)
        wire.send(Packet(VOL_DOWNLOAD, STREAM, 3, CONTINUE))
        wire.send(wire.receive()._replace(payload=b""))
    upstream(script)
    start_stream(client, VOL_DOWNLOAD)
    assert filled.wait(SHORT)
    assert sent[0] * CHUNK < 8 << 20
    with ours.connect() as connection:
        assert connection.numOfDomains() == 0
    for _ in range(sent[0]):
        assert len(client.receive().payload) == CHUNK
    assert client.receive().payload == b""
    assert client.ask(Packet(VOL_DOWNLOAD, STREAM, 3, OK)).status == OK


def test_a_daemon_that_does_not_read_stops_the_upload(ours, upstream):
    packet = Packet(VOL_UPLOAD, STREAM, 3, CONTINUE, bytes(CHUNK)).encode()
    may_read, got = threading.Event(), []

    def script(wire):
        let_in(wire)
        wire.send(wire.receive().reply())
        wire.sock.settimeout(SHORT)
        assert may_read.wait(SHORT)
        while (last := wire.receive()).status == CONTINUE:
            got.append(len(last.payload))
        wire.send(last)
    upstream(script)
    with open_wire(ours) as client:
        start_stream(client, VOL_UPLOAD)
        count, rest = send_until_full(client.sock, packet)
        assert count * CHUNK < 8 << 20
        with ours.connect() as connection:
            assert connection.numOfDomains() == 0
        may_read.set()
        client.send(rest)
        assert client.ask(Packet(VOL_UPLOAD, STREAM, 3, OK)).status == OK
        assert sum(got) == (count + bool(rest)) * CHUNK
