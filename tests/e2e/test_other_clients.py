# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other people's clients, unmodified: Ansible's modules, a Prometheus exporter, `virsh event`.
(libvirt-python is what the other tests use.)"""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress

import pytest
from support.guest import TREE
from support.virtvoled import domain_xml, ended
from support.wait import SHORT, until


@pytest.fixture(scope="module")
def clients():
    done = subprocess.run([TREE / "tests/lab/other-clients"], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 3:
        pytest.skip(f"their packages could not be fetched: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def ansible(clients, virtvoled, folder):
    """ansible(module, arguments...): what the module says."""
    def run(module, **arguments):
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": clients, "HOME": str(folder),
               "ANSIBLE_LOCAL_TEMP": str(folder), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["ansible", "localhost", "--one-line", "-i", "localhost,", "-c", "local", "-e",
             "ansible_python_interpreter=/usr/bin/python3", "-m", f"community.libvirt.{module}",
             "-a", json.dumps({"uri": virtvoled.uri, **arguments})],
            env=env, check=False, text=True, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=SHORT * 2)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.partition(" => ")[2])
    return run


def test_ansible_makes_starts_and_ends_a_domain(ansible, virtvoled, payloads):
    ansible("virt", command="define", xml=domain_xml("web1", payloads.echo))
    assert ansible("virt", name="web1", state="running")["changed"]
    assert ansible("virt", command="list_vms", state="running")["list_vms"] == ["web1"]
    assert ansible("virt", name="web1", state="destroyed")["changed"]
    assert virtvoled.virsh("domstate", "web1") == "shut off"


def test_a_prometheus_exporter_has_its_figures(clients, virtvoled, payloads, port):
    virtvoled.define("web1", kernel=payloads.echo, memory_mib=64)
    virtvoled.virsh("start", "web1")
    address = "127.0.0.1:%d" % port
    exporter = subprocess.Popen([f"{clients}/prometheus-libvirt-exporter", "--libvirt.uri",
                                 virtvoled.uri, "--web.listen-address", address],
                                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def metrics():
        with suppress(urllib.error.URLError, ConnectionError):
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=SHORT) as answer:
                return answer.read().decode()
        return None
    try:
        text = until(metrics, "the exporter serves")
    finally:
        exporter.terminate()
        exporter.wait(SHORT)
    assert re.search(r"^libvirt_up 1$", text, re.M)
    assert re.search(r'^libvirt_domain_info_maximum_memory_bytes\{.*"web1".*\} 6.7108864e\+07$', text,
                     re.M)
    assert re.search(r'^libvirt_domain_info_cpu_time_seconds_total\{.*"web1".*\} [0-9.e+-]+$', text,
                     re.M)


def test_virsh_tells_of_all_events(virtvoled, payloads):
    virtvoled.define("web1", kernel=payloads.echo)
    events = virtvoled.event_terminal("web1")
    virtvoled.virsh("start", "web1")
    events.expect("event 'lifecycle' for domain 'web1'.*: Started Booted")
    virtvoled.virsh("destroy", "web1")
    events.expect("event 'lifecycle' for domain 'web1'.*: Stopped Destroyed")
    events.sendcontrol("c")
    ended(events)
