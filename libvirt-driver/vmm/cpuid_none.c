/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For the architectures that have no CPUID (cpuid.c is built instead where there is one). */
#include "libvirt-driver/vmm/cpuid.h"

void cpuid_of_host(struct cpu_host *host)
{
    cpu_host_init(host, NULL, 0);
}

bool cpuid_of_guests(struct cpu_host *guest, GError **error)
{
    cpu_host_init(guest, NULL, 0);
    return true;
}
