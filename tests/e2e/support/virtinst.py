# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-install, virt-clone and virt-xml on a Virtvoled."""

import os
import subprocess

from .wait import SHORT


class Tools:
    def __init__(self, daemon, payloads):
        self.daemon = daemon
        self.kernel = payloads.echo
        self.prefix = []  # what runs them

    def argv(self, tool, scheme, *words):
        return [*self.prefix, tool, "--connect", self.daemon.uri_as(scheme), *map(str, words)]

    def run(self, tool, scheme, *words):
        """(exit status, standard output, standard error)"""
        done = subprocess.run(self.argv(tool, scheme, *words), check=False, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=SHORT * 2,
                              env={**os.environ, "LC_ALL": "C.UTF-8"})
        return done.returncode, done.stdout, done.stderr

    def install(self, scheme, name, *words, kernel=True):
        boot = ["--boot", f"kernel={self.kernel}"] if kernel else []
        return self.run("virt-install", scheme, "--name", name, "--memory", 64, "--osinfo",
                        "linux2022", "--import", "--network", "none", *boot, *words)


def succeeds(done):
    status, output, error = done
    assert status == 0, error
    return output


def fails(done, message):
    status, _, error = done
    assert status != 0
    assert message in " ".join(error.split())
