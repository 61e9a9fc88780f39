/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The KVM handles of one microVM, and the ioctls on them that no architecture differs in
 * (Documentation/virt/kvm/api.rst). Only this file, vcpu.c and arch/ talk to KVM.
 *
 * /dev/kvm stays open for the machine's life; the VM behind it is made anew at every reset, so
 * that no list of "state to put back" has to be kept complete.
 */
#ifndef VOLE_KVM_H
#define VOLE_KVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/util.h"

struct kvm {
    int fd;          /* KVM's device */
    int vm;          /* -1 while there is no VM */
    size_t run_size; /* of a vCPU's shared struct kvm_run */
};

/* Opens KVM's device, a path or "fd:N", and checks that it is one we can use. 0, or -1 with `err`
 * saying what to do. */
int kvm_open(struct kvm *kvm, const char *source, struct error *err);
void kvm_close(struct kvm *kvm);

/* Makes a VM with that RAM; `type` is arch_vm_type()'s. 0, or -1 with `err`. */
int kvm_vm_create(struct kvm *kvm, unsigned long type, const struct memory *mem, struct error *err);
void kvm_vm_destroy(struct kvm *kvm);

/* KVM_CHECK_EXTENSION: 0 when the host does not have it. */
int kvm_check(const struct kvm *kvm, int capability);
/* An ioctl on the VM or on /dev/kvm, retried when a signal came. 0 or more, or a negative errno. */
int kvm_vm_ioctl(const struct kvm *kvm, unsigned long request, void *arg);
int kvm_ioctl(const struct kvm *kvm, unsigned long request, void *arg);
/* The same on a device that the VM has been given (KVM_CREATE_DEVICE). */
int kvm_device_ioctl(int fd, unsigned long request, void *arg);

/* Lets each line's eventfd raise the interrupt of that number. 0, or -1 with `err`. */
int kvm_wire_lines(const struct kvm *kvm, const struct irq_lines *all, struct error *err);
/* Lets the guest's writes to a range of addresses, or of ports, wait for its next exit (see
 * coalesced.h). Where the host's KVM cannot, each is an exit, and nothing else is different. */
void kvm_coalesce_mmio(const struct kvm *kvm, uint64_t addr, uint32_t size);
void kvm_coalesce_pio(const struct kvm *kvm, uint64_t port, uint32_t count);
/* Lets a guest's 32-bit write of `value` at `addr` signal `eventfd` instead of leaving the guest.
 */
int kvm_ioeventfd(const struct kvm *kvm, int eventfd, uint64_t addr, uint32_t value,
                  struct error *err);

#endif
