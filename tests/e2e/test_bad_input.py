# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user can get wrong: exit status 1, one line that names the thing, and nothing made."""

import json
import os

import pytest

from support.vole import run_vole


def refused(done, *names):
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("vole: ")
    for name in names:
        assert str(name) in lines[0], done.stderr


@pytest.fixture
def bad_kernels(folder, payloads):
    """Files that are no kernels, each in its own way."""
    def write(name, data):
        (folder / name).write_bytes(data)
        return folder / name

    bzimage_head = bytearray(0x1000)
    bzimage_head[0x1f1] = 64           # setup sectors that are not there
    bzimage_head[0x1fe:0x200] = b"\x55\xaa"
    bzimage_head[0x202:0x206] = b"HdrS"
    bzimage_head[0x206:0x208] = (0x20f).to_bytes(2, "little")
    elf = payloads.echo.read_bytes()
    foreign = bytearray(elf)
    foreign[18:20] = (183).to_bytes(2, "little")  # EM_AARCH64
    image = bytearray(0x1000)
    image[0x38:0x3c] = b"ARM\x64"
    return {
        "arm64": write("arm64", bytes(image)),
        "empty": write("empty", b""),
        "text": write("text", b"#!/bin/sh\necho I am no kernel\n" * 100),
        "short-bzimage": write("short-bzimage", bytes(bzimage_head)),
        "short-elf": write("short-elf", elf[:96]),
        "head-of-elf": write("head-of-elf", elf[:40]),
        "foreign-elf": write("foreign-elf", bytes(foreign)),
        "zeroes": write("zeroes", bytes(1 << 20)),
    }


@pytest.mark.parametrize("name", ["empty", "text", "short-bzimage", "short-elf", "head-of-elf",
                                  "foreign-elf", "zeroes"])
def test_a_kernel_that_is_none(bad_kernels, name):
    refused(run_vole("--kernel", bad_kernels[name]), bad_kernels[name])


def test_a_kernel_of_another_architecture(bad_kernels):
    refused(run_vole("--kernel", bad_kernels["arm64"]), bad_kernels["arm64"],
            "an arm64 kernel (Image)")
    refused(run_vole("--kernel", bad_kernels["foreign-elf"]), bad_kernels["foreign-elf"],
            "an ELF file for aarch64")


def test_files_that_are_missing(folder, payloads):
    missing = folder / "missing"
    refused(run_vole("--kernel", missing), missing, "No such file")
    refused(run_vole("--flat", missing), missing, "No such file")
    refused(run_vole("--kernel", payloads.echo, "--initrd", missing), missing, "No such file")
    refused(run_vole("--kernel", payloads.echo, "--disk", missing), missing, "No such file")
    refused(run_vole("--config", missing), missing, "No such file")


def test_a_directory_is_no_file(folder, payloads):
    refused(run_vole("--kernel", folder), folder)
    refused(run_vole("--kernel", payloads.echo, "--disk", folder), folder)


def test_an_empty_disk(folder, payloads):
    empty = folder / "empty.img"
    empty.touch()
    refused(run_vole("--kernel", payloads.echo, "--disk", empty), empty)


def test_a_flat_binary_that_is_too_large(folder):
    large = folder / "large"
    large.write_bytes(bytes(1 << 20))
    refused(run_vole("--flat", large), large)


def test_too_little_memory(payloads):
    refused(run_vole("--kernel", payloads.echo, "--memory", "1M"), "memory")
    refused(run_vole("--kernel", payloads.echo, "--memory", "16777217"), "memory")


def test_a_kernel_and_an_initrd_that_do_not_fit(payloads, folder):
    initrd = folder / "initrd"
    with open(initrd, "wb") as file:
        file.truncate(64 << 20)
    refused(run_vole("--kernel", payloads.echo, "--initrd", initrd, "--memory", "32M"), initrd)


def test_nothing_to_boot():
    refused(run_vole(), "kernel")


@pytest.mark.parametrize("arguments, names", [
    (["--no-such-option"], "--no-such-option"),
    (["--cpus"], "--cpus"),
    (["--cpus", "none"], "--cpus"),
    (["--cpus", "0"], "--cpus"),
    (["--cpus", "255"], "--cpus"),
    (["--memory", "much"], "--memory"),
    (["--memory", "-1"], "--memory"),
    (["--net", "mac=52:54:00:00:00:01"], "--net"),
    (["--net", "tap=x,mac=01:00:00:00:00:00"], "mac"),
    (["--disk", "a.img,readonly=maybe"], "readonly"),
    (["--disk", "a.img,colour=red"], "colour"),
    (["--cpus", "4,sockets=3"], "topology"),
    (["--cpus", "4,dies=2"], "dies"),
    (["--memory", "64M,hugepages=4M"], "hugepages"),
    (["--memory", "65M,hugepages=2M"], "huge pages"),
    (["--memory", "64M,lock=maybe"], "lock"),
    (["--disk", "a.img,queues=17"], "queues"),
    (["--disk", "a.img,engine=steam"], "steam"),
    (["--disk", "a.img,bps=fast"], "bps"),
    (["--disk", "a.img,iops_max=5"], "disk0"),
    (["--net", "tap=x,mtu=67"], "mtu"),
    (["--net", "tap=x,link=up"], "link"),
    (["--net", "tap=fd:5:6"], "fd:5:6"),
    (["--net", "tap=x,vhost=on,rx_bps=1M"], "vhost"),
    (["--net", "tap=x,vhost_fds=/dev/vhost-net"], "vhost_fds"),
    (["--net", "tap=fd:5:5,queues=2"], "fd:5"),
    (["--port", "chardev=pty"], "name"),
    (["--port", "name=a/b,chardev=pty"], "a/b"),
    (["--port", "name=a,chardev=pigeon"], "pigeon"),
    (["--balloon=size=1G"], "size"),
    (["--vsock", "cid=2"], "cid"),
    (["--rtc", "gmt"], "gmt"),
    (["--rtc", "utc,offset=1h"], "offset"),
    (["--pvpanic", "perhaps"], "perhaps"),
    (["--on-panic", "reboot"], "reboot"),
    (["--debug-port", "65536"], "--debug-port"),
    (["--uuid", "12345"], "--uuid"),
    (["--paused=yes"], "--paused"),
    (["surplus"], "surplus"),
])
def test_the_command_line(payloads, arguments, names):
    refused(run_vole("--kernel", payloads.echo, *arguments), names)


@pytest.mark.parametrize("arguments, names", [
    (["--serial", "carrier-pigeon"], "carrier-pigeon"),
    (["--serial", "unix:/no/such/folder/socket"], "/no/such/folder/socket"),
    (["--serial", "fd:99"], "fd:99"),
    (["--qmp", "unix:/no/such/folder/socket"], "/no/such/folder/socket"),
    (["--qmp", "tcp:1234"], "tcp:1234"),
    (["--net", "tap=no/such"], "no/such"),
    (["--rng=/no/such/source"], "/no/such/source"),
    (["--disk", "fd:99"], "fd:99"),
])
def test_other_ends_that_are_not_there(payloads, arguments, names):
    refused(run_vole("--kernel", payloads.echo, *arguments), names)


@pytest.mark.parametrize("change, names", [
    ({"version": 2}, ["version"]),
    ({"version": None}, ["version"]),
    ({"cups": 2}, ["cups"]),
    ({"cpus": "2"}, ["cpus"]),
    ({"cpus": 0}, ["cpus"]),
    ({"memory": 1.5}, ["memory"]),
    ({"memory": "lots"}, ["memory", "lots"]),
    ({"boot": {"kernel": "k", "initramfs": "i"}}, ["initramfs"]),
    ({"boot": {}}, ["kernel"]),
    ({"disks": {}}, ["disks"]),
    ({"disks": [{"source": "a"}, {"surce": "b"}]}, ["disks", "surce"]),
    ({"disks": [{"id": "a", "source": "x"}, {"id": "a", "source": "y"}]}, ["id \"a\""]),
    ({"nets": [{"tap": "t", "mac": "nonsense"}]}, ["mac", "nonsense"]),
    ({"on_reboot": "sometimes"}, ["on_reboot", "sometimes"]),
    ({"debug_port": -1}, ["debug_port"]),
    ({"cpus": 4, "topology": {"cores": 3}}, ["topology"]),
    ({"topology": {"dies": 1}}, ["topology.dies"]),
    ({"memory_backing": {"hugepages": True}}, ["memory_backing.hugepages"]),
    ({"disks": [{"source": "a", "limits": {"pps": 1}}]}, ["disks[0].limits.pps"]),
    ({"disks": [{"source": "a", "limits": {"bps_max": 1}}]}, ["disk0", "burst"]),
    ({"nets": [{"tap": "t", "rx_limits": {"bps_rd": 1}}]}, ["nets[0].rx_limits.bps_rd"]),
    ({"nets": [{"tap": "fd:5", "queues": 2}]}, ["net0", "fd:5"]),
    ({"ports": [{"name": "a", "chardev": "null"}, {"name": "a", "chardev": "null"}]},
     ["name \"a\""]),
    ({"vsock": {}}, ["vsock.cid"]),
    ({"balloon": {"size": 1}}, ["balloon.size"]),
    ({"rtc": {"base": "gmt"}}, ["rtc.base", "gmt"]),
    ({"on_panic": "reboot"}, ["on_panic", "reboot"]),
])
def test_the_document(folder, payloads, change, names):
    document = {"version": 1, "boot": {"kernel": str(payloads.echo)}, **change}
    document = {key: value for key, value in document.items() if value is not None}
    path = folder / "machine.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    refused(run_vole("--config", path), *names)


@pytest.mark.parametrize("text, names", [
    ("", []),
    ("{", []),
    ("[]", ["object"]),
    ('{"version": 1, "version": 1}', ["version"]),
    ('{"version": 1} {"version": 1}', []),
    ("\0", []),
    ("[" * 100000, []),
])
def test_a_document_that_is_none(folder, text, names):
    path = folder / "machine.json"
    path.write_text(text, encoding="utf-8")
    refused(run_vole("--config", path), path, *names)


def test_a_disk_that_may_not_be_written(folder, payloads):
    if os.geteuid() == 0:
        # root may write to any file, but not to a device that is read-only; /proc is like one
        target = "/proc/version"
    else:
        target = folder / "disk.img"
        target.write_bytes(bytes(4096))
        target.chmod(0o400)
    refused(run_vole("--kernel", payloads.echo, "--disk", target), target)
