/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole guest in a page, entered by PVH, for tests of everything around a guest: it greets on
 * the serial port and echoes what it reads there. "Q" switches the machine off, "R" resets it, "T"
 * gives it a triple fault, "P" says that it panicked. It runs on any KVM, also where Linux does not.
 */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18          /* name and descriptor sizes; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start

    .set SERIAL, 0x3f8
    .set LINE_STATUS, 0x3fd
    .set PANIC, 0x505       /* pvpanic */
    .set POWER, 0x600       /* sleep control, sleep status, reset */

    .text
    .code32
    .globl _start
_start:
    mov $stack, %esp        /* PVH gives none */
    mov $greeting, %esi
next:
    lodsb
    test %al, %al
    jz loop
    call put
    jmp next

loop:
    mov $LINE_STATUS, %dx
    in %dx, %al
    test $1, %al            /* data ready */
    jz loop
    mov $SERIAL, %dx
    in %dx, %al
    cmp $'Q', %al
    je off
    cmp $'R', %al
    je reset
    cmp $'T', %al
    je fault
    cmp $'P', %al
    je panic
    call put
    jmp loop

panic:
    mov $PANIC, %dx
    mov $1, %al
    out %al, %dx
    jmp loop

put:
    mov %al, %bl
full:
    mov $LINE_STATUS, %dx
    in %dx, %al
    test $0x20, %al         /* transmitter empty */
    jz full
    mov $SERIAL, %dx
    mov %bl, %al
    out %al, %dx
    ret

off:
    mov $POWER, %dx
    mov $0x34, %al          /* SLP_EN, soft off */
    out %al, %dx
    jmp loop
reset:
    mov $(POWER + 2), %dx
    mov $1, %al
    out %al, %dx
    jmp loop
fault:
    lidt nothing
    int3
nothing:
    .word 0
    .long 0

greeting:
    .asciz "ready\r\n"

    .bss
    .skip 64
stack:
    .section .note.GNU-stack, "", @progbits
