/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The definition as XML, in libvirt's order of elements. Everything the parser accepts and keeps is
 * written, here and in format_devices.c; `live` decides about what is true only while the domain
 * runs.
 */
#include "xml/format.h"

#include <libvirt/libvirt.h>

static void format_ids(struct format *f, const domain_def *def)
{
    char uuid[DOMAIN_UUID_TEXT];

    domain_uuid_format(def->uuid, uuid);
    xml_text_element(&f->w, "name", def->name, NULL);
    xml_text_element(&f->w, "uuid", uuid, NULL);
    if (def->has_genid) {
        domain_uuid_format(def->genid, uuid);
        xml_text_element(&f->w, "genid", uuid, NULL);
    }
    if (def->title)
        xml_text_element(&f->w, "title", def->title, NULL);
    if (def->description)
        xml_text_element(&f->w, "description", def->description, NULL);
    if (def->metadata)
        xml_raw(&f->w, def->metadata);
}

static void format_kib(struct format *f, const char *name, uint64_t kib)
{
    if (kib)
        xml_text_element(&f->w, name, XML_NUMBER(kib), "unit", "KiB", NULL);
}

static void format_memory_backing(struct format *f, const struct domain_memory_backing *backing)
{
    struct xml_writer *w = &f->w;

    xml_open(w, "memoryBacking", NULL);
    if (backing->hugepages) {
        xml_open(w, "hugepages", NULL);
        if (backing->page_kib)
            xml_empty(w, "page", "size", XML_NUMBER(backing->page_kib), "unit", "KiB", NULL);
        xml_close(w, "hugepages");
    }
    if (backing->nosharepages)
        xml_empty(w, "nosharepages", NULL);
    if (backing->locked)
        xml_empty(w, "locked", NULL);
    if (backing->source)
        xml_empty(w, "source", "type", word_of(domain_memory_source_values, backing->source), NULL);
    if (backing->access)
        xml_empty(w, "access", "mode", word_of(domain_memory_access_values, backing->access), NULL);
    if (backing->allocation)
        xml_empty(w, "allocation", "mode",
                  word_of(domain_memory_allocation_values, backing->allocation), NULL);
    if (backing->discard)
        xml_empty(w, "discard", NULL);
    xml_close_or_drop(w, "memoryBacking");
}

static void format_blkiotune(struct format *f, const domain_def *def)
{
    struct xml_writer *w = &f->w;

    xml_open(w, "blkiotune", NULL);
    if (def->blkio_weight)
        xml_text_element(w, "weight", XML_NUMBER(def->blkio_weight), NULL);
    for (guint i = 0; i < def->blkio_devices->len; i++) {
        const struct domain_blkio_device *device = domain_blkio_device_at(def, i);

        xml_open(w, "device", NULL);
        xml_text_element(w, "path", device->path, NULL);
        if (device->weight)
            xml_text_element(w, "weight", XML_NUMBER(device->weight), NULL);
        for (unsigned limit = 0; limit < DOMAIN_BLKIO_LIMITS; limit++) {
            if (device->limits[limit])
                xml_text_element(w, domain_blkio_name(limit), XML_NUMBER(device->limits[limit]),
                                 NULL);
        }
        xml_close(w, "device");
    }
    xml_close_or_drop(w, "blkiotune");
}

static void format_memory(struct format *f, const domain_def *def)
{
    const struct domain_memtune *tune = &def->memtune;

    if (def->max_memory_kib)
        xml_text_element(&f->w, "maxMemory", XML_NUMBER(def->max_memory_kib), "slots",
                         XML_NUMBER(def->memory_slots), "unit", "KiB", NULL);
    format_kib(f, "memory", def->memory_kib);
    format_kib(f, "currentMemory", def->current_memory_kib);
    format_blkiotune(f, def);
    xml_open(&f->w, "memtune", NULL);
    format_kib(f, "hard_limit", tune->hard_limit_kib);
    format_kib(f, "soft_limit", tune->soft_limit_kib);
    format_kib(f, "swap_hard_limit", tune->swap_hard_limit_kib);
    xml_close_or_drop(&f->w, "memtune");
    format_memory_backing(f, &def->memory_backing);
}

static void format_vcpus(struct format *f, const domain_def *def)
{
    g_autofree char *cpus = cpuset_is_empty(&def->cpuset) ? NULL : cpuset_format(&def->cpuset);

    xml_text_element(&f->w, "vcpu", XML_NUMBER(def->max_vcpus), "placement", "static", "cpuset",
                     cpus, "current", def->vcpus != def->max_vcpus ? XML_NUMBER(def->vcpus) : NULL,
                     NULL);
    if (def->iothreads->len)
        xml_text_element(&f->w, "iothreads", XML_NUMBER(def->iothreads->len), NULL);
    if (!def->iothread_ids_given)
        return;
    xml_open(&f->w, "iothreadids", NULL);
    for (guint i = 0; i < def->iothreads->len; i++)
        xml_empty(&f->w, "iothread", "id", XML_NUMBER(domain_iothread_at(def, i)), NULL);
    xml_close(&f->w, "iothreadids");
}

static void format_pins(struct format *f, const char *name, const char *attribute, GPtrArray *pins)
{
    for (guint i = 0; i < pins->len; i++) {
        const struct domain_pin *pin = domain_pin_at(pins, i);
        g_autofree char *cpus = cpuset_format(&pin->cpus);

        xml_empty(&f->w, name, attribute, XML_NUMBER(pin->id), "cpuset", cpus, NULL);
    }
}

static void format_cputune(struct format *f, const struct domain_cputune *tune)
{
    xml_open(&f->w, "cputune", NULL);
    if (tune->shares)
        xml_text_element(&f->w, "shares", XML_NUMBER(tune->shares), NULL);
    for (unsigned i = 0; i < DOMAIN_QUOTA_LAST; i++) {
        const struct domain_cpu_quota *quota = &tune->quotas[i];
        g_autofree char *period_name = g_strconcat(domain_quota_prefix(i), "period", NULL);
        g_autofree char *quota_name = g_strconcat(domain_quota_prefix(i), "quota", NULL);

        if (quota->period)
            xml_text_element(&f->w, period_name, XML_NUMBER(quota->period), NULL);
        if (quota->quota)
            xml_text_element(&f->w, quota_name, XML_NUMBER(quota->quota), NULL);
    }
    format_pins(f, "vcpupin", "vcpu", tune->vcpupins);
    if (!cpuset_is_empty(&tune->emulatorpin)) {
        g_autofree char *cpus = cpuset_format(&tune->emulatorpin);

        xml_empty(&f->w, "emulatorpin", "cpuset", cpus, NULL);
    }
    format_pins(f, "iothreadpin", "iothread", tune->iothreadpins);
    xml_close_or_drop(&f->w, "cputune");
}

static void format_numatune(struct format *f, const struct domain_numatune *tune)
{
    g_autofree char *nodes = cpuset_format(&tune->nodes);

    if (!tune->mode)
        return;
    xml_open(&f->w, "numatune", NULL);
    xml_empty(&f->w, "memory", "mode", word_of(domain_numa_values, tune->mode), "nodeset", nodes,
              NULL);
    xml_close(&f->w, "numatune");
}

static void format_os(struct format *f, const struct domain_os *os)
{
    xml_open(&f->w, "os", NULL);
    xml_text_element(&f->w, "type", "hvm", "arch", os->arch, "machine", os->machine, NULL);
    if (os->kernel)
        xml_text_element(&f->w, "kernel", os->kernel, NULL);
    if (os->initrd)
        xml_text_element(&f->w, "initrd", os->initrd, NULL);
    if (os->cmdline)
        xml_text_element(&f->w, "cmdline", os->cmdline, NULL);
    for (unsigned i = 0; i < os->boot_count; i++)
        xml_empty(&f->w, "boot", "dev", xml_value_name(domain_boot_values, (int)os->boot[i]), NULL);
    if (os->bootmenu)
        xml_empty(&f->w, "bootmenu", "enable", word_of(domain_yes_no_values, os->bootmenu), NULL);
    xml_close(&f->w, "os");
}

static void format_features(struct format *f, const enum domain_switch *features)
{
    xml_open(&f->w, "features", NULL);
    for (unsigned i = 0; i < DOMAIN_FEATURE_LAST; i++) {
        const struct domain_feature_word *word = &domain_feature_words[i];

        if (features[i])
            xml_empty(&f->w, word->name, "state",
                      word->has_state ? word_of(domain_switch_values, features[i]) : NULL, NULL);
    }
    xml_close_or_drop(&f->w, "features");
}

static void format_cpu(struct format *f, const struct domain_cpu *cpu)
{
    if (!cpu->mode && !cpu->sockets)
        return;
    xml_open(&f->w, "cpu", "mode", word_of(domain_cpu_values, cpu->mode), "match",
             word_of(domain_cpu_match_values, cpu->match), "check",
             word_of(domain_cpu_check_values, cpu->check), "migratable",
             word_of(domain_switch_values, cpu->migratable), NULL);
    if (cpu->model)
        xml_text_element(&f->w, "model", cpu->model, "fallback",
                         word_of(domain_cpu_fallback_values, cpu->fallback), NULL);
    else if (cpu->fallback)
        xml_empty(&f->w, "model", "fallback", word_of(domain_cpu_fallback_values, cpu->fallback),
                  NULL);
    if (cpu->vendor)
        xml_text_element(&f->w, "vendor", cpu->vendor, NULL);
    if (cpu->sockets)
        xml_empty(&f->w, "topology", "sockets", XML_NUMBER(cpu->sockets), "dies",
                  cpu->dies ? "1" : NULL, "cores", XML_NUMBER(cpu->cores), "threads",
                  XML_NUMBER(cpu->threads), NULL);
    for (guint i = 0; i < cpu->features->len; i++) {
        const struct domain_cpu_feature *feature = g_ptr_array_index(cpu->features, i);

        xml_empty(&f->w, "feature", "policy",
                  xml_value_name(domain_cpu_policy_values, (int)feature->policy), "name",
                  feature->name, NULL);
    }
    xml_close(&f->w, "cpu");
}

static void format_clock(struct format *f, const struct domain_clock *clock)
{
    bool is_variable = clock->offset == DOMAIN_CLOCK_VARIABLE;

    xml_open(&f->w, "clock", "offset", xml_value_name(domain_clock_values, (int)clock->offset),
             "adjustment",
             is_variable ? XML_NUMBER(clock->adjustment) : (clock->reset ? "reset" : NULL), "basis",
             !is_variable ? NULL : (clock->basis_localtime ? "localtime" : "utc"), NULL);
    for (unsigned i = 0; i < DOMAIN_TIMER_LAST; i++) {
        const struct domain_timer *timer = &clock->timers[i];

        if (timer->given)
            xml_empty(&f->w, "timer", "name", domain_timer_words[i].name, "present",
                      word_of(domain_yes_no_values, timer->present), "tickpolicy",
                      word_of(domain_tickpolicy_values, timer->tickpolicy), "track",
                      timer->track_wall ? "wall" : NULL, "mode",
                      timer->mode_native ? "native" : NULL, NULL);
    }
    xml_close(&f->w, "clock");
}

static void format_events(struct format *f, const domain_def *def)
{
    xml_text_element(&f->w, "on_poweroff",
                     xml_value_name(domain_poweroff_values, (int)def->on_poweroff), NULL);
    xml_text_element(&f->w, "on_reboot", xml_value_name(domain_reboot_values, (int)def->on_reboot),
                     NULL);
    xml_text_element(&f->w, "on_crash", xml_value_name(domain_crash_values, (int)def->on_crash),
                     NULL);
}

static void format_pm(struct format *f, const domain_def *def)
{
    xml_open(&f->w, "pm", NULL);
    if (def->suspend_to_mem)
        xml_empty(&f->w, "suspend-to-mem", "enabled",
                  word_of(domain_yes_no_values, def->suspend_to_mem), NULL);
    if (def->suspend_to_disk)
        xml_empty(&f->w, "suspend-to-disk", "enabled",
                  word_of(domain_yes_no_values, def->suspend_to_disk), NULL);
    xml_close_or_drop(&f->w, "pm");
}

char *domain_def_format(const domain_def *def, unsigned flags)
{
    struct format f = {.live = def->id > 0 && !(flags & VIR_DOMAIN_XML_INACTIVE)};

    xml_writer_init(&f.w);
    xml_open(&f.w, "domain", "type", "kvm", "id", f.live ? XML_NUMBER(def->id) : NULL, NULL);
    format_ids(&f, def);
    format_memory(&f, def);
    format_vcpus(&f, def);
    format_cputune(&f, &def->cputune);
    format_numatune(&f, &def->numatune);
    format_os(&f, &def->os);
    format_features(&f, def->features);
    format_cpu(&f, &def->cpu);
    format_clock(&f, &def->clock);
    format_events(&f, def);
    format_pm(&f, def);
    format_devices(&f, def);
    if (def->seclabel_none)
        xml_empty(&f.w, "seclabel", "type", "none", NULL);
    xml_close(&f.w, "domain");
    return xml_writer_finish(&f.w);
}
