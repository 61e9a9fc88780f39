# SPDX-License-Identifier: LGPL-2.1-or-later
"""An unmodified virsh against virtvoled and real VMMs, whose guest is a page of assembler. What the
daemon does with a VMM that misbehaves is in its own tests; here all parts are real."""

import os
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from contextlib import suppress

import libvirt
import pytest

from support.events import take
from support.virtvoled import answers, connected, domain_xml, ended, leave
from support.vole import program
from support.wait import SHORT, Deadline, until


def state(daemon, name="echo"):
    return daemon.virsh("domstate", name)


def wait_for_state(daemon, wanted, name="echo"):
    deadline = Deadline(SHORT)
    while (current := state(daemon, name)) != wanted:
        assert not deadline.passed(), f"{name} is {current}, not {wanted}"


def names(daemon, *options):
    return daemon.virsh("list", "--name", *options).split()


def test_a_life(echo, payloads):
    """define, start, suspend, resume, destroy, undefine, and what list says in between."""
    assert names(echo, "--all") == ["echo"]
    assert names(echo) == []
    assert state(echo) == "shut off"

    assert echo.virsh("start", "echo") == "Domain 'echo' started"
    assert state(echo) == "running"
    assert names(echo) == ["echo"]
    assert len(echo.vmm_pids()) == 1
    assert echo.virsh("domid", "echo") == "1"

    echo.virsh("suspend", "echo")
    assert state(echo) == "paused"
    echo.virsh("resume", "echo")
    assert state(echo) == "running"

    echo.virsh("destroy", "echo")
    assert state(echo) == "shut off"
    assert echo.vmm_pids() == []
    assert names(echo, "--all") == ["echo"]
    echo.virsh("undefine", "echo")
    assert names(echo, "--all") == []


def test_dominfo_and_dumpxml(echo, payloads):
    echo.virsh("start", "echo")
    info = dict(line.split(":", 1) for line in echo.virsh("dominfo", "echo").splitlines())
    info = {key: value.strip() for key, value in info.items()}
    assert (info["Name"], info["State"], info["CPU(s)"]) == ("echo", "running", "1")
    assert (info["Max memory"], info["Persistent"], info["Autostart"]) == (
        "32768 KiB", "yes", "disable")

    live = ElementTree.fromstring(echo.virsh("dumpxml", "echo"))
    assert live.get("id") == "1"
    assert live.findtext("os/kernel") == str(payloads.echo)
    assert live.find("devices/serial/source").get("path").startswith("/dev/pts/")
    stored = ElementTree.fromstring(echo.virsh("dumpxml", "--inactive", "echo"))
    assert stored.get("id") is None
    assert stored.find("devices/serial/source") is None


def test_define_dumpxml_define_loses_nothing(echo, folder):
    first = echo.virsh("dumpxml", "--inactive", "echo")
    path = folder / "again.xml"
    path.write_text(first, encoding="utf-8")
    echo.virsh("define", path)
    assert echo.virsh("dumpxml", "--inactive", "echo") == first


def test_console_both_ways(echo):
    child = echo.virsh_terminal("start", "--console", "echo")
    connected(child)
    child.send("hello")
    child.expect("hello")
    leave(child)

    child = echo.console("echo")
    child.send("again")
    child.expect("again")
    child.send("Q")  # the guest powers off: the console ends with it
    ended(child)
    wait_for_state(echo, "shut off")


def test_a_second_console_is_refused_and_force_takes_over(echo):
    echo.virsh("start", "echo")
    first = echo.console("echo")
    refused_one = echo.virsh_terminal("console", "echo")
    refused_one.expect("Active console session exists for this domain")
    assert ended(refused_one) == 1
    second = echo.virsh_terminal("console", "--force", "echo")
    connected(second)
    second.send("mine")
    second.expect("mine")
    ended(first)
    leave(second)


def test_guest_poweroff_shuts_off(echo):
    echo.virsh("start", "echo")
    child = echo.console("echo")
    child.send("Q")
    wait_for_state(echo, "shut off")
    ended(child)
    assert echo.virsh("domstate", "--reason", "echo") == "shut off (shutdown)"


def test_guest_reset_restarts_in_place(echo):
    echo.virsh("start", "echo")
    (pid,) = echo.vmm_pids()
    child = echo.console("echo")
    child.send("R")
    child.expect("ready")
    assert echo.vmm_pids() == [pid]
    echo.virsh("reset", "echo")
    child.expect("ready")
    leave(child)


def test_start_paused(echo):
    child = echo.virsh_terminal("start", "--paused", "--console", "echo")
    connected(child)
    assert state(echo) == "paused"
    echo.virsh("resume", "echo")
    child.expect("ready")
    leave(child)


def test_create_is_transient(virtvoled, payloads, folder):
    path = folder / "transient.xml"
    path.write_text(domain_xml("transient", kernel=payloads.echo), encoding="utf-8")
    virtvoled.virsh("create", path)
    assert names(virtvoled, "--transient") == ["transient"]
    virtvoled.virsh("destroy", "transient")
    assert names(virtvoled, "--all") == []


def test_autostart_is_kept_across_a_restart(echo):
    echo.virsh("autostart", "echo")
    assert names(echo, "--all", "--autostart") == ["echo"]
    echo.stop()
    echo.start()
    assert names(echo, "--all", "--autostart") == ["echo"]
    echo.virsh("autostart", "--disable", "echo")
    assert names(echo, "--all", "--autostart") == []


def test_definitions_outlive_the_daemon(echo):
    before = echo.virsh("dumpxml", "echo")
    echo.stop(signal.SIGKILL)
    echo.start()
    assert echo.virsh("dumpxml", "echo") == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("paused", [False, True])
def test_domains_outlive_the_daemon(echo, how, paused):
    echo.virsh("start", "echo")
    if paused:
        echo.virsh("suspend", "echo")
    (pid,) = echo.vmm_pids()
    live = echo.virsh("dumpxml", "echo")
    echo.stop(how)
    assert echo.vmm_pids() == [pid]
    echo.start()
    assert echo.vmm_pids() == [pid]
    assert state(echo) == ("paused" if paused else "running")
    assert echo.virsh("dumpxml", "echo") == live
    if paused:
        echo.virsh("resume", "echo")
    child = echo.console("echo")
    child.send("still")
    child.expect("still")
    leave(child)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_terminals_outlive_the_daemon(virtvoled, payloads, how):
    """A later daemon has them as well: with a reboot's new VMM, an open console goes on."""
    virtvoled.define("echo", kernel=payloads.echo, devices="""
        <channel type='pty'><target type='virtio' name='org.example.0'/></channel>""")
    virtvoled.virsh("start", "echo")
    (pid,) = virtvoled.vmm_pids()
    live = virtvoled.virsh("dumpxml", "echo")
    assert live.count("/dev/pts/") >= 2
    virtvoled.stop(how)
    virtvoled.start()
    child = virtvoled.console("echo")
    answers(child)
    virtvoled.virsh("reboot", "echo")
    child.send("Q")
    child.expect("ready")
    child.send("still")
    child.expect("still")
    leave(child)
    assert virtvoled.vmm_pids() != [pid]
    assert virtvoled.virsh("dumpxml", "echo") == live


def test_a_domain_that_ends_while_no_daemon_looks(echo):
    echo.virsh("start", "echo")
    (pid,) = echo.vmm_pids()
    echo.stop(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    echo.start()
    wait_for_state(echo, "shut off")
    echo.virsh("start", "echo")


def test_a_vmm_that_is_killed(echo):
    echo.virsh("start", "echo")
    (pid,) = echo.vmm_pids()
    os.kill(pid, signal.SIGKILL)
    wait_for_state(echo, "shut off")
    assert echo.virsh("domstate", "--reason", "echo") == "shut off (crashed)"
    echo.virsh("start", "echo")
    assert state(echo) == "running"


def test_many_domains(virtvoled, payloads):
    for number in range(8):
        virtvoled.define(f"many{number}", kernel=payloads.echo, memory_mib=16)
        virtvoled.virsh("start", "--paused", f"many{number}")
    assert len(virtvoled.vmm_pids()) == 8
    assert sorted(names(virtvoled)) == [f"many{number}" for number in range(8)]
    assert len(names(virtvoled, "--state-paused")) == 8


# ---- calls in the wrong state: the codes that the qemu driver gives ----

@pytest.fixture
def connection(echo):
    with echo.connect() as connection:
        yield connection


def refused(code, call, *arguments):
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*arguments)
    assert caught.value.get_error_code() == code, str(caught.value)
    return str(caught.value)


def test_wrong_state_when_shut_off(connection):
    domain = connection.lookupByName("echo")
    invalid = libvirt.VIR_ERR_OPERATION_INVALID
    for call in (domain.destroy, domain.shutdown, domain.reboot, domain.suspend, domain.resume,
                 domain.reset):
        assert "domain is not running" in refused(invalid, call)
    assert not domain.isActive()


def test_wrong_state_when_running(connection):
    domain = connection.lookupByName("echo")
    domain.create()
    assert "already running" in refused(libvirt.VIR_ERR_OPERATION_INVALID, domain.create)
    assert "already running" in refused(libvirt.VIR_ERR_OPERATION_INVALID, domain.resume)
    domain.suspend()
    domain.suspend()
    assert domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED


def test_lookups_that_find_nothing(connection):
    missing = libvirt.VIR_ERR_NO_DOMAIN
    refused(missing, connection.lookupByName, "nobody")
    refused(missing, connection.lookupByID, 4711)
    refused(missing, connection.lookupByUUIDString, "6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11")


def test_two_of_a_name_or_uuid(connection, payloads):
    domain = connection.lookupByName("echo")
    other = domain_xml("other", kernel=payloads.echo,
                       more=f"<uuid>{domain.UUIDString()}</uuid>")
    refused(libvirt.VIR_ERR_OPERATION_FAILED, connection.defineXML, other)
    same_name = domain_xml("echo", kernel=payloads.echo,
                           more="<uuid>6f1c3ad2-5b5e-4a55-9e0c-0d9f3b6b8f11</uuid>")
    refused(libvirt.VIR_ERR_OPERATION_FAILED, connection.defineXML, same_name)
    assert [d.name() for d in connection.listAllDomains()] == ["echo"]


def test_read_only_connections_read(echo):
    ro = f"vole:///system?socket={echo.root}/run/libvirt/virtvoled-sock-ro"
    connection = libvirt.openReadOnly(ro)
    domain = connection.lookupByName("echo")
    assert domain.info()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    # What the client lets through is for the daemon to refuse.
    with pytest.raises(libvirt.libvirtError):
        domain.create()
    connection.close()
    assert state(echo) == "shut off"


# ---- definitions that are refused ----

@pytest.mark.parametrize("xml, words", [
    ("<domain", []),
    ("<network/>", ["network"]),
    ("<domain type='kvm'/>", ["name"]),
    ("<domain type='qemu'><name>x</name></domain>", ["qemu"]),
])
def test_definitions_that_are_none(virtvoled, folder, xml, words):
    path = folder / "bad.xml"
    path.write_text(xml, encoding="utf-8")
    status, _, error = virtvoled.virsh_any("define", path)
    assert status == 1
    for word in words:
        assert word in error
    assert names(virtvoled, "--all") == []


def test_what_vole_cannot_give_is_named(virtvoled, payloads, folder):
    path = folder / "bad.xml"
    path.write_text(domain_xml("tv", kernel=payloads.echo,
                               devices="<video><model type='vga'/></video>"
                                       "<hostdev mode='subsystem' type='usb'><source>"
                                       "<vendor id='0x1'/><product id='0x2'/></source></hostdev>"),
                    encoding="utf-8")
    status, _, error = virtvoled.virsh_any("define", path)
    assert status == 1
    assert "unsupported configuration" in error and ("hostdev" in error or "video" in error)


@pytest.mark.parametrize("part, words", [
    ("kernel", "No such file"),
    ("disk", "No such file"),
])
def test_files_that_are_missing_at_start(virtvoled, payloads, folder, part, words):
    missing = folder / "missing"
    if part == "kernel":
        virtvoled.define("broken", kernel=missing)
    else:
        virtvoled.define("broken", kernel=payloads.echo, devices=f"""
            <disk type='file'><driver type='raw'/><source file='{missing}'/>
            <target dev='vda' bus='virtio'/></disk>""")
    status, _, error = virtvoled.virsh_any("start", "broken")
    assert status == 1 and str(missing) in error and words in error
    assert state(virtvoled, "broken") == "shut off"
    assert virtvoled.vmm_pids() == []


def test_a_kernel_that_is_none(virtvoled, folder):
    text = folder / "text"
    text.write_text("I am no kernel\n" * 100, encoding="utf-8")
    virtvoled.define("broken", kernel=text)
    status, _, error = virtvoled.virsh_any("start", "broken")
    assert status == 1 and "is no kernel" in error and str(text) in error
    assert state(virtvoled, "broken") == "shut off"


# ---- events ----

class Events:
    """Lifecycle and reboot events of a connection."""

    def __init__(self, uri):
        self.seen = []
        self.connection = libvirt.open(uri)
        self.connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None)
        self.connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reboot, None)

    def _lifecycle(self, _connection, domain, event, detail, _opaque):
        self.seen.append((domain.name(), event, detail))

    def _reboot(self, _connection, domain, _opaque):
        self.seen.append((domain.name(), "reboot"))

    def wait(self, *wanted):
        """Until these came, in this order and nothing else."""
        take(self.seen, wanted)


def test_events_of_a_life(virtvoled, payloads):
    events = Events(virtvoled.uri)
    virtvoled.define("echo", kernel=payloads.echo)
    events.wait(("echo", libvirt.VIR_DOMAIN_EVENT_DEFINED,
                 libvirt.VIR_DOMAIN_EVENT_DEFINED_ADDED))
    virtvoled.virsh("start", "echo")
    events.wait(("echo", libvirt.VIR_DOMAIN_EVENT_RESUMED,
                 libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED),
                ("echo", libvirt.VIR_DOMAIN_EVENT_STARTED,
                 libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED))
    virtvoled.virsh("suspend", "echo")
    events.wait(("echo", libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
                 libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED))
    virtvoled.virsh("resume", "echo")
    events.wait(("echo", libvirt.VIR_DOMAIN_EVENT_RESUMED,
                 libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED))
    virtvoled.virsh("reset", "echo")
    events.wait(("echo", "reboot"))
    virtvoled.virsh("destroy", "echo")
    events.wait(("echo", libvirt.VIR_DOMAIN_EVENT_STOPPED,
                 libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED))
    virtvoled.virsh("undefine", "echo")
    events.wait(("echo", libvirt.VIR_DOMAIN_EVENT_UNDEFINED,
                 libvirt.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED))
    events.connection.close()
    assert events.seen == []


# ---- what virsh asks of a hypervisor ----

def test_capabilities_and_node(virtvoled):
    capabilities = ElementTree.fromstring(virtvoled.virsh("capabilities"))
    assert capabilities.find("guest/arch/domain[@type='kvm']") is not None
    domcaps = ElementTree.fromstring(virtvoled.virsh("domcapabilities"))
    assert domcaps.findtext("domain") == "kvm"
    assert "CPU model" in virtvoled.virsh("nodeinfo")
    assert virtvoled.virsh("uri") == virtvoled.uri
    assert "vole" in virtvoled.virsh("version").lower()
    assert virtvoled.virsh("hostname")


def test_a_session_daemon(folder, payloads, monkeypatch):
    """vole:///session, in its user's own directories."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        (folder / name).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(folder / name))
    uri = f"vole:///session?socket={folder}/XDG_RUNTIME_DIR/libvirt/virtvoled-sock"
    def opened():
        assert daemon.poll() is None
        with suppress(libvirt.libvirtError):
            return libvirt.open(uri)

    with subprocess.Popen([program("virtvoled"), "--session"]) as daemon:
        try:
            connection = until(opened, "virtvoled serves")
            domain = connection.defineXML(domain_xml("mine", kernel=payloads.echo))
            domain.create()
            assert (folder / "XDG_CONFIG_HOME/libvirt/vole/mine.xml").exists()
            domain.destroy()
            connection.close()
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(SHORT) == 0
        finally:
            daemon.kill()
