# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows of the libvirt driver: what a client waits for, and what the daemon spends on it.

Most of what virsh takes is virsh: it starts, connects, and ends. `virsh version` does nothing else,
so its median is taken off where a row says so. On a connection that is open already the same calls
are timed without all that.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from drivers import timed
from tools import in_turns, row

WARM_UP = 1  # rounds that are not counted
HANDS = 4    # domains of a crowd that are started or ended at a time


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
            row("daemon's processor time, a start", "ms", results, "create cpu", value_max=8),
            row("daemon's processor time, a destroy", "ms", results, "end cpu")]


def one_life(driver, domain):
    figures = {name: driver.virsh(*words) for name, words in (
        ("version", ["version"]), ("start", ["start", "life"]), ("destroy", ["destroy", "life"]))}
    before = driver.cpu_ms()
    figures["create"] = timed(domain.create)
    started = driver.cpu_ms()
    figures["end"] = timed(domain.destroy)
    return figures | {"create cpu": started - before, "end cpu": driver.cpu_ms() - started}


# ---- many domains ----

# What is asked, and how it is called in the rows' names.
QUESTIONS = {"list --all": ["list", "--all"], "domstats": ["domstats"]}


def crowd(drivers, options):
    """many domains that run: what asking about all of them takes, memory, wake-ups"""
    idle = {who: [] for who in drivers}
    counts = (1, options.crowd)
    answers = {}
    hold_still(drivers, options, idle)
    domains = {who: start(driver, ["crowd-1"]) for who, driver in drivers.items()}
    answers[1] = in_turns(options.rounds, lambda who, _: ask(drivers[who]))
    names = [f"crowd-{number}" for number in range(2, options.crowd + 1)]
    for who, driver in drivers.items():
        domains[who] += start(driver, names)
    answers[options.crowd] = in_turns(options.rounds, lambda who, _: ask(drivers[who]))
    hold_still(drivers, options, idle)
    for all_of_one in domains.values():
        spread_out(end, all_of_one)
    lines = []
    for question in QUESTIONS:
        lines += question_rows(question, answers, counts)
    return lines + idle_rows(idle, options)


def question_rows(question, answers, counts):
    lines = [row(f"virsh {question}, {count} running", "ms", answers[count], question)
             for count in counts]
    one, many = ({who: statistics.median(value[question] for value in values)
                  for who, values in answers[count].items()} for count in counts)
    times = {who: [many[who] / one[who]] for who in one}
    return [*lines, row("... times that with 1", "times", times, value_max=3)]


def idle_rows(idle, options):
    lines = []
    for index, what in enumerate(("none running", f"{options.crowd} running")):
        figures = {who: [values[index]] for who, values in idle.items()}
        limit = {"value_max": 25} if index else {}
        lines += [row(f"daemon's private memory, {what}", "MiB", figures, "memory", **limit),
                  row(f"wake-ups in {options.idle:g} s, {what}", "", figures, "wakeups",
                      value_max=0)]
    return lines


def ask(driver):
    return {name: driver.virsh(*words) for name, words in QUESTIONS.items()}


def hold_still(drivers, options, idle):
    """Adds to `idle` what daemons without a client do and hold; both are watched at a time."""
    for driver in drivers.values():
        driver.disconnect()
    time.sleep(options.settle)  # spare threads wait a while for more work
    before = {who: driver.wakeups() for who, driver in drivers.items()}
    time.sleep(options.idle)
    for who, driver in drivers.items():
        idle[who].append({"wakeups": driver.wakeups() - before[who],
                          "memory": driver.private_mib()})
    for driver in drivers.values():
        driver.connect()


def start(driver, names):
    domains = [driver.define(name) for name in names]
    spread_out(lambda domain: domain.create(), domains)
    return domains


def end(domain):
    domain.destroy()
    domain.undefine()


def spread_out(function, domains):
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(function, domains))
