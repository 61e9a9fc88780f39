# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libvirt's schema of a domain allows: every element with its attributes, by its path."""

from pathlib import Path

from lxml import etree

FOLDER = Path("/usr/share/libvirt/schemas")
RNG = "{http://relaxng.org/ns/structure/1.0}"
DEEPEST = 8  # chains of backing files have no end


def definitions(path, found=None):
    """{name: [define elements]}, with what the file includes."""
    found = {} if found is None else found
    root = etree.parse(path).getroot()
    for node in root.iter(f"{RNG}include"):
        definitions(FOLDER / node.get("href"), found)
    for node in root.iter(f"{RNG}define"):
        found.setdefault(node.get("name"), []).append(node)
    return found


def names(node):
    """Of an element or attribute: its names; none when any name is allowed."""
    if node.get("name"):
        return [node.get("name")]
    first = node[0] if len(node) else None
    if first is not None and first.tag == f"{RNG}choice":
        return [name.text.strip() for name in first.iter(f"{RNG}name")]
    return [first.text.strip()] if first is not None and first.tag == f"{RNG}name" else []


def is_foreign(node):
    """Of another namespace, like <qemu:commandline>."""
    return any(place.get("ns") for place in (node, *node.iterancestors()))


class Elements:
    """`found`: {path: its attributes}."""

    def __init__(self):
        self.defines = definitions(FOLDER / "domain.rng")
        self.found = {}
        for node in self.defines["domain"]:
            self._look(node, "", frozenset())

    def _look(self, node, path, seen):
        for child in node:
            if child.tag == f"{RNG}ref":
                name = child.get("name")
                if name in self.defines and (name, path) not in seen:
                    for define in self.defines[name]:
                        self._look(define, path, seen | {(name, path)})
            elif child.tag == f"{RNG}attribute":
                for name in names(child):
                    self.found.setdefault(path, set()).add(name)
            elif child.tag == f"{RNG}element":
                for name in names(child) if not is_foreign(child) else ():
                    below = f"{path}/{name}" if path else name
                    if below.count("/") < DEEPEST:
                        self.found.setdefault(below, set())
                        self._look(child, below, seen)
            elif child.tag is not etree.Comment:
                self._look(child, path, seen)
