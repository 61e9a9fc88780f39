# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bus of a test's own, and on it a polkit that answers when the test wants it to."""

import os
import queue
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from .wait import SHORT


class Authority:
    """Questions are open until one of the test's answers comes, or they are taken back."""

    def __init__(self, process):
        self.process = process
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip())

    def said(self):
        """"asked ACTION" or "taken back"."""
        return self.lines.get(timeout=SHORT)

    def answer(self, allowed):
        """The question that has been open for longest."""
        self.process.stdin.write(f"{int(allowed)}\n")
        self.process.stdin.flush()


@contextmanager
def authority(folder):
    address = f"unix:path={folder}/bus"
    with subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address",
                           f"--address={address}"], stdout=subprocess.PIPE) as bus:
        try:
            assert bus.stdout.readline()
            with subprocess.Popen([sys.executable, "-m", "support.authority", address],
                                  cwd=Path(__file__).parent.parent, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) as process:
                found = Authority(process)
                try:
                    assert found.said() == "ready"
                    yield address, found
                finally:
                    process.stdin.close()
                    found.thread.join(SHORT)
        finally:
            bus.terminate()


INTERFACE = """<node><interface name='org.freedesktop.PolicyKit1.Authority'>
<method name='CheckAuthorization'><arg type='(sa{sv})' direction='in'/>
<arg type='s' direction='in'/><arg type='a{ss}' direction='in'/><arg type='u' direction='in'/>
<arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/></method>
<method name='CancelCheckAuthorization'><arg type='s' direction='in'/></method>
</interface></node>"""


def serve(address):
    from gi.repository import Gio, GLib  # pylint: disable=import-outside-toplevel

    waiting = {}  # by the id that the one who asks gave it
    loop = GLib.MainLoop()

    def on_call(_bus, _sender, _path, _interface, method, arguments, invocation):
        if method == "CheckAuthorization":
            waiting[arguments[4]] = invocation
            print("asked", arguments[1], flush=True)
            return
        waiting.pop(arguments[0]).return_dbus_error("org.freedesktop.PolicyKit1.Error.Cancelled",
                                                    "taken back")
        invocation.return_value(None)
        print("taken back", flush=True)

    def on_line(*_):
        lines = os.read(0, 4096).decode().split()
        for line in lines:
            waiting.pop(next(iter(waiting))).return_value(
                GLib.Variant("((bba{ss}))", ((line == "1", False, {}),)))
        if not lines:
            loop.quit()
        return bool(lines)

    bus = Gio.DBusConnection.new_for_address_sync(
        address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT |
        Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
    bus.register_object("/org/freedesktop/PolicyKit1/Authority",
                        Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0], on_call)
    Gio.bus_own_name_on_connection(bus, "org.freedesktop.PolicyKit1", 0,
                                   lambda *_: print("ready", flush=True), None)
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, on_line)
    loop.run()


if __name__ == "__main__":
    serve(sys.argv[1])
