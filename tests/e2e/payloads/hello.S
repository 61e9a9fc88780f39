/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The classic first KVM program, for `vole run --flat --debug-port 0xf1`: writes Hello, halts. */
    .code16
    .globl _start
_start:
    mov $message, %si
next:
    lodsb
    test %al, %al
    jz done
    out %al, $0xf1
    jmp next
done:
    hlt
message:
    .asciz "Hello\n"
