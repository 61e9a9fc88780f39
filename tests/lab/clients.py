# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's clients of another Debian release, to be run on this machine as they are.

Their packages, and all that those need down to the C library, are unpacked side by side into one
folder; nothing is installed, and no privileges are needed. They come from where this machine's own
packages come from: the entries of apt's sources for this release, with the other release's name.
"""

import os
import re
import shlex
import stat
from pathlib import Path

import cache
import kernel

SUITE = "trixie"
PACKAGES = ["libvirt-clients", "python3-libvirt"]

# Programs started through their own dynamic linker use their own libraries, and hand nothing of
# that on to what they start.
WRAPPER = """\
#!/bin/sh
root=${{0%/*}}/../root
{environment}exec "$root{linker}" --library-path "$root{libraries}" "$root{program}" "$@"
"""
PROGRAMS = {"virsh": ("/usr/bin/virsh", ""),
            "python3": ("/usr/bin/python3", "PYTHONHOME=$root/usr; export PYTHONHOME\n")}


class Unreachable(cache.BuildError):
    """The packages could not be fetched: that says nothing of what is tested with them."""


def clients(note):
    """A folder whose bin/ has the programs of PROGRAMS."""
    sources = _sources()
    key = cache.key_of(SUITE, " ".join(PACKAGES), sources, os.uname().machine, Path(__file__))
    return cache.entry(f"clients-{SUITE}", key, lambda folder: _make(folder, sources), note)


# ---- where from ----

def _sources():
    """apt's entries for this release's main archive, with the name of the other release."""
    release = _codename()
    entries = []
    for path in _source_files():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".sources":
            entries += [_one_line(stanza) for stanza in re.split(r"\n\s*\n", text)]
        else:
            entries += text.splitlines()
    chosen = []
    for entry in entries:
        match = re.match(rf"(deb\s+(?:\[[^]]*\]\s+)?\S+\s+){release}\s.*\bmain\b", entry)
        if match:
            chosen.append(f"{match[1]}{SUITE} main")
    mirror = os.environ.get("VOLE_DEBIAN_MIRROR")
    if mirror:
        chosen = [f"deb {mirror} {SUITE} main"]
    if not chosen:
        raise Unreachable(f"apt has no source of Debian's release '{release}'")
    return "".join(f"{line}\n" for line in dict.fromkeys(chosen))


def _codename():
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise Unreachable("/etc/os-release names no release")


def _source_files():
    """sources.list and the files beside it, wherever apt is told to look."""
    text = kernel.run("apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f",
                      "PARTS", "Dir::Etc::sourceparts/d")
    places = dict(word.split("=", 1) for word in shlex.split(text))
    parts = Path(places["PARTS"])
    files = [Path(places["LIST"]), *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    return [path for path in files if path.is_file()]


def _one_line(stanza):
    """A deb822 stanza as the `deb` line that means the same, as far as it matters here."""
    fields, name = {}, None
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace() and name:
            fields[name] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
        return ""
    # A key that stands in the file itself has no place in a line: apt then trusts its own.
    signed = fields.get("signed-by", "")
    options = f"[signed-by={signed}] " if signed.startswith("/") else ""
    uri = (fields.get("uris", "").split() or [""])[0]
    suites = fields.get("suites", "").split()
    suite = _codename() if _codename() in suites else ""
    return f"deb {options}{uri} {suite} {fields.get('components', '')}"


# ---- fetching and unpacking ----

def _make(folder, sources):
    debs = _download(folder / "apt", sources)
    root = folder / "root"
    root.mkdir()
    for deb in debs:
        kernel.run("dpkg-deb", "-x", deb, root)
    kernel.run("rm", "-rf", folder / "apt", root / "usr/share/doc", root / "usr/share/locale")
    (linker,) = (root / "usr/lib").glob("*-linux-gnu/ld-linux-*.so.*")
    libraries = linker.parent
    (folder / "bin").mkdir()
    for name, (program, environment) in PROGRAMS.items():
        path = folder / "bin" / name
        path.write_text(WRAPPER.format(
            environment=environment, program=program, linker="/" + str(linker.relative_to(root)),
            libraries="/" + str(libraries.relative_to(root))), encoding="ascii")
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    kernel.run(folder / "bin/virsh", "--version")
    kernel.run(folder / "bin/python3", "-c", "import libvirt")


def _download(place, sources):
    """The .deb files of the packages and of all that they depend on, by an apt that has this
    machine's settings (proxies, say) but knows of no package that is installed on it."""
    for name in ("lists/partial", "cache/archives/partial"):
        (place / name).mkdir(parents=True)
    (place / "sources.list").write_text(sources, encoding="utf-8")
    (place / "status").touch()
    (place / "apt.conf").write_text(f"""
        #clear APT::Architectures;
        #clear APT::Update::Post-Invoke;
        #clear APT::Update::Post-Invoke-Success;
        #clear Acquire::IndexTargets::deb::DEP-11;
        Dir::Etc::sourcelist "{place}/sources.list";
        Dir::Etc::sourceparts "/dev/null";
        Dir::State::lists "{place}/lists";
        Dir::State::status "{place}/status";
        Dir::Cache "{place}/cache";
        APT::Sandbox::User "root";
        APT::Install-Recommends "false";
        Acquire::Languages "none";
        Acquire::Retries "1";
        Acquire::http::Timeout "20";
        """, encoding="utf-8")
    config = ("-c", place / "apt.conf", "-q")
    try:
        kernel.run("apt-get", *config, "-o", "APT::Update::Error-Mode=any", "update")
        kernel.run("apt-get", *config, "--download-only", "--yes", "install", *PACKAGES)
    except cache.BuildError as error:
        raise Unreachable(str(error)) from None
    return sorted((place / "cache/archives").glob("*.deb"))
