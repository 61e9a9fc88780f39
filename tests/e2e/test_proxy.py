# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks, storage and the like on our connection, answered by a libvirtd beside us: the same
commands on vole:/// and on that daemon's own network:///, storage:/// ... say the same."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading

import libvirt
import pytest

from support.libvirtd import Libvirtd
from support.session import new_folder
from support.virtvoled import Virtvoled
from support.wait import SHORT, until

NOBODY, OTHER_GROUP = 65534, 61234
NETWORK = """<network><name>t</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
<bridge name='vtest0'/><mac address='52:54:00:11:22:33'/>
<ip address='192.0.2.129' netmask='255.255.255.128'>
<dhcp><range start='192.0.2.130' end='192.0.2.140'/></dhcp></ip></network>"""
SECRET = """<secret ephemeral='no' private='no'><uuid>55806c7d-8e93-456f-829b-607d8c198367</uuid>
<usage type='volume'><volume>/nowhere</volume></usage></secret>"""
FILTER = """<filter name='vtest' chain='root'><uuid>0a1ec6d0-5b9a-4f0a-9d5e-1f3cf5a9d9e1</uuid>
<rule action='accept' direction='in' priority='500'><tcp dstportstart='22'/></rule></filter>"""


@contextlib.contextmanager
def beside_each_other(settings=""):
    """(Libvirtd, Virtvoled) that share a directory for sockets."""
    folder = new_folder()
    folder.chmod(0o755)
    ours = Virtvoled(folder)
    ours.configure("virtvoled.conf", f'unix_sock_rw_perms = "0777"\n{settings}')
    theirs = Libvirtd(folder, ours.root)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(theirs.close)
        theirs.start()
        stack.callback(ours.close)
        ours.start()
        yield theirs, ours


@pytest.fixture(scope="module")
def pair():
    with beside_each_other() as both:
        yield both


@pytest.fixture
def impatient_pair():
    # Not so impatient that a busy machine's daemon looks like one that hangs.
    with beside_each_other("keepalive_interval = 3\nkeepalive_count = 2\n"
                           "host_daemon_timeout = 10\n") as both:
        yield both


def virsh(uri, *arguments):
    done = subprocess.run(["virsh", "-c", uri, *map(str, arguments)], check=False, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=SHORT * 2,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout, done.stderr


def same(pair, driver, *commands):
    """Runs the commands on that driver's own connection, then on ours; returns what they said."""
    theirs, ours = pair
    said = []
    for uri in (theirs.uri(driver), ours.uri):
        said.append([virsh(uri, *command) for command in commands])
    for command, one, other in zip(commands, *said):
        assert one == other, command
    return said[0]


# ---- the same answers ----

def test_networks(pair, folder):
    xml = folder / "t.xml"
    xml.write_text(NETWORK)
    host = "<host ip='192.0.2.150'><hostname>a</hostname></host>"
    said = same(
        pair, "network",
        ("net-define", xml), ("net-list", "--all"), ("net-info", "t"), ("net-start", "t"),
        ("net-start", "t"), ("net-dumpxml", "t"), ("net-autostart", "t"),
        ("net-update", "t", "add", "dns-host", host, "--live", "--config"),
        ("net-dumpxml", "t", "--inactive"), ("net-dhcp-leases", "t"), ("net-port-list", "t"),
        ("net-list",), ("net-uuid", "t"), ("net-destroy", "t"), ("net-destroy", "t"),
        ("net-undefine", "t"), ("net-info", "t"), ("net-create", xml), ("net-destroy", "t"),
        ("net-list", "--all"))
    assert [status for status, *_ in said] == [0] * 4 + [1] + [0] * 9 + [1, 0, 1, 0, 0, 0]


def test_pools_and_volumes(pair, folder):
    place = folder / "pool"
    place.mkdir()
    (folder / "data").write_bytes(os.urandom(3 << 20))
    (folder / "holes").write_bytes(bytes(1 << 20) + b"x" * 4096 + bytes(1 << 20))
    times = re.compile(r"<(.time)>.*</\1>")

    def commands(uri):
        yield virsh(uri, "pool-define-as", "p", "dir", "--target", place)
        yield virsh(uri, "pool-start", "p")
        yield virsh(uri, "pool-list", "--all")
        yield virsh(uri, "vol-create-as", "p", "v", "4M")
        yield virsh(uri, "vol-create-as", "p", "q", "4M", "--format", "qcow2")
        yield virsh(uri, "vol-upload", "v", folder / "data", "--pool", "p")
        yield virsh(uri, "vol-download", "v", folder / "back", "--pool", "p")
        yield (folder / "back").read_bytes()[:3 << 20] == (folder / "data").read_bytes()
        yield virsh(uri, "vol-upload", "v", folder / "holes", "--pool", "p", "--sparse")
        yield virsh(uri, "vol-download", "v", folder / "back", "--pool", "p", "--sparse",
                    "--length", "2101248")
        yield (folder / "back").read_bytes() == (folder / "holes").read_bytes()
        yield virsh(uri, "vol-upload", "v", folder / "data", "--pool", "p", "--offset", "1G")
        status, text, error = virsh(uri, "vol-dumpxml", "q", "--pool", "p")
        yield status, times.sub("", text), error
        yield virsh(uri, "vol-clone", "v", "w", "--pool", "p")
        yield virsh(uri, "vol-list", "p", "--details")
        yield virsh(uri, "vol-resize", "w", "8M", "--pool", "p")
        yield virsh(uri, "vol-info", place / "w")
        yield virsh(uri, "vol-wipe", "w", "--pool", "p")
        for name in ("v", "w", "q", "none"):
            yield virsh(uri, "vol-delete", name, "--pool", "p")
        yield virsh(uri, "pool-capabilities")
        yield virsh(uri, "find-storage-pool-sources", "dir")
        yield virsh(uri, "pool-destroy", "p")
        yield virsh(uri, "pool-undefine", "p")
    theirs, ours = pair
    # The kind of socket differs, and nothing else.
    assert list(commands(theirs.uri("storage"))) == list(commands(ours.uri))


def test_the_others(pair, folder):
    (folder / "secret.xml").write_text(SECRET)
    (folder / "filter.xml").write_text(FILTER)
    uuid = "55806c7d-8e93-456f-829b-607d8c198367"
    said = same(pair, "secret", ("secret-define", folder / "secret.xml"), ("secret-list",),
                ("secret-set-value", uuid, "c2VjcmV0"), ("secret-get-value", uuid),
                ("secret-dumpxml", uuid), ("secret-undefine", uuid), ("secret-list",))
    assert "c2VjcmV0" in said[3][1]
    same(pair, "nwfilter", ("nwfilter-define", folder / "filter.xml"), ("nwfilter-list",),
         ("nwfilter-dumpxml", "vtest"), ("nwfilter-binding-list",), ("nwfilter-undefine", "vtest"))
    said = same(pair, "nodedev", ("nodedev-list", "--cap", "net"), ("nodedev-list", "--tree"),
                ("nodedev-info", "net_lo_00_00_00_00_00_00"), ("nodedev-dumpxml", "computer"))
    assert "net_lo" in said[0][1]
    same(pair, "interface", ("iface-list", "--all"), ("iface-dumpxml", "lo"))


def test_many_calls_on_one_connection(pair):
    """Answers find their calls whatever order they come in, ours and theirs mixed."""
    _, ours = pair
    failed = []
    with ours.connect() as connection:
        def ask(number):
            try:
                for _ in range(25):
                    assert connection.numOfNetworks() == 0
                    assert connection.listAllDomains() == []
                    assert connection.listAllSecrets() == []
                    with pytest.raises(libvirt.libvirtError, match=f"name 'n{number}'"):
                        connection.networkLookupByName(f"n{number}")
            except BaseException as error:  # for the test's own thread
                failed.append(error)
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SHORT * 4)
            assert not thread.is_alive(), "a call has no answer"
    assert not failed


def test_events(pair):
    theirs, ours = pair
    seen = []

    def note(_connection, thing, *event):
        seen.append((thing.name() if hasattr(thing, "name") else thing.UUIDString(), *event[:-1]))
    with ours.connect() as connection:
        kinds = {"network": connection.networkEventRegisterAny(None, 0, note, None),
                 "storagePool": connection.storagePoolEventRegisterAny(None, 0, note, None),
                 "secret": connection.secretEventRegisterAny(None, 0, note, None),
                 "nodeDevice": connection.nodeDeviceEventRegisterAny(None, 0, note, None)}
        with libvirt.open(theirs.uri("network")) as other:
            other.networkDefineXML(NETWORK).undefine()
        with libvirt.open(theirs.uri("storage")) as other:
            other.storagePoolDefineXML(
                "<pool type='dir'><name>e</name><target><path>/e</path></target></pool>").undefine()
        with libvirt.open(theirs.uri("secret")) as other:
            other.secretDefineXML(SECRET).undefine()
        uuid = "55806c7d-8e93-456f-829b-607d8c198367"
        wanted = {("t", 0, 0), ("t", 1, 0), ("e", 0, 0), ("e", 1, 0), (uuid, 0, 0), (uuid, 1, 0)}
        with contextlib.suppress(AssertionError):
            until(lambda: wanted <= set(seen), "the events")
        assert wanted <= set(seen)
        for kind, number in kinds.items():
            getattr(connection, f"{kind}EventDeregisterAny")(number)


# ---- rights ----

def as_user(uid, code):
    """Runs Python code as that user; what it printed."""
    done = subprocess.run(["/usr/bin/python3", "-c", code], check=False, text=True,
                          capture_output=True, timeout=SHORT, user=uid, group=uid,
                          extra_groups=[OTHER_GROUP], cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOOK = """
import libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
connection = libvirt.{open}("{uri}")
try:
    print(connection.{call})
except libvirt.libvirtError as error:
    print(error.get_error_code(), error)
"""


def test_the_daemon_sees_the_client(pair):
    """It is asked who is connected to it."""
    theirs, ours = pair
    code = LOOK.format(open="open", uri=ours.uri, call="numOfNetworks()") + "input()"
    child = subprocess.Popen(["/usr/bin/python3", "-uc", code], text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, user=NOBODY, group=NOBODY,
                             extra_groups=[OTHER_GROUP], cwd="/")
    assert child.stdout.readline() == "0\n"
    admin = ["virt-admin", "-c", f"libvirtd:///system?socket={theirs.sockets}/libvirt-admin-sock"]
    listed = subprocess.run([*admin, "client-list", "libvirtd"], check=True, text=True,
                            capture_output=True).stdout
    # Of those of the tests before some may only now be gone, and there is nothing to be told then.
    users = [match[1] for number in re.findall(r"^ *(\d+)", listed, re.M)
             for match in re.finditer(r"unix_user_id *: (\d+)", subprocess.run(
                 [*admin, "client-info", "libvirtd", number], check=False, text=True,
                 capture_output=True).stdout)]
    child.communicate("\n", timeout=SHORT)
    assert str(NOBODY) in users


def test_who_may_only_look_there_may_only_look_here(pair):
    _, ours = pair
    uri = ours.uri.replace("virtvoled-sock", "virtvoled-sock-ro")
    call = f"networkDefineXML('''{NETWORK}''')"
    for way in ("open", "openReadOnly"):
        said = as_user(NOBODY, LOOK.format(open=way, uri=uri, call=call))
        assert said.startswith(f"{libvirt.VIR_ERR_OPERATION_DENIED} "), said
    assert as_user(NOBODY, LOOK.format(open="open", uri=uri, call="numOfNetworks()")) == "0"
    with libvirt.open(uri) as connection, pytest.raises(libvirt.libvirtError) as caught:
        connection.networkDefineXML(NETWORK)  # root's library does not know
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED


def test_a_socket_that_is_closed_to_the_user_is_closed_here(pair):
    theirs, ours = pair
    socket = theirs.sockets / "libvirt-sock"
    socket.chmod(0o700)
    said = as_user(NOBODY, LOOK.format(open="open", uri=ours.uri, call="listAllNetworks()"))
    socket.chmod(0o777)
    assert said == (f"{libvirt.VIR_ERR_SYSTEM_ERROR} Failed to connect socket to '{socket}': "
                    "Permission denied")


def test_a_group_of_the_users_opens_it(pair):
    theirs, ours = pair
    socket = theirs.sockets / "libvirt-sock"
    os.chown(socket, 0, OTHER_GROUP)
    socket.chmod(0o760)
    said = as_user(NOBODY, LOOK.format(open="open", uri=ours.uri, call="listAllNetworks()"))
    socket.chmod(0o777)
    assert said == "[]"


# ---- daemons that come and go ----

def test_a_daemon_that_ends_is_found_again(pair):
    theirs, ours = pair
    with ours.connect() as connection:
        assert connection.numOfNetworks() == 0
        theirs.kill()
        # The connection that broke is noticed, and the next one finds nobody.
        with pytest.raises(libvirt.libvirtError, match="Connection refused|End of file"):
            connection.numOfNetworks()
        with pytest.raises(libvirt.libvirtError, match="Connection refused"):
            connection.numOfNetworks()
        assert connection.listAllDomains() == []
        theirs.start()
        assert connection.numOfNetworks() == 0


def test_events_go_on_with_the_next_daemon(pair):
    """The client has registered once, and is not told that it was with somebody else."""
    theirs, ours = pair
    seen = []

    def note(_connection, network, *event):
        seen.append((network.name(), event[0], event[-1]))

    def register(what, network):
        return connection.networkEventRegisterAny(network, 0, note, what)

    with ours.connect() as connection:
        networks = [connection.networkDefineXML(f"<network><name>{name}</name></network>")
                    for name in "tu"]
        gone = register("gone", networks[1])
        register("every", None)
        register("that", networks[0])
        connection.networkEventDeregisterAny(gone)
        theirs.kill()
        theirs.start()
        with contextlib.suppress(libvirt.libvirtError):  # by which the end of the other one is noticed
            connection.numOfNetworks()
        late = register("late", networks[1])
        for network in networks:
            network.undefine()
        with contextlib.suppress(AssertionError):
            until(lambda: len(seen) >= 4, "the events")
        assert sorted(seen) == [("t", 1, "every"), ("t", 1, "that"),
                                ("u", 1, "every"), ("u", 1, "late")]
        connection.networkEventDeregisterAny(late)


# While the daemon does not hang it is asked patiently: a machine that stood still looks like one that
# does.
TWO_CONNECTIONS = """
import libvirt, time
libvirt.registerErrorHandler(lambda *_: None, None)
old, new = (libvirt.open("{uri}") for _ in range(2))
def patiently(connection, end):
    while True:
        try:
            return connection.numOfNetworks()
        except libvirt.libvirtError:
            if time.monotonic() > end:
                raise
print(patiently(old, time.monotonic() + {seconds}))
input()
print(len(new.listAllDomains()))
for connection in (old, new):
    try:
        connection.numOfNetworks()
    except libvirt.libvirtError as error:
        print(error)
input()
print(sum(patiently(connection, time.monotonic() + {seconds}) for connection in (old, new)))
"""


def test_a_daemon_that_hangs_ends_its_calls_alone(impatient_pair):
    theirs, ours = impatient_pair
    code = TWO_CONNECTIONS.format(uri=ours.uri, seconds=SHORT)
    with subprocess.Popen(["/usr/bin/python3", "-uc", code], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == "0\n"
        theirs.signal(signal.SIGSTOP)
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "0\n"
        assert "keepalive timeout" in child.stdout.readline()
        assert "within 10 seconds" in child.stdout.readline()
        theirs.signal(signal.SIGCONT)
        output, _ = child.communicate("\n", timeout=SHORT * 3)
        assert (child.returncode, output) == (0, "0\n")
