# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `make install` puts where: units that systemd takes, settings that the daemon takes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.virtvoled import Virtvoled

TREE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["VOLE_BUILDDIR"])
SYSTEM_UNITS = ["virtvoled.service", "virtvoled.socket", "virtvoled-ro.socket"]
USER_UNITS = ["virtvoled.service", "virtvoled.socket"]


def made_with(name):
    """A folder that the build was configured for."""
    done = subprocess.run(["make", "-s", "-f", "Makefile", "-f", "-", "print"], cwd=BUILD,
                          input=f"print:\n\t@echo $({name})\n", text=True, check=True,
                          capture_output=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("installed")
    subprocess.run(["make", "-s", "install", f"DESTDIR={root}"], cwd=BUILD, check=True,
                   stdout=subprocess.DEVNULL)
    return root


def below(root, path):
    return root / path.lstrip("/")


def test_everything_has_its_place(installed):
    """The names are those of libvirt's own drivers, with theirs in the place of qemu's."""
    prefix, config = made_with("prefix"), made_with("sysconfdir") + "/libvirt"
    files = {f"/{path.relative_to(installed)}": path.stat().st_mode & 0o777
             for path in installed.rglob("*") if not path.is_dir()}
    wanted = {f"{made_with('bindir')}/vole": 0o755, f"{made_with('sbindir')}/virtvoled": 0o755,
              f"{made_with('libexecdir')}/virtvoled-helper": 0o755,
              f"{config}/virtvoled.conf": 0o644, f"{config}/vole.conf": 0o644,
              f"{made_with('mandir')}/man1/vole.1": 0o644,
              f"{made_with('mandir')}/man8/virtvoled.8": 0o644}
    wanted.update({f"{prefix}/lib/systemd/system/{name}": 0o644 for name in SYSTEM_UNITS})
    wanted.update({f"{prefix}/lib/systemd/user/{name}": 0o644 for name in USER_UNITS})
    assert files == wanted


def verify(*arguments, **environment):
    return subprocess.run(["systemd-analyze", "--man=no", *arguments], check=False, text=True,
                          capture_output=True, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def system(installed, tmp_path_factory):
    """A root with the installed files, the units that come with systemd, and what all name."""
    root = tmp_path_factory.mktemp("system") / "root"
    shutil.copytree(installed, root)
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system",
                    dirs_exist_ok=True, symlinks=True)
    (root / "bin").mkdir(exist_ok=True)
    shutil.copy("/bin/kill", root / "bin")
    return root


def test_units_of_the_system(system):
    done = verify(f"--root={system}", "verify", *SYSTEM_UNITS)
    assert (done.returncode, done.stderr) == (0, "")
    # The same with something wrong, to know that it would be found.
    below(system, made_with("sbindir")).joinpath("virtvoled").unlink()
    done = verify(f"--root={system}", "verify", *SYSTEM_UNITS)
    assert done.returncode != 0 and "is not executable" in done.stderr


def test_units_of_a_user(installed, tmp_path):
    """systemd knows no other root for these: the program is named where it lies instead."""
    sbin = made_with("sbindir")
    for name in USER_UNITS:
        text = below(installed, f"{made_with('prefix')}/lib/systemd/user/{name}").read_text()
        (tmp_path / name).write_text(text.replace(sbin, str(below(installed, sbin))))
    done = verify("--user", "verify", *(str(tmp_path / name) for name in USER_UNITS),
                  XDG_RUNTIME_DIR=str(tmp_path), HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind, name", [("DAEMON", "virtvoled.conf"), ("DOMAINS", "vole.conf")])
def test_every_setting_is_documented(kind, name):
    keys = re.findall(rf"KEY\({kind}, \w+, (\w+),", (TREE / "libvirt-driver/settings.c").read_text())
    shown = re.findall(r"^#(\w+) = ", (TREE / f"libvirt-driver/{name}").read_text(), re.MULTILINE)
    page = (TREE / "docs/man/virtvoled.8").read_text().partition(f".SS {name}\n")[2]
    assert len(keys) > 10 and sorted(keys) == sorted(shown)
    assert [key for key in keys if not re.search(rf"\b{key}\b", page.partition(".SS ")[0])] == []


def test_settings_show_what_holds_without_them(installed, folder):
    """Every line that is there as a comment can be taken as it is, and changes nothing."""
    daemon = Virtvoled(folder)
    target = daemon.root / "etc/libvirt"
    for name in ("virtvoled.conf", "vole.conf"):
        text = below(installed, f"{made_with('sysconfdir')}/libvirt/{name}").read_text()
        text, count = re.subn(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)
        assert count > 5
        (target / name).write_text(text)
    daemon.start()
    assert daemon.virsh("list", "--all", "--name") == ""
    daemon.close()
