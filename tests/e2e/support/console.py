# SPDX-License-Identifier: LGPL-2.1-or-later
"""The other end of a serial line: expect and send, on a socket or on a terminal."""

import os
import re
import socket

from .wait import SHORT, Deadline, readable


class Console:
    def __init__(self, fd):
        self.fd = fd
        self.buffer = ""      # what no expect() has eaten yet
        self.transcript = ""  # everything, for the message of a test that fails

    @classmethod
    def unix(cls, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        return cls(connection.detach())

    @classmethod
    def terminal(cls, path):
        return cls(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def send(self, text):
        data = text.encode()
        while data:
            data = data[os.write(self.fd, data):]

    def expect(self, pattern, timeout=SHORT):
        """Reads until `pattern` matches what came since the last match; returns the match."""
        deadline = Deadline(timeout)
        while not (match := re.search(pattern, self.buffer)):
            if not readable(self.fd, deadline):
                raise AssertionError(f"{pattern!r} did not come in {timeout} s; "
                                     f"the console ends:\n{self.transcript[-3000:]}")
            self._read(pattern)
        self.buffer = self.buffer[match.end():]
        return match

    def take(self, size, timeout=SHORT):
        """The next `size` bytes of plain text, however much that is."""
        deadline = Deadline(timeout)
        pieces = [self.buffer.encode()]
        missing = size - len(pieces[0])
        while missing > 0:
            if not readable(self.fd, deadline):
                raise AssertionError(f"{missing} bytes of {size} did not come in {timeout} s")
            data = os.read(self.fd, 65536)
            if not data:
                raise AssertionError(f"closed when {missing} bytes of {size} were to come")
            pieces.append(data)
            missing -= len(data)
        data = b"".join(pieces)
        self.buffer = data[size:].decode(errors="replace")
        return data[:size].decode()

    def expect_end(self, timeout=SHORT):
        """Reads until the other side closes."""
        deadline = Deadline(timeout)
        while readable(self.fd, deadline):
            data = self._read_some()
            if not data:
                return
        raise AssertionError(f"not closed in {timeout} s; the console ends:\n"
                             f"{self.transcript[-3000:]}")

    def _read(self, pattern):
        if not self._read_some():
            raise AssertionError(f"closed before {pattern!r} came; the console ends:\n"
                                 f"{self.transcript[-3000:]}")

    def _read_some(self):
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # a terminal whose other side is closed
            data = b""
        text = data.decode(errors="replace")
        self.buffer += text
        self.transcript += text
        return data
