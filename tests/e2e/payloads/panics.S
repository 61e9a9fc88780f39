/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells again and again that it panicked, and that a crash kernel takes over; then it ends. */
    .code16
    .globl _start
_start:
    mov $0x505, %dx
    mov $1000, %cx
again:
    mov $1, %al
    outb %al, %dx
    mov $2, %al
    outb %al, %dx
    loop again
    hlt
