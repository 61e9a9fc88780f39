# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every element and attribute of libvirt's schema is either understood or refused by its name, and
docs/domain-schema.md says which. VOLE_REGENERATE=1 writes the page's table anew."""

import itertools
import os
import re
from pathlib import Path
from xml.sax.saxutils import quoteattr

import libvirt
import pytest
from support.schema import Elements

PAGE = Path(__file__).resolve().parents[2] / "docs/domain-schema.md"
UNKNOWN = "x-none"

# Of what kinds the elements are above the one that is looked at, where that matters: it is enough to
# be understood in one of them.
def kinds(attribute, *values, **more):
    return [{attribute: value, **more} for value in values]


KINDS = {
    "domain": kinds("type", "kvm"),
    "domain/sysinfo": kinds("type", "smbios"),
    "domain/cpu": kinds("mode", "host-passthrough", "custom"),
    "domain/devices/disk": kinds("type", "file", "block", "volume"),
    "domain/devices/interface": kinds("type", "bridge", "network", "user", "direct", "ethernet"),
    "domain/devices/interface/portForward": kinds("proto", "tcp"),
    "domain/devices/graphics": kinds("type", "vnc"),
    "domain/devices/controller": kinds("type", "pci", "virtio-serial"),
    "domain/devices/input": kinds("type", "tablet"),
    "domain/devices/sound": kinds("model", "ich6"),
    "domain/devices/redirdev": kinds("type", "spicevmc", bus="usb"),
    "domain/devices/rng": kinds("model", "virtio"),
    "domain/devices/memballoon": kinds("model", "virtio"),
}


class Probe:
    """Asks a daemon what it has to say of one element in its place."""

    def __init__(self, connection):
        self.connection = connection

    def answers(self, path, attribute):
        parts = path.split("/")
        places = ["/".join(parts[:depth + 1]) for depth in range(len(parts))]
        for choice in itertools.product(*(KINDS.get(place, [{}]) for place in places)):
            document = ""
            for depth in range(len(parts) - 1, -1, -1):
                attributes = dict(choice[depth])
                if depth == len(parts) - 1:
                    attributes.setdefault(attribute, "?")
                text = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
                document = f"<{parts[depth]}{text}>{document}</{parts[depth]}>"
            with pytest.raises(libvirt.libvirtError) as raised:  # no document has a name
                self.connection.defineXML(document)
            yield raised.value.get_error_message()

    def refused(self, path):
        """The reason, or None when the element is understood: then its attributes are looked at."""
        answers = list(self.answers(path, UNKNOWN))
        if path == "domain/metadata" or any(f"attribute '{UNKNOWN}' is not understood" in answer
                                            for answer in answers):
            return None
        reasons = re.findall(rf"<{re.escape(path.rpartition('/')[2])}[^>]*> \(line 1\): (.*)",
                             "\n".join(answers))
        assert reasons, f"{path}: {answers}"
        return reasons[0]

    def understands(self, path, attribute):
        return any(f"attribute '{attribute}' is not understood" not in answer
                   for answer in self.answers(path, attribute))


def words(names):
    return ", ".join(f"`{name}`" for name in sorted(names))


def table(probe):
    lines = []
    gone = ()
    for path, attributes in sorted(Elements().found.items()):
        if path.startswith(gone) or path.startswith("domain/metadata/"):
            continue
        reason = probe.refused(path)
        name = path.removeprefix("domain/")
        if reason is not None:
            gone += (path + "/",)
            why = "" if reason == "element is not understood" else f": {reason}"
            lines.append(f"| `{name}` | | refused, with all in it{why} |")
            continue
        known = {attribute for attribute in attributes if probe.understands(path, attribute)}
        others = attributes - known
        lines.append(f"| `{name}` | {words(known)} | "
                     f"{'refused: ' + words(others) if others else ''} |")
    return "\n".join(lines)


def test_the_page_has_every_element_and_attribute(virtvoled):
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition("| --- | --- | --- |\n")
    listed, _, tail = rest.partition("\n\n")
    with virtvoled.connect() as connection:
        found = table(Probe(connection))
    if os.environ.get("VOLE_REGENERATE"):
        PAGE.write_text(f"{head}| --- | --- | --- |\n{found}\n\n{tail}", encoding="utf-8")
        listed = found
    assert listed.splitlines() == found.splitlines()
