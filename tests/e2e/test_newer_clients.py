# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main paths again, with the virsh and the libvirt-python of Debian 13."""

import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from support.guest import TREE
from support.virtvoled import connected, domain_xml, ended, leave
from support.wait import SHORT

@pytest.fixture
def newer(virtvoled, newer_clients):
    virtvoled.virsh_program = newer_clients / "bin/virsh"
    assert int(virtvoled.virsh("--version").split(".")[0]) >= 11
    return virtvoled


def test_a_life(newer, payloads, folder):
    newer.define("echo", kernel=payloads.echo)
    events = newer.event_terminal("echo")
    assert newer.virsh("list", "--all", "--name") == "echo"
    first = newer.virsh("dumpxml", "--inactive", "echo")
    path = folder / "again.xml"
    path.write_text(first, encoding="utf-8")
    newer.virsh("define", path)
    assert newer.virsh("dumpxml", "--inactive", "echo") == first
    events.expect("event 'lifecycle' for domain 'echo': Defined Updated")

    newer.virsh("attach-interface", "echo", "bridge", "br0", "--config")
    assert "<source bridge='br0'/>" in newer.virsh("dumpxml", "echo")
    newer.virsh("detach-interface", "echo", "bridge", "--config")
    assert newer.virsh("dumpxml", "--inactive", "echo") == first

    child = newer.virsh_terminal("start", "--console", "echo")
    connected(child)
    child.send("hello")
    child.expect("hello")
    leave(child)
    events.expect("event 'lifecycle' for domain 'echo': Started Booted")
    assert ElementTree.fromstring(newer.virsh("dumpxml", "echo")).get("id") == "1"
    stats = newer.virsh("domstats", "echo")
    assert "state.state=1" in stats and "balloon.current=32768" in stats
    info = dict(line.split(":", 1) for line in newer.virsh("dominfo", "echo").splitlines())
    assert (info["State"].strip(), info["Autostart"].strip()) == ("running", "disable")

    newer.virsh("suspend", "echo")
    events.expect("Suspended Paused")
    newer.virsh("resume", "echo")
    newer.virsh("reboot", "echo")
    newer.virsh("shutdown", "echo")  # the guest has no driver for the button
    assert newer.virsh("domstate", "echo") == "running"
    newer.virsh("reset", "echo")
    events.expect("event 'reboot' for domain 'echo'")
    newer.virsh("destroy", "echo")
    events.expect("event 'lifecycle' for domain 'echo': Stopped Destroyed")
    newer.virsh("undefine", "echo")
    assert newer.virsh("list", "--all", "--name") == ""
    events.sendcontrol("c")
    ended(events)


def test_a_console_that_ends_with_the_guest(newer, payloads):
    newer.define("echo", kernel=payloads.echo)
    newer.virsh("start", "echo")
    child = newer.console("echo")
    child.send("Q")
    assert ended(child) == 0


@pytest.mark.parametrize("command", [
    "net-list --all", "pool-list --all", "nodedev-list", "iface-list", "nwfilter-list",
    "secret-list", "nwfilter-binding-list", "net-info none", "pool-info none",
    "pool-capabilities"])
def test_what_other_drivers_have(newer, payloads, command):
    """A result or an error; and the connection is as good as before."""
    newer.define("echo", kernel=payloads.echo)
    status, output, error = newer.virsh_any(f"{command}; domid echo; list --all --name")
    assert "echo" in output.split() and status == 0, error
    assert not error or error.startswith("error: "), error


@pytest.mark.parametrize("command, function", [
    ("checkpoint-list echo", "virDomainListAllCheckpoints"),
    ("domfsinfo echo", "virDomainGetFSInfo"),
    ("domdirtyrate-calc echo", "virDomainStartDirtyRateCalc"),
    ("autostart --once echo", "virDomainSetAutostartOnce"),
    ("nodesevinfo", "virNodeGetSEVInfo")])
def test_what_is_not_there(newer, payloads, command, function):
    newer.define("echo", kernel=payloads.echo)
    status, _, error = newer.virsh_any(*command.split())
    assert status == 1 and error.splitlines()[-1] == (
        f"error: this function is not supported by the connection driver: {function}")


def test_the_host(newer):
    for command in ("capabilities", "domcapabilities", "nodeinfo", "nodecpumap", "nodecpustats",
                    "nodememstats", "freecell", "freepages --all", "version --daemon", "uri",
                    "hostname", "cpu-models x86_64"):
        newer.virsh(*command.split())


def test_readers_and_who_is_not_there(newer, payloads):
    newer.define("echo", kernel=payloads.echo)
    newer.uri += "-ro"
    status, _, error = newer.virsh_any("start", "echo")
    assert status == 1 and "read only access prevents virDomainCreate" in error
    status, _, error = newer.virsh_any("domstate", "nobody")
    assert status == 1 and "failed to get domain 'nobody'" in error
    newer.uri = newer.uri.removesuffix("-ro")


def test_python(newer, newer_clients, payloads, folder):
    path = folder / "life.xml"
    path.write_text(domain_xml("life", kernel=payloads.echo), encoding="utf-8")
    done = subprocess.run([newer_clients / "bin/python3", TREE / "tests/e2e/support/newer_client.py",
                           newer.uri, path], check=False, text=True, capture_output=True,
                          timeout=SHORT * 4)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("libvirt 11")
