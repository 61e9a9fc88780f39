# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows of the libvirt driver: what a client waits for, and what the daemon spends on it.

Most of what virsh takes is virsh: it starts, connects, and ends. `virsh version` does nothing else,
so its median is taken off where a row says so. On a connection that is open already the same calls
are timed without all that.

A VM that has only just been made is slow to go: newer kernels first let a grace period pass for what
KVM put off while it was made, some 10 ms, whoever its VMM is. Domains are left running for a moment
before they are destroyed; what destroying one at once takes has a row of its own.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from drivers import timed
from tools import in_turns, row

WARM_UP = 1  # rounds that are not counted
HANDS = 4    # domains of a crowd that are started or ended at a time
MOMENT = 0.1  # seconds


def life(drivers, options):
    """starting and destroying one domain"""
    domains = {who: driver.define("life") for who, driver in drivers.items()}
    results = in_turns(options.rounds + WARM_UP,
                       lambda who, _: one_life(drivers[who], domains[who]))
    for domain in domains.values():
        domain.undefine()
    results = {who: values[WARM_UP:] for who, values in results.items()}
    for values in results.values():
        floor = statistics.median(value["version"] for value in values)
        for value in values:
            value["start over"] = value["start"] - floor
            value["destroy over"] = value["destroy"] - floor
    return [row("virsh version", "ms", results, "version"),
            row("virsh start", "ms", results, "start"),
            row("... over virsh version", "ms", results, "start over", ratio_max=1 / 15),
            row("virsh destroy", "ms", results, "destroy"),
            row("... over virsh version", "ms", results, "destroy over", ratio_max=1 / 50),
            row("start on an open connection", "ms", results, "create", ratio_max=1 / 15),
            row("destroy on an open connection", "ms", results, "end", ratio_max=1 / 50),
            row("... at once after the start", "ms", results, "end at once"),
            row("daemon's processor time, a start", "ms", results, "create cpu", value_max=8),
            row("daemon's processor time, a destroy", "ms", results, "end cpu")]


def one_life(driver, domain):
    figures = {"version": driver.virsh("version"), "start": driver.virsh("start", "life")}
    time.sleep(MOMENT)
    figures["destroy"] = driver.virsh("destroy", "life")
    before = driver.cpu_ms()
    figures["create"] = timed(domain.create)
    time.sleep(MOMENT)
    started = driver.cpu_ms()
    figures["end"] = timed(domain.destroy)
    figures |= {"create cpu": started - before, "end cpu": driver.cpu_ms() - started}
    domain.create()
    figures["end at once"] = timed(domain.destroy)
    return figures


# ---- many domains ----

# What is asked, and how it is called in the rows' names.
QUESTIONS = {"list --all": ["list", "--all"], "domstats": ["domstats"]}


def crowd(drivers, options):
    """many domains that run: what asking about all of them takes, memory, wake-ups"""
    idle = {who: [hold_still(driver, options)] for who, driver in drivers.items()}
    alone = {}
    together = {}
    # One driver's crowd after the other's: neither runs on a machine that the other has filled.
    for who, driver in drivers.items():
        first = start(driver, ["crowd-1"])
        alone[who] = ask(driver, options.rounds)
        others = start(driver, [f"crowd-{n}" for n in range(2, options.crowd + 1)])
        together[who] = ask(driver, options.rounds)
        idle[who].append(hold_still(driver, options))
        end(others)
        alone[who] += ask(driver, options.rounds)
        end(first)
    lines = []
    for question in QUESTIONS:
        lines += question_rows(question, alone, together, options.crowd)
    return lines + idle_rows(idle, options)


def question_rows(question, alone, together, count):
    times = {who: [statistics.median(value[question] for value in together[who])
                   / statistics.median(value[question] for value in alone[who])] for who in alone}
    return [row(f"virsh {question}, 1 running", "ms", alone, question),
            row(f"virsh {question}, {count} running", "ms", together, question),
            row("... times that with 1", "times", times, value_max=3)]


def idle_rows(idle, options):
    lines = []
    for index, what in enumerate(("none running", f"{options.crowd} running")):
        figures = {who: [values[index]] for who, values in idle.items()}
        limit = {"value_max": 25} if index else {}
        lines += [row(f"daemon's private memory, {what}", "MiB", figures, "memory", **limit),
                  row(f"wake-ups in {options.idle:g} s, {what}", "", figures, "wakeups",
                      value_max=0)]
    return lines


def ask(driver, rounds):
    return [{name: driver.virsh(*words) for name, words in QUESTIONS.items()}
            for _ in range(rounds)]


def hold_still(driver, options):
    """What a daemon without a client does and holds."""
    driver.disconnect()
    time.sleep(options.settle)  # spare threads wait a while for more work
    before = driver.wakeups()
    time.sleep(options.idle)
    figures = {"wakeups": driver.wakeups() - before, "memory": driver.private_mib()}
    driver.connect()
    return figures


def start(driver, names):
    domains = [driver.define(name) for name in names]
    spread_out(lambda domain: domain.create(), domains)
    return domains


def end(domains):
    spread_out(lambda domain: domain.destroy(), domains)
    for domain in domains:
        domain.undefine()


def spread_out(function, domains):
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(function, domains))
