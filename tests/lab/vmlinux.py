# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel that starts without unpacking itself. It is the ELF file inside a bzImage: Documentation/arch/x86/boot.rst says where it lies
(payload_offset, payload_length), its first bytes say how it is compressed."""

import gzip
import lzma
import struct
import subprocess

from cache import BuildError

SETUP_SECTS = 0x1F1
MAGIC = 0x202
PAYLOAD = 0x248


ARM64_MAGIC = 0x38


def extract(bzimage, target):
    """Writes the ELF file that `bzimage` decompresses when it boots to `target`. An arm64 Image is
    not compressed, and stays as it is."""
    image = bzimage.read_bytes()
    if image[ARM64_MAGIC:ARM64_MAGIC + 4] == b"ARM\x64":
        target.write_bytes(image)
        return
    if len(image) < 0x250 or image[MAGIC:MAGIC + 4] != b"HdrS":
        raise BuildError(f"{bzimage} is not a bzImage")
    setup = (image[SETUP_SECTS] or 4) + 1
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    start = setup * 512 + offset
    # The last four bytes are the kernel's own note of the size and not part of the format
    # (gzip's are, and say the same).
    elf = _decompress(image[start:start + length])
    if elf[:4] != b"\x7fELF":
        raise BuildError(f"{bzimage} does not contain an ELF kernel")
    target.write_bytes(elf)


def _decompress(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)
    for magic, tool in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if data[:4] == magic:
            return subprocess.run([tool, "-dcq"], input=data[:-4], check=True,
                                  stdout=subprocess.PIPE).stdout
    raise BuildError(f"a kernel compressed in an unknown way (it starts {data[:6].hex()})")
