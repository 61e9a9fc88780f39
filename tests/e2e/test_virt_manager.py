# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-manager, unmodified, on a screen that nobody sees: what a person does with mouse and
keyboard, and what there is to be seen then."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import libvirt
import pytest
from support.desktop import Desktop, applications, find, labelled, text_of
from support.elsewhere import IMAGES, Elsewhere
from support.libvirtd import Libvirtd
from support.session import new_folder
from support.virt_manager import Storage, VirtManager, Wizard
from support.wait import BOOT, until

DEVICES = """
<disk type='file'><source file='{disk}'/><target dev='vda'/></disk>
<interface type='ethernet'><mac address='52:54:00:12:34:56'/></interface>
<console type='pty'/>
<console type='pty'><target type='virtio'/></console>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<controller type='usb' model='none'/>
<rng model='virtio'><backend model='random'/></rng>
<panic model='isa'/>
"""


@pytest.fixture(scope="module")
def desktop():
    folder = new_folder()
    before = dict(os.environ)
    screen = Desktop(folder)
    try:
        yield screen.start()
    finally:
        screen.close()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder)


@pytest.fixture
def disk(virtvoled, folder):
    """A volume of the storage pool that virt-manager would otherwise make, on this machine."""
    path = folder / "images/disk.img"
    path.parent.mkdir()
    with open(path, "wb") as image:
        image.truncate(1 << 20)
    virtvoled.virsh("pool-define-as", "default", "dir", "--target", path.parent)
    virtvoled.virsh("pool-start", "default")
    return path


@pytest.fixture
def manager(desktop, virtvoled, disk, request):
    """virt-manager, connected to a daemon of this test's own."""
    program = VirtManager(desktop, virtvoled.uri_as(getattr(request, "param", "vole")))
    try:
        yield program
        picture(desktop, request.node.name.removeprefix("test_"))
        assert not program.errors()
        program.close()
    finally:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


def picture(desktop, name, of=None):
    """Kept beside the programs under test."""
    folder = Path(os.environ.get("VOLE_SCREENS") or
                  Path(os.environ["VOLE_BUILDDIR"]) / "screens")
    folder.mkdir(exist_ok=True)
    desktop.picture(folder / f"{name}.png", of)


@pytest.fixture
def web1(virtvoled, payloads, disk):
    """A domain with one of each device; its guest echoes."""
    virtvoled.define("web1", kernel=payloads.echo, memory_mib=64,
                     devices=DEVICES.format(disk=disk))
    return "web1"


@pytest.fixture
def bridge():
    name = f"vtb{os.getpid() % 100000}"
    subprocess.run(["ip", "link", "add", name, "up", "type", "bridge"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=False)


def inactive(virtvoled, name):
    return virtvoled.virsh("dumpxml", name, "--inactive")


def test_a_machine_is_started_used_paused_and_ended(desktop, virtvoled, manager, web1):
    manager.row("vole")
    manager.row(web1, "Shutoff")
    machine = manager.open(web1)
    machine.press("Run")
    manager.row(web1, "Running")

    machine.echoes("who is there?")
    picture(desktop, "console")

    pause = find(machine.window, "toggle button", "Pause")
    desktop.click(pause)
    manager.row(web1, "Paused")
    assert virtvoled.virsh("domstate", web1) == "paused"
    desktop.click(pause)
    manager.row(web1, "Running")
    machine.types_until_off("Q")
    machine.press("Run")
    manager.row(web1, "Running")
    machine.force_off()
    manager.row(web1, "Shutoff")
    assert "shut off" in virtvoled.virsh("domstate", web1)


def test_the_graphs_move(desktop, manager, web1):
    machine = manager.open(web1)
    machine.press("Run")
    manager.row(web1, "Running")
    page = machine.page("Performance", "performance-tab")
    # The guest asks its serial port without pause, which is work for a CPU.
    find(page, "label", re.compile(r"^[1-9][0-9]* %$"))
    find(page, "label", re.compile(r"^ *0 MiB of 64 MiB$"))
    find(page, "label", "0 KiB/s read 0 KiB/s write")
    find(page, "label", "0 KiB/s in 0 KiB/s out")
    picture(desktop, "graphs")
    machine.force_off()
    manager.row(web1, "Shutoff")


def test_every_device_has_its_page(desktop, virtvoled, manager, web1):
    virtvoled.virsh("start", web1, "--paused")
    manager.row(web1, "Paused")
    machine = manager.open(web1)
    for name, tab in (("Overview", "overview-tab"), ("OS information", "os-tab"),
                      ("CPUs", "cpu-tab"), ("Memory", "memory-tab"), ("Boot Options", "boot-tab"),
                      ("VirtIO Disk 1", "disk-tab"), ("NIC :12:34:56", "network-tab"),
                      ("Controller USB 0", "controller-tab"), ("Serial 1", "char-tab"), ("Console 2", "char-tab"),
                      (re.compile("^Channel .*qemu-ga"), "char-tab"), ("RNG /dev/urandom", "rng-tab"),
                      ("Panic Notifier", "panic-tab")):
        machine.page(name, tab)
    virtvoled.virsh("destroy", web1)
    manager.row(web1, "Shutoff")


@pytest.mark.parametrize("manager", ["qemuvole"], indirect=True)
def test_what_is_changed_in_its_window_is_in_the_definition(desktop, virtvoled, manager, web1):
    machine = manager.open(web1)
    page = machine.page("Overview", "overview-tab")
    desktop.replace_text(labelled(page, "Title:"), "The web")
    machine.apply()
    page = machine.page("Boot Options", "boot-tab")
    desktop.click(find(page, "check box", "Start virtual machine on host boot up"))
    machine.apply()
    page = machine.page("CPUs", "cpu-tab")
    desktop.replace_text(find(page, "spin button"), "2")
    desktop.key("Tab")
    machine.apply()

    xml = inactive(virtvoled, web1)
    assert "<title>The web</title>" in xml
    assert "<vcpu placement='static'>2</vcpu>" in xml
    assert "Autostart:      enable" in virtvoled.virsh("dominfo", web1)


def test_its_xml_is_edited_and_a_mistake_is_told(desktop, virtvoled, manager, web1):
    manager.expected.append("a microVM has no TPM")
    machine = manager.open(web1)
    editor = machine.xml()
    picture(desktop, "xml")
    changed = text_of(editor).replace("</uuid>", "</uuid><description>by hand</description>")
    write(desktop, editor, changed)
    machine.apply()
    assert "<description>by hand</description>" in inactive(virtvoled, web1)

    before = inactive(virtvoled, web1)
    write(desktop, editor, before.replace("<devices>", "<devices><tpm model='tpm-tis'/>"))
    machine.press("config-apply")
    manager.answer("a microVM has no TPM", "Close")
    assert inactive(virtvoled, web1) == before


def write(desktop, editor, text):
    """By keyboard. Lines that begin with blanks would be indented once more."""
    desktop.replace_text(editor, "".join(line.strip() for line in text.splitlines()))


def test_what_cannot_be_done_to_a_running_machine_is_told(desktop, virtvoled, manager, web1):
    manager.expected.append("live detach of device")
    machine = manager.open(web1)
    machine.press("Run")
    manager.row(web1, "Running")
    machine.page("RNG /dev/urandom", "rng-tab")
    machine.press("config-remove")
    manager.answer("Are you sure you want to remove this device?", "Yes")
    manager.answer("Device could not be removed from the running machine", "OK")
    assert "<rng" not in inactive(virtvoled, web1)
    assert "<rng" in virtvoled.virsh("dumpxml", web1)
    virtvoled.virsh("destroy", web1)
    manager.row(web1, "Shutoff")


def test_it_comes_back_when_the_daemon_does(desktop, virtvoled, manager, web1):
    manager.expected += ["tick_from_engine", "domainEventDeregister"]
    virtvoled.virsh("start", web1)
    manager.row(web1, "Running")
    virtvoled.stop(signal.SIGKILL)
    manager.row("vole", "Not Connected")
    virtvoled.start()
    manager.connects("vole", web1, "Running")
    machine = manager.open(web1)
    machine.echoes("still there")
    machine.force_off()
    manager.row(web1, "Shutoff")


def direct_kernel_boot(desktop, machine, texts, name):
    """On a page of a machine that is about to be made, of which a picture is taken."""
    page = machine.page("Boot Options", "boot-tab")
    desktop.expand(find(page, "toggle button", "Direct kernel boot"))
    desktop.click(find(page, "check box", "Enable direct kernel boot"))
    for label, text in texts.items():
        desktop.replace_text(labelled(page, label), str(text))
    picture(desktop, name, machine.window)
    machine.apply()


@pytest.mark.parametrize("manager", ["vole", "qemuvole"], indirect=True)
def test_a_machine_is_made_from_an_image(desktop, virtvoled, manager, disk, bridge, payloads):
    wizard = Wizard(manager)
    wizard.choose_volume(disk.name)
    wizard.choose_os("generic linux 2022", "linux2022")
    wizard.set_memory(64)
    machine = wizard.finish("made", bridge, customize=True)

    direct_kernel_boot(desktop, machine, {"Kernel path:": payloads.echo}, "direct-kernel-boot")
    machine.press("Begin Installation")
    manager.row("made", "Running")

    # By the scheme's name virt-manager has chosen IDE and e1000, or SPICE, sound and USB.
    xml = inactive(virtvoled, "made")
    assert "<target dev='vda' bus='virtio'/>" in xml
    assert "<model type='virtio'/>" in xml and f"<source bridge='{bridge}'/>" in xml
    for device in ("graphics", "input", "sound", "redirdev"):
        assert f"<{device}" not in xml
    machine = manager.machine("made")
    machine.echoes("hello")
    machine.force_off()
    manager.row("made", "Shutoff")

    manager.choose("made", "Delete")
    dialog = manager.window(re.compile("^Delete"))
    picture(desktop, "delete", dialog)
    desktop.click(find(dialog, "push button", "Delete"))
    manager.answer("Are you sure you want to delete the storage?", "Yes")
    manager.gone("made")
    assert not disk.exists()
    assert virtvoled.virsh("list", "--all", "--name") == ""


# ---- with what the host's libvirt has ----

NETWORK = """<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/>
<ip address='192.168.122.1' netmask='255.255.255.0'>
<dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>"""


@pytest.fixture
def libvirtd(virtvoled, folder):
    """One whose networks are its own, and the daemon's: they share a network namespace. It has
    Debian's default network, which nobody has started."""
    theirs = Libvirtd(folder, virtvoled.root)
    try:
        theirs.start()
        virtvoled.prefix = ["nsenter", f"--net=/proc/{theirs.process.pid}/ns/net"]
        virtvoled.restart("vole.conf", "".join(f'{name}_uri = "{theirs.uri(name)}"\n'
                                               for name in ("network", "storage")))
        (folder / "default.xml").write_text(NETWORK, encoding="utf-8")
        virtvoled.virsh("net-define", folder / "default.xml")
        yield theirs
    finally:
        with suppress(libvirt.libvirtError):
            virtvoled.connect().lookupByName("netted").destroy()
        theirs.close()


@pytest.mark.parametrize("manager", ["qemuvole"], indirect=True)
def test_a_machine_on_the_default_network_with_a_new_volume(desktop, libvirtd, virtvoled, manager,
                                                            disk, payloads):
    wizard = Wizard(manager)
    browser = wizard.browse()
    browser.new_volume("netted", "raw", 0.1)
    find(browser.window, "table cell", "netted.img")
    picture(desktop, "storage-browser", browser.window)
    browser.choose("netted.img")
    wizard.choose_os("generic linux 2022", "linux2022")
    wizard.set_memory(64)
    desktop.expand(find(wizard.window, "toggle button", "Network selection"))
    desktop.click(find(wizard.window, "combo box", "net-source"))
    desktop.click(find(manager.app, "menu item", "Virtual network 'default' : NAT (Inactive)"))
    picture(desktop, "network-selection", wizard.window)
    machine = wizard.finish("netted", None, customize=True,
                            question="Virtual Network 'default' is not active")
    direct_kernel_boot(desktop, machine, {"Kernel path:": payloads.echo}, "netted-kernel")
    machine.press("Begin Installation")
    manager.row("netted", "Running")

    assert " active " in virtvoled.virsh("net-list")
    live = virtvoled.virsh("dumpxml", "netted")
    assert f"<source file='{disk.with_name('netted.img')}'/>" in live
    assert re.search("<source network='default' portid='.*' bridge='virbr0'/>", live)
    machine = manager.machine("netted")
    mac = re.search("<mac address='..:..:..(.*)'/>", live)[1]
    machine.page(f"NIC {mac}", "network-tab")
    picture(desktop, "nic", machine.window)
    machine.force_off()
    manager.row("netted", "Shutoff")


def test_networks_and_storage_in_the_details_of_the_connection(desktop, libvirtd, virtvoled,
                                                               manager, folder):
    manager.choose("vole", "conn-details")
    window = manager.window(re.compile("Connection Details$"))
    desktop.click(find(window, "page tab", "Virtual Networks"))
    desktop.click(find(window, "table cell", "default"))
    desktop.click(find(window, "push button", "net-start"))
    find(window, "label", "Active")
    picture(desktop, "connection-networks", window)
    assert " active " in virtvoled.virsh("net-list")
    desktop.click(find(window, "push button", "net-stop"))
    find(window, "label", "Inactive")
    assert " inactive " in virtvoled.virsh("net-list", "--all")

    desktop.click(find(window, "page tab", "Storage"))
    storage = Storage(manager, window)
    storage.new_pool("fresh", folder / "fresh")
    storage.new_volume("data", "raw", 0.1)
    desktop.click(find(window, "table cell", "data.img"))
    picture(desktop, "connection-storage", window)
    assert "data.img" in virtvoled.virsh("vol-list", "fresh")
    desktop.click(find(window, "push button", "vol-delete"))
    manager.answer("Are you sure you want to permanently delete the volume data.img?", "Yes")
    until(lambda: not (folder / "fresh/data.img").exists(), "the volume is gone")
    desktop.click(find(window, "menu", "File"))
    desktop.click(find(window, "menu item", "Close"))


# ---- a Debian, from its image to its end ----

@pytest.fixture
def elsewhere(folder):
    """A machine on which Linux boots."""
    machine = Elsewhere(folder)
    try:
        yield machine.start()
    finally:
        machine.close()


def test_debian_from_its_image_to_its_end(desktop, elsewhere, image):
    elsewhere.run("sh", "-c", f"mkdir -p {IMAGES} && cp --sparse=always {image.disk} "
                              f"{IMAGES}/debian.img && ip link add br0 up type bridge")
    elsewhere.virsh("pool-define-as", "default", "dir", "--target", IMAGES)
    elsewhere.virsh("pool-start", "default")
    manager = VirtManager(desktop, elsewhere.uri)
    wizard = Wizard(manager)
    wizard.choose_volume("debian.img")
    picture(desktop, "debian-storage", wizard.window)
    wizard.choose_os("debian 11", "debian11")
    wizard.set_memory(512)
    picture(desktop, "debian-ready", wizard.window)
    machine = wizard.finish("debian", "br0", customize=True)
    direct_kernel_boot(desktop, machine, {
        "Kernel path:": image.kernel, "Initrd path:": image.initrd,
        "Kernel args:": "root=/dev/vda console=ttyS0 quiet"}, "debian-kernel")
    machine.press("Begin Installation")
    manager.row("debian", "Running", BOOT)

    machine = manager.machine("debian")
    terminal = machine.console()
    until(lambda: "login:" in text_of(terminal), "Debian asks who is there", BOOT)
    desktop.click(terminal)
    desktop.type("root\n")
    until(lambda: "Password:" in text_of(terminal), "it asks for the password", BOOT)
    desktop.type("vole\n")
    until(lambda: "root@debian:~#" in text_of(terminal), "the shell is there", BOOT)
    desktop.type("lsblk; while dd if=/dev/vda of=/dev/null bs=1M iflag=direct; do :; done\n")
    until(lambda: "disk /" in text_of(terminal), "there is a disk", BOOT)
    picture(desktop, "debian-console", machine.window)

    page = machine.page("Performance", "performance-tab")
    find(page, "label", re.compile(r"^[1-9][0-9,.]* .iB/s read"))
    find(page, "label", re.compile(r"^[1-9][0-9]* %$"))
    find(page, "label", re.compile(r"^ *[1-9][0-9]* MiB of 512 MiB$"))
    picture(desktop, "debian-graphs", machine.window)
    machine.press("Shut Down")
    manager.row("debian", "Shutoff", BOOT)
    manager.choose("debian", "Delete")
    dialog = manager.window(re.compile("^Delete"))
    desktop.click(find(dialog, "push button", "Delete"))
    manager.answer("Are you sure you want to delete the storage?", "Yes")
    manager.gone("debian")
    assert "debian.img" not in elsewhere.virsh("vol-list", "default")
    assert not manager.errors()
    manager.close()


# ---- and without one ----

def test_without_a_kernel_it_is_told_what_is_missing(virtvoled, manager, disk, bridge):
    manager.expected.append("there is no <kernel>")
    wizard = Wizard(manager)
    wizard.choose_volume(disk.name)
    wizard.choose_os("generic linux 2022", "linux2022")
    wizard.set_memory(64)
    wizard.finish("none", bridge, customize=False)
    manager.answer("there is no <kernel>, and no firmware that could find one", "Close")
    assert virtvoled.virsh("list", "--all", "--name") == ""


@pytest.mark.parametrize("manager", ["qemuvole"], indirect=True)
def test_a_machine_is_cloned_with_its_disk(desktop, virtvoled, manager, web1, disk):
    manager.choose(web1, "Clone...")
    dialog = manager.window(re.compile("^Clone"))
    picture(desktop, "clone", dialog)
    desktop.click(find(dialog, "push button", "Clone"))
    manager.row("web1-clone", "Shutoff")
    xml = inactive(virtvoled, "web1-clone")
    clone = disk.with_name("disk-clone.img")
    assert f"<source file='{clone}'/>" in xml
    assert clone.stat().st_size == disk.stat().st_size
    assert "52:54:00:12:34:56" not in xml


def test_virt_viewer_says_that_there_is_nothing_to_see(desktop, virtvoled, web1):
    virtvoled.virsh("start", web1)
    viewer = desktop.run("virt-viewer", "-c", virtvoled.uri, web1)
    try:
        app = until(lambda: next((app for app in applications()
                                  if app.get_name() == "virt-viewer"), None), "virt-viewer is there")
        find(app, "label", re.compile("Cannot determine the graphic type for the guest web1"))
    finally:
        viewer.kill()
        viewer.wait()
