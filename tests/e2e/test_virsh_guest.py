# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole way: an unmodified Debian, in a microVM that an unmodified virsh defined, started and
opened the console of, on vole:///system without any option."""

import os
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import libvirt
import pytest

from support.console import Console
from support.events import Events
from support.guest import CONSOLE, PASSWORD, Shell
from support.limits import check_block_devices, check_quotas, controllers
from support.virtvoled import ended, hang_up
from support.wait import BOOT, SHORT, Deadline, until

pytestmark = pytest.mark.guest

MAC = "52:54:00:65:43:21"


@pytest.fixture
def daemon(system_virtvoled):
    return system_virtvoled


@pytest.fixture
def bridge():
    name = "vole-e2e-br"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", "192.0.2.1/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


@pytest.fixture
def data(disk):
    """The image of a second disk."""
    path = disk.parent / "data.img"
    with open(path, "wb") as image:
        image.truncate(1 << 20)
    return path


@pytest.fixture
def seed(disk):
    """A CD-ROM for cloud-init, as virt-install --cloud-init makes one."""
    path, content = disk.parent / "seed.iso", disk.parent / "user-data"
    content.write_text("#cloud-config\n")
    subprocess.run(["xorrisofs", "-quiet", "-J", "-input-charset", "utf8", "-rational-rock",
                    "-V", "cidata", "-o", path, content], check=True)
    return path


@pytest.fixture
def debian_domain(daemon, image, disk, data, seed, bridge):
    daemon.define(
        "debian", kernel=image.kernel, initrd=image.initrd, memory_mib=512, vcpus=2,
        cmdline=f"console={CONSOLE} root=/dev/vda quiet",
        devices=f"""
            <disk type='file' device='disk'><driver type='raw'/>
              <source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
            <disk type='file' device='disk'><driver type='raw'/>
              <source file='{data}'/><target dev='vdb' bus='virtio'/></disk>
            <disk type='file' device='cdrom'><driver type='raw'/>
              <source file='{seed}'/><target dev='sda' bus='sata'/></disk>
            <interface type='bridge'><mac address='{MAC}'/><source bridge='{bridge}'/>
              <model type='virtio'/></interface>
            <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>""")
    return daemon


def login(child):
    child.expect("login: ", timeout=BOOT)
    child.send("root\r")
    child.expect("Password: ", timeout=SHORT)
    child.send(f"{PASSWORD}\r")
    child.expect("# ", timeout=BOOT)
    # The terminal's own echo and the shell's line editing are not what is tested.
    child.send("exec sh\r")
    child.expect("# ", timeout=SHORT)
    child.send("stty -echo; PS1=; printf 'qui%s\\n' et\r")
    child.expect("quiet\r\n", timeout=SHORT)


def run(child, command):
    child.send(f"{command}; printf '<%s>\\n' done\r")
    child.expect("(?s)(.*)<done>\r\n", timeout=SHORT * 4)
    return child.match[1].strip()


def wait_for_state(daemon, wanted):
    deadline = Deadline(BOOT)
    while (current := daemon.virsh("domstate", "debian")) != wanted:
        assert not deadline.passed(), f"debian is {current}, not {wanted}"


def ping(seconds):
    return subprocess.run(["ping", "-c", "1", "-W", str(seconds), "192.0.2.2"], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0


def free_memory(daemon):
    """KiB that the guest says it does not use, in both places where it is told."""
    stats = dict(line.split() for line in daemon.virsh("dommemstat", "debian").splitlines())
    if "unused" not in stats:  # its driver is about to be there
        return 0
    assert "balloon.unused=" in daemon.virsh("domstats", "debian", "--balloon")
    return int(stats["unused"])


# Debian's cloud kernel for arm64 has no driver for a power button that a device tree tells of.
@pytest.mark.x86_64
def test_debian_from_define_to_undefine(debian_domain):
    daemon = debian_domain
    daemon.virsh("start", "debian")
    assert "running" in daemon.virsh("list", "--all")
    console = daemon.console("debian")
    login(console)

    assert run(console, "nproc") == "2"
    assert 440 < int(run(console, "free -m | awk '/^Mem:/ {print $2}'")) <= 512
    assert run(console, "lsblk --noheadings --nodeps --output NAME,SIZE /dev/vda").split() == [
        "vda", "1G"]
    # cloud-init looks for its seed by this label, on whatever kind of disk
    assert run(console, "blkid -L cidata") == "/dev/vdc"
    assert run(console, "blockdev --getro /dev/vdb /dev/vdc").split() == ["0", "1"]
    assert run(console, "mount -r /dev/vdc /mnt && cat /mnt/user-data") == "#cloud-config"
    assert MAC in run(console, "ip -o link")
    # nobody has set a period: who looks at the guest's memory is why it tells
    before = until(lambda: free_memory(daemon), "the guest tells")
    run(console, "head -c 100M /dev/zero >/dev/shm/used")
    until(lambda: 0 < free_memory(daemon) < before - (80 << 10), "the guest has less memory")
    run(console, "rm /dev/shm/used")

    run(console, "d=$(ls /sys/class/net | grep -v lo); "
                 "ip address add 192.0.2.2/24 dev $d; ip link set $d up")
    until(lambda: ping(20), "the guest answers")

    # suspend stops it, resume lets it go on
    daemon.virsh("suspend", "debian")
    assert daemon.virsh("domstate", "debian") == "paused"
    assert not ping(2)
    daemon.virsh("resume", "debian")
    until(lambda: ping(20), "the guest answers")

    # virsh reboot comes back, in a new VMM, and keeps the console
    daemon.virsh("reboot", "debian")
    login(console)
    assert daemon.virsh("domstate", "debian") == "running"

    # the daemon dies and comes back: the same VMM, the same guest, the console again
    (pid,) = daemon.vmm_pids()
    run(console, "echo before >/run/note")
    daemon.stop(signal.SIGKILL)
    console.expect("Disconnected from vole:///system")
    hang_up(console)
    daemon.start()
    assert "running" in daemon.virsh("list", "--all")
    assert daemon.vmm_pids() == [pid]
    console = daemon.console("debian")
    assert run(console, "cat /run/note") == "before"

    # the guest's own reboot comes back in the same VMM
    console.send("reboot\r")
    login(console)
    assert daemon.vmm_pids() == [pid]
    assert run(console, "cat /run/note 2>/dev/null") == ""

    # the guest's own poweroff
    console.send("poweroff\r")
    wait_for_state(daemon, "shut off")
    ended(console)
    assert daemon.virsh("domstate", "--reason", "debian") == "shut off (shutdown)"
    daemon.virsh("undefine", "debian")
    assert daemon.virsh("list", "--all", "--name") == ""


@pytest.mark.x86_64
def test_shutdown_asks_the_guest(debian_domain, data):
    daemon = debian_domain
    daemon.virsh("start", "debian")
    console = daemon.console("debian")
    login(console)

    # what a disk cannot read is the guest's to deal with, and who watches is told
    events = Events(daemon.uri, libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR,
                    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON)
    os.truncate(data, 4096)
    assert "error" in run(console, "dd if=/dev/vdb of=/dev/null bs=4k skip=2 count=1 2>&1").lower()
    report = ("debian", str(data), "virtio-disk1", libvirt.VIR_DOMAIN_EVENT_IO_ERROR_REPORT)
    events.wait((*report, libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR))
    events.wait((*report, "", libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON))
    events.connection.close()
    assert daemon.virsh("domstate", "debian") == "running"

    daemon.virsh("shutdown", "debian")
    wait_for_state(daemon, "shut off")
    ended(console)
    assert daemon.virsh("domstate", "--reason", "debian") == "shut off (shutdown)"


def test_destroy_of_a_booting_guest(debian_domain):
    daemon = debian_domain
    daemon.virsh("start", "debian")
    daemon.virsh("destroy", "debian")
    assert daemon.virsh("domstate", "debian") == "shut off"
    assert daemon.vmm_pids() == []


@pytest.fixture
def small_domain(daemon, image):
    """(libvirt's domain, a shell in it, its control group) of a machine of 256 MiB."""
    daemon.define("small", kernel=image.kernel, initrd=image.small_initrd, memory_mib=256,
                  cmdline=f"console={CONSOLE} quiet",
                  devices="<memballoon model='virtio'><stats period='1'/></memballoon>")
    connection = daemon.connect()
    domain = connection.lookupByName("small")
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    tty = ElementTree.fromstring(domain.XMLDesc()).find("devices/serial/source").get("path")
    console = Console.terminal(tty)
    domain.resume()
    (pid,) = daemon.vmm_pids()
    group = Path(f"/proc/{pid}/cgroup").read_text().strip().split("::")[1]
    yield domain, Shell.init(console), Path("/sys/fs/cgroup" + group)
    console.close()
    connection.close()


def test_limits_hold_and_memory_comes_and_goes(daemon, small_domain):
    domain, guest, group = small_domain

    # the balloon: clients are told, and see it in the guest's own numbers
    kind = libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE
    events = Events(daemon.uri, kind)
    domain.setMemory(160 << 10)
    events.wait(("small", 160 << 10, kind), BOOT)
    assert domain.info()[2] == 160 << 10
    deadline = Deadline(BOOT)
    while not 0 < (stats := domain.memoryStats()).get("unused", 0) < 160 << 10:
        assert not deadline.passed(), stats
    assert stats["actual"] == 160 << 10 and stats["last_update"] > 0
    domain.setMemory(256 << 10)
    events.wait(("small", 256 << 10, kind), BOOT)
    events.connection.close()

    # processor time: the kernel holds the guest back
    daemon.virsh("schedinfo", "small", "--live", "--set", "cpu_shares=300", "global_period=50000",
                 "global_quota=10000")
    assert group.joinpath("cpu.weight").read_text() == "300\n"
    assert group.joinpath("cpu.max").read_text() == "10000 50000\n"
    read = domain.schedulerParametersFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE)
    assert (read["cpu_shares"], read["global_period"], read["global_quota"]) == (
        300, 50000, 10000)
    guest.run("while :; do :; done &")
    deadline = Deadline(BOOT)
    while "nr_throttled 0\n" in group.joinpath("cpu.stat").read_text():
        assert not deadline.passed()
    domain.setSchedulerParameters({"global_quota": -1})
    guest.run("kill $!; wait")

    # memory: a guest that takes more than the host lets it have is ended
    limit = 224 << 10
    domain.setMemoryParameters({"hard_limit": limit}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    assert int(group.joinpath("memory.max").read_text()) == limit << 10
    assert domain.memoryParameters(libvirt.VIR_DOMAIN_AFFECT_LIVE)["hard_limit"] == limit
    guest.run("mount -t tmpfs -o size=100% tmpfs /tmp")
    guest.send("dd if=/dev/zero of=/tmp/all bs=1M")
    while domain.state() != [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED]:
        assert not deadline.passed(), domain.state()
    until(lambda: not group.exists(), "its control group is gone")


@pytest.fixture
def block_device(folder):
    image = folder / "device.img"
    image.write_bytes(bytes(1 << 20))
    subprocess.run(["modprobe", "loop"], check=False)
    done = subprocess.run(["losetup", "--find", "--show", image], check=True, text=True,
                          stdout=subprocess.PIPE)
    yield done.stdout.strip()
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


@pytest.mark.x86_64  # as its payload is
def test_what_the_kernel_limits(daemon, payloads, block_device):
    """Without a guest to speak of, but with all controllers that a host may have."""
    daemon.define("limited", kernel=payloads.echo, vcpus=2, more=f"""
        <iothreads>1</iothreads><memtune><hard_limit unit='MiB'>512</hard_limit></memtune>
        <blkiotune><device><path>{block_device}</path><read_iops_sec>9</read_iops_sec></device>
        </blkiotune><cputune><quota>60000</quota><global_period>50000</global_period>
        <global_quota>90000</global_quota><emulator_quota>25000</emulator_quota></cputune>
        <numatune><memory mode='strict' nodeset='0'/></numatune>""")
    daemon.virsh("start", "limited")
    with daemon.connect() as connection:
        domain = connection.lookupByName("limited")
        path, _ = controllers(domain, daemon)
        limits = {name: open(f"{path}/{name}", encoding="utf-8").read().split()
                  for name in ("memory.max", "io.max", "cpu.max", "vcpu1/cpu.max",
                               "emulator/cpu.max", "cpuset.mems")}
        assert limits["memory.max"] == [str(512 << 20)]
        assert "riops=9" in limits["io.max"]
        assert limits["cpuset.mems"] == ["0"]
        assert limits["vcpu1/cpu.max"] == ["60000", "100000"]
        assert limits["emulator/cpu.max"] == ["25000", "100000"]
        assert limits["cpu.max"] == ["90000", "50000"]
        check_quotas(domain, path)
        domain.setBlkioParameters({"device_read_iops_sec": f"{block_device},0"},
                                  libvirt.VIR_DOMAIN_AFFECT_LIVE)
        check_block_devices(domain, path, block_device)
        domain.destroy()
        until(lambda: not os.path.exists(path), "its control group is gone")
        domain.undefine()
