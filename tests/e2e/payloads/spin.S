/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs until it is ended from outside; says so first on the debug port. */
    .code16
    .globl _start
_start:
    mov $'.', %al
    out %al, $0xf1
forever:
    pause
    jmp forever
