# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPU models and features through virsh: what this host has, compared with what is described, and
what becomes of it in a domain that starts."""

import xml.etree.ElementTree as ElementTree

import pytest

# Has nothing that a processor of the last 20 years lacks.
OLD = "pentium3"


@pytest.fixture
def cpu_file(virtvoled):
    def write(text):
        path = virtvoled.folder / "cpu.xml"
        path.write_text(text)
        return path

    return write


def element(text, path):
    return ElementTree.tostring(ElementTree.fromstring(text).find(path), encoding="unicode")


def start(daemon, payloads, cpu):
    """The <cpu> of the domain that runs."""
    daemon.define("echo", kernel=payloads.echo, more=cpu)
    daemon.virsh("start", "echo")
    live = ElementTree.fromstring(daemon.virsh("dumpxml", "echo")).find("cpu")
    daemon.virsh("destroy", "echo")
    return live


def features(cpu, policy):
    return {f.get("name") for f in cpu.iter("feature") if f.get("policy") == policy}


def test_models(virtvoled):
    models = virtvoled.virsh("cpu-models", "x86_64").split()
    assert {"qemu64", "EPYC", "Skylake-Server", OLD} <= set(models)
    caps = ElementTree.fromstring(virtvoled.virsh("domcapabilities"))
    assert [m.text for m in caps.iterfind("cpu/mode[@name='custom']/model")] == models
    usable = {m.text for m in caps.iterfind("cpu/mode[@name='custom']/model[@usable='yes']")}
    assert OLD in usable
    assert caps.find("cpu/mode[@name='host-model']/model").text in models


def test_the_host_compared_with_itself_and_others(virtvoled, cpu_file):
    host = element(virtvoled.virsh("capabilities"), "host/cpu")
    assert "is identical to host CPU" in virtvoled.virsh("cpu-compare", cpu_file(host))
    old = f"<cpu match='exact'><model>{OLD}</model></cpu>"
    assert "Host CPU is a superset" in virtvoled.virsh("cpu-compare", cpu_file(old))
    assert "is a superset" in virtvoled.virsh("hypervisor-cpu-compare", cpu_file(old))
    strict = old.replace("exact", "strict")
    status, output, _ = virtvoled.virsh_any("cpu-compare", cpu_file(strict))
    assert status == 1 and "is incompatible with host CPU" in output
    status, _, error = virtvoled.virsh_any("cpu-compare", "--error", cpu_file(strict))
    assert status == 1 and "does not strictly match" in error
    baseline = virtvoled.virsh("cpu-baseline", cpu_file(host + old))
    assert element(f"<a>{baseline}</a>", "cpu/model") == f'<model fallback="forbid">{OLD}</model>\n  '
    virtvoled.uri += "-ro"
    status, _, error = virtvoled.virsh_any("hypervisor-cpu-compare", cpu_file(old))
    assert status == 1 and "read only access" in error
    virtvoled.uri = virtvoled.uri.removesuffix("-ro")


def test_host_model_is_what_the_guest_gets(virtvoled, payloads):
    host_model = ElementTree.fromstring(virtvoled.virsh("domcapabilities")).find(
        "cpu/mode[@name='host-model']")
    live = start(virtvoled, payloads, "<cpu mode='host-model'/>")
    assert (live.get("mode"), live.get("check")) == ("custom", "full")
    assert live.find("model").text == host_model.find("model").text
    assert features(live, "require") == features(host_model, "require") - {"invtsc"}
    assert "<cpu mode='host-model'/>" in virtvoled.virsh("dumpxml", "echo")


def test_a_custom_cpu(virtvoled, payloads):
    live = start(virtvoled, payloads, f"<cpu match='exact'><model>{OLD}</model>"
                 "<feature policy='require' name='lm'/><feature policy='disable' name='mmx'/></cpu>")
    assert live.find("model").text == OLD
    # The machine's own, and what was asked for.
    assert features(live, "require") - {"apic"} == {"x2apic", "arat", "hypervisor", "tsc-deadline",
                                                    "lm"}
    assert features(live, "disable") == {"mmx"}


@pytest.mark.parametrize("cpu, why", [
    ("<cpu mode='custom'><model>pentium9</model></cpu>", "Unknown CPU model pentium9"),
    (f"<cpu match='strict'><model>{OLD}</model></cpu>", "does not strictly match"),
    (f"<cpu match='exact'><model>{OLD}</model><vendor>Nobody</vendor></cpu>",
     "host CPU vendor does not match required CPU vendor Nobody"),
    ("<cpu mode='host-passthrough'><feature policy='force' name='svm'/></cpu>",
     "Host CPU does not provide required features: svm"),
    ("<cpu mode='host-passthrough'><feature policy='disable' name='sse'/>"
     "<feature policy='require' name='sse2'/></cpu>", "what they need is disabled: sse2")])
def test_what_this_host_cannot_give(virtvoled, payloads, cpu, why):
    virtvoled.define("echo", kernel=payloads.echo, more=cpu)
    status, _, error = virtvoled.virsh_any("start", "echo")
    assert status == 1 and why in error
    assert virtvoled.virsh("domstate", "echo") == "shut off"
