# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows of throughput: a disk and a network device, under load from inside the guest."""

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path

from tools import BenchError, LinuxGuest, folder, in_turns, row
from vmm import Machine, Process

SECONDS = 2
MEMORY_MIB = 256
MIB = 1 << 20
DISK_SIZE = 256 * MIB
KIB4 = 4096

# name, kind, size, depth; writes first, so that nothing reads holes.
DISK_JOBS = [
    ("write-1M", "write", MIB, 4),
    ("read-1M", "read", MIB, 4),
    ("randread-4k-1", "randread", KIB4, 1),
    ("randwrite-4k-1", "randwrite", KIB4, 1),
    ("randread-4k-32", "randread", KIB4, 32),
    ("randwrite-4k-32", "randwrite", KIB4, 32),
]


def disk(programs, rounds):
    """a disk: in sequence, at random, and at random with many requests at a time"""
    words = ["drivers"] + [f"disk:{name}:{kind}:{size}:{depth}:{SECONDS}"
                           for name, kind, size, depth in DISK_JOBS]
    with folder() as home:
        guest = LinuxGuest(home, drivers=True)
        with disk_folder(home) as place:
            image = place / "disk.img"
            fill(image)
            machine = Machine(guest.kernel, guest.initrd, guest.command_line("ttyS0", *words),
                              memory_mib=MEMORY_MIB, disk=image)

            def one(who, _):
                with Process(who, programs, machine) as process:
                    return process.results()

            results = in_turns(max(rounds // 4, 1), one)
    rows = []
    for name, _, size, _ in DISK_JOBS:
        in_sequence = size == MIB
        rates = {who: [rate(value[name], in_sequence) for value in values]
                 for who, values in results.items()}
        rows.append(row(f"disk {name}", "MB/s" if in_sequence else "IOPS", rates, ratio_min=1))
    return rows


def rate(result, in_bytes):
    size, count, seconds = result
    return size / 1e6 / seconds if in_bytes else count / seconds


def fill(image):
    """All blocks there, and in the page cache."""
    block = os.urandom(MIB)
    with open(image, "wb") as out:
        for _ in range(DISK_SIZE // MIB):
            out.write(block)
        os.fsync(out.fileno())


@contextlib.contextmanager
def disk_folder(home):
    """Where the image lies. In a lab all is tmpfs, for which io_uring has only its slow road; there
    it is an ext4 file system on a disk of RAM, as an image on a real machine would be on one."""
    if not os.environ.get("VOLE_LAB"):
        yield home
        return
    place = home / "disk"
    place.mkdir()
    subprocess.run(["modprobe", "brd", "rd_nr=1", f"rd_size={(DISK_SIZE + 64 * MIB) // 1024}"],
                   check=True)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "/dev/ram0"], check=True)
    subprocess.run(["mount", "/dev/ram0", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        subprocess.run(["rmmod", "brd"], check=True)


# ---- net ----

HOST = "192.0.2.1"
TAP = "vole-bench"


def net(programs, rounds):
    """one TCP stream each way over a tap, in the VMM's process and by vhost"""
    subprocess.run(["modprobe", "-q", "vhost_net"], check=False)
    rows = []
    with folder() as home, tap() as name, Peer() as peer:
        guest = LinuxGuest(home, drivers=True)
        words = ["drivers", f"net:send:send:{peer.sink}:{SECONDS}",
                 f"net:receive:receive:{peer.source}:{SECONDS}"]
        for vhost in (False, True):
            if vhost and not os.access("/dev/vhost-net", os.R_OK | os.W_OK):
                raise BenchError("/dev/vhost-net cannot be used here")
            machine = Machine(guest.kernel, guest.initrd, guest.command_line("ttyS0", *words),
                              memory_mib=MEMORY_MIB, tap=name, vhost=vhost)

            def one(who, _, machine=machine):
                with Process(who, programs, machine) as process:
                    return {key: rate(value, True) for key, value in process.results().items()}

            results = in_turns(max(rounds // 4, 1), one)
            kind = "vhost" if vhost else "in process"
            rows += [row(f"net from guest, {kind}", "MB/s", results, "send", ratio_min=1),
                     row(f"net to guest, {kind}", "MB/s", results, "receive", ratio_min=1)]
    return rows


@contextlib.contextmanager
def tap():
    try:
        subprocess.run(["ip", "tuntap", "add", TAP, "mode", "tap", "vnet_hdr"], check=True)
    except subprocess.CalledProcessError:
        raise BenchError(f"the tap {TAP} cannot be made; it takes root") from None
    try:
        subprocess.run(["ip", "address", "add", f"{HOST}/24", "dev", TAP], check=True)
        subprocess.run(["ip", "link", "set", TAP, "up"], check=True)
        yield TAP
    finally:
        subprocess.run(["ip", "link", "delete", TAP], check=True)


class Peer:
    """The other end of the streams: a port that takes all there is, and one that gives all it can."""

    def __enter__(self):
        self.listeners = []
        self.sink = self._serve(self._take)
        self.source = self._serve(self._give)
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _serve(self, handle):
        listener = socket.create_server((HOST, 0))
        self.listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, handle), daemon=True).start()
        return listener.getsockname()[1]

    @staticmethod
    def _accept(listener, handle):
        with contextlib.suppress(OSError):  # the end of the listener
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):  # the guest leaves as it likes
                    handle(connection)

    @staticmethod
    def _take(connection):
        buffer = bytearray(MIB)
        while connection.recv_into(buffer):
            pass

    @staticmethod
    def _give(connection):
        buffer = bytes(MIB)
        while True:
            connection.sendall(buffer)
