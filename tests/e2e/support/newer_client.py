# SPDX-License-Identifier: LGPL-2.1-or-later
"""A domain's life by a libvirt-python that is not this machine's: run by its own interpreter, with
a URI and a file of domain XML. What differs from what is expected ends it with a traceback."""

import sys
import xml.etree.ElementTree as ElementTree

import libvirt

SECONDS = 120


def refused(code, call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        assert error.get_error_code() == code, error
        return
    raise AssertionError(f"{call} was not refused")


class Events:
    """Every kind of domain event that this library knows is asked for."""

    def __init__(self, connection):
        self.seen = []
        self.refused = []
        for name in sorted(vars(libvirt)):
            if name.startswith("VIR_DOMAIN_EVENT_ID_"):
                self._register(connection, name)

    def _register(self, connection, name):
        try:
            connection.domainEventRegisterAny(None, getattr(libvirt, name), self._event, name)
        except libvirt.libvirtError:
            self.refused.append(name)

    def _event(self, _connection, domain, *rest):
        self.seen.append((domain.name(), rest[-1], *rest[:-1]))

    def wait(self, *wanted):
        late = []
        timer = libvirt.virEventAddTimeout(SECONDS * 1000, lambda *_: late.append(True), None)
        while wanted not in self.seen and not late:
            libvirt.virEventRunDefaultImpl()
        libvirt.virEventRemoveTimeout(timer)
        assert wanted in self.seen, f"no {wanted} among {self.seen}"


def talk(stream, text, wanted):
    """Says something to the guest and reads what it answers."""
    stream.send(text)
    heard = b""
    while wanted not in heard:
        data = stream.recv(4096)
        assert data, f"the console ended after {heard}"
        heard += data


def life(connection, xml):
    lifecycle = "VIR_DOMAIN_EVENT_ID_LIFECYCLE"
    events = Events(connection)
    domain = connection.defineXML(xml)
    events.wait(domain.name(), lifecycle, libvirt.VIR_DOMAIN_EVENT_DEFINED,
                libvirt.VIR_DOMAIN_EVENT_DEFINED_ADDED)
    assert lifecycle not in events.refused, events.refused

    domain.create()
    events.wait(domain.name(), lifecycle, libvirt.VIR_DOMAIN_EVENT_STARTED,
                libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
    assert [each.name() for each in connection.listAllDomains(
        libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)] == [domain.name()]
    live = ElementTree.fromstring(domain.XMLDesc())
    assert live.get("id") == str(domain.ID())

    stream = connection.newStream()
    domain.openConsole(None, stream)
    talk(stream, b"hello", b"hello")
    stream.finish()

    ((found, stats),) = connection.getAllDomainStats()
    assert found.name() == domain.name() and stats["state.state"] == libvirt.VIR_DOMAIN_RUNNING
    assert {"cpu.time", "balloon.current", "vcpu.0.state"} <= set(stats)
    assert domain.info()[0] == libvirt.VIR_DOMAIN_RUNNING and domain.isActive()
    assert len(domain.getCPUStats(True)) == 1
    refused(libvirt.VIR_ERR_OPERATION_INVALID, domain.create)

    domain.suspend()
    events.wait(domain.name(), lifecycle, libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
                libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
    domain.resume()
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None)
    events.wait(domain.name(), "VIR_DOMAIN_EVENT_ID_METADATA_CHANGE",
                libvirt.VIR_DOMAIN_METADATA_TITLE, None)
    domain.reset()
    events.wait(domain.name(), "VIR_DOMAIN_EVENT_ID_REBOOT")
    domain.destroy()
    events.wait(domain.name(), lifecycle, libvirt.VIR_DOMAIN_EVENT_STOPPED,
                libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
    refused(libvirt.VIR_ERR_OPERATION_INVALID, domain.destroy)
    domain.undefine()
    refused(libvirt.VIR_ERR_NO_DOMAIN, connection.lookupByName, domain.name())


def main(uri, path):
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()
    with open(path, encoding="utf-8") as file, libvirt.open(uri) as connection:
        life(connection, file.read())
    print("libvirt", libvirt.getVersion())


if __name__ == "__main__":
    main(*sys.argv[1:])
