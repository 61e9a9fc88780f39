# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-manager on a desktop in memory, used as people use it."""

import re
from contextlib import suppress

from gi.repository import GLib

from .desktop import (AGAIN, PATIENCE, applications, find, find_all, has_state, labelled, outline,
                      text_of)
from .wait import until as until_seconds

# What a user would tick in Edit > Preferences: disk and network in the graphs, and the XML editor.
PREFERENCES = """[org/virt-manager/virt-manager]
xmleditor-enabled=true
[org/virt-manager/virt-manager/stats]
update-interval=1
enable-disk-poll=true
enable-net-poll=true
enable-memory-poll=true
"""


def until(condition, what, seconds=PATIENCE):
    return until_seconds(condition, what, seconds)


class VirtManager:
    def __init__(self, desktop, uri):
        self.desktop = desktop
        self.uri = uri
        settings = desktop.folder / "home/.config/glib-2.0/settings"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "keyfile").write_text(PREFERENCES)
        log = desktop.folder / "virt-manager.log"
        self.expected = []  # what errors() leaves out
        self.log_begins = log.stat().st_size if log.exists() else 0
        self.process = desktop.run("virt-manager", "--no-fork", "--debug", "--connect", uri)
        self.app = until(lambda: next((app for app in applications()
                                       if app.get_name() == "virt-manager"), None),
                         "virt-manager is there")
        self.main = find(self.app, "frame", "Virtual Machine Manager")

    def close(self):
        """As with File > Quit."""
        self.desktop.activate(self.main)
        self.desktop.click(find(self.main, "menu", "File"))
        self.desktop.click(find(self.main, "menu item", "Quit"))
        self.process.wait(PATIENCE)

    def errors(self):
        """Tracebacks in its log: a call that we answered in a way it did not expect."""
        log = self.desktop.log("virt-manager")[self.log_begins:]
        return [part[:1500] for part in log.split("Traceback (most recent call last):")[1:]
                if not any(word in part for word in self.expected)]

    # ---- the list ----

    def row(self, name, state="", seconds=PATIENCE):
        """The cell of a connection or domain, which has its state in a second line."""
        return find(self.main, "table cell", re.compile(f"^{re.escape(name)}.*{state}", re.S),
                    seconds)

    def connects(self, name, domain, state):
        """By a double click, until that domain's state is known; clicked once more where the two
        were too far apart."""
        def look():
            for row in find_all(self.main, "table cell",
                                re.compile(f"^{re.escape(name)}.*Not Connected", re.S)):
                self.desktop.click(row, times=2)
            with suppress(AssertionError):
                return self.row(domain, state, AGAIN)
        until(look, f"{name} is connected, and {domain} is {state}")

    def gone(self, name):
        until(lambda: not find_all(self.main, "table cell", re.compile(f"^{re.escape(name)}\n")),
              f"{name} is gone from the list")

    def open(self, name):
        """The window of a domain."""
        self.desktop.activate(self.main)
        button = find(self.main, "push button", "Open")

        def select():  # once more where rows have come and gone under the mouse
            self.desktop.click(self.row(name))
            with suppress(AssertionError):
                return until(lambda: has_state(button, "sensitive"), "it is selected", AGAIN)
        until(select, f"{name} is selected")
        self.desktop.click(button)
        return self.machine(name)

    def machine(self, name, has=("menu", "Virtual Machine")):
        """Its window, once virt-manager has opened it, by something that is in it."""
        def look():
            for frame in find_all(self.app, "frame", re.compile(f"^{re.escape(name)} on ")):
                if find_all(frame, *has):
                    return Machine(self, frame)
            return None
        return until(look, f"there is a window of {name}")

    def choose(self, name, *path):
        """From a row's context menu: choose("web1", "Clone...")."""
        self.desktop.activate(self.main)
        words = [re.compile(f"^{re.escape(word)}") for word in path]

        def open_menu():  # once more where rows have come and gone under the mouse
            self.desktop.click(self.row(name), button=3)
            with suppress(AssertionError):
                return find(self.app, "menu item", words[0], seconds=AGAIN)
            self.desktop.key("Escape")
        until(open_menu, f"{name} has a menu with {path[0]}")
        for word in words:
            self.desktop.click(find(self.app, "menu item", word))

    def window(self, name):
        return find(self.app, "frame", name)

    # ---- dialogs ----

    def dialog(self, text, seconds=PATIENCE):
        """The alert that says `text`."""
        def look():
            for alert in find_all(self.app, "alert"):
                for label in find_all(alert, "label"):
                    if text in " ".join((label.get_name() or "").split()):
                        return alert
            return None
        try:
            return until(look, f"a dialog says {text!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; there are:\n{outline(self.app)}") from None

    def answer(self, text, button):
        alert = self.dialog(text)
        self.desktop.click(find(alert, "push button", button))
        until(lambda: not is_showing(alert), "the dialog closes")


class Wizard:
    """New virtual machine: an image that is there already."""

    def __init__(self, manager):
        self.manager = manager
        self.desktop = manager.desktop
        self.desktop.click(find(manager.main, "push button", "New"))
        self.window = manager.window("New VM")
        self.press("Import existing disk image", "radio button")
        self.forward("text", "import-entry")

    def press(self, name, role="push button"):
        self.desktop.click(find(self.window, role, name))

    def forward(self, role, name):
        """To the page that has this; pressed once more where the window was still busy."""
        def press():
            if not find_all(self.window, role, name):
                self.press("Forward")
            with suppress(AssertionError):
                return find(self.window, role, name, seconds=AGAIN)
        until(press, f"the page with {role} {name}")

    def browse(self):
        self.press("install-import-browse")
        return Storage(self.manager, self.manager.window("vmm-storage-browser"))

    def choose_volume(self, name):
        self.browse().choose(name)
        entry = find(self.window, "text", "import-entry")
        until(lambda: text_of(entry).endswith(name), "its path is there")

    def choose_os(self, words, short):
        self.desktop.replace_text(find(self.window, "text", "oslist-entry"), words)
        find(self.manager.app, "table cell", re.compile(re.escape(f"({short})")))
        self.desktop.key("Down", "Return")
        self.forward("spin button", "cpus")

    def set_memory(self, mib):
        self.desktop.replace_text(find(self.window, "spin button", ""), str(mib))
        self.desktop.key("Tab")
        self.forward("check box", re.compile("^Customize"))

    def finish(self, name, bridge, customize, question=None):
        """`bridge`: None for the network that is chosen; `question`: what is asked, and is to be
        answered with yes, before it goes on."""
        self.desktop.replace_text(labelled(self.window, "Name:"), name)
        if bridge:
            self.desktop.replace_text(labelled(self.window, "Device name:"), bridge)
        if customize:
            self.press(re.compile("^Customize"), "check box")
        self.press("Finish")
        if question:
            self.manager.answer(question, "Yes")
        if not customize:
            return None
        return self.manager.machine(name, ("push button", "Begin Installation"))


class Storage:
    """The pools and volumes of a connection, where one is chosen or in the connection's details."""

    def __init__(self, manager, window):
        self.manager = manager
        self.desktop = manager.desktop
        self.window = window

    def dialog(self, button, title):
        """Pressed once more where the window was still busy with the pools."""
        def press():
            self.desktop.click(find(self.window, "push button", button))
            with suppress(AssertionError):
                return find(self.manager.app, "frame", title, PATIENCE / 10)
        return until(press, f"{button} shows {title!r}")

    def new_pool(self, name, folder):
        dialog = self.dialog("pool-add", "Add a New Storage Pool")
        path, _ = find_all(dialog, "text")  # its label is for nothing
        self.desktop.replace_text(labelled(dialog, "Name:"), name)
        self.desktop.replace_text(path, str(folder))
        self.finish(dialog)
        self.desktop.click(find(self.window, "table cell", re.compile(f"^{re.escape(name)}\n")))
        place = find(self.window, "label", "pool-location")
        until(lambda: text_of(place) == str(folder), f"{name} is selected")

    def new_volume(self, name, kind, gib):
        dialog = self.dialog("vol-new", "Add a Storage Volume")
        self.desktop.drop_down(find(dialog, "combo box"))
        self.desktop.click(find(self.manager.app, "menu item", kind))
        self.desktop.replace_text(labelled(dialog, "Name:"), name)
        self.desktop.replace_text(find(dialog, "spin button"), str(gib))
        self.finish(dialog)

    def finish(self, dialog):
        self.desktop.click(find(dialog, "push button", "Finish"))
        until(lambda: not is_showing(dialog), "it is made")

    def choose(self, name):
        self.desktop.click(find(self.window, "table cell", name))
        button = find(self.window, "push button", "Choose Volume")
        until(lambda: has_state(button, "sensitive"), "a volume is chosen")
        self.desktop.click(button)


class Machine:
    """The window of one domain."""

    def __init__(self, manager, window):
        self.manager = manager
        self.desktop = manager.desktop
        self.window = window

    def press(self, name, role="push button"):
        self.desktop.click(find(self.window, role, name))

    def force_off(self):
        self.press("Menu", "toggle button")
        self.desktop.click(find(self.manager.app, "menu item", "Force Off"))
        self.manager.answer("Are you sure you want to force poweroff", "Yes")

    def console(self):
        """The terminal of the running domain; looked for once more where virt-manager has drawn
        the page before it knew that the domain runs."""
        def look():
            self.press("Console", "radio button")
            with suppress(AssertionError):
                return find(self.window, "terminal", seconds=AGAIN)
            self.press("Details", "radio button")
        return until(look, "there is a terminal")

    def echoes(self, text):
        """That a guest which echoes does so; typed once more where the terminal was there before the
        guest was connected to it. Returns the terminal."""
        terminal = self.console()

        def ask():
            self.desktop.click(terminal)
            self.desktop.type(text)
            with suppress(AssertionError):
                return until(lambda: text in text_of(terminal), "the guest echoes", AGAIN)
        until(ask, f"the guest echoes {text!r}")
        return terminal

    def types_until_off(self, text):
        """What makes the guest power off; typed once more where the terminal did not listen."""
        name = self.window.get_name().partition(" on ")[0]
        terminal = self.console()

        def ask():
            if is_showing(terminal):
                self.desktop.click(terminal)
                self.desktop.type(text)
            with suppress(AssertionError):
                return self.manager.row(name, "Shutoff", AGAIN)
        until(ask, f"{name} is off")

    # ---- details ----

    def details(self):
        for button in find_all(self.window, "radio button", "Details"):
            self.desktop.click(button)  # before it is made there is nothing else to see
        return find(self.window, "table", "hw-list")

    def hardware(self):
        return [cell.get_name() for cell in find_all(self.details(), "table cell")
                if cell.get_name()]

    def page(self, name, tab):
        """The details of one device; `tab` is what tells its page from others."""
        self.desktop.click(find(self.details(), "table cell", name))
        return find(self.window, None, tab)

    def apply(self):
        button = find(self.window, "push button", "config-apply")
        until(lambda: has_state(button, "sensitive"), "there is something to apply")
        self.desktop.click(button)
        until(lambda: not has_state(button, "sensitive"), "it is applied")

    def xml(self):
        """The editor of the whole definition."""
        self.desktop.click(find(self.details(), "table cell", "Overview"))
        tab = find(self.window, "page tab", "XML")
        self.desktop.click(tab)
        editor = find(tab, "text")
        until(lambda: text_of(editor).startswith("<domain"), "the XML is there")
        return editor


def is_showing(node):
    with suppress(GLib.Error):
        return has_state(node, "showing")
    return False
