/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interrupt controller lives in KVM: a GICv3 with a redistributor for each vCPU, or a GICv2 on
 * a host that has no other. It is made with the VM and started when all vCPUs are there; only then
 * it takes irqfds.
 */
#include <errno.h>
#include <inttypes.h>

#include "vmm/arch/aarch64/layout.h"
#include "vmm/arch/aarch64/platform.h"
#include "vmm/arch/arch.h"

/* ---- address space ---- */

#define IPA_BITS_LEAST   32 /* that KVM makes */
#define IPA_BITS_DEFAULT 40 /* of a KVM that cannot be asked */

static unsigned ipa_bits_most(const struct kvm *kvm)
{
    int bits = kvm_check(kvm, KVM_CAP_ARM_VM_IPA_SIZE);

    return bits > 0 ? (unsigned)bits : IPA_BITS_DEFAULT;
}

/* As few bits as will do: each level of the host's tables that is saved makes the guest faster. */
int arch_vm_type(const struct kvm *kvm, uint64_t end, unsigned long *type, struct error *err)
{
    unsigned most = ipa_bits_most(kvm);
    unsigned bits = IPA_BITS_LEAST;

    while (bits < 64 && end > UINT64_C(1) << bits)
        bits++;
    if (bits > most)
        return error_set(err,
                         "%" PRIu64 " MiB of guest memory: this host's processors address %u bits "
                         "only",
                         (end - ARM64_RAM) / MiB, most);
    *type = kvm_check(kvm, KVM_CAP_ARM_VM_IPA_SIZE) > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE(bits) : 0;
    return 0;
}

/* ---- the GIC ---- */

static int create_device(const struct kvm *kvm, uint32_t type)
{
    struct kvm_create_device device = {.type = type};
    int r = kvm_vm_ioctl(kvm, KVM_CREATE_DEVICE, &device);

    return r < 0 ? r : (int)device.fd;
}

static int set_attr(int fd, uint32_t group, uint64_t attr, void *value, const char *what,
                    struct error *err)
{
    struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};
    int r = kvm_device_ioctl(fd, KVM_SET_DEVICE_ATTR, &a);

    return r < 0 ? error_set_errno(err, -r, "%s", what) : 0;
}

static int set_address(int fd, uint64_t attr, uint64_t address, struct error *err)
{
    return set_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, attr, &address, "place the interrupt controller",
                    err);
}

static int set_up_v3(struct arch_platform *p, struct error *err)
{
    p->gic = GIC_V3;
    return set_address(p->gic_fd, KVM_VGIC_V3_ADDR_TYPE_DIST, ARM64_GICD, err) < 0 ||
                   set_address(p->gic_fd, KVM_VGIC_V3_ADDR_TYPE_REDIST, ARM64_GICR, err) < 0
               ? -1
               : 0;
}

static int set_up_v2(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;

    p->gic = GIC_V2;
    if (m->config->cpus > ARM64_MAX_CPUS_GICV2)
        return error_set(err, "%u vCPUs: this host has a GICv2, which serves %d at most",
                         m->config->cpus, ARM64_MAX_CPUS_GICV2);
    return set_address(p->gic_fd, KVM_VGIC_V2_ADDR_TYPE_DIST, ARM64_GICD, err) < 0 ||
                   set_address(p->gic_fd, KVM_VGIC_V2_ADDR_TYPE_CPU, ARM64_GICC, err) < 0
               ? -1
               : 0;
}

/* What comes out to cpu.c only if it is asked for. A KVM without is older than these: a guest
 * cannot suspend then, and an access that KVM cannot take apart ends the machine. */
static void enable_exits(const struct machine *m)
{
    static const uint32_t capabilities[] = {KVM_CAP_ARM_SYSTEM_SUSPEND, KVM_CAP_ARM_NISV_TO_USER};

    for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
        struct kvm_enable_cap cap = {.cap = capabilities[i]};

        (void)kvm_vm_ioctl(&m->kvm, KVM_ENABLE_CAP, &cap);
    }
}

int arch_vm_setup(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;
    uint32_t lines =
        (uint32_t)ALIGN_UP(ARM64_FIRST_SPI + ARM64_SPI_VIRTIO + MACHINE_MAX_VIRTIO, 32);
    int r;

    if (genid_map(m, err) < 0)
        return -1;
    enable_exits(m);
    gic_close(p);
    r = p->gic_fd = create_device(&m->kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
    if (r >= 0)
        r = set_up_v3(p, err);
    else if (r == -ENODEV) {
        r = p->gic_fd = create_device(&m->kvm, KVM_DEV_TYPE_ARM_VGIC_V2);
        if (r >= 0)
            r = set_up_v2(m, err);
    }
    if (p->gic_fd < 0)
        return error_set_errno(err, -p->gic_fd, "make the interrupt controller");
    return r < 0 ? -1
                 : set_attr(p->gic_fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &lines,
                            "size the interrupt controller", err);
}

/* Message interrupts. A host without is none the worse for it: nothing here needs them. */
static int start_its(struct machine *m, struct error *err)
{
    struct arch_platform *p = m->platform;

    if (p->gic != GIC_V3)
        return 0;
    p->its_fd = create_device(&m->kvm, KVM_DEV_TYPE_ARM_VGIC_ITS);
    if (p->its_fd < 0)
        return 0;
    if (set_address(p->its_fd, KVM_VGIC_ITS_ADDR_TYPE, ARM64_ITS, err) < 0)
        return -1;
    return set_attr(p->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL,
                    "start the interrupt translation service", err);
}

int gic_start(struct machine *m, struct error *err)
{
    if (set_attr(m->platform->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL,
                 "start the interrupt controller", err) < 0)
        return -1;
    return start_its(m, err);
}

void gic_close(struct arch_platform *p)
{
    if (p->gic_fd >= 0)
        close(p->gic_fd);
    if (p->its_fd >= 0)
        close(p->its_fd);
    p->gic_fd = p->its_fd = -1;
}
