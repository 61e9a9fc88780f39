/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to know of a PC before there is a machine. */
#include "vmm/arch/arch.h"
#include "vmm/check_host_priv.h"

const struct arch_traits arch_traits = {
    .name = "x86_64",
    .max_cpus = 254,
    .has_flat = true,
    .has_ports = true,
    .kvm_hint = "enable virtualisation in the firmware (in a virtual machine: nested "
                "virtualisation), then modprobe kvm_intel or kvm_amd",
};

/* That /dev/kvm opens is not enough: there are hosts whose KVM emulates the guest's kernel, which
 * carries small payloads but not Linux. */
void arch_check_processor(struct host *h, struct host_finding *f)
{
    cleanup_free char *cpuinfo = host_read_file(h, "/proc/cpuinfo");
    int vmx = cpuinfo ? host_cpuinfo_has(cpuinfo, "flags", "vmx") : -1;
    int svm = cpuinfo ? host_cpuinfo_has(cpuinfo, "flags", "svm") : -1;

    if (vmx > 0 || svm > 0) {
        host_say(f, HOST_OK, "hardware virtualisation: %s", vmx > 0 ? "VT-x (vmx)" : "AMD-V (svm)");
    } else if (vmx < 0) {
        host_say(f, HOST_OK, "/proc/cpuinfo does not tell; KVM decides");
    } else {
        host_say(f, HOST_FAIL,
                 "no hardware virtualisation (neither vmx nor svm in /proc/cpuinfo): "
                 "Linux guests do not boot, even where /dev/kvm is there");
        host_advise(f, "enable VT-x or AMD-V in the firmware; in a virtual machine, enable nested "
                       "virtualisation on its host");
    }
}

void arch_check_nested(struct host *h, struct host_finding *f)
{
    static const char *const modules[] = {"kvm_intel", "kvm_amd"};

    for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
        cleanup_free char *path = xasprintf("/sys/module/%s/parameters/nested", modules[i]);
        cleanup_free char *text = host_read_file(h, path);

        if (!text)
            continue;
        if (text[0] == 'Y' || text[0] == '1') {
            host_say(f, HOST_OK, "guests can run virtual machines themselves");
        } else {
            host_say(f, HOST_WARN, "guests cannot run virtual machines themselves");
            host_advise(f, "load the module %s with nested=1", modules[i]);
        }
        return;
    }
    host_say(f, HOST_WARN, "guests cannot run virtual machines themselves");
}
