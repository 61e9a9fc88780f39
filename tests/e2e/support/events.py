# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's default event loop, in a thread of its own as its clients have it: every connection of this
process answers the daemon's keepalive messages, however long a test waits for something else. And
domain events as that loop hands them out."""

import threading
from contextlib import suppress

import libvirt

from .wait import SHORT, until


class Loop:
    """Has to be there before the first connection, which is without events otherwise."""

    def __init__(self):
        libvirt.virEventRegisterDefaultImpl()
        self.ends = False
        self.thread = threading.Thread(target=self._run, name="libvirt's events", daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ends:
            libvirt.virEventRunDefaultImpl()

    def stop(self):
        """When there is nothing more to come: the thread must not be in the library at the end, nor
        where somebody else wants to be (desktop.py)."""
        self.ends = True
        libvirt.virEventAddTimeout(0, lambda *_: None, None)  # which wakes it
        self.thread.join(SHORT)


LOOP = Loop()


class Events:
    """Of some kinds, each as (domain's name, what the callback got..., the kind)."""

    def __init__(self, uri, *kinds):
        self.seen = []
        self.connection = libvirt.open(uri)
        for kind in kinds:
            self.connection.domainEventRegisterAny(None, kind, self._seen, kind)

    def _seen(self, _connection, domain, *rest):
        self.seen.append((domain.name(), *rest))

    def wait(self, wanted, seconds=SHORT):
        with suppress(AssertionError):
            until(lambda: wanted in self.seen, "the event", seconds)
        assert wanted in self.seen, self.seen


def take(seen, wanted, seconds=SHORT):
    """The next ones of a list that callbacks fill are these, in this order; takes them off."""
    with suppress(AssertionError):
        until(lambda: len(seen) >= len(wanted), "the events", seconds)
    found = seen[:len(wanted)]
    del seen[:len(wanted)]
    assert found == list(wanted)
