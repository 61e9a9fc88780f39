# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QMP client, independent of vole: it believes nothing that docs/qmp.md does not say."""

import json
import socket

from .wait import SHORT, Deadline, readable


class QMPError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.error_class = error["class"]
        self.desc = error["desc"]


class QMP:
    def __init__(self, path, negotiate=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.buffer = b""
        self.events = []
        self.greeting = self._receive(Deadline(SHORT))
        if negotiate:
            self.execute("qmp_capabilities")

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def receive(self, timeout=SHORT):
        """The next reply or event, as it comes."""
        return self._receive(Deadline(timeout))

    def execute(self, command, **arguments):
        """The command's "return"; raises QMPError. Events that come meanwhile are kept."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.send_raw(json.dumps(request).encode() + b"\n")
        deadline = Deadline(SHORT)
        while True:
            message = self._receive(deadline)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QMPError(message["error"])
            else:
                return message["return"]

    def event(self, name, timeout=SHORT):
        """Waits for the next event of that name; drops others."""
        deadline = Deadline(timeout)
        while True:
            message = self.events.pop(0) if self.events else self._receive(deadline)
            if message.get("event") == name:
                return message

    def _receive(self, deadline):
        while b"\n" not in self.buffer:
            if not readable(self.socket, deadline):
                raise AssertionError("QMP: nothing came")
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("QMP: connection closed")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)
