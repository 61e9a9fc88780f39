# SPDX-License-Identifier: LGPL-2.1-or-later
"""A desktop in memory: an X server without a screen, a window manager, a D-Bus session with the
accessibility bus. What is on it is found by AT-SPI, and worked with by mouse and keyboard."""

import os
import re
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # pylint: disable=wrong-import-position

from . import events
from .wait import BOOT, SHORT, until

PATIENCE = BOOT if os.environ.get("VOLE_LAB") else 2 * SHORT  # a desktop in a lab is slow
WIDTH, HEIGHT = 1280, 960

AGAIN = 5  # seconds; then what a window may have missed is done once more
# What can be insensitive, and takes no click then.
LISTENING = {"push button", "toggle button", "radio button", "check box", "menu item", "menu"}

# A picture of the whole screen, taken by a program of its own: GDK connects to one display once.
PICTURE = """
import sys, gi
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk
root = Gdk.get_default_root_window()
x, y, width, height = map(int, sys.argv[2:]) if sys.argv[2:] else (
    0, 0, root.get_width(), root.get_height())
Gdk.pixbuf_get_from_window(root, x, y, width, height).savev(
    sys.argv[1], "png", ["compression"], ["9"])
"""


class Desktop:
    """One a process: AT-SPI's library connects to the session that it finds first."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.env = None
        self.display = self.bus = None

    def start(self):
        for name in ("home", "run"):
            (self.folder / name).mkdir(mode=0o700)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
            "HOME": str(self.folder / "home"), "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "GSETTINGS_BACKEND": "keyfile", "LC_ALL": "C.UTF-8", "GTK_THEME": "Adwaita",
            "NO_AT_BRIDGE": "0", "GTK_MODULES": "gail:atk-bridge",
        }
        self.env["DISPLAY"] = ":" + self._first_line_of(
            "Xvfb", "-displayfd", "{fd}", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten",
            "tcp", "-noreset")
        self.env["DBUS_SESSION_BUS_ADDRESS"] = self._first_line_of(
            "dbus-daemon", "--session", "--nofork", "--print-address={fd}")
        self.run("openbox")
        until(lambda: self.xdotool_any("get_desktop"), "the window manager is there", PATIENCE)
        # What AT-SPI asks for; the home stays, and with it the cache of kernels and guests.
        os.environ.update({name: self.env[name] for name in
                           ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")})
        # libvirt's event loop and AT-SPI's are both the default one of GLib; only one thread may be
        # in it, and this one is going to be.
        events.LOOP.stop()
        Atspi.init()
        return self

    def _first_line_of(self, *argv):
        """Starts a server that writes to a descriptor where it serves."""
        reading, writing = os.pipe()
        with os.fdopen(reading) as answer:
            self.run(*(word.format(fd=writing) for word in argv), pass_fds=(writing,))
            os.close(writing)
            line = answer.readline().strip()
        assert line, f"{argv[0]} did not start: {self.log(argv[0])}"
        return line

    def run(self, *argv, pass_fds=(), env=()):
        """A program of this desktop; it ends with it, if not before."""
        with open(self.folder / f"{Path(argv[0]).name}.log", "ab") as log:
            return subprocess.Popen([str(word) for word in argv], env={**self.env, **dict(env)},
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    pass_fds=pass_fds)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def processes(self):
        """All that have this desktop's folder in their environment, whoever started them."""
        mark = f"XDG_RUNTIME_DIR={self.folder}/run".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if int(entry.name) != os.getpid() and \
                        mark in (entry / "environ").read_bytes().split(b"\0") and \
                        (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(entry.name))
        return found

    def close(self):
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, SHORT)):
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            with suppress(AssertionError):
                until(lambda: not self.processes(), "the desktop's processes end", patience)
                break

    # ---- mouse and keyboard ----

    def xdotool_any(self, *words):
        """Whether it could."""
        return subprocess.run(["xdotool", *map(str, words)], env=self.env, check=False,
                              timeout=PATIENCE, stdin=subprocess.DEVNULL,
                              capture_output=True).returncode == 0

    def xdotool(self, *words):
        assert self.xdotool_any(*words), f"xdotool could not: {words}"

    def click(self, node, button=1, times=1):
        """Where `node` is, once it is somewhere and at rest. Before the window manager has given a
        new window its place, the window tells of another one; it has the keyboard only after that.
        """
        window = window_of(node)
        if window and not has_state(window, "active"):
            with suppress(AssertionError):  # the keyboard is another window's, which lies beside it
                until(lambda: has_state(window, "active"), "it has the keyboard", AGAIN)
        x, y = until(lambda: place_at_rest(node), "it is on the screen, and at rest", PATIENCE)
        self.xdotool("mousemove", x, y, "click", "--repeat", times, "--delay", 60, button)

    def expand(self, node):
        """What has an arrow before its name; the rest of it is empty, and does not listen."""
        box = node.get_extents(Atspi.CoordType.SCREEN)
        self.xdotool("mousemove", box.x + 10, box.y + 10, "click", 1)

    def drop_down(self, node):
        """What has an arrow behind an entry."""
        box = node.get_extents(Atspi.CoordType.SCREEN)
        self.xdotool("mousemove", box.x + box.width - 10, box.y + box.height // 2, "click", 1)

    def activate(self, window):
        """Before all others, with the keyboard."""
        name = "^" + re.escape(window.get_name()) + "$"

        def ask():
            self.xdotool_any("search", "--onlyvisible", "--name", name, "windowactivate")
            with suppress(AssertionError):
                return until(lambda: has_state(window, "active"), "it is active", AGAIN)
        until(ask, f"{window.get_name()!r} is before all others", PATIENCE)

    def type(self, text):
        self.xdotool("type", "--delay", 1, "--", text)

    def key(self, *names):
        self.xdotool("key", *names)

    def replace_text(self, node, text):
        """In an entry: clicked, emptied, written anew; once more where a window that has just come
        did not listen yet."""
        def write():
            self.click(node)
            self.key("ctrl+a")
            self.type(text)
            with suppress(AssertionError):
                return until(lambda: text_of(node) == text, "it is written", AGAIN)
        until(write, f"the entry has {text!r}", PATIENCE)

    def picture(self, path, of=None):
        """Of the whole screen, or of one window."""
        box = []
        if of is not None:
            at = of.get_extents(Atspi.CoordType.SCREEN)
            box = [at.x, at.y, at.width, at.height]
        subprocess.run(["/usr/bin/python3", "-c", PICTURE, path, *map(str, box)], env=self.env,
                       check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        return path


# ---- what is on the screen ----

def middle(node):
    """Of a number with buttons behind it, in the number."""
    box = node.get_extents(Atspi.CoordType.SCREEN)
    width = min(box.width, 40) if node.get_role_name() == "spin button" else box.width
    return box.x + width // 2, box.y + box.height // 2


def place_at_rest(node):
    """Where to click it; None while it cannot be clicked, or moves."""
    if not has_state(node, "showing") or \
            (node.get_role_name() in LISTENING and not has_state(node, "sensitive")):
        return None
    place = middle(node)
    select.select([], [], [], 0.1)
    x, y = middle(node)
    return (x, y) if place == (x, y) and 0 <= x < WIDTH and 0 <= y < HEIGHT else None


def window_of(node):
    """The one that the window manager knows, or None: that of a menu it does not."""
    while node is not None and node.get_role_name() not in ("application", "window", "menu item"):
        if node.get_role_name() in ("frame", "dialog", "alert"):
            return node
        node = node.get_parent()
    return None


def has_state(node, *states):
    have = node.get_state_set()
    return all(have.contains(getattr(Atspi.StateType, state.upper())) for state in states)


def text_of(node):
    return Atspi.Text.get_text(node, 0, Atspi.Text.get_character_count(node))


def children(node):
    for index in range(node.get_child_count()):
        child = node.get_child_at_index(index)
        if child is not None:
            yield child


def applications():
    return list(children(Atspi.get_desktop(0)))


def walk(node, showing=True):
    """`node` and all below it that can be seen."""
    with suppress(GLib.Error):  # gone meanwhile
        if showing and not has_state(node, "showing") and node.get_role_name() != "application":
            return
        yield node
        for child in children(node):
            yield from walk(child, showing)


def matches(node, role, name):
    return (role is None or node.get_role_name() == role) and \
        (name is None or (name.search(node.get_name() or "") if hasattr(name, "search")
                          else node.get_name() == name))


def find_all(root, role=None, name=None, showing=True):
    """Those of this role and name, which may be a compiled pattern."""
    found = []
    for node in walk(root, showing):
        with suppress(GLib.Error):
            if matches(node, role, name):
                found.append(node)
    return found


def find(root, role=None, name=None, seconds=PATIENCE, showing=True):
    """The first one, as soon as it is there."""
    def look():
        for node in walk(root, showing):
            with suppress(GLib.Error):
                if matches(node, role, name):
                    return node
        return None
    wanted = name.pattern if hasattr(name, "pattern") else name
    try:
        return until(look, f"there is a {role} {wanted!r}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; there are:\n{outline(root)}") from None


def labelled(root, label):
    """What the label of this text is for."""
    for relation in find(root, "label", label).get_relation_set():
        if relation.get_relation_type() == Atspi.RelationType.LABEL_FOR:
            return relation.get_target(0)
    raise AssertionError(f"the label {label!r} is for nothing")


def outline(root):
    """For people who have to see why a test failed."""
    lines = []
    for node in walk(root):
        with suppress(GLib.Error):
            lines.append(f"{node.get_role_name()} {node.get_name()!r}")
    return "\n".join(lines)


