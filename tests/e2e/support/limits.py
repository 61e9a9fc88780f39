# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a running domain's control group says of its limits."""

import os

from libvirt import VIR_DOMAIN_AFFECT_LIVE as LIVE


def controllers(domain, virtvoled):
    """The domain's control group and its controllers, or (None, set())."""
    (pid,) = virtvoled.vmm_pids()
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as groups:
        own = [line.split("::")[1].strip() for line in groups if line.startswith("0::")]
    mounts = [line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8")
              if " - cgroup2 " in line]
    if not own or not mounts or f"vole-{domain.ID()}-" not in own[0]:
        return None, set()
    # Where its parts have groups of their own, its first thread is in one of these.
    path = mounts[0] + own[0].removesuffix("/emulator")
    with open(path + "/cgroup.controllers", encoding="utf-8") as names:
        return path, set(names.read().split())


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read().split()


def check_quotas(domain, path):
    """Parts of a VMM have groups of their own, whose limits come and go."""
    domain.setSchedulerParametersFlags({"vcpu_quota": 30000, "emulator_quota": 40000}, LIVE)
    assert read(path, "vcpu0", "cpu.max") == read(path, "vcpu1", "cpu.max") == ["30000", "100000"]
    assert read(path, "emulator", "cpu.max") == ["40000", "100000"]
    threads = [set(read(path, group, "cgroup.threads")) for group in ("vcpu0", "vcpu1", "emulator")]
    assert len(threads[0]) == len(threads[1]) == 1 and threads[2]
    assert not threads[0] & threads[1] and not (threads[0] | threads[1]) & threads[2]
    domain.setSchedulerParametersFlags({"iothread_quota": 50000, "vcpu_quota": -1}, LIVE)
    assert read(path, "iothreads", "cpu.max") == ["50000", "100000"]
    assert read(path, "vcpu0", "cpu.max") == ["max", "100000"]
    found = domain.schedulerParametersFlags(LIVE)
    assert (found["emulator_quota"], found["iothread_quota"], found["vcpu_quota"]) == (
        40000, 50000, -1)
    assert "<emulator_quota>40000<" in domain.XMLDesc()


def check_block_devices(domain, path, device):
    number = os.stat(device).st_rdev
    domain.setBlkioParameters({"device_read_bytes_sec": f"{device},1048576",
                               "device_write_iops_sec": f"{device},100"}, LIVE)
    assert read(path, "io.max") == [f"{os.major(number)}:{os.minor(number)}", "rbps=1048576",
                                    "wbps=max", "riops=max", "wiops=100"]
    domain.setBlkioParameters({"device_read_bytes_sec": f"{device},0",
                               "device_write_iops_sec": f"{device},0"}, LIVE)
    assert read(path, "io.max") == []
    assert "<blkiotune>" not in domain.XMLDesc()
