# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stages of ./check. Each is a function that returns counts; what breaks counts as a failure,
so that a stage that could not run is never taken for one that passed."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import clean_files
from sessions import e2e
from stage import (BUILD, CCACHE, JOBS, TREE, Broken, Counts, built, configured, failed,
                   first_reasons, output_of, passed, run)
import foreign  # of tests/lab, which stage has made known

FUZZ_SECONDS = 6
FUZZ_SEED = 1  # what is found by chance is for longer runs of the targets
FUZZ_HANG = 60  # seconds of an input
ARCHES = ("aarch64",)


# ---- style ----

def sources(*suffixes):
    """Files under version control, or, in an unpacked release, all that are there."""
    if (TREE / ".git").exists():
        names = output_of("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
                          cwd=TREE).split("\0")
        files = [TREE / name for name in names if name and (TREE / name).is_file()]
    else:
        files = [path for path in TREE.rglob("*")
                 if path.is_file() and BUILD not in path.parents]
    return sorted(path for path in files if not suffixes or path.suffix in suffixes)


# Text that is not ours to mark, and formats without comments.
NO_LICENCE_LINE = {"LICENSE", ".gitignore", ".clang-format", ".clang-tidy", ".editorconfig"}
NO_COMMENTS = {".md", ".json", ".xml", ".png", ".svg"}


def style(_):
    counts = Counts()
    with ThreadPoolExecutor(max_workers=int(JOBS)) as pool:
        for done in pool.map(formatted, sources(".c", ".h")):
            counts += done
    for path in sources():
        if path.name in NO_LICENCE_LINE or path.suffix in NO_COMMENTS or "golden" in path.parts \
                or "corpus" in path.parts:
            continue
        head = path.read_bytes()[:400]
        if b"SPDX-License-Identifier: LGPL-2.1-or-later" not in head:
            counts += failed(f"{path.relative_to(TREE)}: no SPDX line")
    return counts


def formatted(path):
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", path], check=False,
                          capture_output=True, text=True)
    return passed() if done.returncode == 0 else failed(
        f"{path.relative_to(TREE)}: not as `clang-format -i` would have it")


# ---- lint ----

def lint(_):
    folder = configured("clang")
    database = compile_commands(folder)
    (folder / "compile_commands.json").write_text(json.dumps(database), encoding="utf-8")
    known = clean_files.Known(TREE, folder)
    counts = cppcheck(folder, database, known)
    with ThreadPoolExecutor(max_workers=int(JOBS)) as pool:
        for done in pool.map(lambda entry: clang_tidy(folder, entry, known), database):
            counts += done
    return counts


def clang_tidy(folder, entry, known):
    """Of one file, unless it was clean before with all that it includes."""
    key = known.key(entry)
    if known.is_clean(key):
        return passed()
    done = subprocess.run(["clang-tidy", "--quiet", "-p", folder, entry["file"]], check=False,
                          text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        print(done.stdout)
        return failed(f"clang-tidy {os.path.relpath(entry['file'], TREE)}",
                      done.stdout.splitlines())
    known.clean(key)
    return passed()


def cppcheck(folder, database, known):
    """Of all files that it has not found clean before."""
    arguments = ["--enable=warning,portability", "--inline-suppr", f"--suppress=*:{folder}/*",
                 "--suppress=internalAstError", "--suppress=normalCheckLevelMaxBranches"]
    keys = {known.key_of_cppcheck(entry, arguments): entry for entry in database}
    keys = {key: entry for key, entry in keys.items() if not known.is_clean(key)}
    if not keys:
        return passed()
    project = folder / "cppcheck.json"
    project.write_text(json.dumps(list(keys.values())), encoding="utf-8")
    done = subprocess.run(["cppcheck", "--quiet", f"-j{JOBS}", f"--project={project}",
                           "--error-exitcode=1", *arguments],
                          cwd=folder, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        return failed("cppcheck")
    for key in keys:
        known.clean(key)
    return passed()


def compile_commands(folder):
    """From what make would do: generated sources are made, the rest is only asked for."""
    names = make_variable(folder, "BUILT_SOURCES").split()
    if names:
        run("make", "-s", *names, cwd=folder)
    objects = [path for path in folder.rglob("*.o")]
    for path in objects:  # so that make wants to compile everything
        path.unlink()
    tests = make_variable(folder, "check_PROGRAMS").split()
    database = {}  # some files are compiled for several programs; once is enough
    for line in output_of("make", "-n", "V=1", "all", *tests, cwd=folder).splitlines():
        match = re.search(r"`test -f '([^']+)' \|\| echo '[^']*'`\1", line)
        if " -c " not in line or not match:
            continue
        source = str(TREE / match[1]) if (TREE / match[1]).exists() else str(folder / match[1])
        if not source.startswith(str(TREE)) or source.startswith(str(BUILD)):
            continue
        command = line[line.index("clang"):].replace(match[0], source)
        # Quotes escaped: of -DNAME='"text"' cppcheck loses them.
        command = " ".join(word.replace('"', '\\"') for word in shlex.split(command))
        database[source] = {"directory": str(folder), "command": command, "file": source}
    if not database:
        raise Broken("make would compile nothing")
    return list(database.values())


# ---- unit ----

def unit(options):
    counts = Counts()
    for name in (options.arch,) if options.arch else ("gcc", "asan"):
        folder = built(name)
        arguments = []
        if options.k:
            tests = make_variable(folder, "TESTS").split()
            chosen = [test for test in tests if options.k in test]
            if not chosen:
                continue
            arguments = [f"TESTS={' '.join(chosen)}"]
        for path in folder.glob("tests/**/*.trs"):
            path.unlink()
        words, enter, env = ["make", "-s", f"-j{JOBS}", "check", *arguments], None, {}
        if options.arch:
            words, enter = foreign.wrap(options.arch, words)
            env = {"VOLE_EMULATED": "1"}
        subprocess.run(words, preexec_fn=enter, cwd=folder, env={**os.environ, **env}, check=False,
                       stdin=subprocess.DEVNULL)
        counts += test_results(folder, name)
    return counts


def make_variable(folder, name):
    """Its value after configure."""
    done = subprocess.run(["make", "-s", "-f", "Makefile", "-f", "-", "print-variable"],
                          input=f"print-variable:\n\t@echo $({name})\n", text=True,
                          cwd=folder, capture_output=True, check=False)
    if done.returncode != 0:
        raise Broken(f"make does not tell {name}: {done.stderr.strip()}")
    return done.stdout.strip()


def test_results(folder, name):
    """What automake's TAP driver wrote down: one log a test program, in it a line a test."""
    counts = Counts()
    results = sorted(folder.glob("tests/**/*.trs"))
    if not results:
        return failed(f"unit ({name}): make check did not get as far as a test")
    for path in results:
        program = path.relative_to(folder).with_suffix("")
        test = f"{program} ({name})"
        verdicts = len(re.findall(r"^:test-result: ", path.read_text("utf-8"), re.MULTILINE))
        log = path.with_suffix(".log").read_text("utf-8", errors="replace")
        results_of = list(re.finditer(
            rf"^(PASS|XFAIL|SKIP|FAIL|XPASS|ERROR): {program}(?: \d+)?(?: -)? (.*)$", log,
            re.MULTILINE))
        said_from = 0  # since the result before
        for result in results_of:
            verdict, text = result.groups()
            said, said_from = log[said_from:result.start()], result.end()
            if verdict in ("PASS", "XFAIL"):
                counts += passed()
            elif verdict == "SKIP":
                what, _, why = text.partition(" # SKIP ")
                counts += Counts(skipped=1, details=[f"SKIPPED {test}: {what}: {why}"])
            else:
                counts += failed(f"{test}: {text}", said.strip().splitlines())
        if len(results_of) != verdicts:
            counts += failed(f"{test}: its log has {len(results_of)} of {verdicts} results")
    return counts


# ---- fuzz ----

def fuzz(options):
    folder = built("fuzz")
    targets = sorted(path for path in folder.glob("tests/fuzz/fuzz-*")
                     if path.suffix == "" and os.access(path, os.X_OK))
    if not targets:
        raise Broken("there are no fuzz targets")
    targets = [target for target in targets if not options.k or options.k in target.name]
    counts = Counts()
    with ThreadPoolExecutor(max_workers=int(JOBS)) as pool:
        for done in pool.map(lambda target: run_fuzz_target(folder, target), targets):
            counts += done
    return counts


def run_fuzz_target(folder, target):
    seeds = TREE / "tests/fuzz/corpus" / target.name
    corpus = folder / "corpus" / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    log = folder / f"{target.name}.log"
    with open(log, "w", encoding="utf-8") as out:
        done = subprocess.run(
            [target, f"-max_total_time={FUZZ_SECONDS}", f"-seed={FUZZ_SEED}",
             f"-timeout={FUZZ_HANG}", "-rss_limit_mb=2048", f"-artifact_prefix={folder}/", corpus,
             *([seeds] if seeds.is_dir() else [])],
            check=False, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return passed()
    said = log.read_text(errors="replace").splitlines()[-40:]
    print(f"{target.name}:", *said, sep="\n")
    return failed(f"{target.name}: see {log}", said)


# ---- dist ----

# Of the repository, not of a release.
NOT_RELEASED = {".gitignore", ".ci/run"}


def dist(_):
    folder = configured("gcc")
    for path in folder.glob("vole-*.tar.xz"):
        path.unlink()
    log = BUILD / "distcheck.log"
    with open(log, "w", encoding="utf-8") as out:
        done = subprocess.run(["make", "-s", f"-j{JOBS}", "distcheck"], cwd=folder, check=False,
                              env={**os.environ, "CC": CCACHE + "gcc", "XZ_OPT": "-0"},
                              stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        said = log.read_text(errors="replace").splitlines()[-40:]
        print(*said, sep="\n")
        return failed(f"make distcheck: see {log}", said)
    return passed() + released_files(folder)


def released_files(folder):
    """Whether the release has every file that the repository has."""
    if not (TREE / ".git").exists():
        return Counts()
    (release,) = folder.glob("vole-*.tar.xz")
    names = output_of("tar", "-tf", release).splitlines()
    inside = {name.partition("/")[2] for name in names}
    tracked = output_of("git", "ls-files", cwd=TREE).splitlines()
    missing = [name for name in tracked if name not in inside | NOT_RELEASED]
    counts = Counts() if missing else passed()
    for name in missing:
        counts += failed(f"dist: {name} is not in the release")
    return counts


STAGES = {"style": style, "lint": lint, "unit": unit, "e2e": e2e, "fuzz": fuzz, "dist": dist}
OF_ARCH = ("unit", "e2e")  # what there is of them for another architecture


def parse(argv):
    parser = argparse.ArgumentParser(prog="./check", usage="./check --help explains")
    parser.add_argument("stages", nargs="*")
    parser.add_argument("-k", metavar="EXPRESSION")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--arch", choices=ARCHES)
    options = parser.parse_intermixed_args(argv)
    stages = OF_ARCH if options.arch else STAGES
    for stage in options.stages:
        if stage not in stages:
            parser.error(f"no stage named {stage}; there are {', '.join(stages)}")
    if not options.stages:
        options.stages = ["e2e"] if options.k or options.list else list(stages)
    return options


def main(argv):
    options = parse(argv)
    if options.arch:
        os.environ["VOLE_LAB_ARCH"] = options.arch  # of all that tests/lab makes
    prefetch = None
    if "e2e" in options.stages and len(options.stages) > 1:
        # What the lab boots is made while other stages compile.
        prefetch = subprocess.Popen(
            [TREE / "tests/lab/guest-image"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL)
    total = Counts()
    for name in STAGES:
        if name not in options.stages:
            continue
        print(f"\n== {name} ==", flush=True)
        begin = time.monotonic()
        try:
            counts = STAGES[name](options)
        except Broken as error:
            counts = failed(f"{name}: {error}")
        print(f"== {name}: {counts}, {time.monotonic() - begin:.0f} s ==", flush=True)
        total += counts
    if prefetch:
        prefetch.wait()
    if options.list:
        return 0
    print()
    for line in (*total.details, *first_reasons(total)):
        print(line)
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
