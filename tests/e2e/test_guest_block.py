# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks of Linux guests: that what a guest wrote is in the image, whatever happens then."""

import hashlib
import os
import signal
import subprocess

import pytest

from support.guest import Shell
from support.wait import BOOT, until

pytestmark = pytest.mark.guest

MIB = 1 << 20


def blank(path, size=64 * MIB):
    with open(path, "wb") as image:
        image.truncate(size)
    return path


def digest(data):
    return hashlib.sha256(data).hexdigest()


def contents(path, offset=0, size=-1):
    with open(path, "rb") as image:
        image.seek(offset)
        return image.read(size)


def kill(machine):
    machine.process.send_signal(signal.SIGKILL)
    machine.process.wait()


def file_in(image, name):
    """A file of an ext4 file system, after its journal was replayed."""
    check = subprocess.run(["/sbin/e2fsck", "-fp", image], check=False, capture_output=True,
                           text=True)
    assert check.returncode in (0, 1), check.stdout  # 1: the journal was replayed
    return subprocess.run(["/sbin/debugfs", "-R", f"cat {name}", image], check=True,
                          capture_output=True).stdout


# ---- what is written is there ----

@pytest.mark.parametrize("options", ["", ",engine=io_uring", ",engine=threads", ",queues=2"])
def test_written_flushed_and_read_back(small, folder, options):
    """Both in the guest, past its cache, and in the image, for every way to carry requests out."""
    image = blank(folder / "data.img")
    machine, guest = small("--cpus", "2", "--disk", f"{image}{options}")
    guest.run("head -c 8m /dev/urandom >/tmp/data")
    expected = guest.run("sha256sum </tmp/data").split()[0]
    # In the middle of the disk, so that offsets count; large requests, then small ones.
    guest.run("dd if=/tmp/data of=/dev/vda bs=1M seek=8 conv=fsync")
    guest.run("dd if=/tmp/data of=/dev/vda bs=4k count=256 seek=14336 conv=fsync")
    guest.run("echo 3 >/proc/sys/vm/drop_caches")
    assert guest.run("dd if=/dev/vda bs=1M skip=8 count=8 2>/dev/null | sha256sum").split()[0] \
        == expected
    data = contents(image, 8 * MIB, 8 * MIB)
    assert digest(data) == expected
    assert contents(image, 14336 * 4096, MIB) == data[:MIB]
    assert contents(image, 0, 8 * MIB) == bytes(8 * MIB)
    stats = machine.qmp.execute("query-blockstats")[0]["stats"]
    assert stats["wr_bytes"] >= 9 * MIB and stats["flush_operations"] >= 2


def test_past_the_hosts_cache(ram_disk, small):
    _, guest = small("--disk", f"{ram_disk},direct=on")
    guest.run("head -c 8m /dev/urandom >/tmp/data; dd if=/tmp/data of=/dev/vda bs=64k conv=fsync")
    assert digest(contents(ram_disk, 0, 8 * MIB)) == guest.run("sha256sum </tmp/data").split()[0]


@pytest.fixture
def ram_disk():
    """A block device of the host's; there is no direct I/O to the files of a lab."""
    assert os.environ.get("VOLE_LAB"), "only a lab has block devices to throw away"
    subprocess.run(["modprobe", "brd", "rd_nr=1", f"rd_size={32 * MIB // 1024}"], check=True)
    yield "/dev/ram0"
    # What the kernel does for a process that is gone may take a moment more.
    until(lambda: subprocess.run(["rmmod", "brd"], check=False).returncode == 0, "brd is unloaded")


def test_after_a_sync_the_data_survives_a_kill(shell, disk):
    machine, guest = shell()
    guest.run("head -c 4m /dev/urandom >/root/data; sync")
    expected = guest.run("sha256sum </root/data").split()[0]
    kill(machine)
    assert digest(file_in(disk, "/root/data")) == expected


def test_a_flush_of_the_raw_disk_survives_a_kill(small, folder):
    """And what is written meanwhile does not harm it."""
    image = blank(folder / "data.img")
    machine, guest = small("--disk", image)
    guest.run("head -c 8m /dev/urandom >/tmp/data")
    expected = guest.run("sha256sum </tmp/data").split()[0]
    guest.run("dd if=/tmp/data of=/dev/vda bs=1M conv=fsync")
    guest.send("dd if=/dev/urandom of=/dev/vda bs=4k seek=4096 & echo writing")
    guest.console.expect("writing")
    kill(machine)
    assert digest(contents(image, 0, 8 * MIB)) == expected


def test_there_again_after_a_reboot(small, folder):
    image = blank(folder / "data.img")
    machine, guest = small("--disk", image)
    guest.run("head -c 4m /dev/urandom >/tmp/data; dd if=/tmp/data of=/dev/vda bs=1M conv=fsync")
    expected = guest.run("sha256sum </tmp/data").split()[0]
    guest.send("echo b >/proc/sysrq-trigger")
    machine.qmp.event("RESET", BOOT)
    guest = Shell.init(machine.serial)
    assert guest.run("head -c 4m /dev/vda | sha256sum").split()[0] == expected


# ---- what a disk is ----

def test_read_only_and_serial(small, folder):
    first = blank(folder / "first.img")
    second = folder / "second.img"
    second.write_bytes(b"first sector".ljust(512, b".") + bytes(MIB))
    original = second.read_bytes()
    machine, guest = small("--disk", first, "--disk", f"{second},readonly=on,serial=SECOND-1")
    assert guest.run("head -c 12 /dev/vdb") == "first sector"
    assert guest.run("cat /sys/block/vdb/ro") == "1"
    assert guest.run("cat /sys/block/vdb/serial") == "SECOND-1"
    assert guest.run("cat /sys/block/vdb/size") == str(len(original) // 512)
    status, _ = guest.run_any("dd if=/dev/zero of=/dev/vdb bs=512 count=1 conv=fsync")
    assert status != 0
    machine.qmp.execute("quit")
    machine.wait()
    assert second.read_bytes() == original


def test_queues(small, folder):
    _, guest = small("--cpus", "2", "--disk", f"{blank(folder / 'data.img')},queues=2")
    assert guest.run("ls /sys/block/vda/mq | wc -l") == "2"


def test_discard_gives_the_hosts_space_back(small, folder):
    image = folder / "data.img"
    image.write_bytes(os.urandom(16 * MIB))
    before = contents(image)
    _, guest = small("--disk", image)
    guest.run("blkdiscard -o 4194304 -l 8388608 /dev/vda")
    assert os.stat(image).st_blocks * 512 <= 8 * MIB + 65536
    after = contents(image)
    assert after[:4 * MIB] == before[:4 * MIB]
    assert after[4 * MIB:12 * MIB] == bytes(8 * MIB)
    assert after[12 * MIB:] == before[12 * MIB:]


def test_no_discard(small, folder):
    image = folder / "data.img"
    image.write_bytes(os.urandom(MIB))
    before = contents(image)
    _, guest = small("--disk", f"{image},discard=off")
    status, _ = guest.run_any("blkdiscard /dev/vda")
    assert status != 0
    assert contents(image) == before


def test_grows_while_it_is_used(small, folder):
    image = blank(folder / "data.img", 16 * MIB)
    machine, guest = small("--disk", f"{image},id=data")
    assert guest.run("cat /sys/block/vda/size") == str(16 * MIB // 512)
    machine.qmp.execute("block_resize", device="data", size=32 * MIB)
    guest.run(f"until [ $(cat /sys/block/vda/size) = {32 * MIB // 512} ]; do sleep 0.1; done")
    guest.run("echo last | dd of=/dev/vda bs=512 seek=65535 conv=fsync,sync")
    assert contents(image, 32 * MIB - 512, 5) == b"last\n"


def test_an_image_that_got_shorter(small, folder):
    image = blank(folder / "data.img", MIB)
    machine, guest = small("--disk", f"{image},id=data")
    os.truncate(image, 4096)
    guest.run("! dd if=/dev/vda of=/dev/null bs=4k skip=2 count=1")
    event = machine.qmp.event("BLOCK_IO_ERROR")
    assert event["data"] == {"device": "data", "node-name": "data", "operation": "read",
                             "action": "report", "nospace": False,
                             "reason": "Input/output error"}
    # and what there is can be read as before
    guest.run("dd if=/dev/vda of=/dev/null bs=4k count=1")


def test_a_limit_slows_down_and_harms_nothing(small, folder):
    image = blank(folder / "data.img", 16 * MIB)
    machine, guest = small("--disk", f"{image},id=data,bps=4M,iops=200")
    guest.run("head -c 6m /dev/urandom >/tmp/data; dd if=/tmp/data of=/dev/vda bs=1M conv=fsync",
              BOOT)
    assert digest(contents(image, 0, 6 * MIB)) == guest.run("sha256sum </tmp/data").split()[0]
    (info,) = machine.qmp.execute("query-block")
    assert info["inserted"]["bps"] == 4 * MIB and info["inserted"]["iops"] == 200
