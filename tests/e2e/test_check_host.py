# SPDX-License-Identifier: LGPL-2.1-or-later
"""`vole check-host`, on the host that the tests run on."""

import json
import os
import re
import subprocess

from support.guest import TREE
from support.vole import program
from support.wait import SHORT


def check_host(*arguments):
    return subprocess.run([program("vole"), "check-host", *arguments], capture_output=True,
                          text=True, check=False, timeout=SHORT)


def opens(path):
    """A file may be there, and no driver behind it."""
    try:
        os.close(os.open(path, os.O_RDWR))
        return True
    except OSError:
        return False


def test_it_knows_whether_linux_boots_here():
    needs_lab = subprocess.run([TREE / "tests/lab/need-lab", "-q"], check=False).returncode == 0
    done = check_host()
    assert done.stderr == ""
    assert done.returncode == (1 if needs_lab else 0), done.stdout
    *lines, empty, conclusion = done.stdout.splitlines()
    assert empty == ""
    assert ("cannot run" in conclusion) == needs_lab
    assert any(line.startswith("FAIL ") for line in lines) == needs_lab
    for line in lines:
        assert re.match(r"(OK|WARN|FAIL) +[a-z_-]+ +\S|  +-> \S", line), line


def test_what_it_says_is_so():
    done = check_host("--json")
    found = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert {entry["verdict"] for entry in found.values()} <= {"OK", "WARN", "FAIL"}
    assert all(entry["text"] for entry in found.values())
    for name, path in (("kvm", "/dev/kvm"), ("tap", "/dev/net/tun"),
                       ("vhost-net", "/dev/vhost-net"), ("vhost-vsock", "/dev/vhost-vsock")):
        can_open = opens(path)
        assert (found[name]["verdict"] == "OK") == can_open, found[name]
        assert path in found[name]["text"]
        assert can_open or found[name]["hint"]


def test_other_words_are_refused():
    done = check_host("--quickly")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'vole: check-host: "--quickly" is not understood: there is only --json\n'
