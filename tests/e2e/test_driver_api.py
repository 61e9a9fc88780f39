# SPDX-License-Identifier: LGPL-2.1-or-later
"""The calls of libvirt's API beside a domain's life, each with what it refuses, by libvirt's own
Python binding against real VMMs."""

import os
import re
import xml.etree.ElementTree as ElementTree
from contextlib import suppress

import libvirt
import pytest

from support import session
from support.events import Events
from support.limits import check_quotas, controllers
from support.virtvoled import domain_xml, hang_up
from support.wait import SHORT, Deadline, until

INVALID = libvirt.VIR_ERR_OPERATION_INVALID
INVALID_ARG = libvirt.VIR_ERR_INVALID_ARG
UNSUPPORTED = libvirt.VIR_ERR_OPERATION_UNSUPPORTED
CONFIG_UNSUPPORTED = libvirt.VIR_ERR_CONFIG_UNSUPPORTED
NO_DOMAIN = libvirt.VIR_ERR_NO_DOMAIN
DENIED = libvirt.VIR_ERR_OPERATION_DENIED
UNLIMITED = 9007199254740991  # VIR_DOMAIN_MEMORY_PARAM_UNLIMITED, in KiB
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG


def refused(code, call, *arguments):
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*arguments)
    assert caught.value.get_error_code() == code, str(caught.value)
    return str(caught.value)


@pytest.fixture
def rich(virtvoled, payloads, folder):
    """A domain with a disk, defined."""
    image = folder / "disk.img"
    image.write_bytes(bytes(1 << 20))
    virtvoled.define("rich", kernel=payloads.echo, memory_mib=64, vcpus=2, more="""
        <iothreads>2</iothreads>""", devices=f"""
        <disk type='file'><driver name='qemu' type='raw'/><source file='{image}'/>
        <target dev='vda' bus='virtio'/></disk>""")
    with virtvoled.connect() as connection:
        yield connection.lookupByName("rich")


@pytest.fixture
def running(rich):
    rich.create()
    return rich


def tree(domain, flags=0):
    return ElementTree.fromstring(domain.XMLDesc(flags))


def inactive(domain):
    return tree(domain, libvirt.VIR_DOMAIN_XML_INACTIVE)


# ---- what people write down ----

@pytest.mark.parametrize("kind, element", [
    (libvirt.VIR_DOMAIN_METADATA_TITLE, "title"),
    (libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "description")])
def test_title_and_description(running, kind, element):
    refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA, running.metadata, kind, None)
    running.setMetadata(kind, "now & then", None, None, LIVE)
    running.setMetadata(kind, "<later>", None, None, CONFIG)
    assert running.metadata(kind, None, LIVE) == "now & then"
    assert running.metadata(kind, None, CONFIG) == "<later>"
    assert tree(running).findtext(element) == "now & then"
    assert inactive(running).findtext(element) == "<later>"
    running.setMetadata(kind, None, None, None, LIVE | CONFIG)
    refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA, running.metadata, kind, None)


def test_elements_of_ones_own(rich):
    element = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    rich.setMetadata(element, "<owner><name>Ada</name></owner>", "shop", "urn:shop")
    rich.setMetadata(element, "<x/>", "other", "urn:other")
    assert re.sub(r"\s", "", rich.metadata(element, "urn:shop")) == \
        "<owner><name>Ada</name></owner>"
    names = [child.tag for child in tree(rich).find("metadata")]
    assert names == ["{urn:shop}owner", "{urn:other}x"]
    rich.setMetadata(element, "<owner/>", "shop", "urn:shop")
    assert rich.metadata(element, "urn:shop") == "<owner/>"
    rich.setMetadata(element, None, "shop", "urn:shop")
    rich.setMetadata(element, None, "other", "urn:other")
    assert tree(rich).find("metadata") is None
    refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA, rich.metadata, element, "urn:shop")
    refused(libvirt.VIR_ERR_XML_DETAIL, rich.setMetadata, element, "<owner>", "shop", "urn:shop")
    refused(INVALID, rich.setMetadata, element, "<x/>", "a", "urn:a", LIVE)


def test_another_name(rich, virtvoled):
    connection = rich.connect()
    virtvoled.define("taken", kernel="/nowhere")
    rich.setAutostart(1)
    before = rich.UUIDString()
    for code, name in ((INVALID, "taken"), (INVALID, "rich"),
                       (libvirt.VIR_ERR_XML_ERROR, "a/b")):
        refused(code, rich.rename, name)
    rich.rename("richer")
    again = connection.lookupByName("richer")
    assert (again.UUIDString(), again.autostart()) == (before, 1)
    refused(NO_DOMAIN, connection.lookupByName, "rich")
    virtvoled.stop(9)
    virtvoled.start()
    assert sorted(virtvoled.virsh("list", "--all", "--name").split()) == ["richer", "taken"]
    virtvoled.virsh("start", "richer")
    with virtvoled.connect() as connection:
        refused(INVALID, connection.lookupByName("richer").rename, "poorer")


def test_what_follows_an_end(rich):
    rich.setLifecycleAction(libvirt.VIR_DOMAIN_LIFECYCLE_POWEROFF,
                            libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_RESTART)
    rich.setLifecycleAction(libvirt.VIR_DOMAIN_LIFECYCLE_CRASH,
                            libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE)
    assert inactive(rich).findtext("on_poweroff") == "restart"
    assert inactive(rich).findtext("on_crash") == "preserve"
    refused(CONFIG_UNSUPPORTED, rich.setLifecycleAction, libvirt.VIR_DOMAIN_LIFECYCLE_POWEROFF,
            libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE)
    refused(CONFIG_UNSUPPORTED, rich.setLifecycleAction, libvirt.VIR_DOMAIN_LIFECYCLE_CRASH,
            libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY)
    rich.create()
    refused(UNSUPPORTED, rich.setLifecycleAction, libvirt.VIR_DOMAIN_LIFECYCLE_REBOOT,
            libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, LIVE)
    rich.setLifecycleAction(libvirt.VIR_DOMAIN_LIFECYCLE_POWEROFF,
                            libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, LIVE)
    assert tree(rich).findtext("on_poweroff") == "destroy"


def wait_for_state(domain, wanted):
    deadline = Deadline(SHORT)
    while (current := domain.state()) != wanted:
        assert not deadline.passed(), f"{current}, not {wanted}"


def panic(virtvoled, payloads, action):
    """A domain whose guest has just said that it panicked, and the events of that."""
    virtvoled.define("doomed", kernel=payloads.echo, more=f"<on_crash>{action}</on_crash>",
                     devices="<panic model='pvpanic'/>")
    virtvoled.virsh("start", "doomed")
    child = virtvoled.console("doomed")
    child.send("P")
    return child


def test_a_crashed_guest_is_preserved(virtvoled, payloads):
    child = panic(virtvoled, payloads, "preserve")
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("doomed")
        wait_for_state(domain, [libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_CRASHED_PANICKED])
        assert domain.isActive() and len(virtvoled.vmm_pids()) == 1
        virtvoled.stop(9)
        virtvoled.start()
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("doomed")
        wait_for_state(domain, [libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_CRASHED_PANICKED])
        domain.destroy()
        assert domain.state() == [libvirt.VIR_DOMAIN_SHUTOFF,
                                  libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED]
    hang_up(child)


def test_a_crashed_guest_is_destroyed(virtvoled, payloads):
    child = panic(virtvoled, payloads, "destroy")
    with virtvoled.connect() as connection:
        wait_for_state(connection.lookupByName("doomed"),
                       [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED])
    hang_up(child)


def test_a_crashed_guest_is_started_again(virtvoled, payloads):
    child = panic(virtvoled, payloads, "restart")
    child.expect("ready")
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("doomed")
        wait_for_state(domain, [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_CRASHED])
    hang_up(child)


# ---- memory and vCPUs ----

def test_memory_of_a_definition(rich):
    rich.setMaxMemory(128 << 10)
    assert (rich.maxMemory(), rich.info()[2]) == (128 << 10, 64 << 10)
    rich.setMemoryFlags(96 << 10, CONFIG)
    assert inactive(rich).findtext("currentMemory") == str(96 << 10)
    refused(INVALID_ARG, rich.setMemoryFlags, 256 << 10, CONFIG)
    refused(CONFIG_UNSUPPORTED, rich.setMaxMemory, 1)
    refused(INVALID, rich.setMemory, 64 << 10)
    rich.setMaxMemory(32 << 10)
    assert rich.info()[1:3] == [32 << 10, 32 << 10]


def test_memory_of_a_running_domain(running):
    refused(INVALID, running.setMaxMemory, 128 << 10)
    refused(INVALID_ARG, running.setMemory, 65 << 10)
    stats = running.memoryStats()
    assert stats["actual"] == 64 << 10 and stats["rss"] > 0
    running.setMemoryStatsPeriod(5, LIVE | CONFIG)
    assert tree(running).find("devices/memballoon/stats").get("period") == "5"
    assert inactive(running).find("devices/memballoon/stats").get("period") == "5"
    refused(INVALID_ARG, running.setMemoryStatsPeriod, -1)


def test_a_domain_without_a_balloon(virtvoled, payloads):
    virtvoled.define("plain", kernel=payloads.echo, devices="<memballoon model='none'/>")
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("plain")
        refused(INVALID, domain.memoryStats)
        domain.create()
        assert "balloon" in refused(INVALID, domain.setMemory, 16 << 10)
        assert set(domain.memoryStats()) == {"actual", "rss"}


def test_vcpus_of_a_definition(rich):
    maximum = libvirt.VIR_DOMAIN_VCPU_MAXIMUM
    rich.setVcpusFlags(4, CONFIG | maximum)
    rich.setVcpusFlags(3, CONFIG)
    assert (rich.vcpusFlags(CONFIG), rich.vcpusFlags(CONFIG | maximum)) == (3, 4)
    refused(INVALID_ARG, rich.setVcpusFlags, 5, CONFIG)
    refused(CONFIG_UNSUPPORTED, rich.setVcpusFlags, 100000, CONFIG | maximum)
    refused(INVALID, rich.setVcpus, 2)
    rich.create()
    assert rich.maxVcpus() == 4 and len(rich.vcpus()[0]) == 3
    assert rich.setVcpus(3) == 0
    refused(UNSUPPORTED, rich.setVcpus, 4)
    refused(INVALID_ARG, rich.setVcpus, 5)
    refused(INVALID_ARG, rich.setVcpusFlags, 4, LIVE | maximum)


def thread_cpus(pid):
    """{name of a thread: CPUs where the kernel lets it run}"""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):  # a worker of the kernel's, which comes and goes
            with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as comm:
                found[comm.read().strip()] = os.sched_getaffinity(int(thread))
    return found


@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0),
                    reason="pinning to one CPU of one shows nothing")
def test_pins(running, virtvoled):
    (pid,) = virtvoled.vmm_pids()
    count = os.cpu_count()
    only_first = (True,) + (False,) * (count - 1)
    running.pinVcpu(1, only_first)
    running.pinEmulator((False, True) + (False,) * (count - 2), LIVE | CONFIG)
    running.pinIOThread(2, only_first, LIVE | CONFIG)
    cpus = thread_cpus(pid)
    assert cpus["CPU 1/KVM"] == {0} and cpus["CPU 0/KVM"] == os.sched_getaffinity(0)
    assert cpus["vole"] == {1}
    assert running.vcpuPinInfo(LIVE)[1] == only_first
    assert running.vcpus()[1][1] == only_first
    assert running.emulatorPinInfo(CONFIG)[:2] == (False, True)
    assert [(number, pins[0]) for number, pins in running.ioThreadInfo(CONFIG)] == [
        (1, True), (2, True)]
    assert inactive(running).find("cputune/vcpupin") is None
    assert tree(running).find("cputune/vcpupin").attrib == {"vcpu": "1", "cpuset": "0"}
    refused(INVALID_ARG, running.pinVcpu, 2, only_first)
    refused(INVALID_ARG, running.pinVcpu, 0, (False,) * count)
    refused(INVALID_ARG, running.pinIOThread, 7, only_first, LIVE)
    # What is configured holds from the start.
    running.pinVcpuFlags(0, only_first, CONFIG)
    running.destroy()
    running.create()
    (pid,) = virtvoled.vmm_pids()
    cpus = thread_cpus(pid)
    assert (cpus["CPU 0/KVM"], cpus["vole"]) == ({0}, {1})


def test_iothreads_come_and_go(rich):
    rich.addIOThread(5, CONFIG)
    assert [number for number, _ in rich.ioThreadInfo(CONFIG)] == [1, 2, 5]
    refused(INVALID_ARG, rich.addIOThread, 5, CONFIG)
    rich.delIOThread(5, CONFIG)
    refused(INVALID_ARG, rich.delIOThread, 5, CONFIG)
    rich.create()
    refused(UNSUPPORTED, rich.addIOThread, 6, LIVE)


# ---- tuning ----

def test_scheduler_of_a_definition(rich):
    assert rich.schedulerType()[0] == "posix"
    rich.setSchedulerParametersFlags({"cpu_shares": 200, "global_quota": 50000}, CONFIG)
    found = rich.schedulerParametersFlags(CONFIG)
    assert (found["cpu_shares"], found["global_quota"], found["global_period"]) == (
        200, 50000, 100000)
    assert inactive(rich).findtext("cputune/shares") == "200"
    refused(INVALID_ARG, rich.setSchedulerParametersFlags, {"cpu_shares": 20000}, CONFIG)
    refused(INVALID_ARG, rich.setSchedulerParametersFlags, {"global_period": 5}, CONFIG)


def test_quotas_of_a_definition(rich):
    wanted = {f"{kind}_{what}": value for value, kind in enumerate(
        ("vcpu", "emulator", "global", "iothread"), 20000) for what in ("period", "quota")}
    rich.setSchedulerParametersFlags(wanted, CONFIG)
    found = rich.schedulerParametersFlags(CONFIG)
    assert {name: found[name] for name in wanted} == wanted
    assert inactive(rich).findtext("cputune/quota") == "20000"
    assert inactive(rich).findtext("cputune/emulator_period") == "20001"
    rich.setSchedulerParametersFlags({"vcpu_quota": -1, "emulator_quota": 0}, CONFIG)
    found = rich.schedulerParametersFlags(CONFIG)
    assert (found["vcpu_quota"], found["emulator_quota"]) == (-1, 20001)
    for bad in ({"vcpu_period": 999}, {"iothread_quota": 1}, {"emulator_quota": 999}):
        refused(INVALID_ARG, rich.setSchedulerParametersFlags, bad, CONFIG)


def test_block_devices_of_a_definition(rich):
    assert rich.blkioParameters(CONFIG) == {
        "weight": 100, "device_weight": "", "device_read_iops_sec": "",
        "device_write_iops_sec": "", "device_read_bytes_sec": "", "device_write_bytes_sec": ""}
    rich.setBlkioParameters({"weight": 500, "device_read_bytes_sec": "/dev/a,1000,/dev/b,2000",
                             "device_weight": "/dev/b,30"}, CONFIG)
    rich.setBlkioParameters({"device_read_bytes_sec": "/dev/a,0",
                             "device_write_iops_sec": "/dev/b,7"}, CONFIG)
    found = rich.blkioParameters(CONFIG)
    assert (found["weight"], found["device_read_bytes_sec"]) == (500, "/dev/b,2000")
    assert (found["device_weight"], found["device_write_iops_sec"]) == ("/dev/b,30", "/dev/b,7")
    assert [d.findtext("path") for d in inactive(rich).iterfind("blkiotune/device")] == ["/dev/b"]
    for bad in ({"device_read_bytes_sec": "/dev/a"}, {"device_read_bytes_sec": "a,1"},
                {"device_weight": "/dev/a,x"}, {"device_write_iops_sec": "/dev/a,4294967296"}):
        refused(INVALID_ARG, rich.setBlkioParameters, bad, CONFIG)
    refused(CONFIG_UNSUPPORTED, rich.setBlkioParameters, {"weight": 20000}, CONFIG)
    assert rich.blkioParameters(CONFIG) == found


def test_memory_nodes(rich):
    assert rich.numaParameters(CONFIG) == {"numa_mode": 0, "numa_nodeset": ""}
    restrictive = libvirt.VIR_DOMAIN_NUMATUNE_MEM_RESTRICTIVE
    refused(INVALID_ARG, rich.setNumaParameters, {"numa_mode": restrictive}, CONFIG)
    rich.setNumaParameters({"numa_nodeset": "0-1", "numa_mode": restrictive}, CONFIG)
    rich.setNumaParameters({"numa_nodeset": "0"}, CONFIG)
    assert rich.numaParameters(CONFIG) == {"numa_mode": restrictive, "numa_nodeset": "0"}
    assert inactive(rich).find("numatune/memory").attrib == {"mode": "restrictive", "nodeset": "0"}
    refused(CONFIG_UNSUPPORTED, rich.setNumaParameters,
            {"numa_mode": libvirt.VIR_DOMAIN_NUMATUNE_MEM_PREFERRED}, CONFIG)
    refused(INVALID_ARG, rich.setNumaParameters, {"numa_nodeset": "9-1"}, CONFIG)


def test_memory_limits_of_a_definition(rich):
    rich.setMemoryParameters({"hard_limit": 1 << 20, "soft_limit": 1 << 19}, CONFIG)
    found = rich.memoryParameters(CONFIG)
    assert (found["hard_limit"], found["soft_limit"]) == (1 << 20, 1 << 19)
    refused(INVALID_ARG, rich.setMemoryParameters, {"swap_hard_limit": 1 << 10}, CONFIG)
    rich.setMemoryParameters({"hard_limit": UNLIMITED, "soft_limit": UNLIMITED}, CONFIG)
    assert rich.memoryParameters(CONFIG)["hard_limit"] == UNLIMITED
    assert inactive(rich).find("memtune") is None


def test_limits_of_a_running_domain(running, virtvoled):
    path, has = controllers(running, virtvoled)
    if "cpu" in has:
        running.setSchedulerParametersFlags({"cpu_shares": 300, "global_quota": 50000}, LIVE)
        assert open(path + "/cpu.weight", encoding="utf-8").read().strip() == "300"
        assert open(path + "/cpu.max", encoding="utf-8").read().strip() == "50000 100000"
        assert running.schedulerParametersFlags(LIVE)["cpu_shares"] == 300
        check_quotas(running, path)
    else:
        assert "cgroup CPU controller is not mounted" in refused(
            INVALID, running.setSchedulerParametersFlags, {"cpu_shares": 300}, LIVE)
    if "memory" in has:
        running.setMemoryParameters({"hard_limit": 1 << 20}, LIVE)
        assert open(path + "/memory.max", encoding="utf-8").read().strip() == str(1 << 30)
    else:
        assert "cgroup memory controller is not mounted" in refused(
            INVALID, running.setMemoryParameters, {"hard_limit": 1 << 20}, LIVE)
    if "io" in has:
        assert running.blkioParameters(LIVE)["device_weight"] == ""
    else:
        for call, arguments in ((running.setBlkioParameters, ({"weight": 50},)),
                                (running.blkioParameters, ())):
            refused(INVALID, call, *arguments, LIVE)
    running.destroy()
    until(lambda: path is None or not os.path.exists(path), "its control group is gone")


def test_limits_of_a_disk(running):
    for which in (LIVE, CONFIG):
        running.setBlockIoTune("vda", {"read_bytes_sec": 1 << 20, "write_iops_sec": 100}, which)
    found = running.blockIoTune("vda", LIVE)
    assert (found["read_bytes_sec"], found["write_iops_sec"]) == (1 << 20, 100)
    running.setBlockIoTune("vda", {"total_bytes_sec": 1 << 21}, LIVE)
    found = running.blockIoTune("vda", LIVE)
    assert (found["total_bytes_sec"], found["read_bytes_sec"], found["write_iops_sec"]) == (
        1 << 21, 0, 100)
    assert inactive(running).findtext("devices/disk/iotune/read_bytes_sec") == str(1 << 20)
    refused(INVALID_ARG, running.setBlockIoTune, "vdx", {"total_bytes_sec": 1}, LIVE)
    for kind in ("bytes_sec", "iops_sec", "bytes_sec_max", "iops_sec_max"):
        assert f"total and read/write of {kind} cannot be set" in refused(
            INVALID_ARG, running.setBlockIoTune, "vda",
            {f"total_{kind}": 1, f"write_{kind}": 1}, LIVE)
    refused(INVALID_ARG, running.blockIoTune, "vdx")


# ---- disks and interfaces ----

@pytest.mark.parametrize("first, second, together", [
    ("<readonly/>", "<readonly/>", True),
    ("<shareable/>", "<shareable/>", True),
    ("<readonly/><shareable/>", "<shareable/>", True),
    ("", "", False),
    ("", "<readonly/>", False),
    ("<readonly/>", "<shareable/>", False),  # it may be shared with those who only read
])
def test_an_image_of_two_domains(virtvoled, payloads, folder, first, second, together):
    image = folder / "disk.img"
    image.write_bytes(bytes(1 << 20))
    for name, kind in (("first", first), ("second", second)):
        virtvoled.define(name, kernel=payloads.echo, devices=f"""
            <disk type='file'><driver name='qemu' type='raw'/><source file='{image}'/>
            <target dev='vda' bus='virtio'/>{kind}</disk>""")
    with virtvoled.connect() as connection:
        connection.lookupByName("first").create()
        domain = connection.lookupByName("second")
        if together:
            domain.create()
        else:
            assert "is in use by another domain or program" in refused(
                libvirt.VIR_ERR_RESOURCE_BUSY, domain.create)


def test_a_disks_numbers(running, folder):
    assert running.blockInfo("vda")[0] == 1 << 20
    assert running.blockStats("vda")[4] == -1
    flags = running.blockStatsFlags("vda")
    assert {"rd_bytes", "wr_operations", "flush_total_times"} <= set(flags)
    assert running.blockStatsFlags("") == flags
    running.blockResize("vda", 2 << 20, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    assert (folder / "disk.img").stat().st_size == 2 << 20
    assert running.blockInfo(str(folder / "disk.img"))[0] == 2 << 20
    assert running.diskErrors() == {}
    refused(INVALID_ARG, running.blockStats, "vdx")
    refused(INVALID_ARG, running.blockInfo, "vdx")
    running.destroy()
    assert running.blockInfo("vda")[0] == 2 << 20
    for call in (running.blockStats, running.blockStatsFlags):
        refused(INVALID, call, "vda")
    refused(INVALID, running.blockResize, "vda", 4096)


def test_an_interfaces_numbers_and_link(virtvoled, payloads):
    tap = session.interface()
    virtvoled.define("netted", kernel=payloads.echo, devices=f"""
        <interface type='ethernet'><mac address='52:54:00:00:00:07'/>
        <target dev='{tap}'/><model type='virtio'/></interface>""")
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("netted")
        refused(INVALID, domain.interfaceStats, tap)
        domain.create()
        for name in (tap, "52:54:00:00:00:07"):
            assert len(domain.interfaceStats(name)) == 8
        refused(INVALID_ARG, domain.interfaceStats, "lo")
        assert connection.getAllDomainStats()[0][1]["net.0.name"] == tap
        virtvoled.virsh("domif-setlink", "netted", tap, "down")
        assert virtvoled.virsh("domif-getlink", "netted", tap) == f"{tap} down"
        assert inactive(domain).find("devices/interface/link") is None
        virtvoled.virsh("domif-setlink", "netted", tap, "up", "--config")
        device = tree(domain).find("devices/interface")
        device.find("mac").set("address", "52:54:00:00:00:08")
        refused(libvirt.VIR_ERR_DEVICE_MISSING, domain.updateDeviceFlags,
                ElementTree.tostring(device, encoding="unicode"), LIVE)
        device.find("mac").set("address", "52:54:00:00:00:07")
        ElementTree.SubElement(device, "mtu").set("size", "9000")
        assert "mtu" in refused(UNSUPPORTED, domain.updateDeviceFlags,
                                ElementTree.tostring(device, encoding="unicode"), LIVE)


@pytest.mark.parametrize("name, attributes", [
    ("driver", {"name": "qemu"}), ("boot", {"order": "2"}), ("alias", {"name": "ua-other"}),
    ("portForward", {"proto": "tcp"}), ("ip", {"address": "10.0.0.2"}),
    ("backend", {"type": "passt", "logFile": "/tmp/log"})])
def test_an_interface_does_not_change_in_silence(virtvoled, payloads, name, attributes):
    virtvoled.define("netted", kernel=payloads.echo, devices="""
        <interface type='user'><mac address='52:54:00:00:00:07'/></interface>""")
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("netted")
        domain.create()
        device = tree(domain).find("devices/interface")
        ElementTree.SubElement(device, "link").set("state", "down")
        domain.updateDeviceFlags(ElementTree.tostring(device, encoding="unicode"))
        assert tree(domain).find("devices/interface/link").get("state") == "down"
        for old in device.findall(name):
            device.remove(old)
        ElementTree.SubElement(device, name, attributes)
        changed = ElementTree.tostring(device, encoding="unicode")
        for flags in (LIVE, LIVE | CONFIG):
            assert "not its other settings" in refused(
                UNSUPPORTED, domain.updateDeviceFlags, changed, flags)
        assert inactive(domain).find("devices/interface/link") is None
        domain.updateDeviceFlags(changed, CONFIG)
        assert inactive(domain).find(f"devices/interface/{name}").attrib.items() >= attributes.items()


def test_what_may_go_through_an_interface(virtvoled, payloads):
    mac, tap = "52:54:00:00:00:07", session.interface()
    virtvoled.define("netted", kernel=payloads.echo, devices=f"""
        <interface type='ethernet'><mac address='{mac}'/>
        <target dev='{tap}'/><model type='virtio'/></interface>""")
    none = {f"{way}.{what}": 0 for way, numbers in (
        ("inbound", ("average", "peak", "burst", "floor")),
        ("outbound", ("average", "peak", "burst"))) for what in numbers}
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("netted")
        domain.create()
        assert domain.interfaceParameters(mac, LIVE) == none
        domain.setInterfaceParameters(mac, {"inbound.average": 1000, "inbound.peak": 2000,
                                            "inbound.burst": 512, "outbound.average": 300}, LIVE)
        domain.setInterfaceParameters(tap, {"inbound.peak": 3000}, LIVE)
        found = domain.interfaceParameters(tap, LIVE)
        assert found == {**none, "inbound.average": 1000, "inbound.peak": 3000,
                         "inbound.burst": 512, "outbound.average": 300}
        live = tree(domain).find("devices/interface/bandwidth")
        assert live.find("inbound").attrib == {"average": "1000", "peak": "3000", "burst": "512"}
        assert domain.interfaceParameters(mac, CONFIG) == none
        virtvoled.virsh("domiftune", "netted", mac, "--outbound", "50,60,70", "--config")
        assert domain.interfaceParameters(mac, CONFIG)["outbound.burst"] == 70
        domain.setInterfaceParameters(mac, {"inbound.average": 0, "outbound.average": 0}, LIVE)
        assert domain.interfaceParameters(mac, LIVE) == none
        assert tree(domain).find("devices/interface/bandwidth") is None
        refused(INVALID_ARG, domain.interfaceParameters, "none", LIVE)
        refused(INVALID_ARG, domain.setInterfaceParameters, mac, {"inbound.peak": 1}, LIVE)
        refused(CONFIG_UNSUPPORTED, domain.setInterfaceParameters, mac, {"inbound.floor": 1}, LIVE)


def test_a_channel_of_the_guests(virtvoled, payloads):
    """The guest has no driver for it: but the host's end is there, for one client at a time."""
    virtvoled.define("wired", kernel=payloads.echo, devices="""
        <channel type='unix'><target type='virtio' name='org.example.0'/></channel>
        <channel type='pty'><target type='virtio' name='org.example.1'/></channel>""")
    with virtvoled.connect() as connection:
        domain = connection.lookupByName("wired")
        refused(INVALID, domain.openChannel, None, connection.newStream(0), 0)
        domain.create()
        paths = [channel.find("source").get("path") for channel in
                 tree(domain).findall("devices/channel")]
        assert os.path.exists(paths[0]) and paths[1].startswith("/dev/pts/")
        assert inactive(domain).find("devices/channel/source").get("path") is None
        for name in (None, "org.example.1", "channel0"):
            stream = connection.newStream(0)
            domain.openChannel(name, stream, 0)
            refused(libvirt.VIR_ERR_OPERATION_FAILED, domain.openChannel, name,
                    connection.newStream(0), 0)
            stream.abort()
        refused(libvirt.VIR_ERR_INTERNAL_ERROR, domain.openChannel, "org.example.2",
                connection.newStream(0), 0)
        domain.destroy()
        assert not os.path.exists(paths[0]) and not os.path.exists(os.path.dirname(paths[0]))


# ---- what it does ----

def test_statistics_of_all(running, virtvoled, payloads):
    virtvoled.define("other", kernel=payloads.echo)
    connection = running.connect()
    found = {domain.name(): stats for domain, stats in connection.getAllDomainStats()}
    assert found["other"]["state.state"] == libvirt.VIR_DOMAIN_SHUTOFF
    mine = found["rich"]
    assert mine["state.state"] == libvirt.VIR_DOMAIN_RUNNING
    assert mine["cpu.time"] >= mine["cpu.user"]
    assert mine["vcpu.current"] == 2 and mine["vcpu.1.state"] == libvirt.VIR_VCPU_RUNNING
    assert mine["balloon.maximum"] == 64 << 10 and mine["balloon.rss"] > 0
    assert (mine["block.count"], mine["block.0.name"], mine["block.0.capacity"]) == (
        1, "vda", 1 << 20)
    assert mine["block.0.rd.reqs"] >= 0 and mine["net.count"] == 0
    only = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE,
                                        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE)
    assert [(domain.name(), set(stats)) for domain, stats in only] == [
        ("rich", {"state.state", "state.reason"})]
    refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, connection.getAllDomainStats, 1 << 30,
            libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS)


def test_cpu_time_control_and_jobs(running):
    (total,) = running.getCPUStats(True)
    assert total["cpu_time"] >= total["system_time"]
    assert running.controlInfo() == [libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0]
    assert running.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_NONE
    assert running.jobStats()["type"] == libvirt.VIR_DOMAIN_JOB_NONE
    refused(INVALID, running.abortJob)
    running.destroy()
    for call in (running.controlInfo, running.jobInfo, running.abortJob):
        refused(INVALID, call)
    refused(INVALID, running.getCPUStats, True)


def test_the_host(virtvoled):
    with virtvoled.connect() as connection:
        assert set(connection.getCPUStats(-1)) == {"kernel", "user", "idle", "iowait"}
        assert set(connection.getCPUStats(0)) == {"kernel", "user", "idle", "iowait"}
        refused(INVALID_ARG, connection.getCPUStats, 100000)
        memory = connection.getMemoryStats(-1)
        assert memory["total"] > memory["free"] > 0
        refused(INVALID_ARG, connection.getMemoryStats, 100000)
        assert connection.getFreePages([4], 0, 1)[0][4] > 0
        assert "qemu64" in connection.getCPUModelNames("x86_64")
        assert connection.getFreeMemory() > 0 and connection.getCPUMap()[0] >= os.cpu_count()
        assert connection.getSecurityModel()[0] == "none"


# ---- what none of them may do ----

CALLS = {
    "setMetadata": (libvirt.VIR_DOMAIN_METADATA_TITLE, "x", None, None),
    "rename": ("x",), "setLifecycleAction": (0, 0), "setMemory": (1024,), "setMaxMemory": (1024,),
    "setMemoryFlags": (1024, 0), "setMemoryStatsPeriod": (1,), "setVcpus": (1,),
    "setVcpusFlags": (1, 0), "pinVcpu": (0, (True,)), "pinVcpuFlags": (0, (True,), 0),
    "pinEmulator": ((True,), 0), "pinIOThread": (1, (True,), 0), "addIOThread": (9, 0),
    "delIOThread": (9, 0), "setSchedulerParameters": ({"cpu_shares": 1},),
    "setMemoryParameters": ({"hard_limit": 1 << 20},), "blockResize": ("vda", 4096),
    "setBlkioParameters": ({"weight": 2},), "setNumaParameters": ({"numa_nodeset": "0"},),
    "setBlockIoTune": ("vda", {"total_bytes_sec": 1}), "updateDeviceFlags": ("<interface/>", 0),
    "attachDevice": ("<rng/>",), "attachDeviceFlags": ("<rng/>", 0), "detachDevice": ("<rng/>",),
    "detachDeviceFlags": ("<rng/>", 0), "detachDeviceAlias": ("ua-x", 0),
    "abortJob": (),
}


@pytest.mark.parametrize("name", CALLS)
def test_readers_are_refused(virtvoled, rich, name):
    with libvirt.open(virtvoled.uri + "-ro") as connection:
        reader = connection.lookupByName("rich")
        assert "read only" in refused(DENIED, getattr(reader, name), *CALLS[name])


@pytest.mark.parametrize("name", CALLS)
def test_a_domain_that_is_not_there(rich, name):
    rich.undefine()
    refused(NO_DOMAIN, getattr(rich, name), *CALLS[name])


@pytest.mark.parametrize("name", [name for name in CALLS if name not in (
    "rename", "pinVcpu", "setVcpus", "setMemory", "setMaxMemory", "abortJob", "attachDevice",
    "detachDevice", "setSchedulerParameters")])
def test_flags_that_nobody_knows(rich, name):
    arguments = list(CALLS[name])
    if name not in ("setMetadata", "setLifecycleAction", "setMemoryStatsPeriod", "blockResize",
                    "setMemoryParameters", "setBlockIoTune", "setBlkioParameters",
                    "setNumaParameters"):
        arguments.pop()
    assert "unsupported flags" in refused(INVALID_ARG, getattr(rich, name), *arguments, 1 << 20)


# ---- events ----

def test_events_of_changes(running, virtvoled):
    events = Events(virtvoled.uri, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                    libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE)
    running.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<x/>", "k", "urn:x", LIVE)
    events.wait(("rich", libvirt.VIR_DOMAIN_METADATA_ELEMENT, "urn:x",
                 libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE))
    running.pinVcpu(0, (True,))
    events.wait(("rich", {"cputune.vcpupin0": "0"}, libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE))
    running.setBlockIoTune("vda", {"total_iops_sec": 7}, LIVE)
    events.wait(("rich", {"blkdeviotune.disk": "vda", "blkdeviotune.total_iops_sec": 7},
                 libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE))
    events.connection.close()


def test_redefinition_while_running(running, virtvoled, payloads):
    connection = running.connect()
    xml = running.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace(
        "<vcpu placement='static'>2<", "<vcpu placement='static'>1<")
    again = connection.defineXML(xml)
    assert again.ID() == running.ID() and again.isUpdated()
    assert (running.vcpusFlags(LIVE), running.vcpusFlags(CONFIG)) == (2, 1)
    running.destroy()
    running.create()
    assert running.vcpusFlags(LIVE) == 1
    refused(libvirt.VIR_ERR_OPERATION_FAILED, connection.defineXML,
            domain_xml("rich", kernel=payloads.echo,
                       more="<uuid>6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11</uuid>"))
