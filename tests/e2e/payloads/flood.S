/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entered by PVH: says without end that its balloon, the first virtio device, has another size. */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18          /* name and descriptor sizes; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start

    .set ACTUAL, 0xd0000000 + 0x100 + 4

    .text
    .code32
    .globl _start
_start:
    inc %eax
    mov %eax, ACTUAL
    jmp _start
