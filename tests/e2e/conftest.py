# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures. Every process that a test starts is ended here by its own id, and a test that leaves a
program of ours, a network interface or a control group behind fails."""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from support import events, session
from support.guest import CONSOLE, MACHINE, TREE, Image, Shell, copy_disk, guest_image
from support.payloads import Payloads
from support.virtvoled import PATIENCE, Virtvoled
from support.vole import Vole
from support.wait import SHORT, Deadline

# The exit status of newer-clients that says nothing of what is tested with them.
CLIENTS_UNREACHABLE = 3

CLAIMED = pytest.StashKey()  # {file: whether it is this session's}


def pytest_configure(config):
    if "VOLE_BUILDDIR" not in os.environ:
        raise pytest.UsageError("VOLE_BUILDDIR must name the build tree; ./check e2e sets it")
    config.stash[CLAIMED] = {}


def pytest_unconfigure():
    events.LOOP.stop()


ARCHITECTURES = {"x86_64", "aarch64"}  # and the marks of tests that are about one of them


def pytest_collection_modifyitems(config, items):
    strange = [item for item in items
               if any(item.get_closest_marker(name) for name in ARCHITECTURES - {MACHINE})]
    config.hook.pytest_deselected(items=strange)
    items[:] = [item for item in items if item not in strange]
    needs_lab = subprocess.run([TREE / "tests/lab/need-lab", "-q"], check=False).returncode == 0
    for item in items:
        if needs_lab and item.get_closest_marker("guest"):
            item.add_marker(pytest.mark.skip(reason="Linux does not boot here; run ./check e2e, "
                                                    "which uses the lab"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """Several labs are given the same tests; the first that comes to a file does all of it."""
    claims = os.environ.get("VOLE_E2E_CLAIMS")
    if not claims:
        return None
    file = item.path.stem
    if file not in item.config.stash[CLAIMED]:
        try:
            os.close(os.open(Path(claims) / file, os.O_CREAT | os.O_EXCL))
            item.config.stash[CLAIMED][file] = True
        except FileExistsError:
            item.config.stash[CLAIMED][file] = False
    return None if item.config.stash[CLAIMED][file] else True  # which means: it is done


# ---- what is left behind ----

def interfaces():
    """Those with names that the daemon, its VMMs and these tests give; the machine has others, which
    come and go as they like."""
    return {name for name in os.listdir("/sys/class/net")
            if re.match(r"(vnet|macvtap)\d|vt[bi]?\d|vole", name)}


def taps_of_strangers():
    """Those that a process has which is not of this run."""
    ours, found = session.processes(), set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            for path in () if int(entry.name) in ours else (entry / "fdinfo").iterdir():
                found.update(re.findall(r"^iff:\s*(\S+)", path.read_text(), re.MULTILINE))
    return found


def control_groups():
    """Those of domains, but for those in which others run."""
    ours = session.processes()

    def is_strangers(path):
        try:
            return not ours.keys() & {int(pid) for pid in
                                      (path / "cgroup.procs").read_text().split() or [0]} \
                and "populated 1" in (path / "cgroup.events").read_text()
        except OSError:
            return True  # gone meanwhile
    # Whatever goes while it is walked through is passed over.
    found = [Path(folder) / name for folder, names, _ in os.walk("/sys/fs/cgroup")
             for name in names if name.startswith("vole-")]
    return {str(path) for path in found if not is_strangers(path)}


@pytest.fixture(autouse=True)
def nothing_left_behind():
    processes, nets, groups = session.processes(), interfaces(), control_groups()
    yield
    left = {pid: line for pid, line in session.processes().items() if pid not in processes}
    new_nets, new_groups = interfaces() - nets, control_groups() - groups
    deadline = Deadline(SHORT)
    while (left or new_nets or new_groups) and not deadline.passed():
        # About to end, or another daemon's on this machine, and about to be removed?
        select.select([], [], [], 0.1)
        there = session.processes()
        left = {pid: line for pid, line in left.items() if pid in there}
        new_nets &= interfaces() - (taps_of_strangers() if new_nets else set())
        new_groups &= control_groups()
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"processes left behind: {left}"
    assert not new_nets, f"network interfaces left behind: {new_nets}"
    assert not new_groups, f"control groups left behind: {new_groups}"


# ---- folders and files ----

@pytest.fixture
def folder():
    """A folder of the test's own."""
    path = session.new_folder()
    yield path

    def failed(_function, _path, error):
        if error[0] is not FileNotFoundError:  # else, whoever made it was faster
            raise error[1]
    shutil.rmtree(path, onerror=failed)


@pytest.fixture(scope="session")
def payloads(tmp_path_factory):
    return Payloads(tmp_path_factory.mktemp("payloads"))


@pytest.fixture(scope="session")
def image():
    return Image.find()


@pytest.fixture(scope="session")
def generic_image():
    return Image.find("generic")


@pytest.fixture(scope="session")
def button_guest():
    """A folder with vmlinuz and initrd.img, which is the small guest with a driver for the power
    button that an arm64 guest has: Debian's cloud kernel for it lacks that."""
    return guest_image("--of-lab")


@pytest.fixture(scope="session")
def near_disk(image, tmp_path_factory):
    """The guest's disk where copies of it are cheap (in a lab, RAM)."""
    folder = tmp_path_factory.mktemp("guest")
    yield copy_disk(image.disk, folder / "disk.img")
    shutil.rmtree(folder)


@pytest.fixture
def disk(near_disk, folder):
    """A disk for this test to write to."""
    return copy_disk(near_disk, folder / "disk.img")


# ---- programs ----

@pytest.fixture
def vole(folder):
    """Starts vole processes; vole(arguments...) is a support.vole.Vole."""
    started = []

    def start(*arguments, **how):
        home = Path(tempfile.mkdtemp(dir=folder))
        started.append(Vole(home, *arguments, **how))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def debian(vole, image, disk):
    """Starts the Debian guest; debian(arguments...) returns the Vole. With init="..." instead of
    systemd, which is a lot faster."""

    def start(*arguments, init=None, append="", kernel=None, own_disk=disk, **how):
        line = f"console={CONSOLE} root=/dev/vda quiet {append}"
        if init:
            line += f" rw init={init}"
        return vole("--kernel", kernel or image.kernel, "--initrd", image.initrd,
                    "--memory", "512M", "--disk", own_disk, "--append", line, *arguments, **how)

    return start


@pytest.fixture
def shell(debian):
    """shell(arguments...): (Vole, Shell) with a bare shell as the guest's first program."""

    def start(*arguments, **how):
        machine = debian(*arguments, init="/bin/sh", **how)
        return machine, Shell.init(machine.serial)

    return start


@pytest.fixture
def small(vole, image):
    """small(arguments...): (Vole, Shell) of Debian's kernel with a bare shell in an initramfs, which
    is the fastest Linux there is: no disk but those that are asked for, all virtio drivers."""

    def start(*arguments, append="", kernel=None, **how):
        machine = vole("--kernel", kernel or image.kernel, "--initrd", image.small_initrd,
                       "--append", f"console={CONSOLE} quiet {append}",
                       *(() if "--memory" in arguments else ("--memory", "128M")),
                       *arguments, **how)
        return machine, None if how.get("paused") else Shell.init(machine.serial)

    return start


@pytest.fixture
def tap():
    """A tap interface of this test, up and with an address; ends with the test."""
    name = f"vt{os.getpid() % 100000}"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr"], check=True)
    subprocess.run(["ip", "address", "add", "192.0.2.1/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.fixture
def port():
    """A TCP port on the loopback interface, kept from all who take any that is free; who asks for it
    by its number may listen there."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.fixture
def virtvoled(folder):
    """A daemon with everything of its own below the test's folder."""
    daemon = Virtvoled(folder).start()
    yield daemon
    daemon.close()


@pytest.fixture
def system_virtvoled(folder):
    """The daemon of this machine, which must be one to throw away."""
    assert os.environ.get("VOLE_LAB"), "only a lab is there to throw away"
    daemon = Virtvoled(folder, whole_system=True).start()
    yield daemon
    daemon.close()
    for name in PATIENCE:
        (daemon.root / "etc/libvirt" / name).unlink()
    for place in ("etc/libvirt/vole", "run/libvirt", "var/lib/libvirt/vole",
                  "var/log/libvirt/vole"):
        shutil.rmtree(Path("/") / place, ignore_errors=True)


@pytest.fixture(scope="session")
def newer_clients():
    """The folder of Debian 13's clients; where nothing can be fetched, there is nothing to test."""
    done = subprocess.run([TREE / "tests/lab/newer-clients"], check=False, text=True,
                          capture_output=True)
    if done.returncode == CLIENTS_UNREACHABLE:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture
def echo(virtvoled, payloads):
    """A defined domain, "echo", whose guest is the payload of that name."""
    virtvoled.define("echo", kernel=payloads.echo)
    return virtvoled
