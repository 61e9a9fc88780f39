/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

static int retry_ioctl(int fd, unsigned long request, void *arg)
{
    int r;

    do
        r = ioctl(fd, request, arg);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

int kvm_ioctl(const struct kvm *kvm, unsigned long request, void *arg)
{
    return retry_ioctl(kvm->fd, request, arg);
}

int kvm_vm_ioctl(const struct kvm *kvm, unsigned long request, void *arg)
{
    return retry_ioctl(kvm->vm, request, arg);
}

int kvm_device_ioctl(int fd, unsigned long request, void *arg)
{
    return retry_ioctl(fd, request, arg);
}

int kvm_check(const struct kvm *kvm, int capability)
{
    int r = ioctl(kvm->fd, KVM_CHECK_EXTENSION, (unsigned long)capability);

    return r < 0 ? 0 : r;
}

static const char *advice(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        return " (is the kvm module loaded, and virtualisation enabled in the firmware?)";
    case EACCES:
    case EPERM:
        return " (the user has to be in the group that owns it)";
    default:
        return "";
    }
}

/* What the run loop and the devices cannot do without; all are older than Linux 4.13. */
static int check_capabilities(const struct kvm *kvm, struct error *err)
{
    static const struct {
        int capability;
        const char *name;
    } needed[] = {
        {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
        {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
        {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
        {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        if (kvm_check(kvm, needed[i].capability) == 0)
            return error_set(err, "this host's KVM is too old: it lacks %s", needed[i].name);
    }
    return 0;
}

static int open_device(const char *source, struct error *err)
{
    int fd = spec_is_fd(source) ? open_path_or_fd(source, O_RDWR, err)
                                : open(source, O_RDWR | O_CLOEXEC);

    if (fd < 0 && !spec_is_fd(source))
        error_set_errno(err, errno, "open %s%s", source, advice(errno));
    return fd;
}

int kvm_open(struct kvm *kvm, const char *source, struct error *err)
{
    int version;
    int size;

    *kvm = (struct kvm){.fd = open_device(source, err), .vm = -1};
    if (kvm->fd < 0)
        return -1;

    version = ioctl(kvm->fd, KVM_GET_API_VERSION, 0UL);
    size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0UL);
    if (version != KVM_API_VERSION || size < (int)sizeof(struct kvm_run)) {
        kvm_close(kvm);
        return error_set(err, "%s speaks version %d of KVM's API, not %d", source, version,
                         KVM_API_VERSION);
    }
    kvm->run_size = (size_t)size;
    if (check_capabilities(kvm, err) < 0) {
        kvm_close(kvm);
        return -1;
    }
    return 0;
}

void kvm_close(struct kvm *kvm)
{
    kvm_vm_destroy(kvm);
    if (kvm->fd >= 0)
        close(kvm->fd);
    kvm->fd = -1;
}

int kvm_vm_create(struct kvm *kvm, unsigned long type, const struct memory *mem, struct error *err)
{
    kvm->vm = ioctl(kvm->fd, KVM_CREATE_VM, type);
    if (kvm->vm < 0)
        return error_set_errno(err, errno, "create a VM");

    for (unsigned i = 0; i < mem->count; i++) {
        struct kvm_userspace_memory_region slot = {
            .slot = i,
            .guest_phys_addr = mem->regions[i].gpa,
            .memory_size = mem->regions[i].size,
            .userspace_addr = (uintptr_t)mem->regions[i].host,
        };
        int r = kvm_vm_ioctl(kvm, KVM_SET_USER_MEMORY_REGION, &slot);

        if (r < 0) {
            kvm_vm_destroy(kvm);
            return error_set_errno(err, -r, "give the VM its memory");
        }
    }
    return 0;
}

void kvm_vm_destroy(struct kvm *kvm)
{
    if (kvm->vm >= 0)
        close(kvm->vm);
    kvm->vm = -1;
}

int kvm_wire_lines(const struct kvm *kvm, const struct irq_lines *all, struct error *err)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct kvm_irqfd irqfd = {.fd = (uint32_t)all->lines[i].eventfd, .gsi = all->lines[i].gsi};
        int r = kvm_vm_ioctl(kvm, KVM_IRQFD, &irqfd);

        if (r < 0)
            return error_set_errno(err, -r, "wire interrupt %u", irqfd.gsi);
    }
    return 0;
}

int kvm_ioeventfd(const struct kvm *kvm, int eventfd, uint64_t addr, uint32_t value,
                  struct error *err)
{
    struct kvm_ioeventfd ioeventfd = {
        .datamatch = value,
        .addr = addr,
        .len = sizeof(uint32_t),
        .fd = eventfd,
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
    };
    int r = kvm_vm_ioctl(kvm, KVM_IOEVENTFD, &ioeventfd);

    return r < 0 ? error_set_errno(err, -r, "wire the doorbell at 0x%llx", (unsigned long long)addr)
                 : 0;
}

static void coalesce(const struct kvm *kvm, uint64_t addr, uint32_t size, bool pio)
{
    struct kvm_coalesced_mmio_zone zone = {.addr = addr, .size = size, .pio = pio};

    if (kvm_check(kvm, pio ? KVM_CAP_COALESCED_PIO : KVM_CAP_COALESCED_MMIO) > 0)
        (void)kvm_vm_ioctl(kvm, KVM_REGISTER_COALESCED_MMIO, &zone);
}

void kvm_coalesce_mmio(const struct kvm *kvm, uint64_t addr, uint32_t size)
{
    coalesce(kvm, addr, size, false);
}

void kvm_coalesce_pio(const struct kvm *kvm, uint64_t port, uint32_t count)
{
    coalesce(kvm, port, count, true);
}
