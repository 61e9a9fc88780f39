/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What CPUID tells a guest (Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E). It starts
 * from what KVM supports on this host, asked for once a machine, and is changed in three ways: the
 * topology is made ours, features that KVM emulates whatever the host has are set, and those that
 * need more than we give (nested virtualisation, SGX, SEV) are taken out. KVM's own leaves stay:
 * they are how a guest finds kvmclock, and the host does what they promise.
 */
#ifndef VOLE_ARCH_X86_64_CPUID_H
#define VOLE_ARCH_X86_64_CPUID_H

#include <linux/kvm.h>
#include <stdint.h>

#include "vmm/config.h"
#include "vmm/kvm.h"
#include "vmm/util.h"

#define CPUID_MAX_ENTRIES 256

struct cpuid {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entries[CPUID_MAX_ENTRIES];
};

/* How processors are numbered: an APIC id is socket, core and thread in as many bits as each of
 * them takes, so that counts which are no powers of two leave holes. */
struct cpu_topology {
    unsigned cores;       /* of a socket */
    unsigned threads;     /* of a core */
    unsigned thread_bits; /* of an APIC id: the lowest */
    unsigned core_bits;   /* and those above them; the rest is the socket */
};

/* The configured one; one socket of single-threaded cores where the configuration has none. */
struct cpu_topology cpu_topology(const struct config *config);
/* Of the index-th processor. */
uint32_t cpu_apic_id(const struct cpu_topology *t, unsigned index);

/* What KVM supports on this host. NULL with `err`; free() it. */
struct cpuid *cpuid_supported(const struct kvm *kvm, struct error *err);
/* Bits of a physical address of this host's processor. */
unsigned cpuid_address_bits(const struct cpuid *cpuid);
/* Makes it that of the processor with this APIC id. */
void cpuid_adjust(struct cpuid *cpuid, const struct cpu_topology *t, uint32_t apic_id);

#endif
