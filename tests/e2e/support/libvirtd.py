# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's own monolithic daemon beside a Virtvoled: its sockets lie where that one looks for them,
and everything else it has is in namespaces of its own: no file, bridge or firewall rule of this
machine is touched."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import libvirt

from .wait import SHORT, Deadline

# The qemu driver wants users of its own, and nothing here asks it.
SETUP = """set -e
ip link set lo up
mount -t tmpfs none /run
for name in etc/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt; do
    mkdir -p "/$name" "$1/own/$name"
    mount --bind "$1/own/$name" "/$name"
done
mkdir -p /run/libvirt "$1/drivers"
ln -sf /usr/lib/*/libvirt/connection-driver/*.so "$1/drivers"
rm -f "$1"/drivers/*_qemu.so
for driver in $2; do rm -f "$1/drivers/libvirt_driver_$driver.so"; done
export LIBVIRT_DRIVER_DIR="$1/drivers"
exec libvirtd --config "$1/libvirtd.conf" --pid-file "$1/libvirtd.pid"
"""


class Libvirtd:
    def __init__(self, folder, root, without=(), auth="none"):
        self.folder = Path(folder)
        self.sockets = Path(root) / "run/libvirt"
        self.sockets.mkdir(parents=True, exist_ok=True)
        self.without = without
        self.auth = auth
        self.process = None

    def uri(self, driver, readonly=False):
        suffix = "-ro" if readonly else ""
        return f"{driver}:///system?socket={self.sockets}/libvirt-sock{suffix}"

    def start(self):
        (self.folder / "libvirtd.conf").write_text(
            f'unix_sock_dir = "{self.sockets}"\nunix_sock_rw_perms = "0777"\n'
            f'auth_unix_rw = "{self.auth}"\nauth_unix_ro = "none"\n', encoding="utf-8")
        with open(self.folder / "libvirtd.log", "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--net", "sh", "-c", SETUP, "sh", str(self.folder),
                 " ".join(self.without)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = Deadline(SHORT)
        while not deadline.passed():
            assert self.process.poll() is None, self.log()
            with suppress(libvirt.libvirtError):
                libvirt.open(self.uri("network")).close()
                return self
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError(f"libvirtd does not answer: {self.log()}")

    def log(self):
        return (self.folder / "libvirtd.log").read_text()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """Leaves its sockets behind."""
        self.process.kill()
        self.process.wait(SHORT)

    def close(self):
        """Its networks end first: their dnsmasq would outlive it."""
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            with libvirt.open(self.uri("network")) as connection:
                for network in connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE):
                    network.destroy()
            self.process.terminate()
            self.process.wait(SHORT)
        for name in os.listdir(self.sockets):
            if name.startswith("libvirt"):
                (self.sockets / name).unlink()
