/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to know of an arm64 host before there is a machine. */
#include "vmm/arch/aarch64/layout.h"
#include "vmm/arch/arch.h"
#include "vmm/check_host_priv.h"

const struct arch_traits arch_traits = {
    .name = "aarch64",
    .max_cpus = ARM64_MAX_CPUS,
    .kvm_hint = "the kernel has to be built with KVM and to be started by its firmware in EL2 (in "
                "a virtual machine: with nested virtualisation)",
};

/* The processor itself does not tell: where the kernel was started without EL2 there is no
 * /dev/kvm. */
void arch_check_processor(struct host *h, struct host_finding *f)
{
    cleanup_free char *cpuinfo = host_read_file(h, "/proc/cpuinfo");
    int sve = cpuinfo ? host_cpuinfo_has(cpuinfo, "Features", "sve") : 0;
    int paca = cpuinfo ? host_cpuinfo_has(cpuinfo, "Features", "paca") : 0;

    host_say(f, HOST_OK, "arm64%s%s; whether it carries guests, KVM tells", sve > 0 ? ", SVE" : "",
             paca > 0 ? ", pointer authentication" : "");
}

void arch_check_nested(struct host *h, struct host_finding *f)
{
    (void)h;
    host_say(f, HOST_WARN, "guests cannot run virtual machines themselves");
}
