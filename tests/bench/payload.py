# SPDX-License-Identifier: LGPL-2.1-or-later
"""The smallest guests there are, made of a few bytes of code: ELF kernels with a PVH entry, and Images
for arm64."""

import os
import struct

ARCH = os.environ.get("VOLE_LAB_ARCH") or os.uname().machine

ENTRY = 0x100000
SIGNAL_PORT = 0x5E0      # a byte written here appears on the VMM's standard output
VOLE_SLEEP_PORT = 0x600  # vole's sleep control register
VOLE_SOFT_OFF = 0x34     # SLP_EN | SLP_TYP 5
QEMU_EXIT_PORT = 0x501   # QEMU's isa-debug-exit


def out(port, value):
    """mov dx, port; mov al, value; out dx, al (32-bit code)"""
    return b"\x66\xba" + struct.pack("<H", port) + bytes((0xB0, value, 0xEE))


HALT_FOR_EVER = b"\xfa\xf4\xeb\xfd"  # cli; hlt; and again

_SIGNAL_AND_END = (out(SIGNAL_PORT, ord("!")) + out(VOLE_SLEEP_PORT, VOLE_SOFT_OFF)
                   + out(QEMU_EXIT_PORT, 0) + HALT_FOR_EVER)
_SIGNAL_AND_WAIT = out(SIGNAL_PORT, ord("!")) + HALT_FOR_EVER


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


# On arm64 the signal goes through the serial port, a PL011, and is the first thing to do so. Both
# VMMs have it at the same place.
ARM64_UART = 0x9000000

_ARM64_SIGNAL = struct.pack(
    "<5I", 0xD2A12001,        # mov x1, ARM64_UART
    0x52806020, 0xB9003020,   # UARTCR = UARTEN | TXE | RXE
    0x52800420, 0xB9000020)   # UARTDR = '!'
_ARM64_END = struct.pack("<3I", 0x52800100, 0x72B08000, 0xD4000002)  # PSCI: SYSTEM_OFF
_ARM64_HALT = struct.pack("<2I", 0xD503207F, 0x17FFFFFF)  # wfi; and again


def image(code):
    """An arm64 Image (Documentation/arm64/booting.rst) that begins with `code`."""
    header = struct.pack("<IIQQQ24x4sI", 0x14000010, 0, 0, 1 << 16, 0xA, b"ARM\x64", 0)
    return header + code


def kernel(ends):
    """A kernel that gives the signal, and then ends the machine or waits for ever."""
    if ARCH == "aarch64":
        return image(_ARM64_SIGNAL + (_ARM64_END if ends else b"") + _ARM64_HALT)
    return elf(_SIGNAL_AND_END if ends else _SIGNAL_AND_WAIT)
