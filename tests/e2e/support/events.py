# SPDX-License-Identifier: LGPL-2.1-or-later
"""Domain events as libvirt-python's default event loop hands them out."""

import libvirt

from support.wait import SHORT, Deadline


class Events:
    """Of some kinds, each as (domain's name, what the callback got..., the kind)."""

    def __init__(self, uri, *kinds):
        libvirt.virEventRegisterDefaultImpl()
        self.seen = []
        self.connection = libvirt.open(uri)
        for kind in kinds:
            self.connection.domainEventRegisterAny(None, kind, self._seen, kind)

    def _seen(self, _connection, domain, *rest):
        self.seen.append((domain.name(), *rest))

    def wait(self, wanted, seconds=SHORT):
        deadline = Deadline(seconds)
        timer = libvirt.virEventAddTimeout(seconds * 1000, lambda *_: None, None)
        try:
            while wanted not in self.seen and not deadline.passed():
                libvirt.virEventRunDefaultImpl()
        finally:
            libvirt.virEventRemoveTimeout(timer)
        assert wanted in self.seen, self.seen
