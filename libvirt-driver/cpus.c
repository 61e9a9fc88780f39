/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/cpus.h"

#include "libvirt-driver/util.h"
#include "libvirt-driver/vmm/cpuid.h"
#include "xml/cpu_resolve.h"

/* Where libvirt's own library has its map. */
#define MAP_FOLDER "/usr/share/libvirt/cpu_map"

struct cpus {
    GMutex lock; /* of what is looked up; once it is there, it does not change */
    struct cpu_map *map;
    struct cpu_host host;
    struct cpu_host guest;
    bool has_host;
    bool has_guest;
};

struct cpus *cpus_new(void)
{
    struct cpus *cpus = g_new0(struct cpus, 1);

    g_mutex_init(&cpus->lock);
    return cpus;
}

void cpus_free(struct cpus *cpus)
{
    cpu_map_free(cpus->map);
    g_mutex_clear(&cpus->lock);
    g_free(cpus);
}

const struct cpu_map *cpus_map(struct cpus *cpus, GError **error)
{
    hold_lock(&cpus->lock);
    g_autoptr(GError) why = NULL;

    if (!cpus->map)
        cpus->map = cpu_map_load(MAP_FOLDER, &why);
    if (!cpus->map)
        libvirt_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                          "libvirt's descriptions of CPU models cannot be read: %s", why->message);
    return cpus->map;
}

const struct cpu_host *cpus_host(struct cpus *cpus)
{
    hold_lock(&cpus->lock);

    if (!cpus->has_host)
        cpuid_of_host(&cpus->host);
    cpus->has_host = true;
    return &cpus->host;
}

const struct cpu_host *cpus_guest(struct cpus *cpus, GError **error)
{
    hold_lock(&cpus->lock);

    if (!cpus->has_guest)
        cpus->has_guest = cpuid_of_guests(&cpus->guest, error);
    return cpus->has_guest ? &cpus->guest : NULL;
}

void cpus_fill_caps(struct cpus *cpus, struct host_caps *caps)
{
    const struct cpu_host *host = cpus_host(cpus);
    const struct cpu_map *map = host->vendor[0] ? cpus_map(cpus, NULL) : NULL;
    const struct cpu_host *guest = map ? cpus_guest(cpus, NULL) : NULL;
    struct cpu_description description;

    if (!map)
        return;
    caps->map = map;
    caps->guest = guest;
    if (cpu_describe(map, host, true, &description))
        caps->cpu = description;
    if (guest && cpu_describe(map, guest, false, &description))
        caps->host_model = description;
}

bool cpus_resolve(struct cpus *cpus, domain_def *live, GError **error)
{
    struct domain_cpu *cpu = &live->cpu;
    const struct cpu_host *guest;
    const struct cpu_map *map = NULL;

    if (!cpu->features->len && cpu->mode != DOMAIN_CPU_HOST_MODEL && cpu->mode != DOMAIN_CPU_CUSTOM)
        return true;
    guest = cpus_guest(cpus, error);
    if (!guest)
        return false;
    if (guest->vendor[0] && cpu->mode == DOMAIN_CPU_CUSTOM) {
        map = cpus_map(cpus, error);
        if (!map)
            return false;
    } else if (guest->vendor[0] && cpu->mode == DOMAIN_CPU_HOST_MODEL) {
        map = cpus_map(cpus, NULL);
    }
    return cpu_resolve(cpu, map, guest, error);
}
