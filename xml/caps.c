/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/caps.h"

#include <string.h>

#include "xml/domain.h"
#include "xml/writer.h"

static unsigned word_size(const char *arch)
{
    return strstr(arch, "64") ? 64 : 32;
}

/* ---- capabilities ---- */

static void write_cpu(struct xml_writer *w, const struct host_caps *host)
{
    xml_open(w, "cpu", NULL);
    xml_text_element(w, "arch", host->arch, NULL);
    if (host->cpu.model)
        xml_text_element(w, "model", host->cpu.model->name, NULL);
    if (host->cpu.vendor)
        xml_text_element(w, "vendor", host->cpu.vendor, NULL);
    if (host->sockets)
        xml_empty(w, "topology", "sockets", XML_NUMBER(host->sockets), "dies",
                  XML_NUMBER(host->dies), "cores", XML_NUMBER(host->cores), "threads",
                  XML_NUMBER(host->threads), NULL);
    cpu_write_features(w, &host->cpu.extra, NULL);
    for (unsigned i = 0; i < host->page_size_count; i++)
        xml_empty(w, "pages", "unit", "KiB", "size", XML_NUMBER(host->page_sizes_kib[i]), NULL);
    xml_close(w, "cpu");
}

static void write_cell(struct xml_writer *w, const struct host_cell *cell)
{
    xml_open(w, "cell", "id", XML_NUMBER(cell->id), NULL);
    if (cell->memory_kib)
        xml_text_element(w, "memory", XML_NUMBER(cell->memory_kib), "unit", "KiB", NULL);
    xml_open(w, "cpus", "num", XML_NUMBER(cell->cpu_count), NULL);
    for (unsigned i = 0; i < cell->cpu_count; i++) {
        const struct host_cpu *cpu = &cell->cpus[i];

        xml_empty(w, "cpu", "id", XML_NUMBER(cpu->id), "socket_id", XML_NUMBER(cpu->socket),
                  "die_id", XML_NUMBER(cpu->die), "core_id", XML_NUMBER(cpu->core), "siblings",
                  cpu->siblings, NULL);
    }
    xml_close(w, "cpus");
    xml_close(w, "cell");
}

static void write_host(struct xml_writer *w, const struct host_caps *host)
{
    xml_open(w, "host", NULL);
    if (host->uuid)
        xml_text_element(w, "uuid", host->uuid, NULL);
    write_cpu(w, host);
    if (host->cell_count) {
        xml_open(w, "topology", NULL);
        xml_open(w, "cells", "num", XML_NUMBER(host->cell_count), NULL);
        for (unsigned i = 0; i < host->cell_count; i++)
            write_cell(w, &host->cells[i]);
        xml_close(w, "cells");
        xml_close(w, "topology");
    }
    xml_close(w, "host");
}

static void write_guest(struct xml_writer *w, const struct host_caps *host)
{
    xml_open(w, "guest", NULL);
    xml_text_element(w, "os_type", "hvm", NULL);
    xml_open(w, "arch", "name", host->arch, NULL);
    xml_text_element(w, "wordsize", XML_NUMBER(word_size(host->arch)), NULL);
    xml_text_element(w, "emulator", host->emulator, NULL);
    xml_text_element(w, "machine", DOMAIN_MACHINE, "maxCpus", XML_NUMBER(host->max_vcpus), NULL);
    xml_empty(w, "domain", "type", "kvm", NULL);
    xml_close(w, "arch");
    xml_open(w, "features", NULL);
    xml_empty(w, "acpi", "default", "on", "toggle", "no", NULL);
    xml_empty(w, "apic", "default", "on", "toggle", "no", NULL);
    xml_close(w, "features");
    xml_close(w, "guest");
}

char *caps_format(const struct host_caps *host)
{
    struct xml_writer w;

    xml_writer_init(&w);
    xml_open(&w, "capabilities", NULL);
    write_host(&w, host);
    if (host->kvm_usable && host->emulator)
        write_guest(&w, host);
    xml_close(&w, "capabilities");
    return xml_writer_finish(&w);
}

/* ---- domain capabilities ---- */

/* An <enum> and its values, which end with NULL. */
static void write_enum(struct xml_writer *w, const char *name, const char *const *values)
{
    xml_open(w, "enum", "name", name, NULL);
    for (; *values; values++)
        xml_text_element(w, "value", *values, NULL);
    xml_close(w, "enum");
}

static void write_unsupported(struct xml_writer *w, const char *const *names)
{
    for (; *names; names++)
        xml_empty(w, *names, "supported", "no", NULL);
}

/* Clients take it that a host-model has a name: it is offered where that is known. */
static void write_host_model(struct xml_writer *w, const struct cpu_description *cpu)
{
    xml_open(w, "mode", "name", "host-model", "supported", cpu->model ? "yes" : "no", NULL);
    if (cpu->model) {
        struct x86_feature_set topology = x86_feature_set_of_topology();
        struct x86_feature_set extra = x86_feature_set_minus(&cpu->extra, &topology);

        xml_text_element(w, "model", cpu->model->name, "fallback", "forbid", NULL);
        if (cpu->vendor)
            xml_text_element(w, "vendor", cpu->vendor, NULL);
        cpu_write_features(w, &extra, "require");
        cpu_write_features(w, &cpu->missing, "disable");
    }
    xml_close(w, "mode");
}

static bool is_usable(const struct cpu_model *model, const struct cpu_host *guest)
{
    struct x86_feature_set missing = x86_feature_set_minus(&model->features, &guest->features);

    return !model->unseen && x86_feature_set_is_empty(&missing);
}

static void write_custom(struct xml_writer *w, const struct host_caps *host)
{
    bool is_supported = host->map && host->guest;

    xml_open(w, "mode", "name", "custom", "supported", is_supported ? "yes" : "no", NULL);
    for (guint i = 0; is_supported && i < host->map->models->len; i++) {
        const struct cpu_model *model = g_ptr_array_index(host->map->models, i);

        xml_text_element(w, "model", model->name, "usable",
                         is_usable(model, host->guest) ? "yes" : "no", NULL);
    }
    xml_close(w, "mode");
}

static void write_cpu_modes(struct xml_writer *w, const struct host_caps *host)
{
    static const char *const on_off[] = {"on", "off", NULL};

    xml_open(w, "cpu", NULL);
    xml_open(w, "mode", "name", "host-passthrough", "supported", "yes", NULL);
    write_enum(w, "hostPassthroughMigratable", on_off);
    xml_close(w, "mode");
    xml_open(w, "mode", "name", "maximum", "supported", "yes", NULL);
    write_enum(w, "maximumMigratable", on_off);
    xml_close(w, "mode");
    write_host_model(w, &host->host_model);
    write_custom(w, host);
    xml_close(w, "cpu");
}

static void write_devices(struct xml_writer *w)
{
    static const char *const disk[] = {"disk", "cdrom", NULL};
    static const char *const virtio[] = {"virtio", NULL};
    static const char *const backends[] = {"random", "builtin", NULL};
    static const char *const channels[] = {"pty", "unix", "file", "null", NULL};
    static const char *const none[] = {"graphics", "video", "hostdev", NULL};
    static const char *const more_none[] = {"filesystem", "tpm", "redirdev", NULL};

    xml_open(w, "devices", NULL);
    xml_open(w, "disk", "supported", "yes", NULL);
    write_enum(w, "diskDevice", disk);
    write_enum(w, "bus", virtio);
    write_enum(w, "model", virtio);
    xml_close(w, "disk");
    write_unsupported(w, none);
    xml_open(w, "rng", "supported", "yes", NULL);
    write_enum(w, "model", virtio);
    write_enum(w, "backendModel", backends);
    xml_close(w, "rng");
    write_unsupported(w, more_none);
    xml_open(w, "channel", "supported", "yes", NULL);
    write_enum(w, "type", channels);
    xml_close(w, "channel");
    xml_close(w, "devices");
}

static void write_domain_caps(struct xml_writer *w, const struct host_caps *host)
{
    static const char *const features[] = {
        "gic", "vmcoreinfo", "genid", "backingStoreInput", "backup", "sev", NULL,
    };
    static const char *const memory_sources[] = {"anonymous", "memfd", NULL};

    xml_open(w, "domainCapabilities", NULL);
    xml_text_element(w, "path", host->emulator ? host->emulator : "", NULL);
    xml_text_element(w, "domain", "kvm", NULL);
    xml_text_element(w, "machine", DOMAIN_MACHINE, NULL);
    xml_text_element(w, "arch", host->arch, NULL);
    xml_empty(w, "vcpu", "max", XML_NUMBER(host->max_vcpus), NULL);
    xml_empty(w, "iothreads", "supported", "yes", NULL);
    xml_open(w, "os", "supported", "yes", NULL);
    xml_empty(w, "loader", "supported", "no", NULL);
    xml_close(w, "os");
    write_cpu_modes(w, host);
    xml_open(w, "memoryBacking", "supported", "yes", NULL);
    write_enum(w, "sourceType", memory_sources);
    xml_close(w, "memoryBacking");
    write_devices(w);
    xml_open(w, "features", NULL);
    write_unsupported(w, features);
    xml_close(w, "features");
    xml_close(w, "domainCapabilities");
}

bool domain_caps_check(const struct host_caps *host, const char *emulator, const char *arch,
                       const char *machine, const char *virttype, GError **error)
{
    if (virttype && strcmp(virttype, "kvm") != 0)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "virttype '%s' is not served; it must be 'kvm'", virttype);
    else if (!host->kvm_usable)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "KVM is not usable on this host: /dev/kvm cannot be opened");
    else if (arch && strcmp(arch, host->arch) != 0)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "architecture '%s' is not served on this host; it must be '%s'", arch,
                          host->arch);
    else if (machine && strcmp(machine, DOMAIN_MACHINE) != 0)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG,
                          "machine '%s' is not served; it must be '" DOMAIN_MACHINE "'", machine);
    else if (emulator && g_strcmp0(emulator, host->emulator) != 0)
        libvirt_error_set(error, VIR_ERR_INVALID_ARG, "'%s' is not the emulator; that is '%s'",
                          emulator, host->emulator ? host->emulator : "missing");
    else
        return true;
    return false;
}

char *domain_caps_format(const struct host_caps *host, const char *emulator, const char *arch,
                         const char *machine, const char *virttype, GError **error)
{
    struct xml_writer w;

    if (!domain_caps_check(host, emulator, arch, machine, virttype, error))
        return NULL;
    xml_writer_init(&w);
    write_domain_caps(&w, host);
    return xml_writer_finish(&w);
}
