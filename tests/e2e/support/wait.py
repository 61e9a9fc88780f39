# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting with a limit. The limits are there to end a test that hangs, not to measure: a lab on a
busy machine is slow, a machine may stand still for a while, and nothing else waits as long as they
allow."""

import os
import select
import socket
import time
from contextlib import suppress

# A lab of another architecture has the slower processor by far: of what tests wait for there is
# more time, and of what they carry about (bytes) less.
SCALE = 4 if os.environ.get("VOLE_LAB_ARCH") else 1

SHORT = 120 * SCALE   # a program's answer
BOOT = 480 * SCALE    # a Linux guest, emulated


class Deadline:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return max(0.0, self.end - time.monotonic())

    def passed(self):
        return self.left() == 0


def readable(source, deadline):
    """Whether there is something to read before the deadline."""
    return bool(select.select([source], [], [], deadline.left())[0])


def until(condition, what, seconds=SHORT):
    """What `condition()` returns as soon as that is true; `what` says so in the error."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        assert not deadline.passed(), f"not in {seconds} s: {what}"
        select.select([], [], [], 0.05)


def connected(path):
    """A connection to who listens there, or None; the socket's file comes a moment before."""
    client = socket.socket(socket.AF_UNIX)
    with suppress(FileNotFoundError, ConnectionRefusedError):
        client.connect(str(path))
        return client
    client.close()
    return None


def listens(path):
    """Whether somebody takes connections there."""
    client = connected(path)
    if client:
        client.close()
    return bool(client)
