# SPDX-License-Identifier: LGPL-2.1-or-later
"""The smallest guests there are: ELF kernels with a PVH entry, made of a few bytes of code."""

import struct

ENTRY = 0x100000
SIGNAL_PORT = 0x5E0      # a byte written here appears on the VMM's standard output
VOLE_SLEEP_PORT = 0x600  # vole's sleep control register
VOLE_SOFT_OFF = 0x34     # SLP_EN | SLP_TYP 5
QEMU_EXIT_PORT = 0x501   # QEMU's isa-debug-exit


def out(port, value):
    """mov dx, port; mov al, value; out dx, al (32-bit code)"""
    return b"\x66\xba" + struct.pack("<H", port) + bytes((0xB0, value, 0xEE))


HALT_FOR_EVER = b"\xfa\xf4\xeb\xfd"  # cli; hlt; and again

SIGNAL_AND_END = (out(SIGNAL_PORT, ord("!")) + out(VOLE_SLEEP_PORT, VOLE_SOFT_OFF)
                  + out(QEMU_EXIT_PORT, 0) + HALT_FOR_EVER)
SIGNAL_AND_WAIT = out(SIGNAL_PORT, ord("!")) + HALT_FOR_EVER


def elf(code):
    """An ELF64 file whose one segment is `code` and whose Xen note names it as PVH entry."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", ENTRY)
    headers = 64 + 2 * 56
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, ENTRY, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, headers + len(note), ENTRY, ENTRY, len(code), len(code),
                       4)
    notes = struct.pack("<IIQQQQQQ", 4, 4, headers, 0, 0, len(note), len(note), 4)
    return header + load + notes + note + code
