# SPDX-License-Identifier: LGPL-2.1-or-later
"""Single devices by virsh: attached to and detached from the definition, for the next start. What
each kind of device needs for it is in tests/unit/test-xml-device.c."""

import xml.etree.ElementTree as ElementTree

import libvirt
import pytest

from support.events import Events

UNSUPPORTED = libvirt.VIR_ERR_OPERATION_UNSUPPORTED
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
RNG = "<rng model='virtio'><backend model='builtin'/></rng>"
NO_HOTPLUG = "a running microVM keeps its devices"


@pytest.fixture
def daemon(virtvoled, payloads, folder):
    """The daemon, with a domain 'plain' that has one disk."""
    for name in ("disk.img", "other.img", "cd.iso"):
        (folder / name).write_bytes(bytes(1 << 20))
    virtvoled.define("plain", kernel=payloads.echo, devices=f"""
        <disk type='file'><source file='{folder}/disk.img'/><target dev='vda'/></disk>""")
    return virtvoled


@pytest.fixture
def domain(daemon):
    with daemon.connect() as connection:
        yield connection.lookupByName("plain")


@pytest.fixture
def device(folder):
    """Writes a device's XML into a file."""
    def write(text):
        path = folder / "device.xml"
        path.write_text(f"<?xml version='1.0'?>\n<!-- a device -->\n{text}\n", encoding="utf-8")
        return path
    return write


def devices(virtvoled):
    return ElementTree.fromstring(virtvoled.virsh("dumpxml", "--inactive", "plain")).find("devices")


def fails(virtvoled, *arguments):
    status, _, error = virtvoled.virsh_any(*arguments)
    assert status == 1
    return error


def test_disks_come_and_go(daemon, folder):
    before = daemon.virsh("dumpxml", "plain")
    daemon.virsh("attach-disk", "plain", folder / "other.img", "vdc", "--config", "--cache", "none",
                 "--serial", "TWO")
    assert "target vdc already exists" in fails(
        daemon, "attach-disk", "plain", folder / "other.img", "vdc", "--config")
    daemon.virsh("attach-disk", "plain", folder / "cd.iso", "hdb", "--type", "cdrom", "--config")
    names = [disk.find("target").get("dev") for disk in devices(daemon).iter("disk")]
    assert names == ["vda", "vdb", "vdc"]
    assert devices(daemon).find("disk[2]/readonly") is not None
    daemon.virsh("start", "plain")
    assert len(daemon.virsh("domblklist", "plain").splitlines()) == 5
    daemon.virsh("destroy", "plain")
    # By its target, or by the source of it.
    daemon.virsh("detach-disk", "plain", "vdc", "--config")
    daemon.virsh("detach-disk", "plain", folder / "cd.iso", "--config")
    assert daemon.virsh("dumpxml", "plain") == before


def test_what_was_attached_is_detached_by_the_same_file(daemon, device, folder):
    before = daemon.virsh("dumpxml", "plain")
    for text in (RNG, "<vsock model='virtio'><cid auto='yes'/></vsock>", "<panic model='isa'/>",
                 "<interface type='user'><mac address='52:54:00:00:00:07'/></interface>",
                 "<console type='pty'><target type='virtio'/></console>",
                 "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/>"
                 "</channel>",
                 f"<disk type='file' device='cdrom'><source file='{folder}/cd.iso'/>"
                 "<target dev='sdb' bus='sata'/></disk>"):
        path = device(text)
        daemon.virsh("attach-device", "plain", path, "--config")
        assert daemon.virsh("dumpxml", "plain") != before
        daemon.virsh("detach-device", "plain", path, "--config")
        assert daemon.virsh("dumpxml", "plain") == before
        fails(daemon, "detach-device", "plain", path, "--config")


def test_interfaces_come_and_go(daemon):
    mac = "52:54:00:00:00:07"
    for address in (mac, "52:54:00:00:00:08"):
        daemon.virsh("attach-interface", "plain", "bridge", "br0", "--mac", address, "--model",
                     "virtio", "--inbound", "1000,2000,512", "--config")
    daemon.virsh("attach-interface", "plain", "network", "default", "--config")
    found = devices(daemon).findall("interface")
    assert [net.get("type") for net in found] == ["bridge", "bridge", "network"]
    assert found[0].find("bandwidth/inbound").get("average") == "1000"
    assert "52:54:00:00:00:09" in fails(daemon, "detach-interface", "plain", "bridge", "--mac",
                                        "52:54:00:00:00:09", "--config")
    daemon.virsh("detach-interface", "plain", "network", "--config")
    daemon.virsh("detach-interface", "plain", "bridge", "--mac", mac, "--config")
    assert [net.find("mac").get("address") for net in devices(daemon).iter("interface")] == \
        ["52:54:00:00:00:08"]


def test_by_alias(daemon, device):
    daemon.virsh("attach-device", "plain", device(RNG.replace("</rng>",
                 "<alias name='ua-entropy'/></rng>")), "--config")
    assert "no device found with alias ua-other" in fails(
        daemon, "detach-device-alias", "plain", "ua-other", "--config")
    daemon.virsh("detach-device-alias", "plain", "ua-entropy", "--config")
    assert devices(daemon).find("rng") is None


def test_a_device_is_changed_in_the_definition(daemon, device, folder):
    disk = (f"<disk type='file'><driver name='qemu' type='raw' io='threads'/>"
            f"<source file='{folder}/other.img'/><target dev='vda'/></disk>")
    daemon.virsh("update-device", "plain", device(disk), "--config")
    assert devices(daemon).find("disk/source").get("file").endswith("other.img")
    daemon.virsh("start", "plain")
    assert "live update of device 'disk' is not supported" in fails(
        daemon, "update-device", "plain", device(disk), "--live")
    daemon.virsh("destroy", "plain")


def test_a_running_domain_is_left_alone(daemon, domain, device):
    domain.create()
    live, config = domain.XMLDesc(), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for call in (domain.attachDevice, lambda xml: domain.attachDeviceFlags(xml, LIVE),
                 lambda xml: domain.attachDeviceFlags(xml, LIVE | CONFIG),
                 lambda xml: domain.attachDeviceFlags(xml, 0)):
        with pytest.raises(libvirt.libvirtError, match=NO_HOTPLUG) as caught:
            call(RNG)
        assert caught.value.get_error_code() == UNSUPPORTED
    disk = ElementTree.tostring(ElementTree.fromstring(live).find("devices/disk"),
                                encoding="unicode")
    for call in (domain.detachDevice, lambda xml: domain.detachDeviceFlags(xml, LIVE | CONFIG),
                 lambda _: domain.detachDeviceAlias("virtio-disk0", 0)):
        with pytest.raises(libvirt.libvirtError, match=NO_HOTPLUG):
            call(disk)
    with pytest.raises(libvirt.libvirtError, match="no target device vdz") as caught:
        domain.detachDevice("<disk type='file'><target dev='vdz'/></disk>")
    assert caught.value.get_error_code() == libvirt.VIR_ERR_DEVICE_MISSING
    assert domain.XMLDesc() == live
    assert domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == config

    # What comes with the next start; of the change in the definition nobody is told.
    events = Events(daemon.uri, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED)
    daemon.virsh("attach-device", "plain", device(RNG), "--config")
    assert "<rng" not in domain.XMLDesc()
    domain.destroy()
    domain.create()
    assert "<rng" in domain.XMLDesc()
    events.wait(("plain", libvirt.VIR_DOMAIN_EVENT_STARTED,
                 libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE))
    assert [event[1] for event in events.seen] == [
        libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_RESUMED,
        libvirt.VIR_DOMAIN_EVENT_STARTED]


def test_a_domain_that_is_off_or_transient(daemon, domain, device):
    assert "domain is not running" in fails(daemon, "attach-device", "plain", device(RNG))
    assert "domain is not running" in fails(daemon, "detach-device", "plain", device(RNG), "--live")
    daemon.virsh("attach-device", "plain", device(RNG), "--current")
    assert devices(daemon).find("rng") is not None
    domain.create()
    domain.undefine()
    assert "transient domains do not have any persistent config" in fails(
        daemon, "attach-device", "plain", device(RNG), "--config")


@pytest.mark.parametrize("text, error", [
    ("<domain type='kvm'/>", "unknown device type 'domain'"),
    ("<emulator>/bin/sh</emulator>", "unknown device type 'emulator'"),
    (RNG + RNG, "Extra content"),
    ("<rng/></devices></domain>", "Extra content"),
    ("<!DOCTYPE rng [<!ENTITY a 'a'>]>" + RNG, "document type"),
    (f"<rng model='virtio'>{'<a>' * 100}{'</a>' * 100}</rng>", "nested too deeply"),
    ("<hostdev mode='subsystem' type='pci'/>", "devices of the host are not passed through"),
    ("<video><model type='vga'/></video>",
     "persistent attach of device 'video' is not supported"),
    ("<disk type='file' device='cdrom'><target dev='hdc'/></disk>", "missing source information"),
    ("<disk type='file'><driver name='qemu' type='raw' iothread='7'/><source file='/x'/>"
     "<target dev='vdb'/></disk>", "Disk iothread '7' not defined"),
])
def test_what_is_no_device_for_it_changes_nothing(daemon, domain, text, error):
    before = domain.XMLDesc()
    with pytest.raises(libvirt.libvirtError) as caught:
        domain.attachDeviceFlags(text, CONFIG)
    assert error in str(caught.value) and "\n" not in str(caught.value)
    assert domain.XMLDesc() == before
