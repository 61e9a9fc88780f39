# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bench of the libvirt driver works: what it measures is not looked at here."""

import json
import subprocess

from support.guest import TREE
from support.wait import SHORT


def test_bench_libvirt(folder):
    figures, picture = folder / "out.json", folder / "out.svg"
    done = subprocess.run([TREE / "tests/bench/bench-libvirt", "--quick", "--json", figures,
                           "--plot", picture], check=False, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=4 * SHORT)
    assert done.returncode == 0, done.stderr
    rows = [row for group in json.loads(figures.read_text("utf-8")).values() for row in group]
    for row in rows:
        assert f"\n{row['row']}" in done.stdout
        assert row["vole"]["values"] and row["qemu"]["values"], row
    by_name = {row["row"]: row for row in rows}
    for name in ("virsh start", "virsh destroy", "daemon's processor time, a start",
                 "virsh list --all, 3 running", "virsh domstats, 3 running",
                 "daemon's private memory, 3 running"):
        assert by_name[name]["vole"]["median"] > 0, name
        assert by_name[name]["qemu"]["median"] > 0, name
    assert picture.read_text("utf-8").startswith("<svg")


def test_bench_libvirt_knows_what_it_can_measure():
    for words, complaint in ((["nothing"], "no group named nothing"),
                             (["--crowd", "1"], "--crowd takes 2 or more"),
                             (["--rounds", "0"], "--rounds takes 1 or more")):
        done = subprocess.run([TREE / "tests/bench/bench-libvirt", *words], check=False,
                              capture_output=True, text=True, timeout=SHORT)
        assert done.returncode != 0
        assert complaint in done.stderr, done.stderr
