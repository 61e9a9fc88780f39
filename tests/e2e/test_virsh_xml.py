# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domain XML on its whole way: virsh, virtvoled and a VMM that has to accept what comes of it. Each
element by itself is in tests/golden; here a machine with one of nearly everything starts."""

import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

EVERYTHING = """
<domain type='kvm'>
  <name>everything</name>
  <genid/>
  <title>One of each</title>
  <memory unit='MiB'>64</memory>
  <currentMemory unit='MiB'>48</currentMemory>
  <memoryBacking>
    <nosharepages/>
    <source type='memfd'/>
    <access mode='shared'/>
    <allocation mode='immediate'/>
  </memoryBacking>
  <vcpu cpuset='0'>2</vcpu>
  <iothreads>1</iothreads>
  <cputune>
    <vcpupin vcpu='1' cpuset='0'/>
    <emulatorpin cpuset='0'/>
    <iothreadpin iothread='1' cpuset='0'/>
  </cputune>
  <os>
    <type>hvm</type>
    <kernel>{kernel}</kernel>
  </os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <cpu mode='host-passthrough' check='partial'>
    <topology sockets='1' cores='1' threads='2'/>
    <feature policy='require' name='sse2'/>
    <feature policy='optional' name='avx512f'/>
  </cpu>
  <clock offset='localtime' adjustment='60'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
  </clock>
  <on_crash>preserve</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='writeback' io='threads' discard='unmap' queues='2'
              iothread='1'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
      <serial>ONE</serial>
      <iotune>
        <total_bytes_sec>1000000</total_bytes_sec>
        <total_bytes_sec_max>2000000</total_bytes_sec_max>
        <total_bytes_sec_max_length>5</total_bytes_sec_max_length>
        <read_iops_sec>10</read_iops_sec>
      </iotune>
    </disk>
    <interface type='ethernet'>
      <driver name='qemu' queues='2'/>
      <mtu size='1400'/>
      <link state='down'/>
      <bandwidth>
        <inbound average='1000' peak='5000' burst='1024'/>
      </bandwidth>
    </interface>
    <controller type='usb' model='qemu-xhci'/>
    <console type='pty'/>
    <console type='pty'><target type='virtio'/></console>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0'/>
    </channel>
    <channel type='pty'><target type='virtio' name='com.example.terminal'/></channel>
    <memballoon model='virtio' autodeflate='on'><stats period='5'/></memballoon>
    <rng model='virtio'><backend model='builtin'/></rng>
    <panic model='isa'/>
  </devices>
</domain>
"""


@pytest.fixture
def everything(virtvoled, payloads, folder):
    """The daemon, with the domain defined."""
    disk = folder / "disk.img"
    with open(disk, "wb") as image:
        image.truncate(1 << 20)
    path = folder / "everything.xml"
    path.write_text(EVERYTHING.format(kernel=payloads.echo, disk=disk))
    virtvoled.virsh("define", "--validate", path)
    return virtvoled


def test_it_starts_and_stays_as_it_was_defined(everything, folder):
    defined = everything.virsh("dumpxml", "everything")
    everything.virsh("start", "everything")
    live = everything.virsh("dumpxml", "everything")
    assert everything.virsh("dumpxml", "everything", "--inactive") == defined

    path = folder / "live.xml"
    path.write_text(live)
    subprocess.run(["virt-xml-validate", path], check=True, stdout=subprocess.DEVNULL)
    everything.virsh("define", "--validate", path)
    assert everything.virsh("dumpxml", "everything", "--inactive") == defined
    everything.virsh("destroy", "everything")


def test_what_is_made_for_it_is_shown_while_it_runs(everything):
    everything.virsh("start", "everything")
    devices = ElementTree.fromstring(everything.virsh("dumpxml", "everything")).find("devices")
    aliases = {alias.get("name") for alias in devices.iter("alias")}
    assert aliases == {"virtio-disk0", "net0", "serial0", "console1", "channel0", "channel1",
                       "balloon0", "rng0", "panic0", "virtio-serial0"}
    paths = [source.get("path") for source in devices.iterfind("channel/source")]
    assert paths[0].endswith("/channel/target/domain-1-everything/org.qemu.guest_agent.0")
    assert paths[1].startswith("/dev/pts/")
    # Consoles and channels are ports of one device, in their order.
    ports = [address.get("port") for address in devices.iter("address")
             if address.get("type") == "virtio-serial"]
    assert ports == ["0", "1", "2"]
    everything.virsh("destroy", "everything")


def test_a_wish_that_this_cpu_cannot_fulfil_is_told(everything):
    xml = everything.virsh("dumpxml", "everything")
    wish = "<feature policy='forbid' name='sse2'/>"
    path = everything.folder / "wish.xml"
    path.write_text(xml.replace("<feature policy='require' name='sse2'/>", wish))
    everything.virsh("define", path)
    status, _, error = everything.virsh_any("start", "everything")
    assert status != 0
    assert "Host CPU provides forbidden features: sse2" in error
