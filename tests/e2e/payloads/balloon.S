/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entered by PVH: for each byte from the serial port it says that its balloon, the first virtio
 * device, has a page more, and sends the byte back. */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18          /* name and descriptor sizes; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start

    .set ACTUAL, 0xd0000000 + 0x100 + 4
    .set SERIAL, 0x3f8
    .set LINE_STATUS, 0x3fd

    .text
    .code32
    .globl _start
_start:
    xor %ecx, %ecx
loop:
    mov $LINE_STATUS, %dx
    in %dx, %al
    test $1, %al            /* data ready */
    jz loop
    mov $SERIAL, %dx
    in %dx, %al
    inc %ecx
    mov %ecx, ACTUAL
    out %al, %dx
    jmp loop
    .section .note.GNU-stack, "", @progbits
