# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's RPC by hand: packets on a socket, and a libvirt daemon that says what a test wants."""

import os
import socket
import struct
import threading
from contextlib import suppress
from typing import NamedTuple

from .wait import SHORT

REMOTE, KEEPALIVE = 0x20008086, 0x6b656570
CALL, REPLY, MESSAGE, STREAM, HOLE = 0, 1, 2, 3, 6
OK, ERROR, CONTINUE = 0, 1, 2
OPEN, CLOSE, AUTH_LIST, AUTH_POLKIT, SET_IDENTITY = 1, 2, 66, 70, 419


class Packet(NamedTuple):
    procedure: int
    type: int = CALL
    serial: int = 0
    status: int = OK
    payload: bytes = b""
    program: int = REMOTE
    version: int = 1

    def encode(self):
        return struct.pack(">IIIiiIi", 28 + len(self.payload), self.program, self.version,
                           self.procedure, self.type, self.serial, self.status) + self.payload

    def reply(self, payload=b"", status=OK, **changes):
        return self._replace(type=REPLY, payload=payload, status=status)._replace(**changes)


class Wire:
    """One end of a connection."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(SHORT)

    @classmethod
    def connect(cls, path):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(SHORT)
        sock.connect(str(path))
        return cls(sock)

    def send(self, packet):
        self.sock.sendall(packet.encode() if isinstance(packet, Packet) else packet)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise EOFError(f"{len(data)} of {count} bytes")
            data += more
        return data

    def receive(self):
        length, *_ = struct.unpack(">I", self._exactly(4))
        program, version, procedure, kind, serial, status = struct.unpack(
            ">IIiiIi", self._exactly(24))
        return Packet(procedure, kind, serial, status, self._exactly(length - 28), program, version)

    def receive_call(self):
        """The next one that is no question whether somebody is there."""
        while (packet := self.receive()).program == KEEPALIVE:
            pass
        return packet

    def ask(self, packet):
        self.send(packet)
        return self.receive()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def string(text):
    data = text.encode()
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def error_payload(code, message):
    return (struct.pack(">iiI", code, 0, 1) + string(message) +
            struct.pack(">iIIIIiiI", 2, 0, 0, 0, 0, -1, -1, 0))


def error_of(packet):
    """(code, message) of an error reply."""
    assert packet.status == ERROR, packet
    code, _, there = struct.unpack(">iiI", packet.payload[:12])
    assert there
    length, *_ = struct.unpack(">I", packet.payload[12:16])
    return code, packet.payload[16:16 + length].decode()


class FakeLibvirtd:
    """Listens at `path`; runs script(Wire) for each connection, in a thread of its own."""

    def __init__(self, path, script):
        self.path = path
        self.script = script
        self.threads = []
        self.failed = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(16)
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        with suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                thread = threading.Thread(target=self._run, args=(Wire(sock),), daemon=True)
                self.threads.append(thread)  # before it runs: a test may ask at once
                thread.start()

    def _run(self, wire):
        with wire:
            try:
                self.script(wire)
            except (EOFError, ConnectionError):
                pass  # the other end is done with us
            except BaseException as error:
                self.failed.append(error)

    def stop_listening(self):
        """The socket stays behind."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join(SHORT)
        self.listener.close()

    def close(self):
        self.stop_listening()
        for thread in self.threads:
            thread.join(SHORT)
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        assert not self.failed, self.failed
        assert not any(thread.is_alive() for thread in self.threads)


def let_in(wire, opened=None):
    """What an honest daemon does until a connection is open."""
    packet = wire.receive_call()
    assert packet.procedure == AUTH_LIST, packet
    wire.send(packet.reply(struct.pack(">II", 1, 0)))
    packet = wire.receive_call()
    assert packet.procedure == OPEN, packet
    if opened is not None:
        opened.append(packet.payload)
    wire.send(packet.reply())
