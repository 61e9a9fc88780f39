# SPDX-License-Identifier: LGPL-2.1-or-later
"""The built-in storage driver: what virsh, and libvirt's Python binding, do with pools and volumes
where no daemon of libvirt serves them."""

import os
import re
import stat
import xml.etree.ElementTree as ElementTree

import libvirt
import pytest

from support.events import take
from support.wait import SHORT, Deadline

MIB = 1 << 20


def refused(code, call, *arguments):
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*arguments)
    assert caught.value.get_error_code() == code, str(caught.value)
    return str(caught.value)


@pytest.fixture
def connection(virtvoled):
    with virtvoled.connect() as opened:
        yield opened


@pytest.fixture
def place(folder):
    path = folder / "images"
    path.mkdir()
    return path


def pool_xml(name, path, uuid=""):
    return f"<pool type='dir'><name>{name}</name>{uuid}<target><path>{path}</path></target></pool>"


def volume_xml(name, capacity, allocation=0, more=""):
    return (f"<volume><name>{name}</name><capacity>{capacity}</capacity>"
            f"<allocation>{allocation}</allocation><target>{more}</target></volume>")


@pytest.fixture
def pool(connection, place):
    """An active pool, "images"."""
    defined = connection.storagePoolDefineXML(pool_xml("images", place))
    defined.create()
    return defined


def tree(thing):
    return ElementTree.fromstring(thing.XMLDesc())


# ---- pools ----

def test_building_leaves_alone_what_is_there(connection, place):
    place.chmod(0o1777)
    defined = connection.storagePoolDefineXML(pool_xml("images", place))
    defined.build()
    assert stat.S_IMODE(place.stat().st_mode) == 0o1777
    defined.undefine()
    text = pool_xml("images", place).replace("</path>",
                                             "</path><permissions><mode>0750</mode></permissions>")
    connection.storagePoolDefineXML(text).build()
    assert stat.S_IMODE(place.stat().st_mode) == 0o750


def test_a_pool_lives(connection, virtvoled, folder):
    path = folder / "made" / "here"
    assert connection.listAllStoragePools() == []
    defined = connection.storagePoolDefineXML(pool_xml("images", path))
    assert (defined.isActive(), defined.isPersistent(), defined.autostart()) == (0, 1, 0)
    assert refused(libvirt.VIR_ERR_SYSTEM_ERROR, defined.create).startswith("cannot open directory")
    defined.build()
    assert stat.S_IMODE(path.stat().st_mode) == 0o711
    defined.create()
    refused(libvirt.VIR_ERR_OPERATION_INVALID, defined.create)
    refused(libvirt.VIR_ERR_OPERATION_INVALID, defined.undefine)
    defined.setAutostart(1)
    state, capacity, allocation, available = defined.info()
    assert state == libvirt.VIR_STORAGE_POOL_RUNNING and capacity == allocation + available > 0
    assert tree(defined).findtext("target/path") == str(path)
    assert tree(defined).findtext("target/permissions/mode") == "0711"
    assert connection.listStoragePools() == ["images"]
    assert connection.storagePoolLookupByTargetPath(f"{path}/").name() == "images"
    defined.destroy()
    assert connection.listDefinedStoragePools() == ["images"]
    assert defined.info()[0] == libvirt.VIR_STORAGE_POOL_INACTIVE
    defined.delete()
    assert not path.exists()
    defined.undefine()
    refused(libvirt.VIR_ERR_NO_STORAGE_POOL, connection.storagePoolLookupByName, "images")
    assert not list((virtvoled.root / "etc/libvirt/vole/storage").glob("**/*.xml"))


def test_a_transient_pool_ends_with_its_stop(connection, folder):
    flag = libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD
    made = connection.storagePoolCreateXML(pool_xml("t", folder / "t"), flag)
    assert (made.isActive(), made.isPersistent()) == (1, 0)
    refused(libvirt.VIR_ERR_INTERNAL_ERROR, made.setAutostart, 1)
    made.destroy()
    assert connection.listAllStoragePools() == []
    # One that cannot start leaves nothing behind.
    refused(libvirt.VIR_ERR_SYSTEM_ERROR, connection.storagePoolCreateXML,
            pool_xml("t", folder / "nowhere"))
    assert connection.listAllStoragePools() == []


def test_a_change_of_an_active_pool_waits_for_its_stop(connection, pool, place, folder):
    other = folder / "other"
    other.mkdir()
    uuid = f"<uuid>{pool.UUIDString()}</uuid>"
    connection.storagePoolDefineXML(pool_xml("images", other, uuid))
    assert tree(pool).findtext("target/path") == str(place)
    inactive = ElementTree.fromstring(pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE))
    assert inactive.findtext("target/path") == str(other)
    pool.destroy()
    pool.create()
    assert tree(pool).findtext("target/path") == str(other)


def test_what_no_pool_can_be(connection, pool, place, folder):
    define = connection.storagePoolDefineXML
    failed = libvirt.VIR_ERR_OPERATION_FAILED
    assert "conflict with pool: 'images'" in refused(failed, define, pool_xml("b", place))
    assert "conflict with pool: 'images'" in refused(failed, define, pool_xml("b", f"{place}/./"))
    assert "already exists" in refused(failed, define, pool_xml("images", folder / "b"))
    uuid = f"<uuid>{pool.UUIDString()}</uuid>"
    assert "already defined" in refused(failed, define, pool_xml("b", folder / "b", uuid))
    for name in ("a/b", "..", ".x", "a\tb", "x" * 201):
        refused(libvirt.VIR_ERR_XML_ERROR, define, pool_xml(name, folder / "b"))
    refused(libvirt.VIR_ERR_XML_ERROR, define, pool_xml("b", "relative"))
    assert "'dir'" in refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, define,
                              "<pool type='logical'><name>vg</name></pool>")
    refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, define,
            "<pool type='dir'><name>b</name><surprise/></pool>")
    refused(libvirt.VIR_ERR_XML_DETAIL, define, "<pool")
    assert connection.listAllStoragePools()[0].name() == "images"
    assert connection.numOfDefinedStoragePools() == 0


def host_boots(virtvoled, keep=""):
    """What lies below /run is gone."""
    for path in (virtvoled.root / "run/libvirt/vole").rglob("*"):
        if path.is_file() and not (keep and path.match(keep)):
            path.unlink()


def test_pools_outlive_the_daemon(virtvoled, folder):
    for name in ("kept", "auto", "idle", "gone"):
        (folder / name).mkdir()
    with virtvoled.connect() as connection:
        for name in ("auto", "idle", "gone"):
            connection.storagePoolDefineXML(pool_xml(name, folder / name))
        connection.storagePoolLookupByName("auto").setAutostart(1)
        gone = connection.storagePoolLookupByName("gone")
        gone.create()
        connection.storagePoolCreateXML(pool_xml("kept", folder / "kept"))
    (folder / "kept" / "disk.img").write_bytes(bytes(4096))
    (folder / "gone").rmdir()
    virtvoled.stop(9)
    host_boots(virtvoled, keep="*.xml")
    virtvoled.start()
    with virtvoled.connect() as connection:
        kept = connection.storagePoolLookupByName("kept")
        assert kept.listVolumes() == ["disk.img"]
        assert not kept.isPersistent()
        auto = connection.storagePoolLookupByName("auto")
        assert auto.listVolumes() == [] and auto.autostart()
        assert not connection.storagePoolLookupByName("idle").isActive()
        # What is no directory any more is not active, and can still be repaired.
        gone = connection.storagePoolLookupByName("gone")
        assert gone.info()[0] == libvirt.VIR_STORAGE_POOL_INACTIVE
        gone.build()
        gone.create()
        # Who stopped it wants it to stay so, whenever the daemon starts anew.
        auto.destroy()
    virtvoled.stop()
    virtvoled.start()
    with virtvoled.connect() as connection:
        assert not connection.storagePoolLookupByName("auto").isActive()
        assert connection.storagePoolLookupByName("gone").isActive()


def test_a_domain_that_starts_by_itself_finds_its_volume(virtvoled, pool, place, payloads):
    for number in range(2000):
        (place / f"{number}.img").write_bytes(bytes(512))
    pool.setAutostart(1)
    virtvoled.define("one", kernel=payloads.echo, devices="""
        <disk type='volume'><source pool='images' volume='7.img'/><target dev='vda'/></disk>""")
    virtvoled.virsh("autostart", "one")
    virtvoled.stop()
    host_boots(virtvoled)
    virtvoled.start()
    deadline = Deadline(SHORT)
    while virtvoled.virsh("domstate", "one") != "running":
        assert not deadline.passed(), virtvoled.log.read_text()


class PoolEvents:
    """What a connection is told of pools."""

    def __init__(self, virtvoled):
        self.seen = []
        self.connection = virtvoled.connect()
        self.ids = [self.connection.storagePoolEventRegisterAny(None, kind, self._note, None)
                    for kind in (libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE,
                                 libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH)]

    def _note(self, _connection, pool, *event):
        self.seen.append((pool.name(), *event[:-1]))

    def wait(self, *wanted):
        take(self.seen, wanted)

    def close(self):
        for number in self.ids:
            self.connection.storagePoolEventDeregisterAny(number)
        self.connection.close()
        assert self.seen == []


def test_events(virtvoled, connection, folder):
    events = PoolEvents(virtvoled)
    pool = connection.storagePoolDefineXML(pool_xml("p", folder / "p"))
    pool.build()
    pool.create()
    pool.refresh()
    pool.destroy()
    pool.delete()
    pool.undefine()
    kinds = (libvirt.VIR_STORAGE_POOL_EVENT_DEFINED, libvirt.VIR_STORAGE_POOL_EVENT_CREATED,
             libvirt.VIR_STORAGE_POOL_EVENT_STARTED, None, libvirt.VIR_STORAGE_POOL_EVENT_STOPPED,
             libvirt.VIR_STORAGE_POOL_EVENT_DELETED, libvirt.VIR_STORAGE_POOL_EVENT_UNDEFINED)
    events.wait(*(("p",) if kind is None else ("p", kind, 0) for kind in kinds))
    events.close()


# ---- volumes ----

def test_a_volume_lives(connection, pool, place):
    volume = pool.createXML(volume_xml("a.img", 3 * MIB, more="<format type='raw'/>"
                                       "<permissions><mode>0640</mode></permissions>"))
    path = place / "a.img"
    assert (volume.path(), volume.key(), volume.name()) == (str(path), str(path), "a.img")
    assert volume.info() == [libvirt.VIR_STORAGE_VOL_FILE, 3 * MIB, 0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert connection.storageVolLookupByPath(f"{place}/../images/a.img").name() == "a.img"
    assert connection.storageVolLookupByKey(str(path)).storagePoolLookupByVolume().name() == "images"
    with open(path, "r+b") as file:  # others may write it
        file.write(b"x" * 8192)
    assert volume.info()[2] == 8192
    volume.resize(5 * MIB)
    assert path.stat().st_size == 5 * MIB
    volume.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_DELTA)
    assert volume.info()[1] == 6 * MIB
    refused(libvirt.VIR_ERR_INVALID_ARG, volume.resize, MIB)
    refused(libvirt.VIR_ERR_INVALID_ARG, volume.resize, 512,
            libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
    volume.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
    volume.resize(2 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)
    assert path.stat().st_blocks * 512 >= 2 * MIB
    volume.wipe()
    assert path.read_bytes() == bytes(2 * MIB)
    volume.delete()
    assert not path.exists() and pool.listVolumes() == []
    refused(libvirt.VIR_ERR_NO_STORAGE_VOL, volume.info)


def test_a_new_volume_is_allocated_unless_told_otherwise(pool, place):
    pool.createXML("<volume><name>full</name><capacity unit='MiB'>1</capacity></volume>")
    assert (place / "full").stat().st_blocks * 512 >= MIB
    before = pool.info()[3]
    refused(libvirt.VIR_ERR_SYSTEM_ERROR, pool.createXML,
            "<volume><name>huge</name><capacity unit='EiB'>4</capacity></volume>")
    assert os.listdir(place) == ["full"] and pool.listVolumes() == ["full"]
    assert pool.info()[3] == before


def test_a_copy(pool, place, connection, folder):
    source = pool.createXML(volume_xml("a.img", 4 * MIB))
    with open(place / "a.img", "r+b") as file:
        file.seek(2 * MIB)
        file.write(b"here")
    (folder / "second").mkdir()
    second = connection.storagePoolCreateXML(pool_xml("second", folder / "second"))
    copy = second.createXMLFrom(volume_xml("b.img", 6 * MIB), source)
    data = (folder / "second" / "b.img").read_bytes()
    assert data[2 * MIB:2 * MIB + 4] == b"here" and data.count(0) == 6 * MIB - 4
    assert copy.info()[2] < MIB  # holes stay holes
    refused(libvirt.VIR_ERR_STORAGE_VOL_EXIST, second.createXMLFrom, volume_xml("b.img", 0), source)
    # As virsh does it: by the whole description of the other.
    text = re.sub("<name>.*</name>", "<name>c.img</name>", source.XMLDesc())
    pool.createXMLFrom(text, source)
    assert (place / "c.img").read_bytes() == (place / "a.img").read_bytes()


def test_formats_are_told_and_not_made(pool, place):
    (place / "q").write_bytes(b"QFI\xfb\0\0\0\3" + (128).to_bytes(8, "big") +
                              (4).to_bytes(4, "big") + bytes(4) + (1 << 30).to_bytes(8, "big") +
                              bytes(96) + b"base")
    (place / "cut").write_bytes(b"QFI\xfb\0\0\0\3")
    (place / "far").write_bytes(b"QFI\xfb\0\0\0\2" + b"\xff" * 60)
    (place / "cd").write_bytes(bytes(32769) + b"CD001")
    (place / "none").write_bytes(b"")
    (place / "folder").mkdir()
    pool.refresh()
    found = {name: tree(pool.storageVolLookupByName(name)) for name in pool.listVolumes()}
    assert {name: xml.find("target/format").get("type") for name, xml in found.items()} == {
        "q": "qcow2", "cut": "qcow2", "far": "qcow2", "cd": "iso", "none": "raw", "folder": "dir"}
    assert found["q"].findtext("capacity") == str(1 << 30)
    assert found["q"].findtext("backingStore/path") == str(place / "base")
    q = pool.storageVolLookupByName("q")
    refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, q.resize, 2 << 30)
    unsupported = libvirt.VIR_ERR_CONFIG_UNSUPPORTED
    assert "'qcow2'" in refused(unsupported, pool.createXML,
                                volume_xml("new", MIB, more="<format type='qcow2'/>"))
    refused(unsupported, pool.createXML,
            volume_xml("new", MIB, more="<encryption format='luks'/>"))
    refused(unsupported, pool.createXML, "<volume><name>new</name><capacity>1</capacity>"
            "<backingStore><path>/x</path></backingStore></volume>")
    assert not (place / "new").exists()
    pool.createXMLFrom(volume_xml("q2", 1, more="<format type='qcow2'/>"), q)
    assert (place / "q2").read_bytes() == (place / "q").read_bytes()
    pool.storageVolLookupByName("folder").delete()
    assert not (place / "folder").exists()


def test_an_image_of_a_cd_is_a_raw_one(pool, place):
    (place / "cd").write_bytes(bytes(32769) + b"CD001" + bytes(1000))
    pool.refresh()
    cd = pool.storageVolLookupByName("cd")
    pool.createXMLFrom(volume_xml("cd2", 1, more="<format type='raw'/>"), cd)
    assert (place / "cd2").read_bytes() == (place / "cd").read_bytes()
    cd.resize(MIB)
    assert (place / "cd").stat().st_size == MIB


def qcow2(backing=b"", backing_format=b"", version=3, length=104):
    """A header of an image of 1 MiB, and what it says of the one below."""
    extensions = b""
    if backing_format:
        padding = bytes(-len(backing_format) % 8)
        extensions = (0xe2792aca).to_bytes(4, "big") + len(backing_format).to_bytes(4, "big") + \
            backing_format + padding
    head = bytearray(length)
    head[:8] = b"QFI\xfb" + version.to_bytes(4, "big")
    head[24:32] = MIB.to_bytes(8, "big")
    if version == 3:
        head[100:104] = length.to_bytes(4, "big")
    if backing:
        head[8:16] = (length + len(extensions) + 8).to_bytes(8, "big")
        head[16:20] = len(backing).to_bytes(4, "big")
    return bytes(head) + extensions + bytes(8) + backing


def test_what_an_image_says_of_the_one_below(pool, place):
    """Whatever it is, it is told as XML that can be read."""
    images = {
        "beside": (qcow2(b"base.img", b"raw"), (str(place / "base.img"), "raw")),
        "elsewhere": (qcow2(b"/srv/base.img"), ("/srv/base.img", None)),
        "old": (qcow2(b"../base.img", b"qcow2", 2, 72), (f"{place.parent}/base.img", "qcow2")),
        "itself": (qcow2(b"itself", b"qcow2"), (str(place / "itself"), "qcow2")),
        "far": (qcow2(b"nbd://host/x", b"raw"), ("nbd://host/x", "raw")),
        "control": (qcow2(b"a\x02b", b"raw"), (None, None)),
        "none": (qcow2("\uffff".encode(), b"raw"), (None, None)),
        "no-text": (qcow2(b"\xff\xfe"), (None, None)),
        "odd": (qcow2(b"base", b"r\x01w"), (str(place / "base"), None)),
        "long": (qcow2(b"base", length=0xffff), (None, None)),
        "loop": (qcow2(b"base", length=0), (None, None)),
    }
    for name, (content, _) in images.items():
        (place / name).write_bytes(content)
    for name in ("n\uffff", "n\ufffe", "n\x01"):
        (place / name).write_bytes(b"")
    pool.refresh()
    assert sorted(pool.listVolumes()) == sorted(images)
    for name in ("long", "loop"):
        tree(pool.storageVolLookupByName(name))
        del images[name]
    found = {}
    for name in images:
        below = tree(pool.storageVolLookupByName(name)).find("backingStore")
        form = None if below is None else below.find("format")
        found[name] = (None if below is None else below.findtext("path"),
                       None if form is None else form.get("type"))
    assert found == {name: wanted for name, (_, wanted) in images.items()}


def test_more_allocated_than_there_is_room_for(pool, place):
    assert pool.createXML(volume_xml("v", MIB, 2 * MIB)).info()[1:] == [2 * MIB, 2 * MIB]
    assert (place / "v").stat().st_size == 2 * MIB


def test_a_pool_whose_directory_is_gone(connection, pool, place, folder):
    """It stops with the refresh that finds that out, as libvirt's do."""
    flag = libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD
    brief = connection.storagePoolCreateXML(pool_xml("brief", folder / "brief"), flag)
    for each, path in ((pool, place), (brief, folder / "brief")):
        path.rename(folder / "moved")
        assert refused(libvirt.VIR_ERR_SYSTEM_ERROR, each.createXML,
                       volume_xml("v", MIB)).startswith("cannot open directory")
        assert refused(libvirt.VIR_ERR_SYSTEM_ERROR, each.refresh).startswith(
            "cannot open directory")
        (folder / "moved").rename(path)
    assert [(each.name(), each.isActive()) for each in connection.listAllStoragePools()] == [
        ("images", 0)]
    pool.create()
    assert pool.listVolumes() == []


def test_a_domain_has_volumes(virtvoled, pool, place, folder, payloads):
    disk = "<disk type='volume'{}><source pool='images' volume='{}'/><target dev='{}'/></disk>"
    pool.createXML(volume_xml("v", MIB))
    (place / "cd.iso").write_bytes(bytes(32769) + b"CD001" + bytes(32762))
    pool.refresh()
    virtvoled.define("web1", kernel=payloads.echo, devices=disk.format("", "v", "vda") +
                     disk.format(" device='cdrom'", "cd.iso", "sda"))
    virtvoled.virsh("start", "web1")
    assert re.findall(r"(vd\S) +(\S+)", virtvoled.virsh("domblklist", "web1")) == [
        ("vda", "v"), ("vdb", "cd.iso")]
    virtvoled.virsh("destroy", "web1")

    def fails():
        status, _, error = virtvoled.virsh_any("start", "web1")
        assert status != 0 and virtvoled.virsh("domstate", "web1") == "shut off"
        return error
    (place / "v").unlink()
    assert f"'{place}/v'" in fails() and "No such file or directory" in fails()
    os.mkfifo(place / "v")  # nobody waits for who would write into it
    assert f"'{place}/v'" in fails()
    pool.refresh()
    assert "no storage vol with matching name 'v'" in fails()
    pool.destroy()
    assert "storage pool 'images' containing volume 'v' is not active" in fails()
    pool.undefine()
    assert "no storage pool with matching name 'images'" in fails()


def test_no_name_leads_out_of_the_pool(connection, pool, place, folder):
    secret = folder / "secret"
    secret.write_text("of somebody else")
    (place / "link").symlink_to(secret)
    (place / "dangling").symlink_to(folder / "new")
    os.mkfifo(place / "pipe")
    os.mknod(place / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    (place / b"bad\xff".decode(errors="surrogateescape")).write_text("")
    pool.refresh()
    assert pool.listVolumes() == []
    for name in ("../secret", "/etc/passwd", "a/b"):
        assert "cannot contain '/'" in refused(libvirt.VIR_ERR_OPERATION_INVALID, pool.createXML,
                                               volume_xml(name, 1))
    for name in ("..", ".", "a\nb", "x" * 256):
        refused(libvirt.VIR_ERR_XML_ERROR, pool.createXML, volume_xml(name, 1))
    for name in ("link", "dangling"):
        assert "already exists" in refused(libvirt.VIR_ERR_OPERATION_FAILED, pool.createXML,
                                           volume_xml(name, 1))
        refused(libvirt.VIR_ERR_NO_STORAGE_VOL, connection.storageVolLookupByPath,
                str(place / name))
    # A volume that has become a link meanwhile is not followed either.
    volume = pool.createXML(volume_xml("a.img", 16))
    (place / "a.img").unlink()
    (place / "a.img").symlink_to(secret)
    refused(libvirt.VIR_ERR_NO_STORAGE_VOL, volume.info)
    refused(libvirt.VIR_ERR_SYSTEM_ERROR, volume.resize, 1 << 10)
    refused(libvirt.VIR_ERR_SYSTEM_ERROR, volume.wipe)
    volume.delete()
    assert secret.read_text() == "of somebody else" and not (folder / "new").exists()


def test_uploads_and_downloads(virtvoled, pool, place, folder):
    data = os.urandom(5 * MIB + 123)
    (folder / "data").write_bytes(data)
    pool.createXML(volume_xml("v", 8 * MIB))

    def virsh(command, *arguments):
        virtvoled.virsh(command, "--pool", "images", "v", *arguments)
    virsh("vol-upload", folder / "data")
    assert (place / "v").read_bytes() == data + bytes(8 * MIB - len(data))
    virsh("vol-download", folder / "back")
    assert (folder / "back").read_bytes() == (place / "v").read_bytes()
    virsh("vol-download", folder / "back", "--offset", "100", "--length", "1000")
    assert (folder / "back").read_bytes() == data[100:1100]
    virsh("vol-upload", folder / "back", "--offset", 7 * MIB)
    assert (place / "v").read_bytes()[7 * MIB:7 * MIB + 1000] == data[100:1100]
    assert pool.storageVolLookupByName("v").info()[1] == 8 * MIB


def test_holes_stay_holes(virtvoled, pool, place, folder):
    def holey(path, *places):
        with open(path, "wb") as file:
            for at in places:
                file.seek(at)
                file.write(b"data" * 1024)
            file.truncate(8 * MIB)
    holey(folder / "data", MIB, 5 * MIB)
    pool.createXML(volume_xml("v", 8 * MIB, 8 * MIB))
    holey(place / "v", 0, MIB + 4096, 7 * MIB)  # all of which has to go
    virtvoled.virsh("vol-upload", "--pool", "images", "v", folder / "data", "--sparse")
    assert (place / "v").read_bytes() == (folder / "data").read_bytes()
    assert (place / "v").stat().st_blocks == (folder / "data").stat().st_blocks
    virtvoled.virsh("vol-download", "--pool", "images", "v", folder / "back", "--sparse")
    assert (folder / "back").read_bytes() == (folder / "data").read_bytes()
    assert (folder / "back").stat().st_blocks == (folder / "data").stat().st_blocks


def test_a_transfer_that_does_not_end_well(virtvoled, connection, pool, place):
    volume = pool.createXML(volume_xml("v", 4 * MIB))
    for call in (volume.upload, volume.download):
        refused(libvirt.VIR_ERR_OVERFLOW, call, connection.newStream(), (1 << 63) - 1, 2)
    # While it is read it can be read again, but neither be written, resized nor deleted.
    first, second, third = (connection.newStream() for _ in range(3))
    assert volume.download(first, 0, 0) == 0 and volume.download(second, 0, 0) == 0
    for call in ((volume.upload, third, 0, 0), (volume.delete,), (volume.resize, 8 * MIB)):
        assert "still in use" in refused(libvirt.VIR_ERR_OPERATION_INVALID, *call)
    assert "asynchronous jobs" in refused(libvirt.VIR_ERR_INTERNAL_ERROR, pool.destroy)
    assert first.recv(100) and second.recv(100)
    first.abort()
    second.abort()
    volume.upload(third, 0, 6000)
    third.send(b"x" * 4000)
    third.send(b"y" * 4000)
    with pytest.raises(libvirt.libvirtError, match="No space left"):
        while True:
            third.finish()
    assert (place / "v").read_bytes()[:8000] == b"x" * 4000 + bytes(4000)
    # A client that goes in the middle of it leaves the volume free.
    with virtvoled.connect() as other:
        stream = other.newStream()
        other.storageVolLookupByPath(str(place / "v")).upload(stream, 0, 0)
        stream.send(b"z" * MIB)
        stream.abort()
    deadline = Deadline(SHORT)
    while not deadline.passed():
        try:
            volume.delete()
            break
        except libvirt.libvirtError as error:
            assert "still in use" in str(error)
    assert os.listdir(place) == []


def test_an_inactive_pool_has_no_volumes(pool):
    volume = pool.createXML(volume_xml("a.img", 16))
    pool.destroy()
    invalid = libvirt.VIR_ERR_OPERATION_INVALID
    for call in (pool.listVolumes, pool.numOfVolumes, pool.refresh, volume.info, volume.delete):
        refused(invalid, call)
    refused(invalid, pool.createXML, volume_xml("b.img", 16))


def test_who_may_only_look(virtvoled, pool, place):
    pool.createXML(volume_xml("a.img", 16))
    uri = virtvoled.uri.replace("virtvoled-sock", "virtvoled-sock-ro")
    with libvirt.openReadOnly(uri) as reader:
        looked_up = reader.storagePoolLookupByName("images")
        assert looked_up.listVolumes() == ["a.img"]
        refused(libvirt.VIR_ERR_OPERATION_DENIED, looked_up.destroy)
        refused(libvirt.VIR_ERR_OPERATION_DENIED, looked_up.createXML, volume_xml("b.img", 1))
    assert os.listdir(place) == ["a.img"]
