# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lab's two ends say to each other over one byte stream (a virtio serial port).

A frame is a session number, a kind, a length and that many bytes. A session is one command: the
host opens it with EXEC and a number of its choice, then STDIN one way and STDOUT and STDERR the
other, and the lab ends it with EXIT. The host sends the next STDIN only when the one before was
answered by TAKEN, so a command that does not read its input cannot block the others.
"""

import struct
from enum import IntEnum

HEADER = struct.Struct("!IBI")
MAX_PAYLOAD = 64 * 1024

PORT_NAME = "vole.lab"


class Kind(IntEnum):
    READY = 0   # lab -> host, session 0, once: the lab is up
    EXEC = 1    # JSON: argv, cwd, env, and tty: null or [rows, columns]
    STDIN = 2   # bytes; none means end of file
    TAKEN = 3   # the last STDIN has been written to the command
    STDOUT = 4
    STDERR = 5
    RESIZE = 6  # JSON: [rows, columns]
    SIGNAL = 7  # one byte: the signal's number, for the session's process group
    EXIT = 8    # one byte: the exit status as a shell counts it (128 + signal)
    NUDGE = 9   # host -> lab, session 0: nothing; it is the interrupt that matters


def frame(session, kind, payload=b""):
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"frame of {len(payload)} bytes")
    return HEADER.pack(session, kind, len(payload)) + payload


class Parser:
    """Cuts a byte stream into (session, kind, payload)."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        self._buffer += data
        frames = []
        while len(self._buffer) >= HEADER.size:
            session, kind, length = HEADER.unpack_from(self._buffer)
            if length > MAX_PAYLOAD:
                raise ValueError(f"frame of {length} bytes")
            if len(self._buffer) < HEADER.size + length:
                break
            payload = bytes(self._buffer[HEADER.size:HEADER.size + length])
            del self._buffer[:HEADER.size + length]
            frames.append((session, Kind(kind), payload))
        return frames
