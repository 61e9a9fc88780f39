# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stage e2e of ./check: which tests run where. Those without Linux guests run on this machine;
the others here as well, if its KVM boots Linux, or else in labs beside it. A lab has one processor,
so there are as many as the machine has, all with the same tests: of each file, the first that comes
to it does all (conftest.py)."""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stage import BUILD, JOBS, TREE, Broken, Counts, built, failed, output_of, passed, run

LAB_SECONDS = 2400
ARCH_LAB_SECONDS = 5400  # of another architecture's, where the emulated processor is slower

# Files of tests/e2e that take a lab the longest, in this order. They go first, so that the last one
# does not run alone.
LONGEST = ["test_guest", "test_virsh_guest", "test_guest_net", "test_guest_devices"]


@dataclass
class Session:
    """One run of pytest: what it is called, which tests, and the lab's time if it is in one."""
    name: str
    files: list
    selection: list
    lab_seconds: int = 0
    env: dict = field(default_factory=dict)


def e2e(options):
    folder = built(options.arch or "gcc")
    results = BUILD / (f"results-{options.arch}" if options.arch else "results")
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    os.environ["VOLE_BUILDDIR"] = str(folder)
    everything = sorted((TREE / "tests/e2e").glob("test_*.py"))
    if options.list:
        run(*pytest(everything, "--collect-only", "-q", *select(options)))
        return Counts()

    if not options.arch and \
            subprocess.run([TREE / "tests/lab/need-lab"], check=False).returncode != 0:
        return run_session(Session("all", everything, select(options)), results)
    host = Session("host", everything, select(options, "not guest"))
    with ThreadPoolExecutor(max_workers=1) as beside:  # it mostly waits
        on_host = None if options.arch else beside.submit(run_session, host, results)
        counts = in_labs(options, everything, results)
        return counts + on_host.result() if on_host else counts


def pytest(files, *arguments):
    return ["/usr/bin/python3", "-u", "-m", "pytest", "-c", TREE / "tests/e2e/pytest.ini", *files,
            *arguments]


def select(options, marker=None):
    return (["-m", marker] if marker else []) + (["-k", options.k] if options.k else [])


def tests_chosen(files, selection):
    """Their names, which begin with the path of their file."""
    argv = [str(word) for word in pytest(files, "--collect-only", "-q", *selection)]
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True)
    if done.returncode not in (0, 5):  # 5: there are none
        raise Broken(f"pytest cannot collect the tests:\n{done.stdout}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def in_labs(options, files, results):
    """The tests with Linux guests."""
    files = sorted(files, key=lambda file: LONGEST.index(file.stem) if file.stem in LONGEST
                   else len(LONGEST))
    selection = select(options, "guest")
    tests = tests_chosen(files, selection)
    if not tests:
        return Counts()
    # What others import need not be in a lab.
    names = {Path(test.partition("::")[0]).name for test in tests}
    files = [file for file in files if file.name in names]
    number = len(tests)
    claims = results / "claims"
    claims.mkdir()
    env = {"VOLE_E2E_CLAIMS": str(claims), "VOLE_GUEST_IMAGES": json.dumps(guest_images(options))}
    seconds = ARCH_LAB_SECONDS if options.arch else LAB_SECONDS
    labs = [Session(f"lab-{index}", files, selection, seconds, env)
            for index in range(1, min(int(JOBS), number) + 1)]
    counts = Counts()
    with ThreadPoolExecutor(max_workers=len(labs)) as pool:
        for done in pool.map(lambda session: run_session(session, results), labs):
            counts += done
    done = counts.passed + counts.failed + counts.skipped
    if done < number:
        counts += failed(f"e2e: of {number} tests with Linux guests only {done} were done")
    return counts


def guest_images(options):
    """What the tests ask tests/lab/guest-image for -> its answer, which takes seconds in a lab."""
    wanted = ["--of-lab", "--kernel cloud", "--kernel cloud --small"] if options.arch else [
        f"--kernel {kernel}{small}" for kernel in ("cloud", "generic") for small in ("", " --small")]
    return {words: output_of(TREE / "tests/lab/guest-image", *words.split()).strip()
            for words in wanted}


def run_session(session, results):
    report = results / f"{session.name}.xml"
    argv = pytest(session.files, "-v", "--tb=short", "--durations=10", f"--junitxml={report}",
                  *session.selection)
    if session.lab_seconds:
        argv = [TREE / "tests/lab/lab", "--timeout", str(session.lab_seconds), "--share", results,
                "--console-log", results / f"{session.name}-console.log", "--", *argv]
    with subprocess.Popen([str(arg) for arg in argv], text=True, errors="replace",
                          env={**os.environ, **session.env}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        last = deque(maxlen=40)
        for line in process.stdout:  # whole lines, for several sessions print at a time
            print(f"{session.name}: {line}", end="", flush=True)
            last.append(line.rstrip())
    if process.returncode == 5:  # nothing was selected
        return Counts()
    if not report.exists():
        return failed(f"e2e ({session.name}): ended with {process.returncode} before it was done",
                      last)
    counts = report_counts(report)
    if process.returncode != 0 and not counts.failed:
        counts += failed(f"e2e ({session.name}): ended with {process.returncode}", last)
    return counts


def report_counts(report):
    counts = Counts()
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag: child for child in case}
        if "failure" in kinds or "error" in kinds:
            counts += failed(test, error_of(kinds.get("failure", kinds.get("error"))))
        elif "skipped" in kinds:
            counts += Counts(skipped=1,
                             details=[f"SKIPPED {test}: {kinds['skipped'].get('message')}"])
        else:
            counts += passed()
    return counts


def error_of(element):
    """Its lines, from the last one that is a place in a file of ours."""
    lines = (element.text or element.get("message") or "").strip().splitlines()
    places = [number for number, line in enumerate(lines) if re.match(r"[^/.\s]\S*:\d+: ", line)]
    return lines[places[-1]:] if places else lines
