# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows with a guest of a few bytes: what a VMM costs by itself. Any /dev/kvm will do."""

import resource

import payload
from tools import folder, in_turns, row
from vmm import Machine, Process

WARM_UP = 2  # rounds that are not counted: they bring the programs into the page cache


def start(programs, rounds):
    """exec to the guest's first instruction, and what that costs"""
    with folder() as home:
        machines = {}
        for name in ("wait", "end"):
            machines[name] = Machine(home / name)
            machines[name].kernel.write_bytes(payload.kernel(name == "end"))

        def one(who, _):
            with Process(who, programs, machines["wait"]) as process:
                figures = {"cpu": process.cpu_seconds() * 1e3,
                           "wall": process.seconds_to_signal * 1e3}
            return figures | whole_life(who, programs, machines["end"])

        results = in_turns(rounds + WARM_UP, one)
    results = {who: values[WARM_UP:] for who, values in results.items()}
    return [row("exec to first instruction", "ms", results, "wall", ratio_max=1 / 8),
            row("processor time until then", "ms", results, "cpu", ratio_max=1 / 10),
            row("processor time of a whole life", "ms", results, "life"),
            row("page faults of a whole life", "", results, "faults")]


def whole_life(who, programs, machine):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Process(who, programs, machine) as process:
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"life": seconds * 1e3, "faults": after.ru_minflt - before.ru_minflt}


def memory(programs, rounds):
    """private dirty memory beside the guest's RAM, with a guest of a few bytes that waits"""
    with folder() as home:
        machine = Machine(home / "wait")
        machine.kernel.write_bytes(payload.kernel(False))

        def one(who, _):
            with Process(who, programs, machine) as process:
                return process.private_dirty_kib()

        return [row("memory, a waiting payload", "KiB", in_turns(min(rounds, 5), one),
                    value_max=1536)]
